/*
 * The index may never change an answer: random messages in many scripts, random needles, and each search is answered
 * three ways: by a scan written here, before anything is indexed, and at every stage of the index's life. The seed is
 * printed; TASSIS_SEED repeats it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "harness.h"
#include "store/search_index.h"
#include "text/charset.h"

static uint64_t seed;

static uint32_t roll(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

/* Pieces that meet in every way: cases, joints, scripts without spaces, marks, letters whose case is a trap. */
static const char *const pieces[] = {
    "a",
    "B",
    "ab",
    "Hello",
    "hello",
    "WORLD",
    "x",
    "the",
    "then",
    ".",
    "-",
    "@",
    "'",
    "_",
    "+",
    ",",
    " ",
    " ",
    " ",
    "  ",
    "/",
    "1",
    "2026",
    "\xc3\xa9", /* é */
    "e\xcc\x81",
    "\xc3\x9f",
    "ss",
    "\xc4\xb0",
    "\xc4\xb1",
    "i",
    "I",
    "\xce\xa3",
    "\xcf\x82",
    "\xd0\x9f\xd1\x80",
    "\xd0\xbf",
    "\xe6\xbc\xa2",
    "\xe5\xad\x97",
    "\xe6\xbc\xa2\xe5\xad\x97",
    "\xe3\x81\x8c",
    "\xe3\x82\xab",
    "\xe3\x80\x82", /* 漢 字 が カ 。 */
    "\xe0\xb8\xaa\xe0\xb8\xa7",
    "\xe0\xb8\xb1",
    "\xd8\xa7\xd9\x84",
    "\xd9\x85\xd8\xb1",
    "\xea\xb0\x80",
    "\xed\x95\x9c",
    "\xf0\x9f\x98\x80",
    "\xe2\x80\x94",
    "\xef\xac\x81",
    "\xc7\x84",
    "\xf0\xa0\x80\x80",
};
enum { PIECES = sizeof pieces / sizeof *pieces, MESSAGES = 240, NEEDLES = 120, BATCHES = 12 };

static void add_pieces(struct strbuf *out, uint32_t n)
{
    while (n--)
        strbuf_add_cstr(out, pieces[roll(PIECES)]);
}

struct sample {
    struct strbuf subject, body;
};

struct setting {
    struct world *w;
    struct session *s;
    struct sample samples[MESSAGES];
    size_t count;
    struct strbuf needles[NEEDLES];
    bool is_gone[MESSAGES];
};

static void deliver(struct setting *t)
{
    struct sample *x = &t->samples[t->count++];
    AUTO_STRBUF message = STRBUF_INIT;
    add_pieces(&x->subject, 1 + roll(6));
    add_pieces(&x->body, roll(30));
    strbuf_addf(&message,
                "Subject: x%.*sx\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n%.*s\r\n",
                SPAN_ARG(strbuf_span(&x->subject)), SPAN_ARG(strbuf_span(&x->body)));
    world_deliver(t->w, "INBOX", strbuf_cstr(&message));
}

static void index_all(struct setting *t)
{
    struct err err;
    for (bool is_done = false; !is_done;)
        if (index_step(world_account(t->w), &is_done, &err) != ST_OK)
            fail_msg("%s", err.operator_text);
}

static bool has(const struct strbuf *text, const struct strbuf *needle)
{
    AUTO_STRBUF folded = STRBUF_INIT, wanted = STRBUF_INIT;
    text_fold(strbuf_span(text), &folded);
    text_fold(strbuf_span(needle), &wanted);
    return span_find(strbuf_span(&folded), strbuf_span(&wanted), 0) != SPAN_NPOS;
}

/* The numbers of the messages that have the needle, by looking; the message is as the wire's. */
static void scan(const struct setting *t, bool is_subject, const struct strbuf *needle, struct strbuf *out)
{
    strbuf_add_cstr(out, "* SEARCH");
    for (size_t i = 0; i < t->count; i++) {
        AUTO_STRBUF text = STRBUF_INIT;
        if (t->is_gone[i])
            continue;
        if (is_subject)
            strbuf_addf(&text, "x%.*sx", SPAN_ARG(strbuf_span(&t->samples[i].subject)));
        else
            strbuf_add(&text, strbuf_span(&t->samples[i].body));
        if (has(&text, needle))
            strbuf_addf(out, " %zu", i + 1);
    }
}

