/* Dialogues with one IMAP session after login, on a real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "harness.h"

static void test_any_state(void **state)
{
    (void)state;
    play("A> a1 CAPABILITY\n"
         "A< * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ~ ENABLE ~ IDLE ~\n"
         "A< a1 OK CAPABILITY completed\n"
         "A> a2 noop\n"
         "A< a2 OK NOOP completed\n"
         "A> a3 ID NIL\n"
         "A< * ID (\"name\" \"Tassis\" \"version\" ~)\n"
         "A< a3 OK ID completed\n"
         "A> a4 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"os\" NIL)\n"
         "A< * ID ~\n"
         "A< a4 OK ~\n"
         "A> a5 NAMESPACE\n"
         "A< * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\n"
         "A< a5 OK ~\n"
         "A> a6 ENABLE X-GOOD-IDEA\n"
         "A< * ENABLED\n"
         "A< a6 OK ~\n"
         "A> a7 LOGIN alice secret\n"
         "A< a7 BAD already logged in\n"
         "A> a8 FETCH 1 FLAGS\n"
         "A< a8 BAD select a mailbox first\n"
         "A> a9 LOGOUT\n"
         "A< * BYE Logging out\n"
         "A< a9 OK LOGOUT completed\n"
         "A!\n");
}

static void test_nonsense(void **state)
{
    (void)state;
    play("A> a1 FROBNICATE\n"
         "A< a1 BAD unknown command\n"
         "A> \n"
         "A< * BAD ~\n"
         "A> a2\n"
         "A< a2 BAD ~\n"
         "A> a3 NOOP now\n"
         "A< a3 BAD ~\n"
         "A> a4 UID NOOP\n"
         "A< a4 BAD unknown command\n"
         "A> a5  NOOP\n"
         "A< a5 BAD ~\n"
         "A> * NOOP\n"
         "A< * BAD ~\n"
         "A> a6 NOOP\n"
         "A< a6 OK ~\n");
}

static void test_too_much_nonsense(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    for (int i = 0; i < 19; i++)
        fake_send(s, SPAN("x NONSENSE\r\n"));
    fake_send(s, SPAN("x NOOP\r\n"));
    for (int i = 0; i < 19; i++)
        fake_send(s, SPAN("x NONSENSE\r\n"));
    assert_false(fake_is_closed(s));
    fake_take(s);
    fake_send(s, SPAN("x NONSENSE\r\n"));
    assert_non_null(strstr(fake_take(s), "* BYE "));
    assert_true(fake_is_closed(s));
    fake_free(&s);
    world_free(&w);
}

static void test_mailboxes(void **state)
{
    (void)state;
    play("A> a1 LIST \"\" \"\"\n"
         "A< * LIST (\\Noselect) \"/\" \"\"\n"
         "A< a1 OK ~\n"
         "A> a2 CREATE work/reports/\n"
         "A< a2 OK ~\n"
         "A> a3 LIST \"\" wor%\n"
         "A< * LIST (~\\HasChildren) \"/\" ~work~\n"
         "A< a3 OK ~\n"
         "A> a4 LIST work/ *\n"
         "A< * LIST (\\HasNoChildren) \"/\" ~work/reports~\n"
         "A< a4 OK ~\n"
         "A> a5 LIST \"\" inbox\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"INBOX\"\n"
         "A< a5 OK ~\n"
         "A> a6 CREATE Inbox\n"
         "A< a6 NO [ALREADYEXISTS] ~\n"
         "A> a7 CREATE \"b\\\\xc3\\\\xa4r\"\n"
         "A... \n"
         "A< a7 ~\n"
         "A> a8 CREATE \"B&AOQ-r\"\n"
         "A< a8 OK ~\n"
         "A> a9 LIST \"\" \"B*\"\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"B&AOQ-r\"\n"
         "A< a9 OK ~\n"
         "A> b1 RENAME \"B&AOQ-r\" {5+}\\r\\nother\n"
         "A< b1 OK ~\n"
         "A> b2 STATUS other (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)\n"
         "A< * STATUS \"other\" (MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY ~ UNSEEN 0)\n"
         "A< b2 OK ~\n"
         "A> b3 DELETE other\n"
         "A< b3 OK ~\n"
         "A> b4 DELETE other\n"
         "A< b4 NO [NONEXISTENT] ~\n"
         "A> b5 DELETE INBOX\n"
         "A< b5 NO [CANNOT] ~\n"
         "A> b6 SELECT other\n"
         "A< b6 NO [NONEXISTENT] ~\n"
         "A> b7 CREATE a//b\n"
         "A< b7 NO [CANNOT] ~\n"
         "A> b8 STATUS INBOX ()\n"
         "A< b8 BAD ~\n"
         "A> b9 RENAME work job\n"
         "A< b9 OK ~\n"
         "A> c1 LIST \"\" job*\n"
         "A< * LIST (~) \"/\" \"job\"\n"
         "A< * LIST (~) \"/\" \"job/reports\"\n"
         "A< c1 OK ~\n"
         "A> c2 DELETE job\n"
         "A< c2 OK ~\n"
         "A> c3 LIST \"\" job*\n"
         "A< * LIST (\\Noselect \\HasChildren) \"/\" \"job\"\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"job/reports\"\n"
         "A< c3 OK ~\n"
         "A> c4 SELECT job\n"
         "A< c4 NO ~\n"
         "A> c5 APPEND job {3}\n"
         "A< c5 NO [CANNOT] ~\n");
}

static void test_special_use(void **state)
{
    (void)state;
    play("A> a1 CREATE Outgoing (USE (\\Archive))\n"
         "A< a1 OK ~\n"
         "A> a2 LIST \"\" Outgoing RETURN (SPECIAL-USE CHILDREN)\n"
         "A< * LIST (\\HasNoChildren \\Archive) \"/\" \"Outgoing\"\n"
         "A< a2 OK ~\n"
         "A> a3 LIST (SPECIAL-USE) \"\" Out*\n"
         "A< * LIST (\\HasNoChildren \\Archive) \"/\" \"Outgoing\"\n"
         "A< a3 OK ~\n"
         "A> a4 LIST (SPECIAL-USE) \"\" INBOX\n"
         "A< a4 OK ~\n"
         "A> a5 CREATE x (USE (\\Nonsense))\n"
         "A< a5 NO [USEATTR] ~\n"
         "A> a5 CREATE x (USE (\\All))\n"
         "A< a5 NO [USEATTR] ~\n"
         "A> a6 LIST (SPECIAL-USE\n"
         "A< a6 BAD ~\n");
}

/* RFC 3501 §6.3.9: "%" and subscribed children. */
static void test_subscriptions(void **state)
{
    (void)state;
    play("A> a1 SUBSCRIBE #news/comp.mail\n"
         "A< a1 OK ~\n"
         "A> a2 SUBSCRIBE #news/comp.lang\n"
         "A< a2 OK ~\n"
         "A> a3 LSUB \"#news/\" comp.%\n"
         "A< * LSUB () \"/\" \"#news/comp.lang\"\n"
         "A< * LSUB () \"/\" \"#news/comp.mail\"\n"
         "A< a3 OK ~\n"
         "A> a4 LSUB \"\" #%\n"
         "A< * LSUB (\\Noselect) \"/\" \"#news\"\n"
         "A< a4 OK ~\n"
         "A> a5 LSUB \"\" #n*\n"
         "A< * LSUB () ~\n"
         "A< * LSUB () ~\n"
         "A< a5 OK ~\n"
         "A> a6 UNSUBSCRIBE #news/comp.mail\n"
         "A< a6 OK ~\n"
         "A> a7 LSUB \"\" #news*\n"
         "A< * LSUB () \"/\" \"#news/comp.lang\"\n"
         "A< a7 OK ~\n");
}

