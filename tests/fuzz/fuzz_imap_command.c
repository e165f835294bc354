/*
 * Whole IMAP sessions: framing, every command and its answers, on a small real store. The first octet chooses the role
 * and in what pieces the rest comes. 0xFF and an octet more are an event between the lines: another session goes on
 * (before login, two of alice, one of bob), it drops and comes back, mail arrives, it says the UIDVALIDITY of INBOX.
 * The store lives on for a while, so that commands meet what others left behind.
 *
 * The mutator knows the command table: it puts in whole lines of any row with arguments as commands have them, so a new
 * row is reached the day it is written. Each row has a seed of its own (tests/imap/test_table.c sees to it).
 *
 * Checked besides crashes: whatever comes in, what goes out is whole lines.
 */
#include <stdio.h>
#include "fuzz.h"
#include "imap/internal.h"
#include "store/directory.h"
#include "store/quota.h"
#include "../imap/harness.h"

enum { ROUNDS_PER_WORLD = 100, MESSAGES_MAX = 200, INPUT_MAX = 20000, SESSIONS = 4, EVENT = 0xff, SAY_VALIDITY = 6 };
enum { GATE, ALICE, ALICE_AGAIN, BOB };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static struct world *world;
static struct session *sessions[SESSIONS];

static void renew_world(void)
{
    static int rounds;
    if (world && ++rounds % ROUNDS_PER_WORLD)
        return;
    if (world)
        world_free(&world);
    static struct span administrator = SPAN_INIT("alice@example.test");
    static const struct config_quota quota = {.administrators = &administrator, .administrator_count = 1};
    const struct quota limits = {{QUOTA_NONE, MESSAGES_MAX, QUOTA_NONE}};
    struct err err;
    world = world_new();
    world_add_account(world, "bob@example.test");
    CHECK(directory_quota_set(world_app(world)->directory, administrator, &limits, &err) == ST_OK);
    world_app(world)->quota = &quota; /* who may SETQUOTA */
    log_set_level(LOG_ERROR);
    world_deliver(world, "INBOX", "From: alice@example.test\r\nSubject: one\r\n\r\nfirst\r\n");
    world_deliver(
        world, "INBOX",
        "From: bob@example.test\r\nSubject: two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        "\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n");
    world_deliver(world, "INBOX", "\r\n");
}

static void read_answers(struct session *s)
{
    struct span got = span_cstr(fake_take(s));
    CHECK(got.len == 0 || span_ends(got, SPAN("\r\n")));
}

static struct session *open_session(unsigned which, bool is_tls)
{
    struct session *s = which == BOB ? fake_new_as(world, SPAN("bob@example.test")) : fake_new(world, which == GATE);
    fake_set_tls(s, is_tls);
    read_answers(s);
    return s;
}

static void feed(struct session *s, struct span bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece) {
        fake_send(s, span_slice(bytes, at, at + piece));
        read_answers(s);
    }
}

/* What QRESYNC wants to hear first: the UIDVALIDITY of INBOX. */
static struct span validity_of_inbox(void)
{
    static char digits[16];
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) txn = NULL;
    struct err err;
    struct mailbox m;
    CHECK(store_begin(world_account(world), TXN_READ, &txn, &err) == ST_OK);
    CHECK(mailbox_find(txn, SPAN("INBOX"), &a, &m, &err) == ST_OK);
    snprintf(digits, sizeof digits, "%u", (unsigned)m.uidvalidity);
    return span_cstr(digits);
}

/* The session that is to go on. */
static unsigned happen(uint8_t event, unsigned which, bool is_tls)
{
    struct err ignored; /* alice may have no room left */
    if (event < SESSIONS)
        which = event;
    else if (event == SESSIONS)
        fake_free(&sessions[which]);
    else if (event == SAY_VALIDITY)
        feed(sessions[which], validity_of_inbox(), SIZE_MAX / 2);
    else
        (void)world_try_deliver(world, "INBOX", "Subject: news\r\nMessage-ID: <n@example.test>\r\n\r\nnews\r\n",
                                &ignored);
    if (!sessions[which])
        sessions[which] = open_session(which, is_tls);
    return which;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    renew_world();
    struct span rest = span_of(data + 1, size - 1), bytes;
    bool is_tls = data[0] & 2;
    unsigned which = happen(data[0] & 1 ? GATE : ALICE, 0, is_tls);
    for (;;) {
        bool is_event = span_cut(&rest, (char)EVENT, &bytes);
        feed(sessions[which], bytes, data[0] >> 2 ? data[0] >> 2 : size);
        if (!is_event || rest.len == 0)
            break;
        which = happen((uint8_t)rest.p[0], which, is_tls);
        rest = span_skip(rest, 1);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        if (sessions[i])
            feed(sessions[i], SPAN("\r\nDONE\r\n*\r\nend NOOP\r\n"), SIZE_MAX / 2);
        fake_free(&sessions[i]);
    }
    return 0;
}

