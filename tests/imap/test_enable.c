/* ENABLE, and what a session of IMAP4rev2 sees beside one of IMAP4rev1 (RFC 5161, RFC 9051 Appendix E). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "harness.h"

/* Each capability is named once, whatever rows of the table share it. */
static void test_capabilities(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    fake_take(s);
    fake_send(s, SPAN("a CAPABILITY\r\n"));
    char *line = strdup(fake_take(s)), *rest = line, *names[200];
    size_t count = 0;
    assert_non_null(line);
    *strchr(line, '\r') = 0;
    for (char *name; (name = strtok_r(rest, " ", &rest));) {
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(name, names[i]);
        assert_true(count < 200);
        names[count++] = name;
    }
    assert_true(count > 5);
    free(line);
    fake_free(&s);
    world_free(&w);
}

static void test_enable(void **state)
{
    (void)state;
    play("A> a1 CAPABILITY\n"
         "A< * CAPABILITY IMAP4rev1 IMAP4rev2 ~ ENABLE ~\n"
         "A< a1 OK ~\n"
         "A> a2 ENABLE\n"
         "A< a2 BAD ~\n"
         "A> a3 ENABLE \"x\"\n"
         "A< a3 BAD ~\n"
         "A> a4 ENABLE X-GOOD-IDEA IDLE\n"
         "A< * ENABLED\n"
         "A< a4 OK ~\n"
         "A> a5 ENABLE X-GOOD-IDEA imap4REV2\n"
         "A< * ENABLED IMAP4rev2\n"
         "A< a5 OK ~\n");
}

/* A is IMAP4rev2, B is not: the same mailbox. */
static void test_both_revisions(void **state)
{
    (void)state;
    play("A> a1 ENABLE IMAP4rev2\n"
         "A< * ENABLED IMAP4rev2\n"
         "A< a1 OK ~\n"
         "A> a2 APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
         "A< a2 OK [APPENDUID ~ 1] ~\n"
         "A> a3 SELECT inbox\n"
         "A< * FLAGS (~)\n"
         "A< * OK [PERMANENTFLAGS (~)] ~\n"
         "A< * 1 EXISTS\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"INBOX\" (\"OLDNAME\" (\"inbox\"))\n"
         "A< * OK [UIDVALIDITY ~] ~\n"
         "A< * OK [UIDNEXT 2] ~\n"
         "A< * OK [MAILBOXID (~)] ~\n"
         "A< * OK [URLMECH INTERNAL] ~\n"
         "A< a3 OK [READ-WRITE] ~\n"
         "B> b1 SELECT inbox\n"
         "B< * FLAGS (~)\n"
         "B< * OK [PERMANENTFLAGS (~)] ~\n"
         "B< * 1 EXISTS\n"
         "B< * OK [UNSEEN 1] ~\n"
         "B< * 1 RECENT\n"
         "B< * OK [UIDVALIDITY ~] ~\n"
         "B< * OK [UIDNEXT 2] ~\n"
         "B< * OK [MAILBOXID (~)] ~\n"
         "B< * OK [URLMECH INTERNAL] ~\n"
         "B< b1 OK [READ-WRITE] ~\n"
         "B> b2 FETCH 1 FLAGS\n"
         "B< * 1 FETCH (FLAGS (\\Recent))\n"
         "B< b2 OK ~\n"
         "A> a4 FETCH 1 FLAGS\n"
         "A< * 1 FETCH (FLAGS ())\n"
         "A< a4 OK ~\n"
         /* unsolicited FETCH has the UID */
         "B> b3 STORE 1 +FLAGS.SILENT (\\Seen)\n"
         "B< b3 OK ~\n"
         "A> a5 NOOP\n"
         "A< * 1 FETCH (UID 1 FLAGS (\\Seen))\n"
         "A< a5 OK ~\n"
         "A> a6 STORE 1 -FLAGS (\\Seen)\n"
         "A< * 1 FETCH (UID 1 FLAGS ())\n"
         "A< a6 OK ~\n"
         "B> b4 NOOP\n"
         "B< * 1 FETCH (FLAGS (\\Recent))\n"
         "B< b4 OK ~\n"
         /* what comes in has no RECENT, and stays \Recent for others */
         "A> a7 APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
         "A< * 2 EXISTS\n"
         "A< a7 OK ~\n"
         "B> b5 NOOP\n"
         "B< * 2 EXISTS\n"
         "B< * 2 RECENT\n"
         "B< b5 OK ~\n"
         "A> a8 SELECT Sent\n"
         "A< * OK [CLOSED] ~\n"
         "A< * FLAGS (~)\n"
         "A< * OK [PERMANENTFLAGS (~)] ~\n"
         "A< * 0 EXISTS\n"
         "A< * LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"\n"
         "A...\n"
         "A< a8 OK ~\n"
         /* RFC 9051 §6.3.2: closed also where the new one cannot be selected */
         "A> a9 SELECT nowhere\n"
         "A< * OK [CLOSED] ~\n"
         "A< a9 NO [NONEXISTENT] ~\n"
         "A> c1 SELECT Sent\n"
         "A< * FLAGS (~)\n"
         "A...\n"
         "A< c1 OK ~\n");
}

