/*
 * Whole IMAP sessions: framing, every command and its answers, on a small real store. The first octet chooses the role
 * and in what pieces the rest comes. The store lives on for a while, so that commands meet what others left behind.
 *
 * Checked besides crashes: whatever comes in, what goes out is whole lines.
 */
#include <stdio.h>
#include "fuzz.h"
#include "../imap/harness.h"

enum { ROUNDS_PER_WORLD = 300, INPUT_MAX = 20000 };

static struct world *world;

static void renew_world(void)
{
    static int rounds;
    if (world && ++rounds % ROUNDS_PER_WORLD)
        return;
    if (world)
        world_free(&world);
    static struct span administrator = SPAN_INIT("alice@example.test");
    static const struct config_quota quota = {.administrators = &administrator, .administrator_count = 1};
    world = world_new();
    world_app(world)->quota = &quota; /* who may SETQUOTA */
    log_set_level(LOG_ERROR);
    world_deliver(world, "INBOX", "From: alice@example.test\r\nSubject: one\r\n\r\nfirst\r\n");
    world_deliver(
        world, "INBOX",
        "From: bob@example.test\r\nSubject: two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        "\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n");
    world_deliver(world, "INBOX", "\r\n");
}

static void feed(struct session *s, struct span bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece) {
        fake_send(s, span_slice(bytes, at, at + piece));
        struct span got = span_cstr(fake_take(s));
        CHECK(got.len == 0 || span_ends(got, SPAN("\r\n")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    renew_world();
    struct session *s = fake_new(world, data[0] & 1);
    fake_set_tls(s, data[0] & 2);
    fake_take(s);
    feed(s, span_of(data + 1, size - 1), data[0] >> 2 ? data[0] >> 2 : size);
    fake_send(s, SPAN("\r\nDONE\r\n*\r\nend NOOP\r\n"));
    fake_free(&s);
    return 0;
}
