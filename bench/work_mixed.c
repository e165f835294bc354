/*
 * work_mixed.c - what many clients do at the same time: each connection, on the account that is its turn, picks one of
 * the operations of a table by weight, does it and checks the answer, until --seconds or --count are reached. Latencies
 * are told for each operation as well.
 *
 * Where several connections share an account the messages may change under each other's hands; then what another
 * session may have expunged may be missing, and nothing else.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "message.h"
#include "works.h"

enum { RANGE = 50, AT_LEAST = 20 /* messages that a mailbox is brought to before the start */ };

struct client {
    struct imap im;
    uint64_t random;
    bool is_shared;
    struct message message;
    struct strbuf user;
};

static uint64_t next_random(struct client *c, uint64_t below)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (c->random >> 16) % below;
}

/* ---- operations */

/* Numbers from..to of a FETCH or STORE; each must be answered by `name` once, in whatever order, or at most once
 * (is_some_enough). */
static void expect_range(struct client *c, uint32_t from, uint32_t to, struct span name, bool is_some_enough,
                         void (*check)(struct span value))
{
    struct span text, items, value;
    uint32_t number, told = 0;
    while (imap_untagged(&c->im, &text)) {
        if (!imap_is_fetch(text, &number, &items) || !imap_item(items, name, &value))
            continue;
        if (number < from || number > to) { /* RFC 3501 §7.4.2: flags may be told unasked */
            if (!c->is_shared)
                bench_fail("message %u is told, %u:%u was asked for", number, from, to);
            continue;
        }
        if (check)
            check(value);
        told++;
    }
    uint32_t asked = to - from + 1;
    if (c->is_shared ? told > 2 * asked : is_some_enough ? told > asked : told != asked)
        bench_fail("%u:%u was asked for, %u messages were told", from, to, told);
}

static bool pick_range(struct client *c, uint32_t most, uint32_t *from, uint32_t *to)
{
    uint32_t exists = c->im.exists;
    if (exists == 0)
        return false;
    *from = 1 + (uint32_t)next_random(c, exists);
    *to = exists - *from < most ? exists : *from + most - 1;
    return true;
}

static void check_body(struct span value)
{
    struct message_id id;
    const char *why;
    if (!message_check(value, &id, &why))
        bench_fail("a message is not whole: %s", why);
}

static void fetch_flags(struct client *c)
{
    uint32_t from, to;
    if (!pick_range(c, 4 * RANGE, &from, &to))
        return;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "FETCH %u:%u (UID FLAGS)\r\n", from, to);
    expect_range(c, from, to, SPAN("UID"), false, NULL);
}

static void fetch_envelopes(struct client *c)
{
    uint32_t from, to;
    if (!pick_range(c, RANGE, &from, &to))
        return;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "FETCH %u:%u (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\n", from, to);
    expect_range(c, from, to, SPAN("ENVELOPE"), false, NULL);
}

static void fetch_body(struct client *c)
{
    uint32_t from, to;
    if (!pick_range(c, 1, &from, &to))
        return;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "FETCH %u (UID BODY.PEEK[])\r\n", from);
    expect_range(c, from, to, SPAN("BODY[]"), false, check_body);
}

static void store_flag(struct client *c)
{
    static const char *const flags[] = {"\\Seen", "\\Flagged", "\\Answered"};
    uint32_t from, to;
    if (!pick_range(c, 1 + (uint32_t)next_random(c, 5), &from, &to))
        return;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "STORE %u:%u %cFLAGS (%s)\r\n", from, to, next_random(c, 2) ? '+' : '-',
                flags[next_random(c, 3)]);
    expect_range(c, from, to, SPAN("FLAGS"), true, NULL); /* some servers do not tell what has not changed */
}

static void append(struct client *c)
{
    uint32_t before = c->im.exists;
    message_make(&c->message, next_random(c, UINT64_C(1) << 40), 2048 + next_random(c, 20000), "sender@elsewhere.test",
                 c->user.p);
    imap_append(&c->im, opt.mailbox, strbuf_span(&c->message.text));
    imap_append_answer(&c->im);
    if (c->im.exists <= before) /* RFC 3501 §6.3.11: a server should tell at once; NOOP makes it */
        imap_command(&c->im, "NOOP");
    if (c->im.exists <= before && !c->is_shared)
        bench_fail("APPEND is answered, and the mailbox still has %u messages", c->im.exists);
}

