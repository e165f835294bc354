/* SORT and THREAD (RFC 5256, 5957, 5267 §3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "harness.h"

static const char *const messages[] = {
    /* 1 */ "From: Zoe <alice@example.test>\r\nTo: c@example.test\r\nSubject: Pears\r\nMessage-ID: <1@x>\r\n"
            "Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n\r\nx\r\n",
    /* 2 */
    "From: =?UTF-8?Q?=C3=84nne?= <Bob@example.test>\r\nTo: A@example.test\r\nCc: z@example.test\r\n"
    "Subject: Re: [list] apples\r\nMessage-ID: <2@x>\r\nDate: Sat, 31 Jan 2026 13:30:00 +0200\r\n\r\nxxxx\r\n",
    /* 3 */
    "From: carol@example.test\r\nTo: b@example.test\r\nSubject: Apples (fwd)\r\nMessage-ID: <3@x>\r\n"
    "References: <1@x> <\"2\"@x>\r\nDate: Sat, 31 Jan 2026 11:00:00 -0100\r\n\r\nxx\r\n",
    /* 4: no date: when it came, a day before */
    "Subject: PEARS\r\nIn-Reply-To: Yours of Monday <1@x> <3@x>\r\n\r\nx\r\n",
};

static void on_messages(const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
            world_deliver(w, "INBOX", messages[i]);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define SELECT "A> s SELECT INBOX\nA...\nA< s OK ~\n"

static void sorts(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"(ARRIVAL)", " 1 2 3 4"},
        {"(REVERSE ARRIVAL)", " 1 2 3 4"}, /* all came at once: only the criterion is reversed */
        {"(DATE)", " 2 1 3 4"},            /* 11:30, 12:00, 12:00, 12:00 of Jan 31 */
        {"(REVERSE DATE)", " 1 3 4 2"},
        {"(SUBJECT)", " 2 3 1 4"},
        {"(SUBJECT REVERSE DATE)", " 3 2 1 4"},
        {"(REVERSE SUBJECT)", " 1 4 2 3"},
        {"(FROM)", " 4 1 2 3"},
        {"(TO)", " 4 2 3 1"},
        {"(CC FROM)", " 4 1 3 2"},
        {"(DISPLAYFROM)", " 4 2 3 1"}, /* nothing, A + diaeresis, carol@…, Zoe */
        {"(DISPLAYTO)", " 4 2 3 1"},
        {"(REVERSE SIZE)", " 2 3 1 4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char script[300];
        snprintf(
            script, sizeof script,
            SELECT
            "A> a SORT %s UTF-8 ALL\nA< * SORT%s\nA< a OK ~\nA> b UID SORT %s US-ASCII 2:*\nA< * SORT ~\nA< b OK ~\n",
            rows[i][0], rows[i][1], rows[i][0]);
        on_messages(script);
    }
}

static void esort(void **state)
{
    (void)state;
    on_messages(SELECT "A> a1 SORT RETURN () (SUBJECT) UTF-8 ALL\n"
                       "A< * ESEARCH (TAG \"a1\") ALL 2:3,1,4\n"
                       "A< a1 OK ~\n"
                       "A> a2 UID SORT RETURN (MIN MAX COUNT) (REVERSE SUBJECT) UTF-8 ALL\n"
                       "A< * ESEARCH (TAG \"a2\") UID MIN 1 MAX 3 COUNT 4\n"
                       "A< a2 OK ~\n"
                       "A> a3 SORT RETURN (SAVE PARTIAL 2:3) (SUBJECT) UTF-8 ALL\n"
                       "A< * ESEARCH (TAG \"a3\") PARTIAL (2:3 3,1)\n"
                       "A< a3 OK ~\n"
                       "A> a4 SEARCH $\n"
                       "A< * SEARCH 1 3\n"
                       "A< a4 OK ~\n"
                       "A> a5 SORT (SUBJECT) US-ASCII TEXT \"not in mailbox\"\n"
                       "A< * SORT\n"
                       "A< a5 OK ~\n"
                       "A> a6 SORT (SUBJECT) X-NONE ALL\n"
                       "A< a6 NO [BADCHARSET ~\n"
                       "A> a7 SORT () UTF-8 ALL\n"
                       "A< a7 BAD ~\n"
                       "A> a8 SORT (REVERSE) UTF-8 ALL\n"
                       "A< a8 BAD ~\n"
                       "A> a9 SORT (SUBJECT) ALL\n"
                       "A< a9 ~\n");
}

static void threads(void **state)
{
    (void)state;
    on_messages(SELECT "A> a1 THREAD ORDEREDSUBJECT UTF-8 ALL\n"
                       "A< * THREAD (2 3)(1 4)\n"
                       "A< a1 OK ~\n"
                       "A> a2 UID THREAD REFERENCES UTF-8 ALL\n"
                       "A< * THREAD (1 (2 3)(4))\n"
                       "A< a2 OK ~\n"
                       "A> a3 THREAD REFERENCES US-ASCII TEXT gewp\n"
                       "A< * THREAD\n"
                       "A< a3 OK ~\n"
                       "A> a4 THREAD NONSENSE UTF-8 ALL\n"
                       "A< a4 BAD ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts),
        cmocka_unit_test(esort),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
