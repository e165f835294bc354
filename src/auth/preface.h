/*
 * preface.h - the first bytes on a connection from `gate` to `mail`: who is being handed over. Pure.
 *
 *   "TASSIS" version(1)=2 protocol(1) ticket(32) port(2) local port(2) bits of the TLS cipher(2)
 *   then six texts, each u16 length and octets: session id, client address, TLS version, TLS cipher, mechanism, tag
 *
 * Integers are big-endian: the two roles may one day be on different machines. Behind it the client's own bytes go on,
 * so what `gate` had already read is simply the beginning of what is carried.
 */
#pragma once
#include "auth/vault_protocol.h"
#include "base/strbuf.h"
#include "net/session.h"

enum {
    PREFACE_VERSION = 2,
    PREFACE_FIXED_BYTES = 6 + 1 + 1 + VAULT_TICKET_BYTES + 2 + 2 + 2,
    PREFACE_ID_MAX = 15,
    PREFACE_TAG_MAX = 256,
    PREFACE_MAX = PREFACE_FIXED_BYTES + 6 * 2 + PREFACE_ID_MAX + 45 + 9 + 35 + 20 + PREFACE_TAG_MAX,
};

struct preface {
    uint8_t protocol; /* enum handover_protocol; checked by the reader of a struct handover */
    uint8_t ticket[VAULT_TICKET_BYTES];
    char id[PREFACE_ID_MAX + 1];
    struct peer peer;
    struct span tag; /* into the input */
};

/* tag: at most PREFACE_TAG_MAX. */
void preface_write(const struct preface *p, struct strbuf *out);

enum preface_state { PREFACE_PARTIAL, PREFACE_WHOLE, PREFACE_BAD };
/* *size: what to consume on WHOLE. BAD as soon as a byte is wrong. Texts are printable ASCII, the id [a-z0-9]. */
enum preface_state preface_read(struct span input, struct preface *out, size_t *size);