static void look_for(struct setting *t, const char *stage, bool is_subject, const struct strbuf *needle)
{
    AUTO_STRBUF command = STRBUF_INIT, wanted = STRBUF_INIT;
    scan(t, is_subject, needle, &wanted);
    fake_take(t->s);
    strbuf_addf(&command, "a UID SEARCH CHARSET UTF-8 %s {%zu+}\r\n%.*s\r\n", is_subject ? "SUBJECT" : "BODY",
                needle->len, SPAN_ARG(strbuf_span(needle)));
    fake_send(t->s, strbuf_span(&command));
    const char *got = strstr(fake_take(t->s), "* SEARCH");
    if (!got || strncmp(got, strbuf_cstr(&wanted), wanted.len) != 0 || got[wanted.len] != '\r')
        fail_msg("seed %s, %s, %s \"%s\":\n%s\n%s", getenv("TASSIS_SEED"), stage, is_subject ? "SUBJECT" : "BODY",
                 strbuf_cstr(needle), strbuf_cstr(&wanted), got ? got : "nothing");
}

static void compare(struct setting *t, const char *stage)
{
    fake_send(t->s, SPAN("n NOOP\r\n"));
    for (size_t i = 0; i < NEEDLES; i++) {
        look_for(t, stage, false, &t->needles[i]);
        look_for(t, stage, true, &t->needles[i]);
    }
}

static void start(struct setting *t)
{
    const char *given = getenv("TASSIS_SEED");
    char text[32];
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 7919 + (uint64_t)time(NULL);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    setenv("TASSIS_SEED", text, 1);
    print_message("TASSIS_SEED=%s\n", text);
    t->w = world_new();
    for (size_t i = 0; i < NEEDLES; i++)
        add_pieces(&t->needles[i], i < PIECES ? 1 : 1 + roll(4));
    for (size_t i = 0; i < NEEDLES && i < PIECES; i++) { /* each piece by itself */
        strbuf_clear(&t->needles[i]);
        strbuf_add_cstr(&t->needles[i], pieces[i]);
    }
    t->s = fake_new(t->w, false);
    fake_send(t->s, SPAN("s SELECT INBOX\r\n"));
}

static void end(struct setting *t)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        strbuf_free(&t->samples[i].subject);
        strbuf_free(&t->samples[i].body);
    }
    for (size_t i = 0; i < NEEDLES; i++)
        strbuf_free(&t->needles[i]);
    if (t->s)
        fake_free(&t->s);
    world_free(&t->w);
}

static struct index_status status_of(struct setting *t)
{
    struct index_status st;
    struct err err;
    AUTO(txn) txn = NULL;
    assert_int_equal(store_begin(world_account(t->w), TXN_READ, &txn, &err), ST_OK);
    assert_int_equal(index_status_get(txn, &st, &err), ST_OK);
    return st;
}

static void assert_index_sound(struct setting *t)
{
    AUTO_STRBUF report = STRBUF_INIT;
    uint32_t findings = 0;
    struct err err;
    assert_int_equal(index_check(world_account(t->w), &report, &findings, &err), ST_OK);
    if (findings)
        fail_msg("%s", strbuf_cstr(&report));
}

/* What the needles find by `how`: FUZZY, with relevancies (RFC 6203), or exactly by another comparator (RFC 5255). */
static void answers(struct setting *t, const char *comparator, const char *how, struct strbuf *out)
{
    static const char *const keys[] = {"SUBJECT", "BODY", "TEXT", "HEADER X-None", "HEADER From"};
    AUTO_STRBUF choose = STRBUF_INIT;
    strbuf_addf(&choose, "c COMPARATOR %s\r\n", comparator);
    fake_send(t->s, strbuf_span(&choose));
    fake_take(t->s);
    for (size_t i = 0; i < NEEDLES; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            AUTO_STRBUF command = STRBUF_INIT;
            strbuf_addf(&command, "f UID SEARCH %s %s {%zu+}\r\n%.*s\r\n", how, keys[k], t->needles[i].len,
                        SPAN_ARG(strbuf_span(&t->needles[i])));
            fake_send(t->s, strbuf_span(&command));
            strbuf_add_cstr(out, fake_take(t->s));
        }
    fake_send(t->s, SPAN("c COMPARATOR default\r\n"));
    fake_take(t->s);
}

static void assert_same_answers(struct setting *t, const char *comparator, const char *how, const struct strbuf *wanted)
{
    AUTO_STRBUF got = STRBUF_INIT;
    answers(t, comparator, how, &got);
    if (!span_eq(strbuf_span(&got), strbuf_span(wanted)))
        fail_msg("seed %s, %s, %s:\n%s\n%s", getenv("TASSIS_SEED"), comparator, how, strbuf_cstr(wanted),
                 strbuf_cstr(&got));
}

static unsigned found_by(struct setting *t, const char *how, const struct strbuf *needle, const char *mailbox)
{
    AUTO_STRBUF command = STRBUF_INIT;
    strbuf_addf(&command, "e %s RETURN (COUNT) CHARSET UTF-8 TEXT {%zu+}\r\n%.*s\r\n", how, needle->len,
                SPAN_ARG(strbuf_span(needle)));
    fake_take(t->s);
    fake_send(t->s, strbuf_span(&command));
    const char *line = strstr(fake_take(t->s), mailbox), *count = line ? strstr(line, "COUNT ") : NULL;
    return count ? (unsigned)strtoul(count + 6, NULL, 10) : 0;
}

