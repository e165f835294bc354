/* METADATA (RFC 5464), LIST's METADATA option (RFC 9590), /private/specialuse (RFC 6154 §4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/strbuf.h"
#include "harness.h"
#include "store/metadata.h"

/* §4.2, §4.3 */
static void values(void **state)
{
    (void)state;
    play("A> a1 GETMETADATA INBOX /shared/comment\n"
         "A< * METADATA \"INBOX\" (\"/shared/comment\" NIL)\n"
         "A< a1 OK ~\n"
         "A> a2 SETMETADATA INBOX (/private/comment \"My new comment\" /Shared/Comment \"This one is for you!\")\n"
         "A< a2 OK SETMETADATA completed\n"
         "A> a3 GETMETADATA \"INBOX\" (/SHARED/comment /private/comment /shared/comment)\n"
         "A< * METADATA \"INBOX\" (\"/SHARED/comment\" \"This one is for you!\" \"/private/comment\" \"My new "
         "comment\")\n"
         "A< a3 OK ~\n"
         "A> a4 SETMETADATA INBOX (/private/comment {33+}\\r\\nMy new comment across\\r\\ntwo lines.)\n"
         "A< a4 OK ~\n"
         "A> a5 GETMETADATA INBOX /private/comment\n"
         "A< * METADATA \"INBOX\" (\"/private/comment\" {33}\n"
         "A< My new comment across\n"
         "A< two lines.)\n"
         "A< a5 OK ~\n"
         "A> a6 SETMETADATA INBOX (/private/comment NIL /shared/comment \"\")\n"
         "A< a6 OK ~\n"
         "A> a7 GETMETADATA INBOX (/private/comment /shared/comment)\n"
         "A< * METADATA \"INBOX\" (\"/private/comment\" NIL \"/shared/comment\" \"\")\n"
         "A< a7 OK ~\n"
         "A> b1 SETMETADATA nowhere (/private/comment \"x\")\n"
         "A< b1 NO [NONEXISTENT] ~\n"
         "A> b2 GETMETADATA nowhere /private/comment\n"
         "A< b2 NO [NONEXISTENT] ~\n"
         "A> b3 SETMETADATA INBOX (/comment \"x\")\n"
         "A< b3 BAD ~\n");
}

/* §5: a value with a NUL in it is a literal8, both ways. */
static void binary(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    fake_take(s);
    fake_send(s, SPAN("a SETMETADATA INBOX (/private/vendor/x/blob ~{3+}\r\na\0b)\r\n"));
    assert_non_null(strstr(fake_take(s), "a OK "));
    fake_send(s, SPAN("b GETMETADATA INBOX /private/vendor/x/blob\r\n"));
    const char *answer = fake_take(s), *value = strstr(answer, "~{3}\r\n");
    assert_non_null(value);
    assert_memory_equal(value + 6, "a\0b)\r\nb OK ", 11);
    fake_free(&s);
    world_free(&w);
}

/* §4.2.1, §4.2.2 */
static void options(void **state)
{
    (void)state;
    play("A> a1 SETMETADATA INBOX (/private/filters/values/small \"SMALLER 5000\" /private/filters/values/boss"
         " \"FROM \\\\\"boss@example.com\\\\\"\" /private/filters/values/boss/deep \"1\" /private/filterset \"2\")\n"
         "A< a1 OK ~\n"
         "A> a2 GETMETADATA \"INBOX\" (DEPTH 1) (/private/filters/values)\n"
         "A< * METADATA \"INBOX\" (\"/private/filters/values/boss\" \"FROM \\\"boss@example.com\\\"\""
         " \"/private/filters/values/small\" \"SMALLER 5000\")\n"
         "A< a2 OK ~\n"
         "A> a3 GETMETADATA (DEPTH infinity MAXSIZE 12) INBOX (/private /private/filters)\n"
         "A< * METADATA \"INBOX\" (\"/private/filters/values/boss/deep\" \"1\" \"/private/filters/values/small\""
         " \"SMALLER 5000\" \"/private/filterset\" \"2\")\n"
         "A< a3 OK [METADATA LONGENTRIES 23] ~\n"
         "A> a4 GETMETADATA (DEPTH 0) INBOX /private/filters\n"
         "A< * METADATA \"INBOX\" (\"/private/filters\" NIL)\n"
         "A< a4 OK ~\n"
         "A> a5 GETMETADATA (DEPTH infinity) INBOX /shared\n"
         "A< a5 OK ~\n");
}

