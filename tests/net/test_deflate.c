/*
 * The compressing layer (RFC 4978): both directions through sockets that take and give any number of bytes at once,
 * what a hostile peer sends, the end of compression (RFC 8437 §4.1), and whole sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include "harness.h"
#include "net/deflate.h"

/* The layer below: `step` octets at most in a call, and "not now" before each. */
struct wire {
    struct strbuf in, out;
    size_t in_at, step;
    bool is_ready;
};

static bool is_now(struct wire *w)
{
    w->is_ready = !w->is_ready;
    return w->is_ready;
}

static enum io wire_read(void *ctx, char *p, size_t size, size_t *n)
{
    struct wire *w = ctx;
    if (w->in_at == w->in.len || !is_now(w))
        return IO_WANT_READ;
    *n = w->in.len - w->in_at < w->step ? w->in.len - w->in_at : w->step;
    *n = *n < size ? *n : size;
    memcpy(p, w->in.p + w->in_at, *n);
    w->in_at += *n;
    return IO_OK;
}

static enum io wire_write(void *ctx, struct span data, size_t *n)
{
    struct wire *w = ctx;
    if (!is_now(w))
        return IO_WANT_WRITE;
    *n = data.len < w->step ? data.len : w->step;
    strbuf_add(&w->out, span_take(data, *n));
    return IO_OK;
}

static struct deflate_below below(struct wire *w)
{
    return (struct deflate_below){w, wire_read, wire_write};
}

static void wire_free(struct wire *w)
{
    strbuf_free(&w->in);
    strbuf_free(&w->out);
}

/* As a client compresses: one piece, flushed so. */
static void client_packs(z_stream *z, struct span text, int flush, struct strbuf *out)
{
    unsigned char bytes[256];
    z->next_in = (unsigned char *)(uintptr_t)text.p;
    z->avail_in = (uInt)text.len;
    do {
        z->next_out = bytes;
        z->avail_out = sizeof bytes;
        deflate(z, flush);
        strbuf_add(out, span_of(bytes, sizeof bytes - z->avail_out));
    } while (z->avail_out == 0);
}

static void client_new(z_stream *z)
{
    *z = (z_stream){0};
    assert_int_equal(deflateInit2(z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

/* All that comes, in pieces of at most `size`. */
static enum io read_all(struct deflate *d, struct wire *w, size_t size, struct strbuf *text)
{
    const struct deflate_below b = below(w);
    char piece[20000];
    for (;;) {
        size_t n = 0;
        enum io io = deflate_read(d, &b, piece, size, &n);
        if (io == IO_OK) {
            assert_true(n > 0 && n <= size);
            strbuf_add(text, span_of(piece, n));
        } else if (io != IO_WANT_READ || (w->in_at == w->in.len && !deflate_has_pending(d))) {
            return io;
        }
    }
}

static const size_t steps[] = {1, 2, 3, 7, 100, 4096, 100000};

static void test_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (size_t k = 0; k < 5; k++) {
            struct wire w = {.step = steps[i]};
            struct deflate *d = deflate_new();
            z_stream z;
            AUTO_STRBUF said = STRBUF_INIT;
            AUTO_STRBUF got = STRBUF_INIT;
            client_new(&z);
            for (unsigned n = 0; n < 300; n++) {
                size_t before = said.len;
                strbuf_addf(&said, "a%u UID FETCH %u:* (FLAGS)\r\n", n, n * n);
                client_packs(&z, span_skip(strbuf_span(&said), before), n % 7 ? Z_SYNC_FLUSH : Z_FULL_FLUSH, &w.in);
            }
            assert_int_equal(read_all(d, &w, steps[k], &got), IO_WANT_READ);
            assert_true(span_eq(strbuf_span(&got), strbuf_span(&said)));
            deflateEnd(&z);
            deflate_free(&d);
            wire_free(&w);
        }
}

static void test_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct wire w = {.step = steps[i]};
        const struct deflate_below b = below(&w);
        struct deflate *d = deflate_new();
        AUTO_STRBUF said = STRBUF_INIT;
        unsigned char got[8192];
        z_stream z = {0};
        inflateInit2(&z, -15);
        size_t read = 0;
        for (unsigned n = 0; n < 200; n++) {
            size_t at = said.len;
            for (unsigned k = 0; k < n * 5; k++)
                strbuf_addf(&said, "* %u FETCH (UID %u FLAGS (\\Seen))\r\n", k, k * 31 + n);
            strbuf_addf(&said, "a%u OK done\r\n", n);
            while (at < said.len) {
                size_t done = 0;
                enum io io = deflate_write(d, &b, span_skip(strbuf_span(&said), at), &done);
                assert_true(io == IO_OK || io == IO_WANT_WRITE);
                at += done;
            }
            /* Flushed: the client can read every octet of it now. */
            z.next_in = (unsigned char *)w.out.p;
            z.avail_in = (uInt)w.out.len;
            while (read < said.len) {
                z.next_out = got;
                z.avail_out = sizeof got;
                inflate(&z, Z_SYNC_FLUSH);
                size_t came = sizeof got - z.avail_out;
                assert_true(came > 0 && read + came <= said.len);
                assert_memory_equal(got, said.p + read, came);
                read += came;
            }
            strbuf_clear(&w.out);
        }
        inflateEnd(&z);
        deflate_free(&d);
        wire_free(&w);
    }
}

