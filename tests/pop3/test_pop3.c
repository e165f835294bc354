/*
 * test_pop3.c - POP3 over a real store: by scripts, whole, byte by byte and pipelined; then messages that are built so
 * that what matters lies on the border of two pieces; then what other sessions do to a maildrop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "harness.h"
#include "pop3/pop3.h"

const struct fake_door fake_door = {&pop3_gate_protocol, HANDOVER_POP3, pop3_accept};

enum { PIECE = 64 * 1024 }; /* what is read of a message at once */

#define FIRST  "Subject: one\r\n\r\nhello\r\n"
#define SECOND "Subject: two\r\n\r\n.\r\n..\r\n.a\r\nb.\r\nend"

/* ---- scripts -------------------------------------------------------------------------------------------------- */

/* Two messages, then the script, in every way of feeding. */
static void play_two(const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        world_deliver(w, "INBOX", FIRST);
        world_deliver(w, "INBOX", SECOND);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

static void listings(void **state)
{
    (void)state;
    play_two("A> STAT\n"
             "A< +OK 2 57\n"
             "A> stat\n"
             "A< +OK 2 57\n"
             "A> LIST\n"
             "A< +OK 2 messages\n"
             "A< 1 23\n"
             "A< 2 34\n"
             "A< .\n"
             "A> LIST 2\n"
             "A< +OK 2 34\n"
             "A> LIST 3\n"
             "A< -ERR ~\n"
             "A> LIST 0\n"
             "A< -ERR ~\n"
             "A> LIST 4294967297\n"
             "A< -ERR ~\n"
             "A> LIST -1\n"
             "A< -ERR ~\n"
             "A> LIST 1 2\n"
             "A< -ERR ~\n"
             "A> UIDL\n"
             "A< +OK ~\n"
             "A< 1 ~.1\n"
             "A< 2 ~.2\n"
             "A< .\n"
             "A> UIDL 2\n"
             "A< +OK 2 ~.2\n"
             "A> NOOP\n"
             "A< +OK ~\n"
             "A> QUIT\n"
             "A< +OK ~\n"
             "A!\n");
    play("A> STAT\n"
         "A< +OK 0 0\n"
         "A> LIST\n"
         "A< +OK 0 messages\n"
         "A< .\n"
         "A> UIDL\n"
         "A< +OK 0 messages\n"
         "A< .\n"
         "A> RETR 1\n"
         "A< -ERR ~\n"
         "A> QUIT\n"
         "A< +OK ~\n"
         "A!\n");
}

/* RFC 1939 §3: dots are doubled, and the text ends with a CRLF of its own where the message does not. */
static void retrieving(void **state)
{
    (void)state;
    play_two("A> RETR 1\n"
             "A< +OK 23 octets\n"
             "A< Subject: one\n"
             "A< \n"
             "A< hello\n"
             "A< .\n"
             "A> RETR 2\n"
             "A< +OK 34 octets\n"
             "A< Subject: two\n"
             "A< \n"
             "A< ..\n"
             "A< ...\n"
             "A< ..a\n"
             "A< b.\n"
             "A< end\n"
             "A< .\n"
             "A> RETR\n"
             "A< -ERR ~\n"
             "A> RETR 1 1\n"
             "A< -ERR ~\n");
}

/* RFC 1939 §7: header, empty line, and so many lines; more than there are is all of it. */
static void tops(void **state)
{
    (void)state;
    play_two("A> TOP 2 0\n"
             "A< +OK ~\n"
             "A< Subject: two\n"
             "A< \n"
             "A< .\n"
             "A> TOP 2 2\n"
             "A< +OK ~\n"
             "A< Subject: two\n"
             "A< \n"
             "A< ..\n"
             "A< ...\n"
             "A< .\n"
             "A> TOP 2 5\n"
             "A< +OK ~\n"
             "A< Subject: two\n"
             "A< \n"
             "A< ..\n"
             "A< ...\n"
             "A< ..a\n"
             "A< b.\n"
             "A< end\n"
             "A< .\n"
             "A> TOP 1 4294967295\n"
             "A< +OK ~\n"
             "A< Subject: one\n"
             "A< \n"
             "A< hello\n"
             "A< .\n"
             "A> TOP 1\n"
             "A< -ERR ~\n"
             "A> TOP 1 -1\n"
             "A< -ERR ~\n"
             "A> TOP 3 1\n"
             "A< -ERR ~\n");
}

/* RFC 1939 §5: marks are of this session, RSET takes them back, a marked message is not there. */
static void marking(void **state)
{
    (void)state;
    play_two("A> DELE 1\n"
             "A< +OK ~\n"
             "A> DELE 1\n"
             "A< -ERR ~\n"
             "A> RETR 1\n"
             "A< -ERR ~\n"
             "A> TOP 1 0\n"
             "A< -ERR ~\n"
             "A> LIST 1\n"
             "A< -ERR ~\n"
             "A> UIDL 1\n"
             "A< -ERR ~\n"
             "A> STAT\n"
             "A< +OK 1 34\n"
             "A> LIST\n"
             "A< +OK 1 messages\n"
             "A< 2 34\n"
             "A< .\n"
             "A> UIDL\n"
             "A< +OK ~\n"
             "A< 2 ~.2\n"
             "A< .\n"
             "A> RSET\n"
             "A< +OK 2 messages\n"
             "A> STAT\n"
             "A< +OK 2 57\n"
             "A> DELE 1\n"
             "A< +OK ~\n"
             "A> QUIT\n"
             "A< +OK ~\n"
             "A!\n"
             /* the other keeps its unique-id */
             "B> UIDL\n"
             "B< +OK 1 messages\n"
             "B< 1 ~.2\n"
             "B< .\n"
             "B> RETR 1\n"
             "B< +OK 34 octets\n"
             "B...\n"
             "B< .\n"
             "B> DELE 1\n"
             "B< +OK ~\n"
             "B> RSET\n"
             "B< +OK 1 messages\n"
             "B> QUIT\n"
             "B< +OK ~\n"
             "B!\n"
             "C> STAT\n"
             "C< +OK 1 34\n");
}

static void states_and_mistakes(void **state)
{
    (void)state;
    play_two("A> USER alice\n"
             "A< -ERR ~\n"
             "A> PASS secret\n"
             "A< -ERR ~\n"
             "A> STLS\n"
             "A< -ERR ~\n"
             "A> XYZZY\n"
             "A< -ERR ~\n"
             "A> \n"
             "A< -ERR ~\n"
             "A> CAPA\n"
             "A< +OK ~\n"
             "A< TOP\n"
             "A...\n"
             "A< .\n"
             "A> STAT\n"
             "A< +OK 2 57\n");
    play_gate("A> STAT\n"
              "A< -ERR ~\n"
              "A> USER alice@example.test\n"
              "A< -ERR use STLS first\n"
              "A> PASS secret\n"
              "A< -ERR ~\n"
              "A> AUTH PLAIN\n"
              "A< -ERR ~\n"
              "A> QUIT\n"
              "A< +OK ~\n"
              "A!\n");
    /* a line that ends with a bare LF is where two servers would not agree */
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        world_play(w, (enum feed)how, "A> STAT\\nSTAT\nA< -ERR ~\nA!\n");
        world_play(w, (enum feed)how, "A> ST\\0AT\nA< -ERR ~\nA!\n");
        world_free(&w);
    }
}