static void test_append(void **state)
{
    (void)state;
    play("A> a1 APPEND INBOX (\\Seen $Label) \" 7-Feb-1994 21:52:25 -0800\" {28}\n"
         "A< + ~\n"
         "A> Subject: one\\r\\n\\r\\nHello alice\\r\\n\n"
         "A< a1 BAD ~\n"
         "A> a2 APPEND INBOX (\\Seen $Label) \" 7-Feb-1994 21:52:25 -0800\" {29}\n"
         "A< + ~\n"
         "A> Subject: one\\r\\n\\r\\nHello alice\\r\\n\n"
         "A< a2 OK [APPENDUID ~ 1] APPEND completed\n"
         "A> a3 SELECT INBOX\n"
         "A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label)\n"
         "A< * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label \\*)] ~\n"
         "A< * 1 EXISTS\n"
         "A< * 1 RECENT\n"
         "A< * OK [UIDVALIDITY ~] ~\n"
         "A< * OK [UIDNEXT 2] ~\n"
         "A< * OK [MAILBOXID (~)] ~\n"
         "A< * OK [URLMECH INTERNAL] ~\n"
         "A< a3 OK [READ-WRITE] SELECT completed\n"
         "A> a4 FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)\n"
         "A< * 1 FETCH (FLAGS (\\Seen \\Recent $Label) INTERNALDATE \" 7-Feb-1994 21:52:25 -0800\" RFC822.SIZE 29)\n"
         "A< a4 OK ~\n"
         "A> a5 APPEND {5+}\\r\\ninbox {6+}\\r\\nA: b\\r\\n\n"
         "A< * 2 EXISTS\n"
         "A< * 2 RECENT\n"
         "A< a5 OK [APPENDUID ~ 2] ~\n"
         "A> a6 APPEND nowhere {6}\n"
         "A< a6 NO [TRYCREATE] ~\n"
         "A> a7 APPEND nowhere {6+}\\r\\nA: b\\r\\n\n"
         "A< a7 NO [TRYCREATE] ~\n"
         "A> a8 APPEND INBOX {99999999999}\n"
         "A< a8 NO [TOOBIG] ~\n"
         "A> a9 APPEND INBOX {4+}\\r\\nA\\0b\\r\n"
         "A< a9 BAD ~\n"
         "A> b1 APPEND INBOX\n"
         "A< b1 BAD ~\n"
         "A> b2 APPEND INBOX \"text\"\n"
         "A< b2 BAD ~\n"
         "A> b3 APPEND INBOX {0}\n"
         "A< b3 NO ~\n"
         "A> b4 APPEND INBOX (\\Recent) {4}\n"
         "A< b4 BAD ~\n"
         "A> b5 APPEND INBOX {6+}\\r\\nA: b\\r\\n (\\Wrong) {6+}\\r\\nA: b\\r\\n\n"
         "A< b5 BAD ~\n"
         "A> b6 STATUS INBOX (MESSAGES)\n"
         "A< * STATUS \"INBOX\" (MESSAGES 2)\n"
         "A< b6 OK ~\n");
}

