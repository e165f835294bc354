/* What `tassis send` makes of a command line and of a local program's text: send_args, local_text, send_message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "text/local_text.h"
#include "text/send_args.h"
#include "text/send_message.h"
#include "check.h"

static struct err err;
static struct send_args args;

static enum status parse(int argc, const char *const *argv)
{
    return send_args_parse(argc, argv, &args, &err);
}
#define PARSE(...)                                                                                                     \
    parse((int)(sizeof((const char *[]){"sendmail", __VA_ARGS__}) / sizeof(char *)),                                   \
          (const char *const[]){"sendmail", __VA_ARGS__})

static void test_args(void **state)
{
    (void)state;
    assert_int_equal(PARSE("-t", "-i", "-fme@example.test"), ST_OK); /* PHP */
    assert_true(args.is_from_header && args.is_dot_ordinary);
    assert_string_equal(args.sender, "me@example.test");
    assert_int_equal(args.recipient_count, 0);

    assert_int_equal(PARSE("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"), ST_OK); /* cron */
    assert_string_equal(args.full_name, "CronDaemon");
    assert_int_equal(args.recipient_count, 1);

    assert_int_equal(PARSE("-oi", "-oem", "-f", "a@b.test", "--", "-x@c.test", "d@e.test"), ST_OK);
    assert_int_equal(args.recipient_count, 2);
    assert_string_equal(args.recipients[0], "-x@c.test");

    assert_int_equal(PARSE("-tif", "a@b.test"), ST_OK);
    assert_true(args.is_from_header && args.is_dot_ordinary);
    assert_string_equal(args.sender, "a@b.test");

    assert_int_equal(PARSE("a@b.test", "-t"), ST_OK); /* behind the first address nothing is an option */
    assert_false(args.is_from_header);
    assert_int_equal(args.recipient_count, 2);

    assert_int_equal(PARSE("-r", "", "-Nsuccess, delay", "-Rfull", "-V", "id"), ST_OK);
    assert_string_equal(args.sender, "");
    assert_int_equal(args.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_int_equal(args.ret, SMTP_RET_FULL);
    assert_string_equal(args.envid, "id");
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum send_mode mode;
    } rows[] = {{"-bm", SEND_MESSAGE}, {"-bs", SEND_SMTP},      {"-bp", SEND_QUEUE}, {"-bi", SEND_NOTHING},
                {"-q", SEND_NOTHING},  {"-q15m", SEND_NOTHING}, {"-v", SEND_MESSAGE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(PARSE(rows[i].word), ST_OK);
        assert_int_equal(args.mode, rows[i].mode);
    }
}

static void test_args_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE("-bd"), ST_UNSUPPORTED);
    static const char *const bad[] = {"-Z",    "-f",     "-N", "-Nsometimes", "-Nnever,success", "-N,",
                                      "-Rall", "-V\x01", "-b", "--help",      "-t\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(PARSE(bad[i]), ST_OK);
    assert_int_equal(PARSE("-t\x1b"), ST_SYNTAX);
    assert_null(strchr(err.client, '\x1b'));
}

/* ---- local_text ------------------------------------------------------------------------------------------------- */

static void feed(const char *in, size_t cut, bool is_dot_end, struct strbuf *out)
{
    struct local_text t = {.is_dot_end = is_dot_end};
    struct span all = span_cstr(in);
    local_text_feed(&t, span_take(all, cut), out);
    local_text_feed(&t, span_skip(all, cut), out);
    local_text_finish(&t, out);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool is_dot_end;
        const char *out;
    } rows[] = {
        {"", true, ""},
        {"a\nb\n", true, "a\r\nb\r\n"},
        {"a\r\nb\r\n", true, "a\r\nb\r\n"},
        {"a\nb", true, "a\r\nb\r\n"},
        {"a\n.\nb\n", true, "a\r\n"},
        {"a\n.\r\nb\n", true, "a\r\n"},
        {"a\n.\nb\n", false, "a\r\n.\r\nb\r\n"},
        {"a\n.", true, "a\r\n"},
        {"a\n.", false, "a\r\n.\r\n"},
        {"..\n.a\n. \n", true, "..\r\n.a\r\n. \r\n"},
        {"a\rb\n", true, "a\rb\r\n"},
        {"a\r\r\nb", true, "a\r\r\nb\r\n"},
        {".\ra\n", true, ".\ra\r\n"},
        {"\r.\n", true, "\r.\r\n"},
        {"\n\n", true, "\r\n\r\n"},
        {"a\r", true, "a\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t cut = 0; cut <= strlen(rows[i].in); cut++) {
            AUTO_STRBUF out = STRBUF_INIT;
            feed(rows[i].in, cut, rows[i].is_dot_end, &out);
            assert_string_equal(strbuf_cstr(&out), rows[i].out);
        }
    struct local_text t = {.is_dot_end = true};
    AUTO_STRBUF out = STRBUF_INIT; /* byte by byte */
    for (const char *p = "a\r\n..\n.\r\nz"; *p; p++)
        local_text_feed(&t, span_of(p, 1), &out);
    local_text_finish(&t, &out);
    assert_true(t.is_ended);
    assert_string_equal(strbuf_cstr(&out), "a\r\n..\r\n");
}