static void logins(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "A> STLS\n"
        "A< +OK ~\n"
        "A> PASS secret\n"
        "A< -ERR ~\n"
        "A> USER alice@example.test\n"
        "A< +OK ~\n"
        "A> PASS wrong\n"
        "A< -ERR [AUTH] ~\n"
        "A> USER alice@example.test\n"
        "A< +OK ~\n"
        "A> PASS secret\n"
        "A< <handed over , unread 0>\n",

        "A> STLS\n"
        "A< +OK ~\n"
        "A> AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\n"
        "A< <handed over , unread 0>\n",

        "A> STLS\n"
        "A< +OK ~\n"
        "A> AUTH PLAIN\n"
        "A< + \n"
        "A> *\n"
        "A< -ERR ~\n"
        "A> AUTH PLAIN\n"
        "A< + \n"
        "A> AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\n"
        "A< <handed over , unread 0>\n",

        "A> STLS\n"
        "A< +OK ~\n"
        "A> AUTH LOGIN\n"
        "A< + VXNlcm5hbWU6\n"
        "A> YWxpY2VAZXhhbXBsZS50ZXN0\n"
        "A< + UGFzc3dvcmQ6\n"
        "A> no base64!\n"
        "A< -ERR ~\n"
        "A> AUTH GSSAPI\n"
        "A< -ERR ~\n"
        "A> AUTH LOGIN\n"
        "A< + VXNlcm5hbWU6\n"
        "A> YWxpY2VAZXhhbXBsZS50ZXN0\n"
        "A< + UGFzc3dvcmQ6\n"
        "A> c2VjcmV0\n"
        "A< <handed over , unread 0>\n",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        play_gate(scripts[i]);
}

