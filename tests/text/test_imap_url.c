/* Tests of text/imap_url.h. */
#include "check.h"
#include "text/imap_url.h"

#define TOKEN ":INTERNAL:0191354a473744909de610943775f92038"

static enum status parse(struct arena *a, struct span text, struct imap_url *out)
{
    struct err err;
    return imap_url_parse(a, text, out, &err);
}

static const struct row {
    const char *text;
    const char *user, *host, *mailbox;
    uint32_t uidvalidity, uid;
    const char *section;
    const char *rump;
} accepted_rows[] = {
    /* RFC 4469 §3, RFC 5092 §7: relative ones */
    {"/Drafts/;UID=3002", "", "", "Drafts", 0, 3002, "", ""},
    {"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", "", "", "Drafts", 385759045, 20, "HEADER", ""},
    {"Drafts/;uid=1/;SECTION=1.MIME", "", "", "Drafts", 0, 1, "1.MIME", ""},
    {";UID=20/;SECTION=1.2", "", "", "", 0, 20, "1.2", ""},
    {"/inbox/;UID=1", "", "", "INBOX", 0, 1, "", ""},
    {"/a/b%2Fc%20%C3%A4/;UID=1/;SECTION=HEADER.FIELDS%20(DATE)", "", "", "a/b/c \xc3\xa4", 0, 1, "HEADER.FIELDS (DATE)",
     ""},
    /* RFC 5092 §9 and RFC 4467 §3 */
    {"imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024", "", "minbari.example.org",
     "gray-council", 385759045, 20, "", ""},
    {"imap://psicorp.example.org:143/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/;UID=1", "", "psicorp.example.org",
     "~peter/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 0, 1, "", ""},
    {"imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;UID=20/;SECTION=1.2", "", "minbari.example.org",
     "gray-council", 0, 20, "1.2", ""},
    {"IMAP://joe;AUTH=*@[::1]:143/INBOX/;UID=20", "joe", "[::1]", "INBOX", 0, 20, "", ""},
    {"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred" TOKEN, "joe", "example.com", "INBOX", 0,
     20, "1.2", "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"},
    {"imap://a%40b.test@c/x/;UID=1;EXPIRE=2026-01-31T12:00:00Z;URLAUTH=anonymous", "a@b.test", "c", "x", 0, 1, "",
     "imap://a%40b.test@c/x/;UID=1;EXPIRE=2026-01-31T12:00:00Z;URLAUTH=anonymous"},
};

static void accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(accepted_rows); i++) {
        const struct row *row = &accepted_rows[i];
        AUTO_ARENA a = ARENA_INIT;
        struct imap_url url;
        if (parse(&a, span_cstr(row->text), &url) != ST_OK)
            fail_msg("%s is refused", row->text);
        check_span(row->text, url.user, span_cstr(row->user));
        check_span(row->text, url.host, span_cstr(row->host));
        check_span(row->text, url.mailbox, span_cstr(row->mailbox));
        check_span(row->text, url.section, span_cstr(row->section));
        check_span(row->text, url.rump, span_cstr(row->rump));
        assert_int_equal(url.uidvalidity, row->uidvalidity);
        assert_int_equal(url.uid, row->uid);
        assert_int_equal(url.has_server, row->host[0] != '\0');
    }
}

static void details(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct imap_url url;
    assert_int_equal(parse(&a,
                           SPAN("imap://joe@c/x/;UID=1/;SECTION=TEXT/;PARTIAL=7.9;EXPIRE=2026-01-31T12:00:00Z;"
                                "URLAUTH=user+a%40b" TOKEN),
                           &url),
                     ST_OK);
    check_span("section", url.section, SPAN("TEXT"));
    assert_true(url.is_partial && url.offset == 7 && url.size == 9);
    assert_true(url.expires && url.expires_at == 1769860800);
    assert_int_equal(url.access, URL_ACCESS_USER);
    check_span("access", url.access_user, SPAN("a@b"));
    check_span("mechanism", url.mechanism, SPAN("INTERNAL"));
    check_span("token", url.token, SPAN("0191354a473744909de610943775f92038"));
    assert_int_equal(parse(&a, SPAN("/x/;UID=1/;PARTIAL=5"), &url), ST_OK);
    assert_true(url.is_partial && url.offset == 5 && url.size == INT64_MAX);
}

