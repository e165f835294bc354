/* CATENATE (RFC 4469): how its literals and URLs come in, and its limits. What it makes is in tests/e2e/scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

static void in_any_pieces(void **state)
{
    (void)state;
    play("A> a1 APPEND INBOX {4+}\nA> x: y\n"
         "A< a1 OK [APPENDUID ~ 1] APPEND completed\n"
         /* text, a URL as a literal, one that is quoted; texts may be empty */
         "A> a2 APPEND INBOX (\\Seen) CATENATE (TEXT {6+}\nA> ab\\r\\ncd URL {13+}\nA> /INBOX/;UID=1 TEXT {0+}\nA>  "
         "URL \"/INBOX/;UID=1/;PARTIAL=1.2\")\n"
         "A< a2 OK [APPENDUID ~ 2] APPEND completed\n"
         /* between whole messages */
         "A> a3 APPEND INBOX {3+}\nA> one CATENATE (URL /INBOX/;UID=1) (\\Flagged) {5+}\nA> three\n"
         "A< a3 OK [APPENDUID ~ 3:5] APPEND completed\n"
         "A> a4 EXAMINE INBOX\nA...\nA< a4 OK ~\n"
         "A> a5 FETCH 2:5 BODY.PEEK[]\n"
         "A< * 2 FETCH (BODY[] {12}\n"
         "A< ab\n"
         "A< cdx: y: )\n"
         "A< * 3 FETCH (BODY[] {3}\nA< one)\n"
         "A< * 4 FETCH (BODY[] {4}\nA< x: y)\n"
         "A< * 5 FETCH (BODY[] {5}\nA< three)\n"
         "A< a5 OK ~\n"
         "A> a6 APPEND INBOX CATENATE (TEXT {1+}\nA> x}\n"
         "A< a6 BAD ~\n"
         "A> a7 NOOP\nA< a7 OK ~\n");
}

/* A client that waits learns of a bad URL in place of the invitation. */
static void waiting_for_invitations(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    world_deliver(w, "INBOX", "a: b\r\n\r\nc\r\n");
    fake_take(s);
    fake_send(s, SPAN("a APPEND INBOX CATENATE (TEXT {2}\r\n"));
    assert_string_equal(fake_take(s), "+ Ready for the literal\r\n");
    fake_send(s, SPAN("hi URL {13}\r\n"));
    assert_string_equal(fake_take(s), "+ Ready for the literal\r\n");
    fake_send(s, SPAN("/INBOX/;UID=1 URL /INBOX/;UID=2 TEXT {5}\r\n"));
    assert_string_equal(fake_take(s), "a NO [BADURL /INBOX/;UID=2] there is no such message\r\n");
    fake_send(s, SPAN("b APPEND INBOX CATENATE (URL {9000}\r\n"));
    assert_string_equal(fake_take(s), "b NO [TOOBIG] the URL is too long\r\n");
    fake_send(s, SPAN("c STATUS INBOX (MESSAGES)\r\n"));
    assert_string_equal(fake_take(s), "* STATUS \"INBOX\" (MESSAGES 1)\r\nc OK STATUS completed\r\n");
    fake_free(&s);
    world_free(&w);
}

/* However often a message is named, what is made of it is bounded. */
static void too_big(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    AUTO_STRBUF command = STRBUF_INIT;
    world_deliver(w, "INBOX", "a: b\r\n\r\nc\r\n");
    world_app(w)->message_size_max = 35;
    fake_send(s, SPAN("a APPEND INBOX CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=1 URL /INBOX/;UID=1)\r\n"));
    assert_non_null(strstr(fake_take(s), "a OK [APPENDUID "));
    fake_send(s, SPAN("b APPEND INBOX CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=1 URL /INBOX/;UID=1 "
                      "URL /INBOX/;UID=1)\r\n"));
    assert_string_equal(fake_take(s), "b NO [TOOBIG] the message is too large\r\n");
    fake_send(s, SPAN("c APPEND INBOX CATENATE (TEXT {20+}\r\n01234567890123456789 TEXT {20+}\r\n01234567890123456789)"
                      "\r\n"));
    assert_non_null(strstr(fake_take(s), "c NO [TOOBIG] "));
    for (int i = 0; i < 10001; i++)
        strbuf_addf(&command, "%s TEXT {0+}\r\n", i ? "" : "d APPEND INBOX CATENATE (URL /INBOX/;UID=1");
    strbuf_add_cstr(&command, ")\r\n");
    fake_send(s, strbuf_span(&command));
    assert_string_equal(fake_take(s), "d NO [TOOBIG] too many parts for one command\r\n");
    fake_free(&s);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_pieces),
        cmocka_unit_test(waiting_for_invitations),
        cmocka_unit_test(too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