/* RFC 2595 §4: what somebody put behind STLS in the clear is not run after the handshake. */
static void nothing_is_smuggled_behind_stls(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, true);
    fake_take(s);
    fake_send(s, SPAN("STLS\r\nUSER bob@example.test\r\n"));
    assert_memory_equal(fake_take(s), "-ERR", 4);
    assert_true(fake_is_closed(s));
    fake_free(&s);
    world_free(&w);
}

/* ---- pieces --------------------------------------------------------------------------------------------------- */

/* Undoes the dots and cuts the end off; fails where the text does not end as it must. */
static void unstuff(const char *answer, struct strbuf *out)
{
    struct span rest = span_cstr(answer), line;
    assert_true(span_starts(rest, SPAN("+OK ")));
    rest = span_skip(rest, span_find(rest, SPAN("\r\n"), 0) + 2);
    for (;;) {
        size_t end = span_find(rest, SPAN("\r\n"), 0);
        assert_int_not_equal(end, SPAN_NPOS);
        line = span_take(rest, end);
        rest = span_skip(rest, end + 2);
        if (span_eq(line, SPAN(".")))
            break;
        strbuf_add(out, span_starts(line, SPAN(".")) ? span_skip(line, 1) : line);
        strbuf_add(out, SPAN("\r\n"));
    }
    assert_int_equal(rest.len, 0);
}

static void ask(struct world *w, const char *command, struct strbuf *out)
{
    struct session *s = fake_new(w, false);
    fake_take(s);
    fake_send(s, span_cstr(command));
    unstuff(fake_take(s), out);
    fake_free(&s);
}

/* A message whose octets at `at` are `mark`; lines elsewhere. */
static void message_with(size_t header, size_t at, const char *mark, const char *tail, struct strbuf *out)
{
    strbuf_add_cstr(out, "X: ");
    while (out->len < header - 4)
        strbuf_add_char(out, 'x');
    strbuf_add_cstr(out, "\r\n\r\n");
    while (out->len < at)
        strbuf_add_cstr(out, at - out->len >= 80 && at - out->len != 81 && (out->len & 64) ? ".\r\n" : "y");
    strbuf_add_cstr(out, mark);
    strbuf_add_cstr(out, tail);
}

static void borders_of_pieces(void **state)
{
    (void)state;
    static const char *const marks[] = {"\r\n.\r\n", "\r\n..\r\nz", "\r\n\r\n", ".\r\n.", "\r\n.z"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        for (size_t at = PIECE - 6; at <= PIECE + 1; at++) {
            struct world *w = world_new();
            AUTO_STRBUF message = STRBUF_INIT, got = STRBUF_INIT;
            message_with(100, at, marks[i], "tail\r\n", &message);
            world_deliver(w, "INBOX", strbuf_cstr(&message));
            ask(w, "RETR 1\r\n", &got);
            assert_true(span_eq(strbuf_span(&got), strbuf_span(&message)));
            world_free(&w);
        }
    }
}