/* ---- send_message ----------------------------------------------------------------------------------------------- */

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *header, *body;
        bool has_from;
    } rows[] = {
        {"From: a@b.test\r\nTo: c\r\n\r\nhi\r\n", "From: a@b.test\r\nTo: c\r\n", "hi\r\n", true},
        {"Subject: x\r\n y\r\nno field\r\n", "Subject: x\r\n y\r\n", "no field\r\n", false},
        {"just text\r\n", "", "just text\r\n", false},
        {" folded: at the start\r\n", "", " folded: at the start\r\n", false},
        {"From alice Mon Jan  1 00:00:00 2026\r\nSubject: x\r\n\r\n", "Subject: x\r\n", "", false},
        {"\r\nbody\r\n", "", "body\r\n", false},
        {"", "", "", false},
        {"Subject: only\r\n", "Subject: only\r\n", "", false},
        {"X-From: a\r\nFrom : b\r\n\r\n", "X-From: a\r\nFrom : b\r\n", "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct send_parts p;
        send_split(span_cstr(rows[i].text), &p);
        check_span(rows[i].text, p.header, span_cstr(rows[i].header));
        check_span(rows[i].text, p.body, span_cstr(rows[i].body));
        assert_int_equal(p.has_from, rows[i].has_from);
    }
}

static const char *joined(struct arena *a, const struct send_recipients *r)
{
    AUTO_STRBUF all = STRBUF_INIT;
    for (size_t i = 0; i < r->count; i++) {
        strbuf_add(&all, r->list[i]);
        strbuf_add_char(&all, ' ');
    }
    return arena_cstr(a, strbuf_span(&all));
}

static void test_recipients(void **state)
{
    (void)state;
    static const struct {
        const char *header, *recipients; /* NULL: refused */
    } rows[] = {
        {"To: a@b.test\r\nCC: C <c@d.test>,\r\n\t\"x, y\" <e@f.test>\r\nbcc: g\r\n",
         "a@b.test c@d.test e@f.test g@my.test "},
        {"To: a@b.test, A@B.test, <a@b.test>\r\n", "a@b.test "},
        {"To: friends: a@b.test, c@d.test;, undisclosed:;\r\n", "a@b.test c@d.test "},
        {"To: a@b.test\r\nResent-To: c@d.test\r\nResent-Bcc: e@f.test\r\n", "c@d.test e@f.test "},
        {"Subject: a@b.test\r\nReply-To: c@d.test\r\n", ""},
        {"To: \"a b\"@c.test\r\n", "\"a b\"@c.test "},
        {"To: a@b..test\r\n", NULL},
        {"To: a\x01@b.test\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        static struct send_recipients r;
        memset(&r, 0, sizeof r);
        enum status st = send_add_header(&a, span_cstr(rows[i].header), "my.test", &r, &err);
        assert_int_equal(st, rows[i].recipients ? ST_OK : ST_SYNTAX);
        if (st == ST_OK)
            assert_string_equal(joined(&a, &r), rows[i].recipients);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    static struct send_recipients r;
    for (unsigned i = 0; i < SEND_RECIPIENTS_MAX; i++)
        strbuf_addf(&text, "%su%u", i ? ", " : "", i);
    assert_int_equal(send_add_list(&a, strbuf_span(&text), "b.test", &r, &err), ST_OK);
    assert_int_equal(r.count, SEND_RECIPIENTS_MAX);
    assert_int_equal(send_add_list(&a, SPAN("u0"), "b.test", &r, &err), ST_OK);
    assert_int_equal(send_add_list(&a, SPAN("one-more"), "b.test", &r, &err), ST_LIMIT);
    char *large = arena_alloc(&a, SEND_HEADER_MAX + 1);
    memset(large, 'x', SEND_HEADER_MAX + 1);
    assert_int_equal(send_add_header(&a, span_of(large, SEND_HEADER_MAX + 1), "b.test", &r, &err), ST_LIMIT);
}

static void test_sender(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } rows[] = {{"", ""},
                {"<>", ""},
                {"root", "root@my.test"},
                {"a@b.test", "a@b.test"},
                {"A <a@b.test>", "a@b.test"},
                {"a@b.test, c", NULL},
                {"g: a;", NULL},
                {"a@", "a@my.test"},
                {"a\nb@c.test\x02", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct span out;
        enum status st = send_address(&a, span_cstr(rows[i].in), "my.test", &out, &err);
        assert_int_equal(st, rows[i].out ? ST_OK : ST_SYNTAX);
        if (st == ST_OK)
            check_span(rows[i].in, out, span_cstr(rows[i].out));
    }
}

static void test_from(void **state)
{
    (void)state;
    static const struct {
        const char *name, *out;
    } rows[] = {
        {NULL, "From: <a@b.test>\r\n"},
        {"", "From: <a@b.test>\r\n"},
        {"Cron Daemon", "From: \"Cron Daemon\" <a@b.test>\r\n"},
        {"a\"b\\", "From: \"a\\\"b\\\\\" <a@b.test>\r\n"},
        {"M\xc3\xbcller", "From: =?utf-8?B?TcO8bGxlcg==?= <a@b.test>\r\n"},
        {"x\r\nBcc: y", "From: =?utf-8?B?eA0KQmNjOiB5?= <a@b.test>\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        send_write_from(rows[i].name, SPAN("a@b.test"), &out);
        assert_string_equal(strbuf_cstr(&out), rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args),     cmocka_unit_test(test_modes),  cmocka_unit_test(test_args_refused),
        cmocka_unit_test(test_text),     cmocka_unit_test(test_split),  cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_too_many), cmocka_unit_test(test_sender), cmocka_unit_test(test_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