static void test_literals(void **state)
{
    (void)state;
    play("A> a1 CREATE {4}\n"
         "A< + ~\n"
         "A> work\n"
         "A< a1 OK ~\n"
         "A> a2 STATUS {4+}\\r\\nwork (MESSAGES)\n"
         "A< * STATUS \"work\" (MESSAGES 0)\n"
         "A< a2 OK ~\n"
         "A> a3 CREATE {70000}\n"
         "A< a3 NO [TOOBIG] ~\n"
         "A> a4 RENAME {4}\n"
         "A< + ~\n"
         "A> work {70000}\n"
         "A< a4 NO [TOOBIG] ~\n"
         "A> a5 NOOP\n"
         "A< a5 OK ~\n"
         "A> a6 CREATE {18446744073709551616+}\n"
         "A< a6 NO [TOOBIG] ~\n"
         "A< * BYE [TOOBIG] ~\n"
         "A!\n");
}

/* A non-synchronizing literal that is refused is thrown away with the rest of its command (RFC 7888 §4). */
static void test_discard(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    AUTO_STRBUF bytes = STRBUF_INIT;
    strbuf_addf(&bytes, "a1 RENAME {70000+}\r\n");
    for (int i = 0; i < 7000; i++)
        strbuf_add_cstr(&bytes, "a2 NOOP \r\n");
    strbuf_add_cstr(&bytes, " {3+}\r\nxyz\r\na3 NOOP\r\n");
    fake_take(s);
    for (size_t at = 0; at < bytes.len; at += 777)
        fake_send(s, span_slice(strbuf_span(&bytes), at, at + 777));
    assert_string_equal(fake_take(s), "a1 NO [TOOBIG] the literal is too large\r\na3 OK NOOP completed\r\n");
    fake_free(&s);
    world_free(&w);
}

static void test_line_too_long(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    fake_take(s);
    AUTO_STRBUF line = STRBUF_INIT;
    memset(strbuf_extend(&line, 70000), 'a', 70000);
    for (size_t at = 0; at < line.len; at += 1000)
        fake_send(s, span_slice(strbuf_span(&line), at, at + 1000));
    assert_string_equal(fake_take(s), "* BYE [TOOBIG] Command too long\r\n");
    fake_free(&s);
    world_free(&w);
}

static const char message_one[] = "Subject: one\r\n\r\n1\r\n";
static const char message_two[] = "Subject: two\r\n\r\n2\r\n";

static struct world *world_with_messages(int count)
{
    struct world *w = world_new();
    for (int i = 0; i < count; i++)
        world_deliver(w, "INBOX", i % 2 ? message_two : message_one);
    return w;
}