/* Messages that end where a piece ends, with and without a CRLF. */
static void ends_of_pieces(void **state)
{
    (void)state;
    static const char *const tails[] = {"", "\r\n", "a", "\r\n."};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        for (size_t at = PIECE - 3; at <= PIECE + 1; at++) {
            struct world *w = world_new();
            AUTO_STRBUF message = STRBUF_INIT, got = STRBUF_INIT;
            message_with(100, at, "", tails[i], &message);
            world_deliver(w, "INBOX", strbuf_cstr(&message));
            ask(w, "RETR 1\r\n", &got);
            if (!span_ends(strbuf_span(&message), SPAN("\r\n")))
                strbuf_add(&message, SPAN("\r\n"));
            assert_true(span_eq(strbuf_span(&got), strbuf_span(&message)));
            world_free(&w);
        }
    }
}

/* TOP where the header, or the last line wanted, ends on or beside the border of a piece. */
static void tops_on_borders(void **state)
{
    (void)state;
    for (size_t header = PIECE - 3; header <= PIECE + 3; header++) {
        struct world *w = world_new();
        AUTO_STRBUF message = STRBUF_INIT, none = STRBUF_INIT, one = STRBUF_INIT, all = STRBUF_INIT;
        message_with(header, header, ".first\r\n", "second", &message);
        world_deliver(w, "INBOX", strbuf_cstr(&message));
        ask(w, "TOP 1 0\r\n", &none);
        ask(w, "TOP 1 1\r\n", &one);
        ask(w, "TOP 1 2\r\n", &all);
        assert_true(span_eq(strbuf_span(&none), span_take(strbuf_span(&message), header)));
        assert_true(span_eq(strbuf_span(&one), span_take(strbuf_span(&message), header + 8)));
        assert_int_equal(all.len, message.len + 2);
        world_free(&w);
    }
    for (size_t at = PIECE - 3; at <= PIECE; at++) {
        struct world *w = world_new();
        AUTO_STRBUF message = STRBUF_INIT, got = STRBUF_INIT;
        strbuf_add_cstr(&message, "S: x\r\n\r\n");
        while (message.len < at)
            strbuf_add_char(&message, 'y');
        strbuf_add_cstr(&message, "\r\nsecond\r\n");
        world_deliver(w, "INBOX", strbuf_cstr(&message));
        ask(w, "TOP 1 1\r\n", &got);
        assert_true(span_eq(strbuf_span(&got), span_take(strbuf_span(&message), at + 2)));
        world_free(&w);
    }
}

/* A long answer is made piece by piece: the output never holds much more than a piece of it. */
static void long_answers_are_not_held(void **state)
{
    (void)state;
    struct world *w = world_new();
    AUTO_STRBUF message = STRBUF_INIT;
    message_with(100, 3000 * 1000, "", "\r\n", &message);
    world_deliver(w, "INBOX", strbuf_cstr(&message));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("RETR 1\r\n"));
    assert_true(strlen(fake_take(s)) > message.len);
    assert_true(fake_largest_output(s) <= SESSION_OUT_HIGH + 2 * PIECE);
    fake_free(&s);
    world_free(&w);
}

/* ---- others --------------------------------------------------------------------------------------------------- */

static void expunge(struct world *w, uint32_t uid)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) t = NULL;
    struct mailbox inbox;
    struct err err;
    struct seqset *uids = seqset_new(&a);
    seqset_add(&a, uids, uid, uid);
    assert_int_equal(store_begin(world_account(w), TXN_WRITE, &t, &err), ST_OK);
    assert_int_equal(mailbox_find(t, SPAN("INBOX"), &a, &inbox, &err), ST_OK);
    assert_int_equal(message_expunge(t, inbox.id, uids, false, &a, NULL, &err), ST_OK);
    assert_int_equal(store_commit(&t, &err), ST_OK);
}

static void say(struct session *s, const char *command, const char *answer)
{
    fake_send(s, span_cstr(command));
    const char *got = fake_take(s);
    if (strncmp(got, answer, strlen(answer)) != 0)
        fail_msg("%s: expected %s, got %s", command, answer, got);
}

