/*
 * test_route.c - where mail goes: a directory with domains, accounts and aliases, and a table of addresses with what
 * they lead to; who may send as whom; and what a large or tangled directory may cost.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/strbuf.h"
#include "policy/local_sender.h"
#include "policy/route.h"

struct world {
    char folder[64];
    struct directory *directory;
    struct arena arena;
};

static const char *const domains[] = {"example.test", "lists.example.test", "catch.example.test", "empty.example.test",
                                      "xn--bcher-kva.example.test"};
static const char *const accounts[] = {
    "alice@example.test",
    "bob@example.test",
    "bob+own@example.test",
    "office@lists.example.test",
    "alice@catch.example.test",
    "a b@example.test",
    "alice@xn--bcher-kva.example.test",
};
static const char *const aliases[][2] = {
    /* one step */
    {"info@example.test", "alice@example.test"},
    {"team@example.test", "alice@example.test"},
    {"team@example.test", "bob@example.test"},
    {"away@example.test", "bob@outside.test"},
    {"both@example.test", "alice@example.test"},
    {"both@example.test", "bob@outside.test"},
    /* the same account on several ways */
    {"twice@example.test", "alice@example.test"},
    {"twice@example.test", "alice+list@example.test"},
    {"twice@example.test", "info@example.test"},
    /* chains and loops */
    {"all@lists.example.test", "team@example.test"},
    {"all@lists.example.test", "office@lists.example.test"},
    {"ping@example.test", "pong@example.test"},
    {"pong@example.test", "ping@example.test"},
    {"self@example.test", "self@example.test"},
    {"self@example.test", "bob@example.test"},
    {"ring@example.test", "ring2@example.test"},
    {"ring2@example.test", "ring@example.test"},
    {"ring2@example.test", "alice@example.test"},
    /* to nobody */
    {"gone@example.test", "nobody@example.test"},
    {"half@example.test", "nobody@example.test"},
    {"half@example.test", "bob@example.test"},
    {"tagged@example.test", "bob+tag@example.test"},
    /* a domain that takes everything, and one whose everything is nothing */
    {"@catch.example.test", "alice@example.test"},
    {"@xn--bcher-kva.example.test", "nowhere@xn--bcher-kva.example.test"},
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void must(enum status st, const struct err *err)
{
    if (st != ST_OK)
        fail_msg("%s: %s", status_name(st), err->operator_text);
}

static void add_alias(struct world *w, const char *from, const char *to)
{
    struct err err;
    must(directory_alias_add(w->directory, span_cstr(from), span_cstr(to), &err), &err);
}

