/* OBJECTID (RFC 8474) and PREVIEW (RFC 8970). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "harness.h"

static struct world *world_with_thread(void)
{
    struct world *w = world_new();
    world_deliver(w, "INBOX", "Subject: Message A\r\nMessage-ID: <1@example.test>\r\n\r\nFirst\r\n");
    world_deliver(w, "INBOX",
                  "Subject: Re: Message A\r\nMessage-ID: <2@example.test>\r\nReferences: <1@example.test>\r\n"
                  "\r\n> First\r\nSecond\r\n");
    world_deliver(w, "INBOX", "Subject: Message C\r\n\r\n");
    return w;
}

/* What stands between these two in the answer to a command; the caller frees it. */
static char *answer_between(struct session *s, const char *command, const char *before, const char *behind)
{
    fake_take(s);
    fake_send(s, span_cstr(command));
    char *text = strdup(fake_take(s));
    assert_non_null(text);
    char *start = strstr(text, before);
    if (!start)
        fail_msg("%s: %s", command, text);
    start += strlen(before);
    char *end = strstr(start, behind);
    assert_non_null(end);
    char *out = strndup(start, (size_t)(end - start));
    free(text);
    return out;
}

#define ASSERT_SAME(x, y)                                                                                              \
    do {                                                                                                               \
        char *x_ = (x), *y_ = (y);                                                                                     \
        assert_string_equal(x_, y_);                                                                                   \
        free(x_);                                                                                                      \
        free(y_);                                                                                                      \
    } while (0)
#define ASSERT_OTHER(x, y)                                                                                             \
    do {                                                                                                               \
        char *x_ = (x), *y_ = (y);                                                                                     \
        assert_string_not_equal(x_, y_);                                                                               \
        free(x_);                                                                                                      \
        free(y_);                                                                                                      \
    } while (0)

static char *mailbox_id_of(struct session *s, const char *name)
{
    char command[100];
    snprintf(command, sizeof command, "x STATUS %s (MAILBOXID)\r\n", name);
    return answer_between(s, command, "(MAILBOXID (", "))");
}

/* §4 */
static void test_mailboxes(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct session *s = fake_new(w, false);
    ASSERT_SAME(answer_between(s, "a CREATE foo\r\n", "a OK [MAILBOXID (", ")]"), mailbox_id_of(s, "foo"));
    ASSERT_SAME(answer_between(s, "a SELECT foo\r\n", "* OK [MAILBOXID (", ")]"), mailbox_id_of(s, "foo"));
    ASSERT_OTHER(mailbox_id_of(s, "INBOX"), mailbox_id_of(s, "foo"));
    char *before = mailbox_id_of(s, "foo");
    fake_send(s, SPAN("a RENAME foo bar\r\n"));
    ASSERT_SAME(mailbox_id_of(s, "bar"), strdup(before));
    fake_send(s, SPAN("a DELETE bar\r\nb CREATE foo\r\n"));
    ASSERT_OTHER(mailbox_id_of(s, "foo"), before);
    fake_free(&s);
    world_free(&w);
}

static char *object_id_of(struct session *s, int seq, const char *item)
{
    char command[100], before[100];
    snprintf(command, sizeof command, "x FETCH %d (%s)\r\n", seq, item);
    snprintf(before, sizeof before, "* %d FETCH (%s (", seq, item);
    return answer_between(s, command, before, "))");
}