static void refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "/",
        "/;UID=1",
        "/INBOX",
        "/INBOX;UID=1",
        "/INBOX/;UID=0",
        "/INBOX/;UID=",
        "/INBOX/;UID=4294967296",
        "/INBOX/;UID=1x",
        "/INBOX/;UID=1/",
        "/INBOX/;UID=1/;SECTION=",
        "/INBOX/;UID=1/;PARTIAL=",
        "/INBOX/;UID=1/;PARTIAL=1.0",
        "/INBOX/;UID=1/;PARTIAL=1/;SECTION=1",
        "/INBOX;UIDVALIDITY=0/;UID=1",
        "/IN BOX/;UID=1",
        "/IN%BOX/;UID=1",
        "/IN%00BOX/;UID=1",
        "/IN%FFBOX/;UID=1",
        "/INBOX%2F;UID=1",
        "/INBOX?SUBJECT%20x",
        "http://example.test/INBOX/;UID=1",
        "imap:/INBOX/;UID=1",
        "imap:///INBOX/;UID=1",
        "imap://@example.test/INBOX/;UID=1",
        "imap://example.test",
        "imap://example.test:x/INBOX/;UID=1",
        "imap://example.test/;UID=1",
        "/INBOX/;UID=1;EXPIRE=2026-01-31T12:00:00Z",
        "/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous",
        "/INBOX/;UID=1;URLAUTH=",
        "/INBOX/;UID=1;URLAUTH=submit+",
        "/INBOX/;UID=1;URLAUTH=anybody",
        "/INBOX/;UID=1;URLAUTH=anonymous:",
        "/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL",
        "/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:",
        "/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:xyz",
        "/INBOX/;UID=1;URLAUTH=anonymousx",
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_url url;
        if (parse(&a, span_cstr(rows[i]), &url) != ST_SYNTAX)
            fail_msg("%s is not refused", rows[i]);
    }
}

static void a_megabyte(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct imap_url url;
    strbuf_add_cstr(&text, "/");
    memset(strbuf_extend(&text, 1 << 20), 'a', 1 << 20);
    strbuf_add_cstr(&text, "/;UID=1");
    assert_int_equal(parse(&a, strbuf_span(&text), &url), ST_LIMIT);
}

static void items(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool is_decoded;
        const char *label; /* NULL: refused */
    } rows[] = {
        {"/x/;UID=1", false, "BODY[]"},
        {"/x/;UID=1/;SECTION=1.2", true, "BINARY[1.2]"},
        {"/x/;UID=1/;SECTION=HEADER/;PARTIAL=3", false, "BODY[HEADER]<3>"},
        {"/x/;UID=1/;SECTION=HEADER.FIELDS%20(DATE)", false, "BODY[HEADER.FIELDS (DATE)]"},
        {"/x/;UID=1/;SECTION=HEADER", true, NULL},
        {"/x/;UID=1/;SECTION=nonsense", false, NULL},
        {"/x/;UID=1/;SECTION=1@", false, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_url url;
        struct fetch_item item = {0};
        struct err err;
        assert_int_equal(parse(&a, span_cstr(rows[i].url), &url), ST_OK);
        assert_int_equal(imap_url_item(&a, &url, rows[i].is_decoded, &item, &err) == ST_OK, rows[i].label != NULL);
        if (rows[i].label)
            check_span(rows[i].url, item.label, span_cstr(rows[i].label));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),   cmocka_unit_test(details), cmocka_unit_test(refused),
        cmocka_unit_test(a_megabyte), cmocka_unit_test(items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