static void numbers_stand_still(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_deliver(w, "INBOX", FIRST);
    world_deliver(w, "INBOX", SECOND);
    struct session *s = fake_new(w, false);
    fake_take(s);
    world_deliver(w, "INBOX", FIRST);
    expunge(w, 1);
    say(s, "STAT\r\n", "+OK 2 57\r\n");
    say(s, "RETR 2\r\n", "+OK 34 octets\r\nSubject: two\r\n");
    say(s, "TOP 1 0\r\n", "-ERR "); /* it is gone, which is said before anything is sent of it */
    say(s, "RETR 1\r\n", "-ERR ");
    say(s, "DELE 1\r\n", "+OK ");
    say(s, "DELE 2\r\n", "+OK ");
    say(s, "QUIT\r\n", "+OK ");
    assert_true(fake_is_closed(s));
    fake_free(&s);

    s = fake_new(w, false);
    fake_take(s);
    say(s, "UIDL\r\n", "+OK 1 messages\r\n1 "); /* what came meanwhile was not marked */
    say(s, "RETR 1\r\n", "+OK 23 octets\r\nSubject: one\r\n");
    fake_free(&s);
    world_free(&w);
}

/* RFC 1939 §6: without QUIT nothing is removed. */
static void a_lost_connection_removes_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_deliver(w, "INBOX", FIRST);
    struct session *s = fake_new(w, false);
    fake_take(s);
    say(s, "DELE 1\r\n", "+OK ");
    fake_free(&s);
    s = fake_new(w, false);
    fake_take(s);
    say(s, "DELE 1\r\n", "+OK ");
    fake_say_goodbye(s, BYE_TIMEOUT);
    fake_free(&s);
    s = fake_new(w, false);
    fake_take(s);
    say(s, "STAT\r\n", "+OK 1 23\r\n");
    fake_free(&s);
    world_free(&w);
}

static struct world *between_world;
static void expunge_between(void *arg)
{
    (void)arg;
    if (between_world)
        expunge(between_world, 1);
    between_world = NULL;
}

/* A message that another session removes while it is sent: it is sent whole, and after that it is gone. */
static void what_is_being_sent_stays(void **state)
{
    (void)state;
    static const char *const commands[] = {"RETR 1\r\n", "TOP 1 1000000\r\n"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct world *w = between_world = world_new();
        AUTO_STRBUF message = STRBUF_INIT, got = STRBUF_INIT;
        message_with(100, 20 * PIECE, "", "\r\n", &message);
        world_deliver(w, "INBOX", strbuf_cstr(&message));
        struct session *s = fake_new(w, false);
        fake_take(s);
        fake_set_between(s, expunge_between, NULL);
        fake_send(s, span_cstr(commands[i]));
        unstuff(fake_take(s), &got);
        assert_null(between_world);
        assert_true(span_eq(strbuf_span(&got), strbuf_span(&message)));
        say(s, commands[i], "-ERR ");
        fake_free(&s);

        AUTO_STRBUF report = STRBUF_INIT;
        uint32_t findings = 0;
        struct err err;
        assert_int_equal(account_check(world_account(w), &report, &findings, &err), ST_OK);
        assert_int_equal(findings, 0); /* nothing is kept of it */
        world_free(&w);
    }
}

/* Who goes on making mistakes is not listened to for ever. */
static void mistakes_are_counted(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    int lines = 0;
    for (; !fake_is_closed(s) && lines < 1000; lines++)
        fake_send(s, SPAN("XYZZY\r\n"));
    assert_in_range(lines, 5, 50);
    fake_free(&s);
    s = fake_new(w, false);
    for (lines = 0; !fake_is_closed(s) && lines < 100000; lines++)
        fake_send(s, SPAN("aaaaaaaaaaaaaaaa"));
    assert_true(fake_is_closed(s) && lines < 2000);
    fake_free(&s);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listings),
        cmocka_unit_test(retrieving),
        cmocka_unit_test(tops),
        cmocka_unit_test(marking),
        cmocka_unit_test(states_and_mistakes),
        cmocka_unit_test(logins),
        cmocka_unit_test(nothing_is_smuggled_behind_stls),
        cmocka_unit_test(borders_of_pieces),
        cmocka_unit_test(ends_of_pieces),
        cmocka_unit_test(tops_on_borders),
        cmocka_unit_test(long_answers_are_not_held),
        cmocka_unit_test(numbers_stand_still),
        cmocka_unit_test(a_lost_connection_removes_nothing),
        cmocka_unit_test(what_is_being_sent_stays),
        cmocka_unit_test(mistakes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
