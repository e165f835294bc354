/* vault_frame.c - see vault_frame.h. Integers are in host order and copied, since nothing in a frame is aligned. */
#include "auth/vault_frame.h"
#include "base/mem.h"
#include "base/banned.h"

size_t vault_frame_begin(struct strbuf *b, uint8_t verb_or_status)
{
    size_t start = b->len;
    uint32_t length = 0;
    strbuf_add_bytes(b, &length, sizeof length);
    strbuf_add_bytes(b, &verb_or_status, 1);
    return start;
}

void vault_frame_field(struct strbuf *b, struct span field)
{
    if (field.len > UINT16_MAX)
        panic("a vault field is too long");
    uint16_t length = (uint16_t)field.len;
    strbuf_add_bytes(b, &length, sizeof length);
    strbuf_add(b, field);
}

void vault_frame_u32(struct strbuf *b, uint32_t value)
{
    vault_frame_field(b, span_of(&value, sizeof value));
}

void vault_frame_u8(struct strbuf *b, uint8_t value)
{
    vault_frame_field(b, span_of(&value, sizeof value));
}

void vault_frame_end(struct strbuf *b, size_t start)
{
    uint32_t length = (uint32_t)(b->len - start - sizeof length);
    memcpy(b->p + start, &length, sizeof length);
}

enum vault_frame_state vault_frame_next(struct span input, size_t max, uint8_t *code, struct span *fields, size_t *size)
{
    uint32_t length;
    if (input.len < sizeof length)
        return VAULT_FRAME_PARTIAL;
    memcpy(&length, input.p, sizeof length);
    if (length < 1 || length > max)
        return VAULT_FRAME_BAD;
    if (input.len - sizeof length < length)
        return VAULT_FRAME_PARTIAL;
    *code = (uint8_t)input.p[sizeof length];
    *fields = span_slice(input, VAULT_HEAD_BYTES, sizeof length + length);
    *size = sizeof length + length;
    return VAULT_FRAME_WHOLE;
}

bool vault_field(struct span *fields, size_t max, struct span *field)
{
    uint16_t length;
    if (fields->len < sizeof length)
        return false;
    memcpy(&length, fields->p, sizeof length);
    if (length > max || fields->len - sizeof length < length)
        return false;
    *field = span_slice(*fields, sizeof length, sizeof length + length);
    *fields = span_skip(*fields, sizeof length + length);
    return true;
}

bool vault_field_u32(struct span *fields, uint32_t *value)
{
    struct span field;
    if (!vault_field(fields, sizeof *value, &field) || field.len != sizeof *value)
        return false;
    memcpy(value, field.p, sizeof *value);
    return true;
}

bool vault_field_u8(struct span *fields, uint8_t *value)
{
    struct span field;
    if (!vault_field(fields, 1, &field) || field.len != 1)
        return false;
    *value = (uint8_t)field.p[0];
    return true;
}
