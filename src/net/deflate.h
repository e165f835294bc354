/*
 * deflate.h - one connection's bytes compressed both ways (RFC 4978, raw DEFLATE of RFC 1951), between a stream and its
 * socket or TLS. Used by stream.c alone; nothing here waits.
 *
 * What it costs: about 75 KB a connection from the first bytes on, made by deflate_new() and freed with the stream; an
 * incomplete piece each way besides, at most DEFLATE_RAW_MAX in and about DEFLATE_PIECE out.
 *
 * What it guards: the caller says how many octets may come out, and no more do, whatever came in (a "bomb" is only
 * slow); input of which nothing comes out is an error after DEFLATE_BARREN_MAX.
 */
#pragma once
#include "base/span.h"
#include "base/strbuf.h"
#include "net/stream.h"

enum {
    DEFLATE_RAW_MAX = 4096,          /* read from below at once */
    DEFLATE_PIECE = 4096,            /* compressed at once */
    DEFLATE_BARREN_MAX = 256 * 1024, /* octets in a row from which nothing comes; no compressor makes such */
};

struct deflate;

struct deflate *deflate_new(void);
void deflate_free(struct deflate **d);

/* The layer below. As stream_read() and stream_write(), which these look like. */
struct deflate_below {
    void *ctx;
    enum io (*read)(void *ctx, char *p, size_t size, size_t *n);
    enum io (*write)(void *ctx, struct span data, size_t *n);
};
/* Stops behind each block of DEFLATE, so that what the client says plainly behind its last one is not touched. */
enum io deflate_read(struct deflate *d, const struct deflate_below *below, char *p, size_t size, size_t *n);
/* The end of `data` is flushed: the client can read all of it. */
enum io deflate_write(struct deflate *d, const struct deflate_below *below, struct span data, size_t *n);
/* Octets may come out without reading from below. */
bool deflate_has_pending(const struct deflate *d);

/* The client's last compressed octet has been read (RFC 8437 §4.1): takes the flush that ends it, and gives what has
 * been read beyond. Reads from below only what is missing. IO_ERROR: more compressed data, or none of DEFLATE. */
enum io deflate_read_end(struct deflate *d, const struct deflate_below *below, struct strbuf *beyond);