/* §3.2.1.1, §3.3: shared entries of the server are its administrator's. */
static void of_the_server(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_play(w, FEED_WHOLE,
               "A> a1 GETMETADATA \"\" (/shared/comment /shared/admin)\n"
               "A< * METADATA \"\" (\"/shared/comment\" NIL \"/shared/admin\" NIL)\n"
               "A< a1 OK ~\n");
    world_app(w)->comment = "Down on Sunday";
    world_app(w)->contact = "mailto:postmaster@example.test";
    world_play(w, FEED_WHOLE,
               "A> a1 GETMETADATA \"\" (DEPTH infinity) (/shared /private)\n"
               "A< * METADATA \"\" (\"/shared/comment\" \"Down on Sunday\""
               " \"/shared/admin\" \"mailto:postmaster@example.test\")\n"
               "A< a1 OK ~\n"
               "A> a2 SETMETADATA \"\" (/shared/comment \"x\")\n"
               "A< a2 NO [CANNOT] ~\n"
               "A> a3 SETMETADATA \"\" (/private/vendor/x/y \"1\" /shared/vendor/x/y \"2\")\n"
               "A< a3 NO [CANNOT] ~\n"
               "A> a4 SETMETADATA \"\" (/private/vendor/x/y \"1\")\n"
               "A< a4 OK ~\n"
               "B> b1 GETMETADATA \"\" /private/vendor/x/y\n"
               "B< * METADATA \"\" (\"/private/vendor/x/y\" \"1\")\n"
               "B< b1 OK ~\n"
               "B> b2 GETMETADATA INBOX /private/vendor/x/y\n"
               "B< * METADATA \"INBOX\" (\"/private/vendor/x/y\" NIL)\n"
               "B< b2 OK ~\n");
    world_free(&w);
}

/* §4.3: what is too large or too much changes nothing. */
static void limits(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    AUTO_STRBUF text = STRBUF_INIT;
    fake_take(s);
    strbuf_addf(&text, "a SETMETADATA INBOX (/shared/comment \"1\" /private/comment {%d+}\r\n", METADATA_VALUE_MAX + 1);
    for (int i = 0; i <= METADATA_VALUE_MAX; i++)
        strbuf_add_char(&text, 'x');
    strbuf_add_cstr(&text, ")\r\n");
    fake_send(s, strbuf_span(&text));
    assert_non_null(strstr(fake_take(s), "a NO [METADATA MAXSIZE 16384] "));
    fake_send(s, SPAN("b GETMETADATA INBOX /shared/comment\r\n"));
    assert_non_null(strstr(fake_take(s), "\"/shared/comment\" NIL"));
    /* Larger than any command, where the client asks first and where it does not. */
    fake_send(s, SPAN("c SETMETADATA INBOX (/private/comment {100000}\r\n"));
    assert_non_null(strstr(fake_take(s), "c NO [METADATA MAXSIZE 16384] "));
    for (int i = 0; i < METADATA_ENTRIES_MAX; i++) {
        strbuf_clear(&text);
        strbuf_addf(&text, "d SETMETADATA INBOX (/shared/vendor/x/%d \"1\")\r\n", i);
        fake_send(s, strbuf_span(&text));
        assert_non_null(strstr(fake_take(s), "d OK "));
    }
    fake_send(s, SPAN("e SETMETADATA INBOX (/shared/vendor/x/0 \"2\" /shared/more \"1\")\r\n"));
    assert_non_null(strstr(fake_take(s), "e NO [METADATA TOOMANY] "));
    fake_send(s, SPAN("f GETMETADATA INBOX /shared/vendor/x/0\r\n"));
    assert_non_null(strstr(fake_take(s), "\"/shared/vendor/x/0\" \"1\""));
    fake_send(s, SPAN("g SETMETADATA INBOX (/shared/vendor/x/1 NIL /shared/more \"1\" /private/more \"1\")\r\n"));
    assert_non_null(strstr(fake_take(s), "g OK "));
    fake_free(&s);
    world_free(&w);
}