static void test_select(void **state)
{
    (void)state;
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_with_messages(3);
        world_play(w, (enum feed)how,
                   "A> a1 EXAMINE INBOX\n"
                   "A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\n"
                   "A< * OK [PERMANENTFLAGS ()] ~\n"
                   "A< * 3 EXISTS\n"
                   "A< * OK [UNSEEN 1] ~\n"
                   "A< * 3 RECENT\n"
                   "A< * OK [UIDVALIDITY ~] ~\n"
                   "A< * OK [UIDNEXT 4] ~\n"
                   "A< * OK [MAILBOXID (~)] ~\n"
                   "A< * OK [URLMECH INTERNAL] ~\n"
                   "A< a1 OK [READ-ONLY] ~\n"
                   "A> a2 STORE 1 +FLAGS (\\Seen)\n"
                   "A< a2 NO ~\n"
                   "A> a3 EXPUNGE\n"
                   "A< a3 NO ~\n"
                   "A> a4 SELECT INBOX\n"
                   "A...\n"
                   "A< * 3 RECENT\n"
                   "A...\n"
                   "A< a4 OK [READ-WRITE] ~\n"
                   "B> b1 SELECT INBOX\n"
                   "B...\n"
                   "B< * 0 RECENT\n"
                   "B...\n"
                   "B< b1 OK ~\n"
                   "A> a5 SELECT nowhere\n"
                   "A< * OK [CLOSED] ~\n"
                   "A< a5 NO [NONEXISTENT] ~\n"
                   "A> a6 FETCH 1 FLAGS\n"
                   "A< a6 BAD select a mailbox first\n"
                   "B> b2 STORE 2 +FLAGS (\\Deleted)\n"
                   "B< * 2 FETCH (FLAGS (\\Deleted))\n"
                   "B< b2 OK ~\n"
                   "B> b3 UNSELECT\n"
                   "B< b3 OK ~\n"
                   "B> b4 STATUS INBOX (MESSAGES)\n"
                   "B< * STATUS \"INBOX\" (MESSAGES 3)\n"
                   "B< b4 OK ~\n"
                   "B> b5 SELECT INBOX\n"
                   "B...\n"
                   "B< b5 OK ~\n"
                   "B> b6 CLOSE\n"
                   "B< b6 OK CLOSE completed\n"
                   "B> b7 STATUS INBOX (MESSAGES)\n"
                   "B< * STATUS \"INBOX\" (MESSAGES 2)\n"
                   "B< b7 OK ~\n");
        world_free(&w);
    }
}

static void test_store_and_expunge(void **state)
{
    (void)state;
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_with_messages(5);
        world_play(w, (enum feed)how,
                   "A> a1 SELECT INBOX\n"
                   "A...\n"
                   "A< a1 OK ~\n"
                   "A> a2 STORE 2:3 +FLAGS (\\Deleted)\n"
                   "A< * 2 FETCH (FLAGS (\\Deleted \\Recent))\n"
                   "A< * 3 FETCH (FLAGS (\\Deleted \\Recent))\n"
                   "A< a2 OK ~\n"
                   /* nothing changes, and yet it is told */
                   "A> a3 STORE 2 +FLAGS (\\Deleted)\n"
                   "A< * 2 FETCH (FLAGS (\\Deleted \\Recent))\n"
                   "A< a3 OK ~\n"
                   "A> a4 UID STORE 5 +FLAGS.SILENT (\\Deleted $New)\n"
                   "A< * FLAGS (~ $New)\n"
                   "A< * OK [PERMANENTFLAGS (~ $New \\*)] ~\n"
                   "A< a4 OK ~\n"
                   "A> a5 UID STORE 5 FLAGS (\\Deleted $New)\n"
                   "A< * 5 FETCH (UID 5 FLAGS (\\Deleted \\Recent $New))\n"
                   "A< a5 OK ~\n"
                   "A> a6 UID EXPUNGE 3:4\n"
                   "A< * 3 EXPUNGE\n"
                   "A< a6 OK ~\n"
                   "A> a7 EXPUNGE\n"
                   "A< * 4 EXPUNGE\n"
                   "A< * 2 EXPUNGE\n"
                   "A< a7 OK EXPUNGE completed\n"
                   "A> a8 UID FETCH 1:* FLAGS\n"
                   "A< * 1 FETCH (UID 1 FLAGS (\\Recent))\n"
                   "A< * 2 FETCH (UID 4 FLAGS (\\Recent))\n"
                   "A< a8 OK ~\n"
                   "A> a9 FETCH 3 FLAGS\n"
                   "A< a9 BAD ~\n"
                   "A> b1 COPY 1 nowhere\n"
                   "A< b1 NO [TRYCREATE] ~\n"
                   "A> b2 CREATE there\n"
                   "A< b2 OK ~\n"
                   "A> b3 COPY 1:2 there\n"
                   "A< b3 OK [COPYUID ~ 1,4 1:2] COPY completed\n"
                   "A> b4 MOVE 1 there\n"
                   "A< * OK [COPYUID ~ 1 3] ~\n"
                   "A< * 1 EXPUNGE\n"
                   "A< b4 OK MOVE completed\n"
                   "A> b5 CHECK\n"
                   "A< b5 OK ~\n");
        world_free(&w);
    }
}