/* The answer of the index serves all mailboxes of an account that an ESEARCH looks into (RFC 7377). */
static void everywhere(struct setting *t)
{
    fake_send(t->s, SPAN("e CREATE copies\r\ne UID COPY 1:* copies\r\n"));
    unsigned all = 0;
    for (size_t i = 0; i < NEEDLES; i++) {
        unsigned wanted = found_by(t, "UID SEARCH", &t->needles[i], "ESEARCH");
        all += wanted;
        assert_int_equal(found_by(t, "ESEARCH IN (personal)", &t->needles[i], "MAILBOX \"INBOX\""), wanted);
        assert_int_equal(found_by(t, "ESEARCH IN (personal)", &t->needles[i], "MAILBOX \"copies\""), wanted);
    }
    assert_true(all > 0);
}

static void at_every_stage(void **state)
{
    (void)state;
    struct setting t = {.count = 0};
    start(&t);
    for (int i = 0; i < MESSAGES / 2; i++)
        deliver(&t);
    compare(&t, "before");
    for (int i = 0; i < BATCHES; i++) { /* small segments, which are merged */
        for (int n = 0; n < MESSAGES / 2 / BATCHES; n++)
            deliver(&t);
        if (i == BATCHES / 2)
            compare(&t, "half indexed");
        if (i % 2 || i > 6)
            index_all(&t);
    }
    compare(&t, "indexed");
    struct index_status st = status_of(&t);
    assert_int_equal(st.indexed, MESSAGES);
    assert_true(st.bytes > 0 && st.segments < BATCHES);
    assert_index_sound(&t);

    char command[64];
    for (int i = 0; i < MESSAGES; i += 3) {
        snprintf(command, sizeof command, "e UID STORE %d +FLAGS.SILENT (\\Deleted)\r\n", i + 1);
        fake_send(t.s, span_cstr(command));
        t.is_gone[i] = true;
    }
    fake_send(t.s, SPAN("e EXPUNGE\r\n"));
    fake_take(t.s);
    compare(&t, "expunged");
    assert_int_equal(status_of(&t).gone, MESSAGES / 3);
    index_all(&t);
    assert_int_equal(status_of(&t).gone, 0);
    compare(&t, "expunged and indexed");
    assert_index_sound(&t);

    struct err err;
    assert_int_equal(index_forget(world_account(t.w), &err), ST_OK);
    assert_int_equal(status_of(&t).indexed, 0);
    compare(&t, "forgotten");
    static const char like[] = "RETURN (ALL RELEVANCY) CHARSET UTF-8 FUZZY", exact[] = "CHARSET UTF-8";
    AUTO_STRBUF fuzzy = STRBUF_INIT, octets = STRBUF_INIT, ascii = STRBUF_INIT;
    answers(&t, "default", like, &fuzzy);
    answers(&t, "i;octet", exact, &octets);
    answers(&t, "i;ascii-casemap", exact, &ascii);
    index_all(&t);
    compare(&t, "made anew");
    assert_true(strstr(strbuf_cstr(&fuzzy), "RELEVANCY (") != NULL);
    assert_same_answers(&t, "default", like, &fuzzy);
    assert_same_answers(&t, "i;octet", like, &fuzzy); /* FUZZY has its own ways */
    assert_same_answers(&t, "i;octet", exact, &octets);
    assert_same_answers(&t, "i;ascii-casemap", exact, &ascii);
    everywhere(&t);
    assert_index_sound(&t);
    end(&t);
}

/* The process dies at any moment of indexing. */
static void killed(void **state)
{
    (void)state;
    struct setting t = {.count = 0};
    start(&t);
    for (int i = 0; i < MESSAGES; i++)
        deliver(&t);
    fake_free(&t.s);
    for (int i = 0; i < 20; i++) {
        world_close(t.w);
        pid_t child = fork();
        if (child == 0) {
            world_open(t.w);
            struct err err;
            for (bool is_done = false; !is_done;)
                if (index_step(world_account(t.w), &is_done, &err) != ST_OK ||
                    index_forget(world_account(t.w), &err) != ST_OK)
                    _exit(1);
            _exit(0);
        }
        usleep(roll(i < 10 ? 60000 : 20000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        world_open(t.w);
        if (i % 5 == 4) {
            t.s = fake_new(t.w, false);
            fake_send(t.s, SPAN("s SELECT INBOX\r\n"));
            compare(&t, "killed");
            fake_free(&t.s);
        }
    }
    index_all(&t);
    assert_index_sound(&t);
    assert_int_equal(status_of(&t).indexed, MESSAGES);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_stage),
        cmocka_unit_test(killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