/* Values that are more than the output takes at once. */
static void large_answers(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    AUTO_STRBUF text = STRBUF_INIT;
    fake_take(s);
    for (int i = 0; i < 20; i++) {
        strbuf_clear(&text);
        strbuf_addf(&text, "a SETMETADATA INBOX (/shared/vendor/x/%d {%d+}\r\n", i, METADATA_VALUE_MAX);
        for (int k = 0; k < METADATA_VALUE_MAX; k++)
            strbuf_add_char(&text, (char)('a' + i));
        strbuf_add_cstr(&text, ")\r\n");
        fake_send(s, strbuf_span(&text));
        assert_non_null(strstr(fake_take(s), "a OK "));
    }
    static const char *const commands[] = {
        "b GETMETADATA (DEPTH infinity) INBOX /shared\r\n",
        "b LIST \"\" (Archive INBOX) RETURN (METADATA (/shared/vendor/x/0 /shared/vendor/x/1 /shared/vendor/x/2"
        " /shared/vendor/x/3 /shared/vendor/x/4 /shared/vendor/x/5 /shared/vendor/x/6 /shared/vendor/x/7))\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        fake_send(s, span_cstr(commands[i]));
        const char *all = fake_take(s);
        for (int k = 0; k < (i ? 8 : 20); k++) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "\"/shared/vendor/x/%d\" \"%c%c", k, 'a' + k, 'a' + k);
            assert_non_null(strstr(all, wanted));
        }
        assert_non_null(strstr(all, "b OK "));
    }
    assert_true(fake_largest_output(s) < (size_t)SESSION_OUT_HIGH + 2 * METADATA_VALUE_MAX);
    fake_free(&s);
    world_free(&w);
}

/* §4.1: entries follow the mailbox, stay on INBOX, and go with what is deleted. */
static void with_mailboxes(void **state)
{
    (void)state;
    play("A> a1 CREATE one/two\n"
         "A< a1 OK ~\n"
         "A> a2 SETMETADATA one (/shared/comment \"one\")\n"
         "A< a2 OK ~\n"
         "A> a3 SETMETADATA one/two (/private/comment \"two\")\n"
         "A< a3 OK ~\n"
         "A> a4 RENAME one three\n"
         "A< a4 OK ~\n"
         "A> a5 LIST \"\" three* RETURN (METADATA (/shared/comment \"/private/comment\"))\n"
         "A< * LIST (\\HasChildren) \"/\" \"three\"\n"
         "A< * METADATA \"three\" (\"/shared/comment\" \"one\" \"/private/comment\" NIL)\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"three/two\"\n"
         "A< * METADATA \"three/two\" (\"/shared/comment\" NIL \"/private/comment\" \"two\")\n"
         "A< a5 OK ~\n"
         "A> a6 DELETE three\n"
         "A< a6 OK ~\n"
         /* it stays as \Noselect, with entries of its own from now on */
         "A> a7 GETMETADATA three /shared/comment\n"
         "A< * METADATA \"three\" (\"/shared/comment\" NIL)\n"
         "A< a7 OK ~\n"
         "A> a8 SETMETADATA three (/shared/comment \"again\")\n"
         "A< a8 OK ~\n"
         "A> a9 DELETE three/two\n"
         "A< a9 OK ~\n"
         "A> b1 CREATE three/two\n"
         "A< b1 OK ~\n"
         "A> b2 GETMETADATA three/two /private/comment\n"
         "A< * METADATA \"three/two\" (\"/private/comment\" NIL)\n"
         "A< b2 OK ~\n"
         "A> b3 SETMETADATA INBOX (/private/comment \"in\")\n"
         "A< b3 OK ~\n"
         "A> b4 RENAME INBOX four\n"
         "A< b4 OK ~\n"
         "A> b5 LIST \"\" (INBOX four) RETURN (METADATA (/private/comment))\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"INBOX\"\n"
         "A< * METADATA \"INBOX\" (\"/private/comment\" \"in\")\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"four\"\n"
         "A< * METADATA \"four\" (\"/private/comment\" \"in\")\n"
         "A< b5 OK ~\n"
         /* RFC 9590 §4: not of what is there for its children only */
         "A> b6 SUBSCRIBE three/two\n"
         "A< b6 OK ~\n"
         "A> b7 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" thre% RETURN (METADATA (/shared/comment))\n"
         "A< * LIST (\\Noselect \\HasChildren) \"/\" \"three\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
         "A< b7 OK ~\n"
         "A> b8 LIST \"\" * RETURN (METADATA ())\n"
         "A< b8 BAD ~\n"
         "A> b9 LIST \"\" * RETURN (METADATA (/nonsense))\n"
         "A< b9 BAD ~\n");
}

