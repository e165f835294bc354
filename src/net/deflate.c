/*
 * deflate.c - see deflate.h.
 *
 * Our own window is small: an answer of IMAP is like the one before it, so that 4 KB of memory of it find most of what
 * 32 KB would. The client's window may be as large as DEFLATE has it, since nothing announces its size.
 *
 * A write that the socket does not take whole is not done: the piece stays compressed here and the caller comes again
 * with the same octets, as TLS wants it too.
 */
#include "net/deflate.h"
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "base/banned.h"

enum { LEVEL = 3, WINDOW_BITS_OUT = 12, WINDOW_BITS_IN = 15, MEMORY_LEVEL = 5 };

struct deflate {
    z_stream in, out;
    char *left; /* read from below, not yet looked at: in.next_in stands in it; NULL: nothing */
    size_t barren;
    bool is_full;    /* the last call had no room for more: some may wait inside */
    bool is_between; /* two blocks: the last call ended behind one */
    bool is_closing; /* deflate_read_end() is in, or before, the block that should be empty */
    bool is_ended;   /* the client's DEFLATE stream said so */
    bool is_broken;  /* it is no DEFLATE */
    struct strbuf packed;
    size_t packed_at, packed_for; /* of how many octets it is made */
};

struct deflate *deflate_new(void)
{
    struct deflate *d = mem_alloc(sizeof *d);
    if (inflateInit2(&d->in, -WINDOW_BITS_IN) != Z_OK ||
        deflateInit2(&d->out, LEVEL, Z_DEFLATED, -WINDOW_BITS_OUT, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        panic("zlib: no memory");
    return d;
}

void deflate_free(struct deflate **dp)
{
    struct deflate *d = *dp;
    if (!d)
        return;
    inflateEnd(&d->in);
    deflateEnd(&d->out);
    free(d->left);
    strbuf_free(&d->packed);
    free(d);
    *dp = NULL;
}

bool deflate_has_pending(const struct deflate *d)
{
    return d->in.avail_in || d->is_full;
}

/* ---- in ------------------------------------------------------------------------------------------------------- */

static void keep_rest(struct deflate *d)
{
    char *before = d->left;
    d->left = d->in.avail_in ? mem_copy(d->in.next_in, d->in.avail_in) : NULL;
    d->in.next_in = (unsigned char *)d->left;
    free(before);
}

/* One block, or as much of it as is here and has room. */
static enum io inflate_some(struct deflate *d, char *p, size_t size, size_t *n)
{
    uInt before = d->in.avail_in;
    d->in.next_out = (unsigned char *)p;
    d->in.avail_out = (uInt)size;
    int result = inflate(&d->in, Z_BLOCK);
    *n = size - d->in.avail_out;
    d->is_full = d->in.avail_out == 0;
    d->is_between = d->in.data_type & 128;
    d->is_ended = result == Z_STREAM_END;
    d->is_broken = result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END;
    d->barren = *n ? 0 : d->barren + before - d->in.avail_in;
    return d->is_broken || d->barren > DEFLATE_BARREN_MAX ? IO_ERROR : IO_OK;
}

static enum io read_below(struct deflate *d, const struct deflate_below *below, char raw[DEFLATE_RAW_MAX])
{
    size_t n = 0;
    enum io io = below->read(below->ctx, raw, DEFLATE_RAW_MAX, &n);
    if (io == IO_OK) {
        d->in.next_in = (unsigned char *)raw;
        d->in.avail_in = (uInt)n;
    }
    return io;
}

enum io deflate_read(struct deflate *d, const struct deflate_below *below, char *p, size_t size, size_t *n)
{
    char raw[DEFLATE_RAW_MAX];
    enum io io = IO_OK;
    *n = 0;
    while (io == IO_OK && *n == 0) {
        if (d->is_broken || d->is_ended)
            return d->is_ended ? IO_EOF : IO_ERROR;
        if (!deflate_has_pending(d))
            io = read_below(d, below, raw);
        if (io == IO_OK)
            io = inflate_some(d, p, size, n);
    }
    keep_rest(d);
    return *n ? IO_OK : io; /* what came before an error counts; the error comes again */
}

/* Z_SYNC_FLUSH ends what it flushes with an empty block, and that at a whole octet. */
enum io deflate_read_end(struct deflate *d, const struct deflate_below *below, struct strbuf *beyond)
{
    char raw[DEFLATE_RAW_MAX], none[1];
    size_t n = 0;
    enum io io = d->is_broken ? IO_ERROR : IO_OK;
    for (bool is_flushed = d->is_ended; io == IO_OK && !is_flushed;) {
        d->is_closing |= d->is_between;
        if (!d->in.avail_in)
            io = read_below(d, below, raw);
        if (io == IO_OK)
            io = inflate_some(d, none, sizeof none, &n);
        if (n)
            return IO_ERROR;
        is_flushed = d->is_ended || (d->is_closing && d->is_between && (d->in.data_type & 7) == 0);
    }
    keep_rest(d);
    if (io == IO_OK)
        strbuf_add(beyond, span_of(d->left, d->in.avail_in));
    return io;
}

/* ---- out ------------------------------------------------------------------------------------------------------ */

static void pack(struct deflate *d, struct span data)
{
    size_t piece = data.len < DEFLATE_PIECE ? data.len : DEFLATE_PIECE;
    int flush = piece == data.len ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    unsigned char bytes[1024];
    d->out.next_in = (unsigned char *)(uintptr_t)data.p;
    d->out.avail_in = (uInt)piece;
    do {
        d->out.next_out = bytes;
        d->out.avail_out = sizeof bytes;
        if (deflate(&d->out, flush) == Z_STREAM_ERROR)
            panic("deflate: wrong state");
        strbuf_add(&d->packed, span_of(bytes, sizeof bytes - d->out.avail_out));
    } while (d->out.avail_out == 0);
    d->packed_for = piece;
}

enum io deflate_write(struct deflate *d, const struct deflate_below *below, struct span data, size_t *n)
{
    if (!d->packed_for)
        pack(d, data);
    while (d->packed_at < d->packed.len) {
        size_t written = 0;
        enum io io = below->write(below->ctx, span_skip(strbuf_span(&d->packed), d->packed_at), &written);
        if (io != IO_OK)
            return io;
        d->packed_at += written;
    }
    *n = d->packed_for;
    d->packed_at = d->packed_for = 0;
    strbuf_free(&d->packed);
    return IO_OK;
}