/* What comes out is never more than was asked for, and what is being read at a time is bounded. */
static void test_bomb(void **state)
{
    (void)state;
    struct wire w = {.step = 1000000};
    struct deflate *d = deflate_new();
    const struct deflate_below b = below(&w);
    z_stream z;
    char *zeros = calloc(1, 10000000), piece[1000];
    client_new(&z);
    client_packs(&z, span_of(zeros, 10000000), Z_SYNC_FLUSH, &w.in);
    assert_true(w.in.len < 12000);
    size_t total = 0;
    while (total < 10000000) {
        size_t n = 0;
        enum io io = deflate_read(d, &b, piece, sizeof piece, &n);
        assert_true(io == IO_OK || io == IO_WANT_READ);
        total += n;
    }
    assert_int_equal(total, 10000000);
    deflateEnd(&z);
    free(zeros);
    deflate_free(&d);
    wire_free(&w);
}

/* Empty blocks for ever; and what is no DEFLATE, behind a good command, which still counts. */
static void test_hostile(void **state)
{
    (void)state;
    struct wire w = {.step = 4096};
    struct deflate *d = deflate_new();
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t i = 0; i < 2 * DEFLATE_BARREN_MAX / 5; i++)
        strbuf_add(&w.in, span_of("\0\0\0\xff\xff", 5));
    assert_int_equal(read_all(d, &w, 1000, &text), IO_ERROR);
    assert_true(w.in_at < DEFLATE_BARREN_MAX + 3 * DEFLATE_RAW_MAX);
    deflate_free(&d);
    wire_free(&w);

    w = (struct wire){.step = 4096};
    d = deflate_new();
    z_stream z;
    client_new(&z);
    client_packs(&z, SPAN("a NOOP\r\n"), Z_SYNC_FLUSH, &w.in);
    strbuf_add_cstr(&w.in, "\xff\xff\xff plain");
    assert_int_equal(read_all(d, &w, 1000, &text), IO_ERROR);
    assert_string_equal(strbuf_cstr(&text), "a NOOP\r\n");
    assert_int_equal(read_all(d, &w, 1000, &text), IO_ERROR);
    deflateEnd(&z);
    deflate_free(&d);
    wire_free(&w);
}

/* The last compressed command, flushed in each way, then plain ones: split at every octet, none of them is lost. */
static void test_end(void **state)
{
    (void)state;
    static const int flushes[] = {Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH};
    for (size_t i = 0; i < 3; i++)
        for (size_t step = 1; step < 60; step++)
            for (unsigned fill = 0; fill < 9; fill++) { /* ends at any bit of an octet */
                struct wire w = {.step = step};
                struct deflate *d = deflate_new();
                const struct deflate_below b = below(&w);
                AUTO_STRBUF got = STRBUF_INIT;
                AUTO_STRBUF said = STRBUF_INIT;
                AUTO_STRBUF beyond = STRBUF_INIT;
                z_stream z;
                client_new(&z);
                strbuf_addf(&said, "%.*su UNAUTHENTICATE\r\n", (int)fill, "abcdefghi");
                client_packs(&z, strbuf_span(&said), flushes[i], &w.in);
                strbuf_add_cstr(&w.in, "l LOGIN alice\r\n");
                char piece[100];
                while (got.len < said.len) {
                    size_t n = 0;
                    if (deflate_read(d, &b, piece, sizeof piece, &n) == IO_OK)
                        strbuf_add(&got, span_of(piece, n));
                }
                assert_string_equal(strbuf_cstr(&got), strbuf_cstr(&said));
                enum io io;
                do
                    io = deflate_read_end(d, &b, &beyond);
                while (io == IO_WANT_READ);
                assert_int_equal(io, IO_OK);
                strbuf_add(&beyond, span_skip(strbuf_span(&w.in), w.in_at)); /* still below */
                assert_string_equal(strbuf_cstr(&beyond), "l LOGIN alice\r\n");
                deflateEnd(&z);
                deflate_free(&d);
                wire_free(&w);
            }
}

