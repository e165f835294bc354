/* Tests of text/address.h. */
#include <string.h>
#include "check.h"
#include "text/address.h"

#define TEN     "0123456789"
#define LOCAL64 TEN TEN TEN TEN TEN TEN "0123"
#define LABEL63 TEN TEN TEN TEN TEN TEN "012"

static void parses_addresses(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        enum status status; /* without UTF-8 */
        enum status utf8_status;
        struct span local_part, domain;
    } rows[] = {
        {SPAN_INIT("alice@example.test"), ST_OK, ST_OK, SPAN_INIT("alice"), SPAN_INIT("example.test")},
        {SPAN_INIT("Alice+Tag@EXAMPLE.test"), ST_OK, ST_OK, SPAN_INIT("Alice+Tag"), SPAN_INIT("example.test")},
        {SPAN_INIT("a.b!#$%&'*/=?^_`{|}~-@x"), ST_OK, ST_OK, SPAN_INIT("a.b!#$%&'*/=?^_`{|}~-"), SPAN_INIT("x")},
        {SPAN_INIT("\"a b\\\"@\\\\c\"@example.test"), ST_OK, ST_OK, SPAN_INIT("a b\"@\\c"), SPAN_INIT("example.test")},
        {SPAN_INIT("\"alice\"@example.test"), ST_OK, ST_OK, SPAN_INIT("alice"), SPAN_INIT("example.test")},
        {SPAN_INIT("\"\"@example.test"), ST_OK, ST_OK, SPAN_INIT(""), SPAN_INIT("example.test")},
        {SPAN_INIT("a@[192.0.2.1]"), ST_OK, ST_OK, SPAN_INIT("a"), SPAN_INIT("[192.0.2.1]")},
        {SPAN_INIT("a@[IPv6:2001:db8::1]"), ST_OK, ST_OK, SPAN_INIT("a"), SPAN_INIT("[IPv6:2001:db8::1]")},
        {SPAN_INIT("a@xn--bcher-kva.test"), ST_OK, ST_OK, SPAN_INIT("a"), SPAN_INIT("xn--bcher-kva.test")},
        {SPAN_INIT(LOCAL64 "@" LABEL63 ".test"), ST_OK, ST_OK, SPAN_INIT(LOCAL64), SPAN_INIT(LABEL63 ".test")},
        {SPAN_INIT("b\xc3\xbc@example.test"), ST_SYNTAX, ST_OK, SPAN_INIT("b\xc3\xbc"), SPAN_INIT("example.test")},
        {SPAN_INIT("\"b\xc3\xbc\"@example.test"), ST_SYNTAX, ST_OK, SPAN_INIT("b\xc3\xbc"), SPAN_INIT("example.test")},
        {SPAN_INIT("a@b\xc3\xbc"
                   "cher.test"),
         ST_SYNTAX, ST_OK, SPAN_INIT("a"),
         SPAN_INIT("b\xc3\xbc"
                   "cher.test")},
        /* refused */
        {SPAN_INIT("b\xc3@example.test"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@b\xc3.test"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT(""), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("alice"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("@example.test"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("alice@"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT(".a@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a.@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a..b@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a b@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT(" a@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x "), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x>"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@b@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a(c)@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x."), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@.x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x..y"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@-x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x-"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x_y"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@x\0y"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a\0@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a\r\n@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\"a\r\nb\"@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\"a\\\0\"@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\"a@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\"a\\\"@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\"a\"b@x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("\""), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[192.0.2.1"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[192.0.2.12"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[192.0.2.256]"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[2001:db8::1]"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[IPv6:192.0.2.1]"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[x-tag:thing]"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[]"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@["), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@[192.0.2.1]x"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT(LOCAL64 "4@example.test"), ST_LIMIT, ST_LIMIT},
        {SPAN_INIT("a@" LABEL63 "3.test"), ST_SYNTAX, ST_SYNTAX},
        {SPAN_INIT("a@" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".x"), ST_LIMIT, ST_LIMIT},
        {SPAN_INIT(LOCAL64 "@" LABEL63 "." LABEL63 "." LABEL63), ST_LIMIT, ST_LIMIT}, /* 258 with its brackets */
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            AUTO_ARENA a = ARENA_INIT;
            struct mailbox_address m;
            struct err err;
            enum status want = utf8 ? rows[i].utf8_status : rows[i].status;
            enum status st = address_parse(&a, rows[i].text, utf8, &m, &err);
            if (st != want)
                fail_msg("%.*s: %s", SPAN_ARG(rows[i].text), status_name(st));
            if (st != ST_OK) {
                assert_true(strlen(err.client) > 0);
                continue;
            }
            check_span("local part", m.local_part, rows[i].local_part);
            check_span("domain", m.domain, rows[i].domain);
            /* Written and read again it is the same. */
            AUTO_STRBUF out = STRBUF_INIT;
            struct mailbox_address again;
            address_write(&m, &out);
            assert_int_equal(address_parse(&a, strbuf_span(&out), utf8, &again, &err), ST_OK);
            check_span("local part again", again.local_part, m.local_part);
            check_span("domain again", again.domain, m.domain);
        }
}

