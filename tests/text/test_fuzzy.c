/* Tests of text/fuzzy.h: what is like what, and how much. */
#include "check.h"
#include "text/charset.h"
#include "text/fuzzy.h"

static unsigned score_of(const char *query, const char *text)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF folded = STRBUF_INIT;
    AUTO_STRBUF folded_text = STRBUF_INIT;
    uint8_t grades[FUZZY_PROBES_MAX] = {0};
    text_fold(span_cstr(query), &folded);
    text_fold(span_cstr(text), &folded_text);
    struct stemmer *stemmer = stemmer_new();
    struct fuzzy_query *q = fuzzy_new(&a, stemmer, strbuf_span(&folded));
    unsigned score = 0;
    if (q) {
        fuzzy_grade_text(q, strbuf_span(&folded_text), 100, grades);
        score = fuzzy_score(q, grades);
    }
    stemmer_free(&stemmer);
    return score;
}

static void what_matches(void **state)
{
    (void)state;
    static const struct {
        const char *query, *text;
        bool is_match;
    } rows[] = {
        {"Helo", "say hello to everybody", true}, /* RFC 6203 §4 */
        {"IMAP break", "Does IMAP break?", true},
        {"imap break", "broken IMAP", false}, /* no rule makes the one of the other */
        {"imap break", "IMAP only", false},   /* all words */
        {"invoice", "your invoices", true},
        {"invoicing", "the invoices", true},
        {"invocie", "the invoice", true}, /* neighbours exchanged */
        {"receipt", "reciept", true},
        {"cat", "cut", false}, /* too short for typos */
        {"cats", "cat", true}, /* a form */
        {"word", "world", true},
        {"house", "mouses", false}, /* two typos in five letters */
        {"conference", "confrence", true},
        {"conference", "confernece", true},
        {"conference", "confrnce", true},
        {"conference", "cnfrnce", false},
        {"2024", "2023", false}, /* another number is no typo */
        {"2024", "2024", true},
        {"rechn", "Rechnungen", true},
        {"nungen", "Rechnungen", true},
        {"Haus", "die H\xc3\xa4user", true},
        {"Stra\xc3\x9f"
         "e",
         "STRASSE", true}, /* German says so; RFC 5051 does not */
        {"J\xc3\xbcrgen", "Jurgen", true},
        {"alice@exampel.test", "From: alice@example.test", true},
        {"\xd0\xba\xd0\xbd\xd0\xb8\xd0\xb3\xd0\xb0", "\xd0\xba\xd0\xbd\xd0\xb8\xd0\xb3\xd0\xb8",
         true}, /* книга, книги */
        {"\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", "\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xab", true}, /* 東京都, 東京に */
        {"\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd", "\xe5\xa4\xa7\xe9\x98\xaa\xe5\xba\x9c", false}, /* 大阪府 */
        {"\xe6\x9d\xb1", "\xe6\x9d\xb1\xe4\xba\xac", true},
        {"???", "what ???", false}, /* no word: fuzzy_new() says so, and it is matched exactly */
        {"a", "a cat", true},
        {"a", "cat", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((score_of(rows[i].query, rows[i].text) > 0) != rows[i].is_match)
            fail_msg("%s in %s: %u", rows[i].query, rows[i].text, score_of(rows[i].query, rows[i].text));
}

/* Each row says less than the one before. */
static void what_is_more(void **state)
{
    (void)state;
    static const char *const texts[] = {"conference", "conferences",   "conferenceroom",
                                        "conferense", "theconference", "konferense"};
    unsigned last = 101;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        unsigned score = score_of("conference", texts[i]);
        if (score == 0 || score >= last)
            fail_msg("%s: %u after %u", texts[i], score, last);
        last = score;
    }
    assert_int_equal(score_of("conference", "conference"), 100);
    assert_true(score_of("conference room", "conference room") > score_of("conference room", "conferences rooms"));
}

/* What has no letters, or too many, or is no UTF-8, is read without harm. */
static void odd_texts(void **state)
{
    (void)state;
    char many[400];
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = 0;
    assert_true(score_of(many, many) > 0);
    assert_int_equal(score_of(many, "x"), 0);
    assert_int_equal(score_of("", "text"), 0);
    assert_int_equal(score_of("\xff\xfe", "text"), 0);
    score_of("a.b-c@d+e'f", "\xcc\x80\xcc\x81 \xe6\x9d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches),
        cmocka_unit_test(what_is_more),
        cmocka_unit_test(odd_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
