/* The compressing layer: what a client sends, in pieces, up to an end of compression; and what we send reads back. */
#include "fuzz.h"
#include "net/deflate.h"

struct wire {
    struct span in;
    size_t step;
};

static enum io wire_read(void *ctx, char *p, size_t size, size_t *n)
{
    struct wire *w = ctx;
    if (!w->in.len)
        return IO_WANT_READ;
    *n = w->in.len < w->step ? w->in.len : w->step;
    *n = *n < size ? *n : size;
    memcpy(p, w->in.p, *n);
    w->in = span_skip(w->in, *n);
    return IO_OK;
}

static enum io wire_write(void *ctx, struct span data, size_t *n)
{
    struct strbuf *out = ctx;
    strbuf_add(out, data);
    *n = data.len;
    return IO_OK;
}

/* The first octet says how much is read at once. */
static void feed(struct span data, size_t step, struct strbuf *text)
{
    struct wire w = {data, step};
    const struct deflate_below b = {&w, wire_read, NULL};
    struct deflate *d = deflate_new();
    AUTO_STRBUF beyond = STRBUF_INIT;
    char piece[777];
    size_t n = 0;
    while (text->len < (1 << 20) && deflate_read(d, &b, piece, sizeof piece, &n) == IO_OK) {
        strbuf_add(text, span_of(piece, n));
        if (text->p[text->len - 1] == '!')
            break;
    }
    CHECK(deflate_read_end(d, &b, &beyond) != IO_OK || beyond.len <= data.len);
    deflate_free(&d);
}

static void there_and_back(struct span data)
{
    AUTO_STRBUF out = STRBUF_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    const struct deflate_below b = {&out, NULL, wire_write};
    struct deflate *d = deflate_new();
    for (size_t at = 0, n = 0; at < data.len; at += n)
        deflate_write(d, &b, span_skip(data, at), &n);
    deflate_free(&d);
    struct wire w = {strbuf_span(&out), 100};
    const struct deflate_below back = {&w, wire_read, NULL};
    char piece[777];
    size_t n = 0;
    d = deflate_new();
    while (deflate_read(d, &back, piece, sizeof piece, &n) == IO_OK)
        strbuf_add(&text, span_of(piece, n));
    CHECK(span_eq(strbuf_span(&text), data));
    deflate_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_STRBUF text = STRBUF_INIT;
    if (size < 1)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    feed(rest, 1 + (size_t)data[0] * 16, &text);
    there_and_back(rest);
    return 0;
}