static void test_names(void **state)
{
    (void)state;
    play("B> b1 CREATE \"Entw&APw-rfe\"\n"
         "B< b1 OK ~\n"
         "A> a1 ENABLE IMAP4rev2\n"
         "A< * ENABLED IMAP4rev2\n"
         "A< a1 OK ~\n"
         "A> a2 LIST \"\" Ent*\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"Entw\xc3\xbcrfe\"\n"
         "A< a2 OK ~\n"
         "A> a3 STATUS \"Entw\xc3\xbcrfe\" (MESSAGES)\n"
         "A< * STATUS \"Entw\xc3\xbcrfe\" (MESSAGES 0)\n"
         "A< a3 OK ~\n"
         "A> a4 CREATE \"Entw&APw-rfe\"\n" /* an ampersand is one */
         "A< a4 OK ~\n"
         "A> a5 CREATE \"\xff\"\n"
         "A< a5 BAD ~\n"
         "A> a6 CREATE \"Entw\xc3\xbcrfe/neu\"\n"
         "A< a6 OK ~\n"
         "A> a7 SELECT \"Entw\xc3\xbcrfe\"\n"
         "A...\n"
         "A< * LIST (\\HasChildren) \"/\" \"Entw\xc3\xbcrfe\"\n"
         "A...\n"
         "A< a7 OK ~\n"
         "B> b2 LIST \"\" Ent%\n"
         "B< * LIST (\\HasNoChildren) \"/\" \"Entw&-APw-rfe\"\n"
         "B< * LIST (\\HasChildren) \"/\" \"Entw&APw-rfe\"\n"
         "B< b2 OK ~\n");
}

/* RFC 9051 §7.1 */
static void test_response_codes(void **state)
{
    (void)state;
    play("A> a1 CREATE x/y\n"
         "A< a1 OK [MAILBOXID (~)] ~\n"
         "A> a2 DELETE x\n" /* stays for its child */
         "A< a2 OK ~\n"
         "A> a3 DELETE x\n"
         "A< a3 NO [HASCHILDREN] ~\n"
         "A> a4 DELETE INBOX\n"
         "A< a4 NO [CANNOT] ~\n"
         "A> a5 CREATE x/y\n"
         "A< a5 NO [ALREADYEXISTS] ~\n"
         "A> a6 SELECT x\n"
         "A< a6 NO [NONEXISTENT] ~\n"
         "A> a7 CREATE \"a*b\"\n"
         "A< a7 NO [CANNOT] ~\n");
}

static void test_status(void **state)
{
    (void)state;
    play("A> a1 APPEND INBOX (\\Deleted) {6+}\\r\\nA: b\\r\\n\n"
         "A< a1 OK ~\n"
         "A> a2 APPEND INBOX {8+}\\r\\nA: bbb\\r\\n\n"
         "A< a2 OK ~\n"
         "A> a3 STATUS INBOX (SIZE DELETED MESSAGES)\n"
         "A< * STATUS \"INBOX\" (MESSAGES 2 DELETED 1 SIZE 14)\n"
         "A< a3 OK ~\n"
         "A> a4 STATUS INBOX ()\n"
         "A< a4 BAD ~\n"
         "A> a5 STATUS INBOX (SIZES)\n"
         "A< a5 BAD ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capabilities),   cmocka_unit_test(test_enable),
        cmocka_unit_test(test_both_revisions), cmocka_unit_test(test_names),
        cmocka_unit_test(test_response_codes), cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