/* §5, §6 */
static void test_messages(void **state)
{
    (void)state;
    struct world *w = world_with_thread();
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    ASSERT_OTHER(object_id_of(s, 1, "EMAILID"), object_id_of(s, 2, "EMAILID"));
    ASSERT_SAME(object_id_of(s, 1, "THREADID"), object_id_of(s, 2, "THREADID"));
    ASSERT_OTHER(object_id_of(s, 1, "THREADID"), object_id_of(s, 3, "THREADID"));
    ASSERT_OTHER(object_id_of(s, 3, "EMAILID"), object_id_of(s, 3, "THREADID"));
    char *email = object_id_of(s, 2, "EMAILID"), *thread = object_id_of(s, 2, "THREADID"), search[200];
    snprintf(search, sizeof search, "x SEARCH EMAILID %s\r\n", email);
    ASSERT_SAME(answer_between(s, search, "* SEARCH ", "\r\n"), strdup("2"));
    snprintf(search, sizeof search, "x SEARCH THREADID %s\r\n", thread);
    ASSERT_SAME(answer_between(s, search, "* SEARCH ", "\r\n"), strdup("1 2"));
    ASSERT_SAME(answer_between(s, "x SEARCH OR EMAILID no THREADID T1\r\n", "* SEARCH", "\r\n"), strdup(""));
    /* both stay with MOVE and COPY */
    fake_send(s, SPAN("a COPY 2 Archive\r\nb UID MOVE 2 Sent\r\nc SELECT Archive\r\n"));
    ASSERT_SAME(object_id_of(s, 1, "EMAILID"), strdup(email));
    fake_send(s, SPAN("a SELECT Sent\r\n"));
    ASSERT_SAME(object_id_of(s, 1, "EMAILID"), email);
    ASSERT_SAME(object_id_of(s, 1, "THREADID"), thread);
    fake_free(&s);
    world_free(&w);
}

static void test_preview(void **state)
{
    (void)state;
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_with_thread();
        world_deliver(w, "INBOX",
                      "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9f"
                      "e\r\n");
        world_play(w, (enum feed)how,
                   "A> a1 SELECT INBOX\n"
                   "A...\n"
                   "A< a1 OK ~\n"
                   "A> a2 FETCH 1:3 (UID PREVIEW)\n"
                   "A< * 1 FETCH (UID 1 PREVIEW \"First\")\n"
                   "A< * 2 FETCH (UID 2 PREVIEW \"Second\")\n"
                   "A< * 3 FETCH (UID 3 PREVIEW \"\")\n"
                   "A< a2 OK ~\n"
                   "A> a3 FETCH 1 (PREVIEW (LAZY) FLAGS)\n" /* which sets no flag */
                   "A< * 1 FETCH (PREVIEW \"First\" FLAGS (\\Recent))\n"
                   "A< a3 OK ~\n"
                   "A> a4 FETCH 1 PREVIEW (LAZY)\n"
                   "A< * 1 FETCH (PREVIEW \"First\")\n"
                   "A< a4 OK ~\n"
                   "A> a5 FETCH 1 PREVIEW (CHANGEDSINCE 1)\n"
                   "A< * OK [HIGHESTMODSEQ ~] ~\n"
                   "A< * 1 FETCH (PREVIEW \"First\" MODSEQ (~))\n"
                   "A< a5 OK ~\n"
                   "A> a6 FETCH 4 (PREVIEW)\n"
                   "A< * 4 FETCH (PREVIEW {7}\n"
                   "A< Gr\xc3\xbc\xc3\x9f"
                   "e)\n"
                   "A< a6 OK ~\n"
                   "A> a7 FETCH 1 (PREVIEW (LAZY SOON))\n"
                   "A< a7 BAD ~\n"
                   "A> a8 FETCH 1 (PREVIEW ())\n"
                   "A< a8 BAD ~\n"
                   "B> b1 ENABLE IMAP4rev2\n"
                   "B< * ENABLED IMAP4rev2\n"
                   "B< b1 OK ~\n"
                   "B> b2 SELECT INBOX\n"
                   "B...\n"
                   "B< b2 OK ~\n"
                   "B> b3 FETCH 4 (PREVIEW)\n"
                   "B< * 4 FETCH (PREVIEW \"Gr\xc3\xbc\xc3\x9f"
                   "e\")\n"
                   "B< b3 OK ~\n");
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_preview),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