/* RFC 6154 §4, §5.4 */
static void special_use(void **state)
{
    (void)state;
    play("A> a1 GETMETADATA (DEPTH 1) Drafts /private\n"
         "A< * METADATA \"Drafts\" (\"/private/specialuse\" \"\\\\Drafts\")\n"
         "A< a1 OK ~\n"
         "A> a2 CREATE SavedDrafts\n"
         "A< a2 OK ~\n"
         "A> a3 SETMETADATA SavedDrafts (/private/specialuse \"\\\\\\\\Drafts\")\n"
         "A< a3 OK ~\n"
         "A> a4 SETMETADATA Drafts (/private/specialuse NIL)\n"
         "A< a4 OK ~\n"
         "A> a5 LIST (SPECIAL-USE) \"\" (Drafts SavedDrafts) RETURN (METADATA (/private/specialuse))\n"
         "A< * LIST (\\HasNoChildren \\Drafts) \"/\" \"SavedDrafts\"\n"
         "A< * METADATA \"SavedDrafts\" (\"/private/specialuse\" \"\\\\Drafts\")\n"
         "A< a5 OK ~\n"
         "A> a6 SETMETADATA SavedDrafts (/private/specialuse \"\\\\\\\\All\")\n"
         "A< a6 NO [USEATTR] ~\n"
         "A> a7 SETMETADATA SavedDrafts (/private/specialuse \"Sent\")\n"
         "A< a7 NO [USEATTR] ~\n"
         "A> a8 SETMETADATA SavedDrafts (/private/specialuse \"\\\\\\\\Sent \\\\\\\\Junk\")\n"
         "A< a8 NO [USEATTR] ~\n");
}

/* §4.4: who has enabled it is told what others change, and by name only. */
static void news(void **state)
{
    (void)state;
    play("B> b0 SETMETADATA INBOX (/shared/comment \"before\")\n"
         "B< b0 OK ~\n"
         "A> a1 ENABLE METADATA\n"
         "A< * ENABLED METADATA\n"
         "A< a1 OK ~\n"
         "A> a2 NOOP\n"
         "A< a2 OK ~\n"
         "B> b1 SETMETADATA INBOX (/shared/comment \"x\" /private/comment \"y\")\n"
         "B< b1 OK ~\n"
         "B> b2 SETMETADATA Sent (/shared/comment \"z\")\n"
         "B< b2 OK ~\n"
         "B> b3 SETMETADATA \"\" (/private/comment \"z\")\n"
         "B< b3 OK ~\n"
         "B> b4 NOOP\n"
         "B< b4 OK ~\n"
         "A> a3 NOOP\n"
         "A< * METADATA \"INBOX\" \"/shared/comment\" \"/private/comment\"\n"
         "A< * METADATA \"Sent\" \"/shared/comment\"\n"
         "A< * METADATA \"\" \"/private/comment\"\n"
         "A< a3 OK ~\n"
         "A> a4 SETMETADATA INBOX (/shared/comment \"mine\")\n"
         "A< a4 OK ~\n"
         "A> a5 NOOP\n"
         "A< a5 OK ~\n"
         /* during IDLE, with nothing selected; a removal too, and a special use */
         "A> a6 IDLE\n"
         "A< + idling\n"
         "B> b5 SETMETADATA INBOX (/shared/comment NIL /shared/none NIL)\n"
         "B< b5 OK ~\n"
         "A< * METADATA \"INBOX\" \"/shared/comment\"\n"
         "B> b6 SETMETADATA Sent (/private/specialuse NIL)\n"
         "B< b6 OK ~\n"
         "A< * METADATA \"Sent\" \"/private/specialuse\"\n"
         "B> b7 SETMETADATA Sent (/private/specialuse NIL)\n"
         "B< b7 OK ~\n"
         "A> DONE\n"
         "A< a6 OK ~\n"
         /* what is gone is not told; what was renamed is told by its new name */
         "B> b8 CREATE x\n"
         "B< b8 OK ~\n"
         "B> b9 SETMETADATA x (/shared/comment \"1\")\n"
         "B< b9 OK ~\n"
         "B> c1 DELETE x\n"
         "B< c1 OK ~\n"
         "B> c2 CREATE y\n"
         "B< c2 OK ~\n"
         "B> c3 SETMETADATA y (/shared/comment \"1\")\n"
         "B< c3 OK ~\n"
         "B> c4 RENAME y z\n"
         "B< c4 OK ~\n"
         "A> a7 NOOP\n"
         "A< * METADATA \"z\" \"/shared/comment\"\n"
         "A< a7 OK ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),         cmocka_unit_test(binary),      cmocka_unit_test(options),
        cmocka_unit_test(of_the_server),  cmocka_unit_test(limits),      cmocka_unit_test(large_answers),
        cmocka_unit_test(with_mailboxes), cmocka_unit_test(special_use), cmocka_unit_test(news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
