/* ESEARCH, SEARCHRES, PARTIAL and WITHIN: what a search answers and what it leaves behind (RFC 4731, 5182, 9394, 5032).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/clock.h"
#include "harness.h"

/* Ten messages "m1" to "m10"; the even ones say "even". */
static void on_ten(const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        for (int i = 1; i <= 10; i++) {
            char text[100];
            snprintf(text, sizeof text, "Subject: m%d\r\n\r\n%s\r\n", i, i % 2 ? "odd" : "even");
            world_deliver(w, "INBOX", text);
        }
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define SELECT                                                                                                         \
    "A> s SELECT INBOX\n"                                                                                              \
    "A...\n"                                                                                                           \
    "A< s OK ~\n"

static void esearch(void **state)
{
    (void)state;
    on_ten(SELECT "A> a1 SEARCH RETURN (MIN MAX COUNT ALL) BODY even\n"
                  "A< * ESEARCH (TAG \"a1\") MIN 2 MAX 10 COUNT 5 ALL 2,4,6,8,10\n"
                  "A< a1 OK ~\n"
                  "A> a2 UID SEARCH RETURN () 3:6\n"
                  "A< * ESEARCH (TAG \"a2\") UID ALL 3:6\n"
                  "A< a2 OK ~\n"
                  "A> a3 SEARCH RETURN (MIN MAX ALL COUNT) BODY neither\n"
                  "A< * ESEARCH (TAG \"a3\") COUNT 0\n"
                  "A< a3 OK ~\n"
                  "A> a4 SEARCH RETURN (MIN) CHARSET UTF-8 SUBJECT m1\n"
                  "A< * ESEARCH (TAG \"a4\") MIN 1\n"
                  "A< a4 OK ~\n"
                  "A> a5 SEARCH RETURN (PARTIAL -1:-2) ALL\n"
                  "A< * ESEARCH (TAG \"a5\") PARTIAL (-1:-2 9:10)\n"
                  "A< a5 OK ~\n"
                  "A> a6 UID SEARCH RETURN (PARTIAL 11:20 COUNT) ALL\n"
                  "A< * ESEARCH (TAG \"a6\") UID COUNT 10 PARTIAL (11:20 NIL)\n"
                  "A< a6 OK ~\n"
                  "A> a9 SEARCH RETURN (PARTIAL 1:2) SUBJECT nowhere\n"
                  "A< * ESEARCH (TAG \"a9\") PARTIAL (1:2 NIL)\n"
                  "A< a9 OK SEARCH completed\n"
                  "A> a7 SEARCH RETURN (PARTIAL 1:3 ALL) ALL\n"
                  "A< a7 BAD ~\n"
                  "A> a8 SEARCH RETURN (NONSENSE) ALL\n"
                  "A< a8 BAD ~\n"
                  "A> a10 SEARCH RETURN (MIN) MODSEQ 1\n"
                  "A< * OK [HIGHESTMODSEQ ~\n"
                  "A< * ESEARCH (TAG \"a10\") MIN 1 MODSEQ ~\n"
                  "A< a10 OK ~\n"
                  "A> a9 SEARCH BODY even\n"
                  "A< * SEARCH 2 4 6 8 10\n"
                  "A< a9 OK ~\n");
}

/* RFC 9051 Appendix E: without RETURN, ESEARCH with ALL. */
static void rev2(void **state)
{
    (void)state;
    on_ten("A> e ENABLE IMAP4rev2\n"
           "A...\n"
           "A< e OK ~\n" SELECT "A> a1 SEARCH BODY even\n"
           "A< * ESEARCH (TAG \"a1\") ALL 2,4,6,8,10\n"
           "A< a1 OK ~\n"
           "A> a2 UID SEARCH BODY neither\n"
           "A< * ESEARCH (TAG \"a2\") UID\n"
           "A< a2 OK ~\n");
}

static void searchres(void **state)
{
    (void)state;
    on_ten(SELECT
           /* before anything is saved: valid, and nothing */
           "A> a1 FETCH $ FLAGS\n"
           "A< a1 OK ~\n"
           "A> a2 SEARCH RETURN (SAVE) BODY even\n"
           "A< a2 OK ~\n"
           "A> a3 FETCH $ UID\n"
           "A< * 2 FETCH (UID 2)\n"
           "A< * 4 FETCH (UID 4)\n"
           "A< * 6 FETCH (UID 6)\n"
           "A< * 8 FETCH (UID 8)\n"
           "A< * 10 FETCH (UID 10)\n"
           "A< a3 OK ~\n"
           "A> a4 UID SEARCH UID $ 1:5\n"
           "A< * SEARCH 2 4\n"
           "A< a4 OK ~\n"
           "A> a5 SEARCH NOT $\n"
           "A< * SEARCH 1 3 5 7 9\n"
           "A< a5 OK ~\n"
           /* B takes 4 away; A's numbers shift, "$" means the same messages */
           "B> s SELECT INBOX\n"
           "B...\n"
           "B< s OK ~\n"
           "B> b1 STORE 1,4 +FLAGS.SILENT (\\\\Deleted)\n"
           "B< b1 OK ~\n"
           "B> b2 EXPUNGE\n"
           "B< * 4 EXPUNGE\n"
           "B< * 1 EXPUNGE\n"
           "B< b2 OK ~\n"
           "A> a6 NOOP\n"
           "A< * 4 EXPUNGE\n"
           "A< * 1 EXPUNGE\n"
           "A< a6 OK ~\n"
           "A> a7 SEARCH $\n"
           "A< * SEARCH 1 4 6 8\n"
           "A< a7 OK ~\n"
           "A> a8 UID STORE $ +FLAGS.SILENT (\\\\Flagged)\n"
           "A< a8 OK ~\n"
           "A> a9 SEARCH FLAGGED\n"
           "A< * SEARCH 1 4 6 8\n"
           "A< a9 OK ~\n"
           "A> a10 COPY $ Archive\n"
           "A< a10 OK [COPYUID ~ 2,6,8,10 1:4] ~\n"
           "A> a11 SELECT INBOX\n"
           "A...\n"
           "A< a11 OK ~\n"
           "A> a12 SEARCH $\n"
           "A< * SEARCH\n"
           "A< a12 OK ~\n");
}

/* RFC 5182 §2.4, RFC 9394 §3.2: what is saved beside other options. */
static void what_is_saved(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"SAVE MIN", " 2"},
        {"SAVE MAX", " 10"},
        {"SAVE MIN MAX", " 2 10"},
        {"SAVE MIN ALL", " 2 4 6 8 10"},
        {"SAVE MAX COUNT", " 2 4 6 8 10"},
        {"SAVE PARTIAL 2:3", " 4 6"},
        {"SAVE PARTIAL 2:3 MIN", " 2 4 6"},
        {"SAVE PARTIAL -1:-1 MIN MAX", " 2 10"},
        {"SAVE PARTIAL 2:3 COUNT", " 2 4 6 8 10"},
        {"SAVE PARTIAL 7:8", ""},
        {"SAVE ALL", " 2 4 6 8 10"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char script[400];
        snprintf(script, sizeof script,
                 SELECT
                 "A> a1 SEARCH RETURN (%s) BODY even\nA...\nA< a1 OK ~\nA> a2 SEARCH $\nA< * SEARCH%s\nA< a2 OK ~\n",
                 rows[i][0], rows[i][1]);
        on_ten(script);
    }
}