/* ---- lines out of the table ------------------------------------------------------------------------------------- */

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (unsigned)((*seed >> 8) % below);
}

static const char *const arguments[] = {
    "INBOX",
    "Archive",
    "Sent",
    "new/box",
    "\"\"",
    "*",
    "%",
    "\"a b\"",
    "{3+}\r\nabc",
    "~{3+}\r\nabc",
    "$",
    "1",
    "1:*",
    "2,3",
    "*",
    "4294967295",
    "NIL",
    "()",
    "(\\Seen $work)",
    "+FLAGS",
    "-FLAGS.SILENT",
    "FLAGS",
    "(UNCHANGEDSINCE 3)",
    "(CHANGEDSINCE 1 VANISHED)",
    "(UID FLAGS MODSEQ)",
    "ALL",
    "BODYSTRUCTURE",
    "ENVELOPE",
    "BODY.PEEK[HEADER.FIELDS (Subject)]",
    "BODY[1.MIME]<0.10>",
    "BINARY.SIZE[1]",
    "BINARY.PEEK[2]",
    "PREVIEW (LAZY)",
    "(CONDSTORE)",
    "(QRESYNC (1 1 1:3 (1 1)))",
    "RETURN (MIN MAX COUNT ALL SAVE)",
    "RETURN (PARTIAL 1:2 UPDATE)",
    "RETURN (STATUS (MESSAGES UIDNEXT) SUBSCRIBED CHILDREN)",
    "RETURN (SPECIAL-USE)",
    "(SUBSCRIBED RECURSIVEMATCH)",
    "(REVERSE DATE SUBJECT)",
    "(DISPLAYFROM SIZE)",
    "UTF-8",
    "REFERENCES",
    "ORDEREDSUBJECT",
    "UNSEEN",
    "OR SEEN NOT TEXT a",
    "MODSEQ 1",
    "SINCE 1-Jan-2026",
    "OLDER 10",
    "UID 1:2",
    "FUZZY SUBJECT one",
    "(MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ SIZE DELETED MAILBOXID)",
    "(USE (\\Archive))",
    "bob@example.test",
    "anyone",
    "+lrswi",
    "-t",
    "(/private/comment \"x\")",
    "/shared/comment",
    "(DEPTH infinity MAXSIZE 10)",
    "(STORAGE 10 MESSAGE 5)",
    "SET STATUS (SELECTED (MessageNew (FLAGS) MessageExpunge FlagChange))",
    "SET (INBOXES (MailboxName SubscriptionChange))",
    "NONE",
    "QRESYNC",
    "UIDONLY IMAP4rev2",
    "UTF8=ACCEPT",
    "DEFLATE",
    "PLAIN",
    "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=",
    "alice@example.test",
    "secret",
    "CATENATE (URL \"/INBOX/;UID=1\" TEXT {1+}\r\na)",
    "\"imap://alice@mx.example.test/INBOX/;UID=1;URLAUTH=anonymous\" INTERNAL",
    "500",
    "EXPUNGE",
    "\" 1-Jan-2026 00:00:00 +0000\"",
    "UTF8 (~{1+}\r\na)",
    "EMAILID M1",
    "\"a\" \"b\"",
};

static void add_line(struct strbuf *out, unsigned *seed)
{
    strbuf_addf(out, "x %s", imap_command_at(draw(seed, imap_command_count()))->name);
    for (unsigned n = draw(seed, 5); n > 0; n--)
        strbuf_addf(out, " %s", arguments[draw(seed, sizeof arguments / sizeof *arguments)]);
    strbuf_add_cstr(out, "\r\n");
    if (draw(seed, 4) == 0) {
        strbuf_add_char(out, (char)EVENT);
        strbuf_add_char(out, (char)draw(seed, SAY_VALIDITY + 1));
    }
}

/* Where a line begins, somewhere in the input; it has its first octet. */
static size_t line_start(const uint8_t *data, size_t size, unsigned *seed)
{
    size_t at = 1 + draw(seed, size);
    while (at < size && data[at - 1] != '\n')
        at++;
    return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    AUTO_STRBUF line = STRBUF_INIT;
    add_line(&line, &seed);
    if (size == 0 || size + line.len > max_size || draw(&seed, 3))
        return LLVMFuzzerMutate(data, size, max_size);
    size_t at = line_start(data, size, &seed);
    memmove(data + at + line.len, data + at, size - at);
    memcpy(data + at, line.p, line.len);
    return size + line.len;
}
