/* preface.c - see preface.h. */
#include "auth/preface.h"
#include "base/mem.h"
#include "base/banned.h"

static const struct span magic = SPAN_INIT("TASSIS\x02");

static void put_u16(struct strbuf *out, size_t value)
{
    strbuf_add_char(out, (char)(value >> 8 & 0xff));
    strbuf_add_char(out, (char)(value & 0xff));
}

static void put_text(struct strbuf *out, struct span text)
{
    put_u16(out, text.len);
    strbuf_add(out, text);
}

void preface_write(const struct preface *p, struct strbuf *out)
{
    if (p->tag.len > PREFACE_TAG_MAX)
        panic("the preface's tag is too long");
    strbuf_add(out, magic);
    strbuf_add_char(out, (char)p->protocol);
    strbuf_add_bytes(out, p->ticket, VAULT_TICKET_BYTES);
    put_u16(out, p->peer.port);
    put_u16(out, p->peer.local_port);
    put_u16(out, p->peer.tls_bits);
    put_text(out, span_cstr(p->id));
    put_text(out, span_cstr(p->peer.address));
    put_text(out, span_cstr(p->peer.tls_version));
    put_text(out, span_cstr(p->peer.tls_cipher));
    put_text(out, span_cstr(p->peer.auth_mechanism));
    put_text(out, p->tag);
}

static uint16_t get_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static enum preface_state take_text(struct span *rest, size_t max, struct span *text)
{
    if (rest->len < 2)
        return PREFACE_PARTIAL;
    size_t len = get_u16(rest->p);
    if (len > max)
        return PREFACE_BAD;
    if (rest->len - 2 < len)
        return PREFACE_PARTIAL;
    *text = span_slice(*rest, 2, 2 + len);
    *rest = span_skip(*rest, 2 + len);
    for (size_t i = 0; i < text->len; i++)
        if (text->p[i] < 0x20 || text->p[i] > 0x7e)
            return PREFACE_BAD;
    return PREFACE_WHOLE;
}

/* A text into an array of `size` octets, with its NUL. */
static enum preface_state take_array(struct span *rest, char *array, size_t size)
{
    struct span text;
    enum preface_state st = take_text(rest, size - 1, &text);
    if (st == PREFACE_WHOLE) {
        memcpy(array, text.p, text.len);
        array[text.len] = '\0';
    }
    return st;
}

static bool id_is_valid(const char *id)
{
    for (const char *p = id; *p; p++)
        if (!ascii_is_digit(*p) && !(*p >= 'a' && *p <= 'z'))
            return false;
    return id[0] != '\0';
}

enum preface_state preface_read(struct span input, struct preface *out, size_t *size)
{
    size_t n = input.len < magic.len ? input.len : magic.len;
    if (!span_eq(span_take(input, n), span_take(magic, n)))
        return PREFACE_BAD;
    if (input.len < PREFACE_FIXED_BYTES)
        return PREFACE_PARTIAL;
    *out = (struct preface){.protocol = (uint8_t)input.p[magic.len]};
    memcpy(out->ticket, input.p + magic.len + 1, VAULT_TICKET_BYTES);
    const char *ports = input.p + magic.len + 1 + VAULT_TICKET_BYTES;
    out->peer.port = get_u16(ports);
    out->peer.local_port = get_u16(ports + 2);
    out->peer.tls_bits = get_u16(ports + 4);

    struct span rest = span_skip(input, PREFACE_FIXED_BYTES);
    enum preface_state st = take_array(&rest, out->id, sizeof out->id);
    if (st == PREFACE_WHOLE)
        st = take_array(&rest, out->peer.address, sizeof out->peer.address);
    if (st == PREFACE_WHOLE)
        st = take_array(&rest, out->peer.tls_version, sizeof out->peer.tls_version);
    if (st == PREFACE_WHOLE)
        st = take_array(&rest, out->peer.tls_cipher, sizeof out->peer.tls_cipher);
    if (st == PREFACE_WHOLE)
        st = take_array(&rest, out->peer.auth_mechanism, sizeof out->peer.auth_mechanism);
    if (st == PREFACE_WHOLE)
        st = take_text(&rest, PREFACE_TAG_MAX, &out->tag);
    if (st == PREFACE_WHOLE && !id_is_valid(out->id))
        st = PREFACE_BAD;
    *size = input.len - rest.len;
    return st;
}
