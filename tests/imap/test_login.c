/* Dialogues before login, as the role gate has them. The vault is a fake that knows alice's password, "secret". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

static struct session *secure(struct world *w)
{
    struct session *s = fake_new(w, true);
    fake_send(s, SPAN("s STARTTLS\r\n"));
    fake_take(s);
    return s;
}

static void say(struct session *s, const char *line, const char *answer)
{
    fake_send(s, span_cstr(line));
    assert_string_equal(fake_take(s), answer);
}

static void test_greeting(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, true);
    assert_string_equal(fake_take(s), "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID LANGUAGE STARTTLS SASL-IR LOGINDISABLED] "
                                      "mx.example.test Tassis ready\r\n");
    fake_send(s, SPAN("a STARTTLS\r\n"));
    assert_string_equal(fake_take(s), "a OK Begin TLS now\r\n");
    say(s, "b CAPABILITY\r\n",
        "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID LANGUAGE SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256\r\nb OK CAPABILITY completed\r\n");
    say(s, "c STARTTLS\r\n", "c BAD TLS is active already\r\n");
    fake_free(&s);
    world_free(&w);
}

static void test_plaintext(void **state)
{
    (void)state;
    play_gate("A> a1 LOGIN alice@example.test secret\n"
              "A< a1 NO [PRIVACYREQUIRED] ~\n"
              "A> a2 AUTHENTICATE PLAIN\n"
              "A< a2 NO [PRIVACYREQUIRED] ~\n"
              "A> a3 SELECT INBOX\n"
              "A< a3 BAD log in first\n"
              "A> a4 APPEND INBOX {100000}\n"
              "A< a4 NO [TOOBIG] ~\n"
              "A> a5 NOOP\n"
              "A< a5 OK ~\n"
              "A> a6 LOGIN {9000+}\n"
              "A< a6 NO [TOOBIG] ~\n"
              "A< * BYE ~\n"
              "A!\n");
}

/* What is sent in the clear behind STARTTLS must not be taken for something said under TLS. */
static void test_starttls_injection(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, true);
    fake_take(s);
    say(s, "a STARTTLS\r\nb NOOP\r\n",
        "a BAD nothing may follow STARTTLS before the answer\r\nb OK NOOP completed\r\n");
    fake_free(&s);
    world_free(&w);
}

static void test_login(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a LOGIN alice@example.test secret\r\n",
        "a login \"alice@example.test\" \"secret\"\r\n",
        "a LOGIN {18+}\r\nalice@example.test {6+}\r\nsecret\r\n",
        "a AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n",
        "a AUTHENTICATE plain AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct world *w = world_new();
        struct session *s = secure(w);
        say(s, good[i], "<handed over a, unread 0>\r\n");
        assert_true(fake_is_closed(s));
        fake_free(&s);
        world_free(&w);
    }
}

static void test_authenticate(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = secure(w);
    say(s, "a AUTHENTICATE PLAIN\r\n", "+ \r\n");
    say(s, "*\r\n", "a BAD AUTHENTICATE was cancelled\r\n");
    say(s, "b AUTHENTICATE PLAIN\r\n", "+ \r\n");
    say(s, "not base64!\r\n", "b BAD the response is not base64\r\n");
    say(s, "c AUTHENTICATE PLAIN not-base64\r\n", "c BAD the initial response is not base64\r\n");
    say(s, "d AUTHENTICATE GSSAPI\r\n", "d NO no such mechanism\r\n");
    say(s, "e AUTHENTICATE LOGIN\r\n", "+ VXNlcm5hbWU6\r\n");
    say(s, "YWxpY2VAZXhhbXBsZS50ZXN0\r\n", "+ UGFzc3dvcmQ6\r\n");
    say(s, "c2VjcmV0\r\nf NOOP\r\n", "<handed over e, unread 8>\r\n");
    fake_free(&s);

    s = secure(w);
    say(s, "a AUTHENTICATE PLAIN\r\nAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n", "+ \r\n<handed over a, unread 0>\r\n");
    fake_free(&s);
    world_free(&w);
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = secure(w);
    say(s, "a LOGIN alice@example.test wrong\r\n", "a NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n");
    say(s, "b AUTHENTICATE PLAIN AGFsaWNlAHdyb25n\r\n", "b NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n");
    say(s, "c LOGIN alice@example.test wrong\r\n",
        "c NO [AUTHENTICATIONFAILED] Wrong user name or password\r\n* BYE Too many failed logins\r\n");
    assert_true(fake_is_closed(s));
    fake_free(&s);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting), cmocka_unit_test(test_plaintext),    cmocka_unit_test(test_starttls_injection),
        cmocka_unit_test(test_login),    cmocka_unit_test(test_authenticate), cmocka_unit_test(test_wrong_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