static void search(struct client *c)
{
    static const char *const keys[] = {"UNSEEN", "FLAGGED", "LARGER 20000", "SUBJECT \"" MESSAGE_RARE_WORD "\"",
                                       "FROM \"Sender 7\""};
    struct span text;
    bool is_told = false;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "UID SEARCH %s\r\n", keys[next_random(c, 5)]);
    while (imap_untagged(&c->im, &text))
        is_told |= span_istarts(text, SPAN("SEARCH"));
    if (!is_told)
        bench_fail("SEARCH told nothing");
}

static void noop(struct client *c)
{
    imap_command(&c->im, "NOOP");
}

static void status(struct client *c)
{
    struct span text;
    bool is_told = false;
    imap_tag(&c->im);
    conn_printf(c->im.conn, "STATUS \"%s\" (MESSAGES UIDNEXT UNSEEN)\r\n", opt.mailbox);
    while (imap_untagged(&c->im, &text))
        is_told |= span_istarts(text, SPAN("STATUS ")) && span_find(text, SPAN("MESSAGES "), 0) != SPAN_NPOS;
    if (!is_told)
        bench_fail("STATUS told nothing");
}

static void reselect(struct client *c)
{
    imap_select(&c->im, opt.mailbox, false);
}

/* As many as APPEND brings, so that the mailbox keeps its size. */
static void expunge(struct client *c)
{
    uint32_t before = c->im.exists;
    if (before <= AT_LEAST)
        return;
    imap_command(&c->im, "STORE %u +FLAGS.SILENT (\\Deleted)", 1 + (uint32_t)next_random(c, before));
    imap_command(&c->im, "EXPUNGE");
    if (!c->is_shared && c->im.exists != before - 1)
        bench_fail("EXPUNGE of one message of %u left %u", before, c->im.exists);
}

static const struct operation {
    const char *name;
    unsigned weight;
    void (*run)(struct client *c);
} operations[] = {
    {"flags", 25, fetch_flags}, {"envelope", 20, fetch_envelopes},
    {"body", 20, fetch_body},   {"store", 10, store_flag},
    {"append", 4, append},      {"expunge", 4, expunge},
    {"search", 5, search},      {"select", 4, reselect},
    {"status", 4, status},      {"noop", 4, noop},
};
enum { OPERATIONS = sizeof operations / sizeof *operations, WEIGHTS = 100 };
static struct histogram latency_us[OPERATIONS];

static void one_operation(struct client *c)
{
    unsigned at = (unsigned)next_random(c, WEIGHTS), i = 0;
    while (i < OPERATIONS - 1 && at >= operations[i].weight)
        at -= operations[i++].weight;
    int64_t begun_us = bench_now_us();
    operations[i].run(c);
    histogram_add(&latency_us[i], (uint64_t)(bench_now_us() - begun_us));
    tally_done(begun_us, 0);
}

/* ---- clients */

enum { OPENING_AT_ONCE = 32 };
static size_t opening;
static struct fiber_event one_less_opening;

static void begin(struct client *c, uint64_t number)
{
    while (opening == OPENING_AT_ONCE)
        fiber_wait(&one_less_opening);
    opening++;
    imap_open_account(&c->im, number % opt.accounts);
    imap_capability(&c->im);
    c->im.is_shared = c->is_shared;
    imap_select(&c->im, opt.mailbox, false);
    imap_command(&c->im, "EXPUNGE"); /* of what an earlier run marked */
    while (c->im.exists < AT_LEAST)
        append(c);
    opening--;
    fiber_wake(&one_less_opening);
}

static void run(void *arg)
{
    uint64_t number = (uint64_t)(uintptr_t)arg, unused;
    struct client c = {.random = (number + 1) * 0x9e3779b97f4a7c15u, .is_shared = opt.connections > opt.accounts};
    account_name(&c.user, opt.user, number % opt.accounts);
    begin(&c, number);
    tally_line_up(opt.connections);
    while (tally_take(&unused))
        one_operation(&c);
    imap_logout(&c.im);
    message_free(&c.message);
    strbuf_free(&c.user);
}

void work_mixed(void)
{
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    result_u64("connections", opt.connections);
    result_u64("accounts", opt.accounts);
    for (size_t i = 0; i < OPERATIONS; i++)
        result_histogram(operations[i].name, &latency_us[i]);
}
