/*
 * vault_frame.h - building and reading the frames of vault_protocol.h. Pure; used by both sides.
 */
#pragma once
#include "auth/vault_protocol.h"
#include "base/span.h"
#include "base/strbuf.h"

enum { VAULT_HEAD_BYTES = 5 }; /* u32 length, u8 verb or status */

/* Starts a frame at the end of *b; returns where, for vault_frame_end(). */
size_t vault_frame_begin(struct strbuf *b, uint8_t verb_or_status);
/* At most 65,535 octets: anything longer is a bug of the caller and ends the role. */
void vault_frame_field(struct strbuf *b, struct span field);
/* A field of 4 octets / of 1 octet. */
void vault_frame_u32(struct strbuf *b, uint32_t value);
void vault_frame_u8(struct strbuf *b, uint8_t value);
void vault_frame_end(struct strbuf *b, size_t start);

enum vault_frame_state { VAULT_FRAME_PARTIAL, VAULT_FRAME_WHOLE, VAULT_FRAME_BAD };
/* Looks at the first frame of input; on WHOLE *code and *fields are its parts and *size what to consume. BAD: longer
 * than max. */
enum vault_frame_state vault_frame_next(struct span input, size_t max, uint8_t *code, struct span *fields,
                                        size_t *size);

/* Takes the next field off *fields; false where there is none or it is longer than max. */
bool vault_field(struct span *fields, size_t max, struct span *field);
bool vault_field_u32(struct span *fields, uint32_t *value);
bool vault_field_u8(struct span *fields, uint8_t *value);