static void parses_paths(void **state)
{
    (void)state;
    enum { NULL_PATH = 1, POSTMASTER = 2 };
    static const struct {
        const char *text;
        int allowed;
        const char *written; /* NULL: ST_SYNTAX */
        const char *rest;
    } rows[] = {
        {"<alice@example.test>", 0, "alice@example.test", ""},
        {"<alice@example.test> SIZE=1", 0, "alice@example.test", " SIZE=1"},
        {"<alice@example.test>>", 0, "alice@example.test", ">"},
        {"<\"a>b\"@example.test>", 0, "\"a>b\"@example.test", ""},
        {"<\"a b\"@[IPv6:::1]> X", 0, "\"a b\"@[IPv6:::1]", " X"},
        /* RFC 5321 appendix C and §4.1.2 */
        {"<@one.test,@two.test:alice@example.test>", 0, "alice@example.test", ""},
        {"<@one.test:alice@example.test>", 0, "alice@example.test", ""},
        {"<>", NULL_PATH, "", ""},
        {"<> BODY=8BITMIME", NULL_PATH, "", " BODY=8BITMIME"},
        {"<>", POSTMASTER, NULL, NULL},
        {"<Postmaster>", POSTMASTER, "postmaster", ""},
        {"<POSTMASTER> x", POSTMASTER, "postmaster", " x"},
        {"<postmaster>", NULL_PATH, NULL, NULL},
        {"<postmaster@example.test>", POSTMASTER, "postmaster@example.test", ""},
        {"<alice>", POSTMASTER | NULL_PATH, NULL, NULL},
        {"alice@example.test", POSTMASTER | NULL_PATH, NULL, NULL},
        {"", POSTMASTER | NULL_PATH, NULL, NULL},
        {"<", POSTMASTER | NULL_PATH, NULL, NULL},
        {" <alice@example.test>", 0, NULL, NULL},
        {"< alice@example.test>", 0, NULL, NULL},
        {"<alice@example.test", 0, NULL, NULL},
        {"<alice@example.test >", 0, NULL, NULL},
        {"<<alice@example.test>>", 0, NULL, NULL},
        {"<@one.test>", 0, NULL, NULL},
        {"<@one.test,alice@example.test>", 0, NULL, NULL},
        {"<@:alice@example.test>", 0, NULL, NULL},
        {"<@one.test:>", 0, NULL, NULL},
        {"<:alice@example.test>", 0, NULL, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct mailbox_address m;
        struct err err;
        struct span text = span_cstr(rows[i].text);
        enum status st =
            path_parse(&a, &text, false, rows[i].allowed & NULL_PATH, rows[i].allowed & POSTMASTER, &m, &err);
        if (st != (rows[i].written ? ST_OK : ST_SYNTAX))
            fail_msg("%s: %s", rows[i].text, status_name(st));
        if (st != ST_OK) {
            check_span("not moved", text, span_cstr(rows[i].text));
            continue;
        }
        address_write(&m, &out);
        check_span(rows[i].text, strbuf_span(&out), span_cstr(rows[i].written));
        check_span(rows[i].text, text, span_cstr(rows[i].rest));
    }
}

static void domains_in_ascii(void **state)
{
    (void)state;
    static const struct {
        struct span domain, ascii;
        enum status status;
    } rows[] = {
        {SPAN_INIT("Example.TEST"), SPAN_INIT("example.test"), ST_OK},
        {SPAN_INIT("b\xc3\xbc"
                   "cher.test"),
         SPAN_INIT("xn--bcher-kva.test"), ST_OK},
        {SPAN_INIT("B\xc3\x9c"
                   "CHER.test"),
         SPAN_INIT("xn--bcher-kva.test"), ST_OK},
        {SPAN_INIT("bu\xcc\x88"
                   "cher.test"),
         SPAN_INIT("xn--bcher-kva.test"), ST_OK},
        {SPAN_INIT("fa\xc3\x9f.test"), SPAN_INIT("xn--fa-hia.test"), ST_OK}, /* IDNA 2008 keeps the sharp s */
        {SPAN_INIT("xn--bcher-kva.test"), SPAN_INIT("xn--bcher-kva.test"), ST_OK},
        {SPAN_INIT("\xe2\x98\xba\xff.test"), SPAN_INIT(""), ST_SYNTAX},
        {SPAN_INIT("\xc3\xbc\0.test"), SPAN_INIT(""), ST_SYNTAX},
        {SPAN_INIT("-\xc3\xbc.test"), SPAN_INIT(""), ST_SYNTAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct span ascii;
        struct err err;
        assert_int_equal(domain_to_ascii(&a, rows[i].domain, &ascii, &err), rows[i].status);
        if (rows[i].status == ST_OK)
            check_span("ascii", ascii, rows[i].ascii);
    }
    assert_true(domain_is_valid(SPAN("example.test"), false));
    assert_false(domain_is_valid(SPAN("b\xc3\xbc.test"), false));
    assert_true(domain_is_valid(SPAN("b\xc3\xbc.test"), true));
    assert_false(domain_is_valid(SPAN(""), true));
}

/* Each entry as "name|route|local|domain", "-" for what is absent; "{group" and "}". */
static void write_list(const struct header_address *list, size_t count, struct strbuf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct header_address *h = &list[i];
        if (i)
            strbuf_add_char(out, '\n');
        if (h->kind == ADDRESS_GROUP_START) {
            strbuf_addf(out, "{%.*s", SPAN_ARG(h->local_part));
        } else if (h->kind == ADDRESS_GROUP_END) {
            strbuf_add_char(out, '}');
        } else {
            strbuf_add(out, h->has_name ? h->name : SPAN("-"));
            strbuf_add_char(out, '|');
            strbuf_add(out, h->has_route ? h->route : SPAN("-"));
            strbuf_addf(out, "|%.*s|%.*s", SPAN_ARG(h->local_part), SPAN_ARG(h->domain));
        }
    }
}

static void reads_lists(void **state)
{
    (void)state;
    static const struct {
        const char *value, *written;
    } rows[] = {
        {"alice@example.test", "-|-|alice|example.test"},
        {" <alice@example.test>", "-|-|alice|example.test"},
        {"Alice A <alice@example.test>", "Alice A|-|alice|example.test"},
        {"Alice\r\n  A.\t<alice@example.test>, bob@example.test",
         "Alice A.|-|alice|example.test\n-|-|bob|example.test"},
        {"\"A, \\\"B\\\"\" <alice@example.test>", "A, \"B\"|-|alice|example.test"},
        {"\"a b\"@example.test", "-|-|\"a b\"|example.test"},
        {"alice@example.test (Alice A)", "Alice A|-|alice|example.test"},
        {"(Alice) alice@example.test", "Alice|-|alice|example.test"},
        {"Alice <alice@example.test> (comment)", "Alice|-|alice|example.test"},
        {"=?utf-8?Q?=C3=84?= <alice@example.test>", "=?utf-8?Q?=C3=84?=|-|alice|example.test"},
        {"\xc3\x84 <alice@example.test>", "\xc3\x84|-|alice|example.test"},
        /* RFC 5322 appendix A.1.3, A.5, A.6.1 */
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "{A Group\nEd Jones|-|c|a.test\n-|-|joe|where.test\nJohn|-|jdoe|one.test\n}"},
        {"Undisclosed recipients:;", "{Undisclosed recipients\n}"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "{Hidden recipients\n}"},
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test"},
        {"Mary Smith <@node.test:mary@example.test>, , jdoe@test  . example",
         "Mary Smith|@node.test|mary|example.test\n-|-|jdoe|test.example"},
        {"Joe Q. Public <john.q.public@example.test>", "Joe Q. Public|-|john.q.public|example.test"},
        {"john . doe @ example . test", "-|-|john.doe|example.test"},
        {"<@a.test,@b.test:alice@example.test>", "-|@a.test,@b.test|alice|example.test"},
        {"alice@[192.0.2.1]", "-|-|alice|[192.0.2.1]"},
        /* broken, and sent */
        {"Alice alice@example.test", "Alice|-|alice|example.test"},
        {"<alice@example.test, bob@example.test", "-|-|alice|example.test\n-|-|bob|example.test"},
        {"alice@example.test bob@example.test, c@d", "-|-|alice|example.test\n-|-|c|d"},
        {"[List] Name <alice@example.test>", "[List] Name|-|alice|example.test"},
        {"alice@example.test;bob@example.test", "-|-|alice|example.test\n-|-|bob|example.test"},
        {"alice", "-|-|alice|"},
        {"Alice Smith", "Alice Smith|-||"},
        {"Alice <alice>", "Alice|-|alice|"},
        {"Alice <>", "Alice|-||"},
        {"<>", ""},
        {"", ""},
        {" , ,; ", ""},
        {"group: alice@example.test", "{group\n-|-|alice|example.test\n}"},
        {"group: a: b@c;", "{group\na|-|b|c\n}"},
        {": alice@example.test", "-|-|alice|example.test"},
        {"\"open <alice@example.test>", "open <alice@example.test>|-||"},
        {"(open <alice@example.test>", ""},
        {"alice@", "-|-|alice|"},
        {"@example.test", "-|-||example.test"},
        {"alice@example.test>", "-|-|alice|example.test"},
        {"<@example.test>", "-|-||example.test"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct header_address *list;
        size_t count;
        header_addresses(&a, span_cstr(rows[i].value), &list, &count);
        write_list(list, count, &out);
        check_span(rows[i].value, strbuf_span(&out), span_cstr(rows[i].written));
    }
}

static void lists_are_limited(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct header_address *list;
    size_t count;
    for (int i = 0; i < HEADER_ADDRESSES_MAX + 100; i++)
        strbuf_add_cstr(&text, "a@b,");
    header_addresses(&a, strbuf_span(&text), &list, &count);
    assert_int_equal(count, HEADER_ADDRESSES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_addresses), cmocka_unit_test(parses_paths),      cmocka_unit_test(domains_in_ascii),
        cmocka_unit_test(reads_lists),      cmocka_unit_test(lists_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