/* What an idle session that is compressed holds (docs/architecture.md has the number). */
static void test_memory(void **state)
{
    (void)state;
    enum { COUNT = 20, MOST = 84 * 1024 };
    static struct deflate *d[COUNT];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < COUNT; i++) {
        struct wire w = {.step = 4096};
        const struct deflate_below b = below(&w);
        z_stream z;
        AUTO_STRBUF got = STRBUF_INIT;
        client_new(&z);
        client_packs(&z, SPAN("a NOOP\r\nb NOOP\r\n"), Z_SYNC_FLUSH, &w.in);
        d[i] = deflate_new();
        read_all(d[i], &w, 1000, &got);
        size_t n = 0;
        while (n == 0)
            deflate_write(d[i], &b, SPAN("a OK\r\n"), &n);
        deflateEnd(&z);
        wire_free(&w);
    }
    struct mallinfo2 after = mallinfo2();
    size_t each = (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / COUNT;
    print_message("an idle compressed session: %zu octets more\n", each);
    assert_true(each < MOST); /* under a sanitizer mallinfo2() says nothing */
    for (int i = 0; i < COUNT; i++)
        deflate_free(&d[i]);
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

struct packed_client {
    struct client c;
    z_stream in, out;
};

static void packed_say(struct packed_client *p, const char *text)
{
    AUTO_STRBUF bytes = STRBUF_INIT;
    client_packs(&p->out, span_cstr(text), Z_SYNC_FLUSH, &bytes);
    assert_true(client_send(&p->c, bytes.p, bytes.len));
}

static void packed_expect(struct packed_client *p, const char *text)
{
    char got[1000];
    unsigned char byte;
    size_t want = strlen(text);
    p->in.next_out = (unsigned char *)got;
    p->in.avail_out = (uInt)want;
    while (p->in.avail_out && recv(p->c.fd, &byte, 1, 0) == 1) {
        p->in.next_in = &byte;
        p->in.avail_in = 1;
        assert_int_equal(inflate(&p->in, Z_SYNC_FLUSH), Z_OK);
    }
    assert_int_equal(p->in.avail_out, 0);
    assert_memory_equal(got, text, want);
}

static void packed_open(struct packed_client *p, struct harness *h)
{
    *p = (struct packed_client){.c = client_open(h->port)};
    client_new(&p->out);
    inflateInit2(&p->in, -15);
    client_expect(&p->c, "hello plain");
}

static void packed_close(struct packed_client *p)
{
    inflateEnd(&p->in);
    deflateEnd(&p->out);
    client_close(&p->c);
}

static void test_session(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct packed_client p;
    packed_open(&p, &h);
    client_say(&p.c, "COMPRESS");
    client_expect(&p.c, "compressing");
    packed_say(&p, "one\r\ntwo\r\nthr");
    packed_expect(&p, "one\r\ntwo\r\n");
    packed_say(&p, "ee\r\nWATCH\r\n");
    packed_expect(&p, "three\r\nWATCH\r\n");
    while (harness_watchers() == 0)
        usleep(1000);
    harness_poke_all();
    packed_expect(&p, "* poked\r\n");
    packed_close(&p);
    harness_stop(&h, 2000);
}

/* A line of ten million octets that came as ten thousand is too long all the same. */
static void test_session_bomb(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct packed_client p;
    packed_open(&p, &h);
    client_say(&p.c, "COMPRESS");
    client_expect(&p.c, "compressing");
    char *line = malloc(10000001);
    memset(line, 'x', 10000000);
    line[10000000] = '\0';
    packed_say(&p, line);
    free(line);
    packed_expect(&p, "goodbye too long\r\n");
    packed_close(&p);
    harness_stop(&h, 2000);
}

/* Compression begins behind the hand-over, and ends with it. */
static void test_session_back(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    h.far_channel = h.channel;
    for (int flush = Z_SYNC_FLUSH; flush <= Z_FINISH; flush++) {
        struct packed_client p;
        packed_open(&p, &h);
        client_say(&p.c, "CARRY");
        client_expect(&p.c, "hello plain");
        client_say(&p.c, "COMPRESS");
        client_expect(&p.c, "compressing");
        packed_say(&p, "far\r\n");
        packed_expect(&p, "far\r\n");
        AUTO_STRBUF bytes = STRBUF_INIT;
        client_packs(&p.out, SPAN("BACK\r\n"), flush, &bytes);
        strbuf_add_cstr(&bytes, "one\r\nCARRY\r\ntwo\r\n");
        client_send(&p.c, bytes.p, bytes.len);
        packed_expect(&p, "going\r\n");
        char waste[5];
        assert_int_equal(recv(p.c.fd, waste, 5, MSG_WAITALL), 5); /* what ends the flush */
        assert_memory_equal(waste + 1, "\0\0\xff\xff", 4);
        client_expect(&p.c, "back");
        client_expect(&p.c, "one");
        client_expect(&p.c, "hello plain");
        client_expect(&p.c, "two");
        packed_close(&p);
    }
    harness_stop(&h, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in),      cmocka_unit_test(test_out),          cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_end),          cmocka_unit_test(test_memory),
        cmocka_unit_test(test_session), cmocka_unit_test(test_session_bomb), cmocka_unit_test(test_session_back),
    };
    return cmocka_run_group_tests_name("deflate", tests, NULL, NULL);
}