static int setup(void **state)
{
    static struct world w;
    struct err err;
    char path[96];
    w = (struct world){.arena = ARENA_INIT};
    snprintf(w.folder, sizeof w.folder, "%s/route-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(w.folder));
    snprintf(path, sizeof path, "%s/directory.db", w.folder);
    must(directory_open(path, true, &w.directory, &err), &err);
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        must(directory_domain_add(w.directory, span_cstr(domains[i]), &err), &err);
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
        must(directory_account_add(w.directory, span_cstr(accounts[i]), &err), &err);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        add_alias(&w, aliases[i][0], aliases[i][1]);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    directory_free(&w->directory);
    arena_free(&w->arena);
    return nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "local@domain", split at the last "@"; without one: RCPT TO:<postmaster>. */
static struct mailbox_address address_of(const char *text)
{
    struct span s = span_cstr(text);
    size_t at = span_rfind_byte(s, '@');
    if (at == SPAN_NPOS)
        return (struct mailbox_address){s, SPAN_NONE};
    return (struct mailbox_address){span_take(s, at), span_skip(s, at + 1)};
}

static int by_text(const void *a, const void *b)
{
    const struct route_target *x = a, *y = b;
    size_t n = x->address.len < y->address.len ? x->address.len : y->address.len;
    int order = memcmp(x->address.p, y->address.p, n);
    return order ? order : (int)x->address.len - (int)y->address.len;
}

/* The targets, sorted: "alice@example.test/subaddress", outside ones with a ">" before them; or the status' name. */
static void written_route(struct world *w, const char *to, const char *separator, struct strbuf *out)
{
    struct mailbox_address address = address_of(to);
    struct route route = {0};
    struct err err;
    enum status st = route_address(w->directory, &w->arena, &address, separator, &route, &err);
    if (st != ST_OK) {
        strbuf_add_cstr(out, status_name(st));
        return;
    }
    assert_true(route.count > 0);
    qsort(route.targets, route.count, sizeof *route.targets, by_text);
    for (size_t i = 0; i < route.count; i++) {
        const struct route_target *t = &route.targets[i];
        strbuf_addf(out, "%s%s%.*s", i ? " " : "", t->is_local ? "" : ">", SPAN_ARG(t->address));
        if (t->subaddress.len)
            strbuf_addf(out, "/%.*s", SPAN_ARG(t->subaddress));
    }
}

struct route_case {
    const char *to, *separator;
    const char *expected; /* NULL: not found; "!": relaying denied */
};

static void check(struct world *w, const struct route_case *c)
{
    AUTO_STRBUF got = STRBUF_INIT;
    written_route(w, c->to, c->separator, &got);
    const char *expected = c->expected;
    if (!expected)
        expected = status_name(ST_NOTFOUND);
    else if (*expected == '!')
        expected = status_name(ST_DENIED);
    if (strcmp(strbuf_cstr(&got), expected) != 0)
        fail_msg("%s: expected \"%s\", got \"%s\"", c->to, expected, strbuf_cstr(&got));
}

static void check_all(struct world *w, const struct route_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(w, &cases[i]);
}

static void accounts_and_domains(void **state)
{
    static const struct route_case cases[] = {
        {"alice@example.test", "+", "alice@example.test"},
        {"ALICE@Example.Test", "+", "alice@example.test"},
        {"a b@example.test", "+", "a b@example.test"},
        {"nobody@example.test", "+", NULL},
        {"alice@lists.example.test", "+", NULL},
        {"alice@outside.test", "+", "!"},
        {"alice@sub.example.test", "+", "!"},
        {"alice@test", "+", "!"},
        {"alice@[192.0.2.1]", "+", "!"},
        /* what is behind the last "@" is the domain */
        {"alice@outside.test@example.test", "+", NULL},
        {"alice@example.test@outside.test", "+", "!"},
        /* RFC 6531: U-labels and A-labels are one domain */
        {"alice@b\xc3\xbc"
         "cher.example.test",
         "+", "alice@xn--bcher-kva.example.test"},
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);
}

/* RFC 5233: the exact address first, then what stands before the separator. */
static void subaddresses(void **state)
{
    static const struct route_case cases[] = {
        {"alice+lists@example.test", "+", "alice@example.test/lists"},
        {"alice+a+b@example.test", "+", "alice@example.test/a+b"},
        {"alice+@example.test", "+", "alice@example.test"},
        {"bob+own@example.test", "+", "bob+own@example.test"},
        {"bob+owned@example.test", "+", "bob@example.test/owned"},
        {"+alice@example.test", "+", NULL},
        {"+@example.test", "+", NULL},
        {"nobody+alice@example.test", "+", NULL},
        {"alice+lists@example.test", "", NULL},
        {"alice+lists@example.test", "-", NULL},
        {"alice-lists@example.test", "-", "alice@example.test/lists"},
        {"alice--lists@example.test", "--", "alice@example.test/lists"},
        {"team+news@example.test", "+", "alice@example.test/news bob@example.test/news"},
        {"tagged@example.test", "+", "bob@example.test/tag"},
        {"tagged+other@example.test", "+", "bob@example.test/tag"},
        {"tagged@example.test", "", NULL},
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);
}

static void alias_chains(void **state)
{
    static const struct route_case cases[] = {
        {"info@example.test", "+", "alice@example.test"},
        {"INFO@example.test", "+", "alice@example.test"},
        {"team@example.test", "+", "alice@example.test bob@example.test"},
        {"away@example.test", "+", ">bob@outside.test"},
        {"both@example.test", "+", "alice@example.test >bob@outside.test"},
        {"all@lists.example.test", "+", "alice@example.test bob@example.test office@lists.example.test"},
        {"half@example.test", "+", "bob@example.test"},
        {"gone@example.test", "+", NULL},
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);

    AUTO_STRBUF got = STRBUF_INIT;
    written_route(*state, "twice@example.test", "+", &got); /* one copy, whichever way is found first */
    assert_true(span_starts(strbuf_span(&got), SPAN("alice@example.test")));
    assert_int_equal(span_find_byte(strbuf_span(&got), ' ', 0), SPAN_NPOS);
}

static void alias_loops_end(void **state)
{
    static const struct route_case cases[] = {
        {"ping@example.test", "+", NULL},
        {"ping+x@example.test", "+", NULL},
        {"self@example.test", "+", "bob@example.test"},
        {"ring@example.test", "+", "alice@example.test"},
        {"ring2@example.test", "+", "alice@example.test"},
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);
}

static void catch_all(void **state)
{
    static const struct route_case cases[] = {
        {"anybody@catch.example.test", "+", "alice@example.test"},
        {"any+body@catch.example.test", "+", "alice@example.test"},
        {"alice@catch.example.test", "+", "alice@catch.example.test"},
        {"alice+x@catch.example.test", "+", "alice@catch.example.test/x"},
        {"anybody@sub.catch.example.test", "+", "!"},
        {"anybody@xn--bcher-kva.example.test", "+", NULL}, /* leads to itself */
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);
}

/* RFC 5321 §4.5.1: every domain has one, in any case; the first account where nobody has thought of it. */
static void postmaster(void **state)
{
    static const struct route_case cases[] = {
        {"postmaster@example.test", "+", "a b@example.test"},
        {"PostMaster@example.test", "+", "a b@example.test"},
        {"postmaster@lists.example.test", "+", "office@lists.example.test"},
        {"postmaster@catch.example.test", "+", "alice@example.test"},
        {"postmaster@empty.example.test", "+", NULL}, /* nobody lives there */
        {"postmaster@outside.test", "+", "!"},
        {"hostmaster@example.test", "+", NULL},
        /* RFC 5321 §4.1.1.3: the only one without a domain; catch.example.test is the first of ours */
        {"Postmaster", "+", "alice@example.test"},
    };
    check_all(*state, cases, sizeof cases / sizeof *cases);
    add_alias(*state, "postmaster@example.test", "bob@example.test");
    check(*state, &(struct route_case){"postmaster@example.test", "+", "bob@example.test"});
    check(*state, &(struct route_case){"POSTMASTER@example.test", "+", "bob@example.test"});
}

static void a_server_without_domains_takes_nothing(void **state)
{
    struct world *w = *state;
    struct err err;
    AUTO(directory) d = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/other.db", w->folder);
    must(directory_open(path, true, &d, &err), &err);
    struct mailbox_address postmaster = {SPAN("postmaster"), SPAN_NONE}, alice = address_of("alice@example.test");
    struct route route;
    assert_int_equal(route_address(d, &w->arena, &postmaster, "+", &route, &err), ST_NOTFOUND);
    assert_int_equal(route_address(d, &w->arena, &alice, "+", &route, &err), ST_DENIED);
}

static void send_as(void **state)
{
    static const struct {
        const char *account, *from;
        bool may;
    } cases[] = {
        {"alice@example.test", "alice@example.test", true},
        {"alice@example.test", "Alice@EXAMPLE.test", true},
        {"alice@example.test", "alice+shop@example.test", true},
        {"alice@example.test", "info@example.test", true},
        {"alice@example.test", "team@example.test", true},
        {"bob@example.test", "team@example.test", true},
        {"bob@example.test", "all@lists.example.test", true},
        {"alice@example.test", "anybody@catch.example.test", true},
        {"alice@example.test", "bob@example.test", false},
        {"bob@example.test", "info@example.test", false},
        {"bob@example.test", "alice+bob@example.test", false},
        {"alice@example.test", "bob+own@example.test", false},
        {"bob@example.test", "bob+own@example.test", false}, /* an account of its own */
        {"alice@example.test", "alice@catch.example.test", false},
        {"alice@example.test", "nobody@example.test", false},
        {"alice@example.test", "ping@example.test", false},
        {"alice@example.test", "alice@outside.test", false},
        {"bob@outside.test", "away@example.test", false}, /* who is outside cannot log in */
        {"alice@example.test", "alice@[192.0.2.1]", false},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mailbox_address from = address_of(cases[i].from);
        bool may = !cases[i].may;
        struct err err;
        must(route_may_send_as(w->directory, &w->arena, span_cstr(cases[i].account), &from, "+", &may, &err), &err);
        if (may != cases[i].may)
            fail_msg("%s as %s: %s", cases[i].account, cases[i].from, may ? "allowed" : "forbidden");
    }
    /* RFC 5321 §4.5.5: the null reverse-path is everybody's. */
    struct mailbox_address null = {SPAN_NONE, SPAN_NONE};
    bool may = false;
    struct err err;
    must(route_may_send_as(w->directory, &w->arena, SPAN("bob@example.test"), &null, "+", &may, &err), &err);
    assert_true(may);
}

/* chain0 -> chain1 -> ... -> alice: as many aliases as the limit allows, and one more. */
static void depth_is_bounded(void **state)
{
    struct world *w = *state;
    char from[64], to[64];
    for (int i = 0; i <= ROUTE_DEPTH_MAX; i++) {
        snprintf(from, sizeof from, "chain%d@example.test", i);
        snprintf(to, sizeof to, "chain%d@example.test", i + 1);
        add_alias(w, from, i == ROUTE_DEPTH_MAX ? "alice@example.test" : to);
    }
    check(w, &(struct route_case){"chain1@example.test", "+", "alice@example.test"});
    struct mailbox_address first = address_of("chain0@example.test");
    struct route route;
    struct err err;
    assert_int_equal(route_address(w->directory, &w->arena, &first, "+", &route, &err), ST_LIMIT);
}

static void add_targets(struct world *w, const char *from, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char to[64];
        snprintf(to, sizeof to, "member%d@outside.test", i);
        add_alias(w, from, to);
    }
}

static void targets_are_bounded(void **state)
{
    struct world *w = *state;
    add_targets(w, "many@example.test", 0, ROUTE_TARGETS_MAX - 2);
    add_alias(w, "more@example.test", "many@example.test");
    struct mailbox_address many = address_of("many@example.test"), more = address_of("more@example.test");
    struct route route;
    struct err err;
    must(route_address(w->directory, &w->arena, &more, "+", &route, &err), &err);
    assert_int_equal(route.count, ROUTE_TARGETS_MAX - 2);
    add_targets(w, "many@example.test", ROUTE_TARGETS_MAX, 1);
    must(route_address(w->directory, &w->arena, &many, "+", &route, &err), &err);
    assert_int_equal(route.count, ROUTE_TARGETS_MAX - 1);
    assert_int_equal(route_address(w->directory, &w->arena, &more, "+", &route, &err), ST_LIMIT);
}

/* A transaction keeps all its routes, up to a thousand of them: what a route leaves in the arena is what it says, and
 * not what it took to find out, nor what else is in the directory. */
static void a_route_leaves_little(void **state)
{
    enum { OCTETS_MAX = 2048, NEIGHBOURS = 500 };
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < NEIGHBOURS; i++) {
        char address[64];
        snprintf(address, sizeof address, "neighbour%d@example.test", i);
        must(directory_account_add(w->directory, span_cstr(address), &err), &err);
    }
    static const char *const cases[] = {"alice@example.test",      "alice+x@example.test", "team@example.test",
                                        "postmaster@example.test", "nobody@example.test",  "alice@outside.test"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct mailbox_address to = address_of(cases[i]);
        struct route route;
        (void)route_address(w->directory, &a, &to, "+", &route, &err);
        if (a.total > OCTETS_MAX)
            fail_msg("%s leaves %zu octets", cases[i], a.total);
    }
}

