/* test_sts.c - a domain's MTA-STS policy over time (RFC 8461): when it is asked for, what is kept, and what counts while neither
 * the record nor the web server is there. Record and web are what a step says; the clock stands where it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "queue/queue.h"
#include "relay/sts.h"

enum { DAY = 86400, START = 1000000 };

static const char *record; /* the TXT record's text; NULL: no answer; "": none */
static const char *policy; /* what the web says; NULL: it is not there; "!": its certificate is not good */
static unsigned asked, fetched;

void __wrap_dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms, struct dns_answer *out);
enum status __wrap_https_get(const struct https *h, struct span host, const char *path, const char *type, size_t max, struct strbuf *out,
                             bool *is_certificate, struct err *err);

void __wrap_dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms, struct dns_answer *out)
{
    (void)d;
    (void)timeout_ms;
    assert_true(span_eq(name, SPAN("_mta-sts.one.test")));
    assert_int_equal(type, DNS_TXT);
    asked++;
    *out = (struct dns_answer){.result = record ? DNS_NO_DATA : DNS_FAILED, .why = "nobody there"};
    if (!record || !*record)
        return;
    out->result = DNS_FOUND;
    out->records = arena_array(a, 1, sizeof *out->records);
    out->records[0] = arena_printf(a, "%c%s", (char)strlen(record), record);
    out->count = 1;
}

enum status __wrap_https_get(const struct https *h, struct span host, const char *path, const char *type, size_t max, struct strbuf *out,
                             bool *is_certificate, struct err *err)
{
    (void)h;
    assert_true(span_eq(host, SPAN("mta-sts.one.test")));
    assert_string_equal(path, "/.well-known/mta-sts.txt");
    assert_string_equal(type, "text/plain");
    assert_int_equal(max, MTA_STS_POLICY_MAX);
    fetched++;
    *is_certificate = policy && *policy == '!';
    if (!policy || *is_certificate)
        return err_set(err, ST_TEMPORARY, "it is not there");
    strbuf_add_cstr(out, policy);
    return ST_OK;
}

#define POLICY(mx, age) "version: STSv1\r\nmode: enforce\r\nmx: " mx "\r\nmax_age: " age "\r\n"
#define ID(n)           "v=STSv1; id=" n ";"

/* What the DNS and the web say at a time; what is found, and what was asked for that. */
struct step {
    int64_t at; /* seconds behind START */
    const char *record, *policy;
    enum sts_result result;
    const char *mx;
    unsigned asked, fetched;
    bool is_restarted; /* before it */
};
struct story {
    const char *name;
    struct step steps[6];
    size_t count;
};
static const struct story stories[] = {
    {"none", {{0, "", NULL, STS_NONE, NULL, 1, 0, false}, {59, ID("1"), POLICY("a.test", "86400"), STS_NONE, NULL, 0, 0, false},
              {61, ID("1"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false}}, 3},
    {"asked once a minute, fetched once an id",
     {{0, ID("1"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false},
      {30, ID("2"), POLICY("b.test", "86400"), STS_FOUND, "a.test", 0, 0, false},
      {61, ID("1"), POLICY("b.test", "86400"), STS_FOUND, "a.test", 1, 0, false},
      {130, ID("2"), POLICY("b.test", "86400"), STS_FOUND, "b.test", 1, 1, false}}, 4},
    {"outlives the record, the web and the process (§5.1)",
     {{0, ID("1"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false},
      {100, "", NULL, STS_FOUND, "a.test", 1, 0, true},
      {200, NULL, NULL, STS_FOUND, "a.test", 1, 0, true},
      {DAY - 1, "", NULL, STS_FOUND, "a.test", 1, 0, true},
      {DAY + 1, "", NULL, STS_NONE, NULL, 1, 0, true}}, 5},
    {"a new one that cannot be had leaves the known one (§3.3)",
     {{0, ID("1"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false},
      {100, ID("2"), NULL, STS_FOUND, "a.test", 1, 1, false},
      {200, ID("2"), "nonsense", STS_FOUND, "a.test", 1, 1, false},
      {300, ID("2"), POLICY("b.test", "86400"), STS_FOUND, "b.test", 1, 1, false}}, 4},
    {"a fetch that fails is repeated after five minutes",
     {{0, ID("1"), NULL, STS_FETCH_FAILED, NULL, 1, 1, false},
      {30, ID("1"), POLICY("a.test", "86400"), STS_FETCH_FAILED, NULL, 0, 0, false},
      {100, ID("1"), POLICY("a.test", "86400"), STS_FETCH_FAILED, NULL, 1, 0, false},
      {STS_RETRY_SECONDS + 1, ID("1"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false}}, 4},
    {"but at once where the id is another",
     {{0, ID("1"), NULL, STS_FETCH_FAILED, NULL, 1, 1, false},
      {100, ID("2"), POLICY("a.test", "86400"), STS_FOUND, "a.test", 1, 1, false}}, 2},
    {"why it failed", {{0, ID("1"), "!", STS_WEBPKI_FAILED, NULL, 1, 1, false}, {100, ID("2"), "mode: enforce\r\n", STS_INVALID, NULL, 1, 1, false}}, 2},
    {"expired and renewed under the same id",
     {{0, ID("1"), POLICY("a.test", "600"), STS_FOUND, "a.test", 1, 1, false},
      {599, ID("1"), POLICY("b.test", "600"), STS_FOUND, "a.test", 1, 0, false},
      {700, ID("1"), POLICY("b.test", "600"), STS_FOUND, "b.test", 1, 1, false}}, 3},
};

static void tell(const struct story *s, const char *path)
{
    struct err err;
    struct queue *q = NULL;
    struct https h = {0};
    assert_int_equal(queue_open(path, true, &q, &err), ST_OK);
    struct sts *sts = sts_new(q, &h);
    for (size_t i = 0; i < s->count; i++) {
        const struct step *t = &s->steps[i];
        AUTO_ARENA a = ARENA_INIT;
        struct mta_sts_policy found = {0};
        struct span text = SPAN_NONE;
        if (t->is_restarted) {
            sts_free(&sts);
            sts = sts_new(q, &h);
        }
        clock_fake((START + t->at) * 1000, (START + t->at) * 1000);
        record = t->record;
        policy = t->policy;
        asked = fetched = 0;
        enum sts_result result = sts_find(sts, &a, SPAN("one.test"), &found, &text);
        bool is_mx = result != STS_FOUND || (found.mx_count == 1 && span_eq(found.mx[0], span_cstr(t->mx)));
        if (result != t->result || !is_mx || asked != t->asked || fetched != t->fetched)
            fail_msg("%s, step %zu: result %d, asked %u, fetched %u, mx %.*s", s->name, i, result, asked, fetched,
                     SPAN_ARG(found.mx_count ? found.mx[0] : SPAN("none")));
    }
    sts_free(&sts);
    queue_free(&q);
}

static void policies_over_time(void **state)
{
    (void)state;
    char dir[] = "/tmp/tassis-sts-XXXXXX", path[64], file[80];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        snprintf(path, sizeof path, "%s/%zu.db", dir, i);
        tell(&stories[i], path);
        for (const char *const *suffix = (const char *const[]){"", "-wal", "-shm", NULL}; *suffix; suffix++) {
            snprintf(file, sizeof file, "%s%s", path, *suffix);
            unlink(file);
        }
    }
    rmdir(dir);
    clock_unfake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(policies_over_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
