/*
 * work_fetch.c - UID FETCH 1:* of flags, envelopes, structures or whole bodies, --repeat times on each connection (each
 * with the mailbox of an account). Every message must be told once, in ascending order, with what was asked for; bodies
 * must have their checksum.
 */
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "message.h"
#include "works.h"

static uint64_t fetched;
static struct histogram first_us;

static void check_flags(struct span value)
{
    if (value.len < 2 || value.p[0] != '(' || value.p[value.len - 1] != ')')
        bench_fail("FLAGS is no list: %.*s", SPAN_ARG(value));
}

/* RFC 3501 §7.4.2: ten fields: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id. */
static void check_envelope(struct span value)
{
    struct span fields = span_slice(value, 1, value.len - 1), field[10], a, b;
    int n = 0;
    while (n < 10 && imap_next_item(&fields, &a, &b)) {
        field[n++] = a;
        field[n++] = b;
    }
    if (n != 10 || fields.len || field[0].len < 20 || field[2].len < 20 ||
        !message_check_envelope(field[9], field[1], field[8]))
        bench_fail("an envelope is not as it must be: %.*s", SPAN_ARG(value));
}

/* Messages of this bench are one part of text, or text and an attachment in base64. */
static void check_structure(struct span value)
{
    size_t depth = 0;
    for (size_t i = 0; i < value.len; i++)
        depth += value.p[i] == '(' ? 1u : value.p[i] == ')' ? (size_t)-1 : 0;
    bool is_mixed = span_starts(value, SPAN("(("));
    if (depth || value.len < 40 ||
        (is_mixed && (span_find(value, SPAN("\"base64\""), 0) == SPAN_NPOS &&
                      span_find(value, SPAN("\"BASE64\""), 0) == SPAN_NPOS)))
        bench_fail("a structure is not as it must be: %.*s", SPAN_ARG(value));
}

static void check_body(struct span value)
{
    struct message_id id;
    const char *why;
    if (!message_check(value, &id, &why))
        bench_fail("a message is not whole: %s", why);
}

static const struct what {
    const char *name;
    const char *asked, *told; /* the item's name in the command and in the answer */
    void (*check)(struct span value);
} whats[] = {
    {"flags", "FLAGS", "FLAGS", check_flags},
    {"envelope", "ENVELOPE", "ENVELOPE", check_envelope},
    {"bodystructure", "BODYSTRUCTURE", "BODYSTRUCTURE", check_structure},
    {"body", "BODY.PEEK[]", "BODY[]", check_body},
};
static const struct what *what;

/* One FETCH of all; returns the octets of the items. */
static uint64_t fetch_all(struct imap *im)
{
    struct span text, items, value, uid_text;
    uint32_t number, expected = 1;
    uint64_t uid, last_uid = 0, bytes = 0;
    imap_tag(im);
    conn_printf(im->conn, "UID FETCH 1:* (UID %s)\r\n", what->asked);
    while (imap_untagged(im, &text)) {
        if (!imap_is_fetch(text, &number, &items))
            continue;
        if (number != expected++)
            bench_fail("FETCH tells message %u where %u is due", number, expected - 1);
        if (!imap_item(items, SPAN("UID"), &uid_text) || !span_to_u64(uid_text, UINT32_MAX, &uid) || uid <= last_uid)
            bench_fail("UIDs do not ascend: %.*s", SPAN_ARG(span_take(items, 200)));
        if (!imap_item(items, span_cstr(what->told), &value))
            bench_fail("FETCH lacks %s: %.*s", what->told, SPAN_ARG(span_take(items, 200)));
        what->check(value);
        last_uid = uid;
        bytes += value.len;
    }
    if (expected - 1 != im->exists)
        bench_fail("FETCH told %u messages of %u", expected - 1, im->exists);
    fetched += im->exists;
    return bytes;
}

static void run(void *arg)
{
    struct imap im;
    imap_open_account(&im, (uint64_t)(uintptr_t)arg % opt.accounts);
    imap_select(&im, opt.mailbox, true);
    if (opt.messages && im.exists != opt.messages)
        bench_fail("the mailbox has %u messages, not %zu", im.exists, opt.messages);
    tally_line_up(opt.connections);
    for (size_t i = 0; i < opt.repeat; i++) {
        int64_t begun_us = bench_now_us();
        uint64_t bytes = fetch_all(&im);
        int64_t us = bench_now_us() - begun_us;
        if (i == 0)
            histogram_add(&first_us, (uint64_t)us);
        tally_add(us, bytes);
    }
    imap_logout(&im);
}

void work_fetch(void)
{
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        if (strcmp(whats[i].name, opt.what) == 0)
            what = &whats[i];
    if (!what)
        bench_fail("--what is flags, envelope, bodystructure or body");
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    result_histogram("first", &first_us);
    result_text("what", opt.what);
    result_u64("messages", fetched);
    result_u64("connections", opt.connections);
}