/* An answer much longer than the output may be is sent piece by piece. */
static void test_long_news(void **state)
{
    (void)state;
    enum { MESSAGES = 6000 };
    struct world *w = world_with_messages(MESSAGES);
    struct session *s = fake_new(w, false);
    AUTO_STRBUF expected = STRBUF_INIT;
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    fake_take(s);
    fake_send(s, SPAN("b STORE 1:* FLAGS (\\Deleted)\r\n"));
    for (int i = 1; i <= MESSAGES; i++)
        strbuf_addf(&expected, "* %d FETCH (FLAGS (\\Deleted \\Recent))\r\n", i);
    strbuf_add_cstr(&expected, "b OK STORE completed\r\n");
    assert_string_equal(fake_take(s), strbuf_cstr(&expected));
    fake_send(s, SPAN("c EXPUNGE\r\n"));
    strbuf_clear(&expected);
    for (int i = MESSAGES; i >= 1; i--)
        strbuf_addf(&expected, "* %d EXPUNGE\r\n", i);
    strbuf_add_cstr(&expected, "c OK EXPUNGE completed\r\n");
    assert_string_equal(fake_take(s), strbuf_cstr(&expected));
    assert_true(fake_largest_output(s) < SESSION_OUT_HIGH + 200);
    fake_free(&s);
    world_free(&w);
}

static void test_goodbye(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    fake_take(s);
    fake_say_goodbye(s, BYE_SHUTDOWN);
    assert_string_equal(fake_take(s), "* BYE Server shutting down\r\n");
    fake_free(&s);
    world_free(&w);
}

/* One dialogue, cut in two at every point, with equal answers. */
static void test_split_everywhere(void **state)
{
    (void)state;
    static const char dialogue[] =
        "a SELECT {5+}\r\nINBOX\r\nb IDLE\r\nDONE\r\nc APPEND \"INBOX\" (\\Seen) {11+}\r\nA: b\r\n\r\nx\r\n\r\n"
        "d FETCH 1:* (FLAGS UID)\r\ne STATUS {5+}\r\ninbox (MESSAGES)\r\nf NOPE {3+}\r\nabc\r\ng LOGOUT\r\n";
    AUTO_STRBUF whole = STRBUF_INIT;
    struct span bytes = span_of(dialogue, sizeof dialogue - 1);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        struct world *w = world_with_messages(1);
        struct session *s = fake_new(w, false);
        fake_send(s, span_take(bytes, cut));
        fake_send(s, span_skip(bytes, cut));
        assert_true(fake_is_closed(s));
        const char *got = fake_take(s);
        /* uidvalidity may be the time */
        const char *at = strstr(got, "UIDVALIDITY ");
        assert_non_null(at);
        const char *tail = strstr(got, "b OK IDLE");
        assert_non_null(tail);
        AUTO_STRBUF text = STRBUF_INIT;
        const char *uid = strstr(tail, "APPENDUID ");
        assert_non_null(uid);
        strbuf_add(&text, span_of(tail, (size_t)(uid - tail)));
        strbuf_add_cstr(&text, strchr(uid + 10, ' '));
        if (cut == 0)
            strbuf_add(&whole, strbuf_span(&text));
        assert_string_equal(strbuf_cstr(&text), strbuf_cstr(&whole));
        fake_free(&s);
        world_free(&w);
    }
    assert_non_null(strstr(strbuf_cstr(&whole), "* 2 EXISTS\r\n"));
    assert_non_null(strstr(strbuf_cstr(&whole), "f BAD unknown command\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_state),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_too_much_nonsense),
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_special_use),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_line_too_long),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_store_and_expunge),
        cmocka_unit_test(test_long_news),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_split_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