/* ---- users of this machine ---------------------------------------------------------------------------------- */

static void users_of_this_machine(void **state)
{
    struct world *w = *state;
    static const char *trusted[] = {"www-data", "1003", NULL}, *nobody[] = {NULL};
    static struct config_local_sender senders[] = {{"shop", "@shop.test"}, {"shop", "Info@example.test"}, {"1004", "x@y.test"}};
    static const struct config_local said = {"example.test", trusted, senders, 3}, silent = {NULL, nobody, NULL, 0};
    static const struct {
        uint32_t uid;
        const char *name;
        const struct config_local *rules;
        const char *local_part, *domain;
        bool may;
    } rows[] = {
        {0, "root", &silent, "anybody", "anywhere.test", true},
        {0, NULL, &silent, "anybody", "anywhere.test", true},
        {33, "www-data", &said, "anybody", "anywhere.test", true},
        {1003, NULL, &said, "anybody", "anywhere.test", true},
        {33, "www-data", &silent, "anybody", "anywhere.test", false},
        {1000, "carol", &said, "", "", true},
        {1000, "carol", &said, "carol", "example.test", true},
        {1000, "carol", &said, "CAROL", "Example.Test", true},
        {1000, "carol", &said, "carol+tag", "example.test", true},
        {1000, "carol", &said, "carol2", "example.test", false},
        {1000, "carol", &said, "carol", "lists.example.test", false},
        {1000, "alice", &said, "alice", "example.test", true}, /* the operator says that they are the same */
        {1000, "carol", &said, "alice", "example.test", false},
        {1001, "shop", &said, "any", "SHOP.test", true},
        {1001, "shop", &said, "any", "sub.shop.test", false},
        {1001, "shop", &said, "info", "example.test", true},
        {1001, "shop", &said, "info2", "example.test", false},
        {1004, NULL, &said, "x", "y.test", true},
        {1004, NULL, &said, "1004", "example.test", false},
        {1000, "carol", &silent, "carol", "example.test", true},    /* the hostname is a domain of ours; nobody is carol */
        {1000, "alice", &silent, "alice", "example.test", false},   /* an account */
        {1000, "info", &silent, "info", "example.test", false},     /* an alias */
        {1000, "postmaster", &silent, "postmaster", "example.test", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        struct mailbox_address from = {span_cstr(rows[i].local_part), span_cstr(rows[i].domain)};
        struct local_caller who = {rows[i].uid, rows[i].name};
        bool may = !rows[i].may;
        assert_int_equal(local_may_send_as(&who, rows[i].rules, "example.test", w->directory, &w->arena, &from, "+", &may, &err), ST_OK);
        if (may != rows[i].may)
            fail_msg("row %zu: %s@%s", i, rows[i].local_part, rows[i].domain);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(accounts_and_domains),
        TEST(subaddresses),
        TEST(alias_chains),
        TEST(alias_loops_end),
        TEST(catch_all),
        TEST(postmaster),
        TEST(a_server_without_domains_takes_nothing),
        TEST(send_as),
        TEST(users_of_this_machine),
        TEST(depth_is_bounded),
        TEST(targets_are_bounded),
        TEST(a_route_leaves_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
