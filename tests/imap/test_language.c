/* LANGUAGE and NAMESPACE's TRANSLATION (RFC 5255 §3), UNAUTHENTICATE as `mail` does it (RFC 8437). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

/* RFC 5255 §3.2's example, with the languages that there are here. */
static void test_language(void **state)
{
    (void)state;
    play("A> A002 LANGUAGE MUL\n"
         "A< A002 NO ~Unsupported language\n"
         "A> A003 LANGUAGE\n"
         "A< * LANGUAGE (EN i-default)\n"
         "A< A003 OK Supported languages have been enumerated\n"
         "A> n1 NAMESPACE\n"
         "A< * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\n"
         "A< n1 OK NAMESPACE completed\n"
         "A> D001 LANGUAGE FR\n"
         "A< D001 NO ~\n"
         "A> D003 LANGUAGE \"default\"\n"
         "A< * LANGUAGE (EN)\n"
         "A< * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"Other Users/\"))) ((\"Shared/\" "
         "\"/\" \"TRANSLATION\" (\"Shared/\")))\n"
         "A< D003 OK Now speaking English\n"
         "A> n2 NAMESPACE\n"
         "A< * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\" \"TRANSLATION\" ~\n"
         "A< n2 OK ~\n"
         "A> i LANGUAGE \"I-Default\"\n"
         "A< * LANGUAGE (i-default)\n"
         "A< * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\n"
         "A< i OK ~\n"
         "A> E001 LANGUAGE FR-CA {5+}\n"
         "A> EN-CA\n"
         "A< * LANGUAGE (EN)\n"
         "A...\n"
         "A< E001 OK Now speaking English\n"
         "A> E002 LANGUAGE FR EN- -EN ENG I i\n"
         "A< * LANGUAGE (EN)\n"
         "A...\n"
         "A< E002 OK Now speaking English\n"
         "A> E003 LANGUAGE ENG - \"\" I -\n"
         "A< E003 NO ~\n"
         "A> E004 LANGUAGE \n"
         "A< E004 BAD ~\n");
}

static void test_language_before_login(void **state)
{
    (void)state;
    play_gate("A> a LANGUAGE\n"
              "A< * LANGUAGE (EN i-default)\n"
              "A< a OK ~\n"
              "A> b LANGUAGE en-GB\n"
              "A< * LANGUAGE (EN)\n"
              "A< b OK ~\n"
              "A> c UNAUTHENTICATE\n"
              "A< c BAD ~\n");
}

/* News of the mailbox (§3) are not told, and what follows is not for this role. */
static void test_unauthenticate(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_deliver(w, "INBOX", "Subject: one\r\n\r\n1");
    struct session *a = fake_new(w, false), *b = fake_new(w, false);
    fake_send(a, SPAN("a SELECT INBOX\r\n"));
    fake_send(b, SPAN("b SELECT INBOX\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n"));
    fake_take(a);
    fake_send(a, SPAN("e UNAUTHENTICATE now\r\n"));
    assert_string_equal(fake_take(a), "* 1 EXPUNGE\r\ne BAD expected the end of the command, found ' now'\r\n");
    world_deliver(w, "INBOX", "Subject: two\r\n\r\n2");
    fake_send(a, SPAN("f UNAUTHENTICATE\r\ng NOOP\r\n"));
    assert_string_equal(fake_take(a), "f OK Now in not authenticated state\r\n<given back, unread 8>\r\n");
    assert_true(fake_is_closed(a));
    fake_free(&a);
    fake_free(&b);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language),
        cmocka_unit_test(test_language_before_login),
        cmocka_unit_test(test_unauthenticate),
    };
    return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