/* RFC 5182 §2.1: NO clears what was saved, BAD does not. */
static void failed_saves(void **state)
{
    (void)state;
    on_ten(SELECT "A> a1 SEARCH RETURN (SAVE) 3:4\n"
                  "A< a1 OK ~\n"
                  "A> a2 SEARCH RETURN (SAVE) NONSENSE\n"
                  "A< a2 BAD ~\n"
                  "A> a3 SEARCH RETURN (SAVE ALL PARTIAL 1:2) ALL\n"
                  "A< a3 BAD ~\n"
                  "A> a4 SEARCH CHARSET X-NONE TEXT x\n"
                  "A< a4 NO [BADCHARSET ~\n"
                  "A> a5 SEARCH $\n"
                  "A< * SEARCH 3 4\n"
                  "A< a5 OK ~\n"
                  "A> a6 SEARCH RETURN (SAVE) CHARSET X-NONE (OR $ 1,3) TEXT x\n"
                  "A< a6 NO [BADCHARSET ~\n"
                  "A> a7 SEARCH $\n"
                  "A< * SEARCH\n"
                  "A< a7 OK ~\n");
}

/* The messages came in at 1769860800; RFC 5032 §2: both ends match. */
static void within(void **state)
{
    (void)state;
    clock_fake((1769860800LL + 100) * 1000, 1000);
    on_ten(SELECT "A> a1 SEARCH RETURN (COUNT) OLDER 100\n"
                  "A< * ESEARCH (TAG \"a1\") COUNT 10\n"
                  "A< a1 OK ~\n"
                  "A> a2 SEARCH RETURN (COUNT) OLDER 101\n"
                  "A< * ESEARCH (TAG \"a2\") COUNT 0\n"
                  "A< a2 OK ~\n"
                  "A> a3 SEARCH RETURN (COUNT) YOUNGER 100\n"
                  "A< * ESEARCH (TAG \"a3\") COUNT 10\n"
                  "A< a3 OK ~\n"
                  "A> a4 SEARCH RETURN (COUNT) YOUNGER 99\n"
                  "A< * ESEARCH (TAG \"a4\") COUNT 0\n"
                  "A< a4 OK ~\n");
    clock_unfake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(esearch),       cmocka_unit_test(rev2),         cmocka_unit_test(searchres),
        cmocka_unit_test(what_is_saved), cmocka_unit_test(failed_saves), cmocka_unit_test(within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
