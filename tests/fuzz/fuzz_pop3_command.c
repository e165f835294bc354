/*
 * Whole POP3 sessions: lines, every command and its answers, on a small real store. The first octet chooses the role and in
 * what pieces the rest comes.
 *
 * Checked besides crashes: whatever comes in, what goes out is whole lines.
 */
#include "fuzz.h"
#include "../imap/harness.h"
#include "pop3/pop3.h"

const struct fake_door fake_door = {&pop3_gate_protocol, HANDOVER_POP3, pop3_accept};

enum { ROUNDS_PER_WORLD = 300, INPUT_MAX = 5000 };

static struct world *world;

static void renew_world(void)
{
    static int rounds;
    if (world && ++rounds % ROUNDS_PER_WORLD)
        return;
    if (world)
        world_free(&world);
    world = world_new();
    log_set_level(LOG_ERROR);
    world_deliver(world, "INBOX", "Subject: one\r\n\r\nfirst\r\n");
    world_deliver(world, "INBOX", "Subject: two\r\n\r\n.\r\n..\r\nend");
    world_deliver(world, "INBOX", "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    renew_world();
    struct session *s = fake_new(world, data[0] & 1);
    fake_set_tls(s, data[0] & 2);
    fake_take(s);
    struct span bytes = span_of(data + 1, size - 1);
    size_t piece = data[0] >> 2 ? data[0] >> 2 : size;
    for (size_t at = 0; at < bytes.len; at += piece) {
        fake_send(s, span_slice(bytes, at, at + piece));
        struct span got = span_cstr(fake_take(s));
        CHECK(got.len == 0 || span_ends(got, SPAN("\r\n")));
    }
    fake_send(s, SPAN("\r\n*\r\nRSET\r\nSTAT\r\n"));
    fake_free(&s);
    return 0;
}
