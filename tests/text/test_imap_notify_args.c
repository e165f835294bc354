/* Tests of text/imap_notify_args.h. */
#include "check.h"
#include "text/imap_notify_args.h"

static enum status parse(struct arena *a, const char *text, struct notify_args *out)
{
    struct imap_args args;
    struct err err;
    args_init(&args, a, span_cstr(text));
    return notify_args_parse(&args, out, &err);
}

static enum status parse_sources(struct arena *a, const char *text, struct notify_args *out)
{
    struct imap_args args;
    struct err err;
    args_init(&args, a, span_cstr(text));
    args.depth = 1; /* the parenthesis before them */
    return notify_sources_parse(&args, out, &err);
}

struct row {
    const char *in;
    enum status st;
    size_t groups;
};

static void check(const struct row *rows, size_t count,
                  enum status (*read)(struct arena *a, const char *text, struct notify_args *out))
{
    for (size_t i = 0; i < count; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct notify_args n;
        enum status st = read(&a, rows[i].in, &n);
        if (st != rows[i].st || (st == ST_OK && n.count != rows[i].groups))
            fail_msg("%s: %s, %zu groups", rows[i].in, status_name(st), n.count);
    }
}

static void what_is_taken_and_what_is_not(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {" NONE", ST_OK, 0},
        {" none", ST_OK, 0},
        {" NONE ", ST_SYNTAX, 0},
        {"", ST_SYNTAX, 0},
        {" SET", ST_SYNTAX, 0},
        {" SET STATUS", ST_SYNTAX, 0},
        {" SET (personal NONE)", ST_OK, 1},
        {" SET status (personal NONE) (selected NONE)", ST_OK, 2},
        {" SET (personal NONE)(selected NONE)", ST_SYNTAX, 0},
        {" SET (selected (MessageNew MessageExpunge))", ST_OK, 1},
        {" SET (selected-delayed (messagenew (UID FLAGS) messageexpunge flagchange))", ST_OK, 1},
        {" SET (selected (MessageNew ALL MessageExpunge))", ST_UNSUPPORTED, 0}, /* the items need parentheses */
        {" SET (personal (MessageNew (UID) MessageExpunge))", ST_SYNTAX, 0},
        {" SET (selected (MessageNew))", ST_SYNTAX, 0},
        {" SET (selected (FlagChange))", ST_SYNTAX, 0},
        {" SET (selected (MessageExpunge FlagChange))", ST_SYNTAX, 0},
        {" SET (selected (MailboxName))", ST_SYNTAX, 0},
        {" SET (selected NONE) (selected-delayed NONE)", ST_SYNTAX, 0},
        {" SET (personal ())", ST_SYNTAX, 0},
        {" SET (personal (MessageRead))", ST_UNSUPPORTED, 0},
        {" SET (personal MailboxName)", ST_SYNTAX, 0},
        {" SET (inboxes (MailboxName)) (subscribed (SubscriptionChange MailboxName))", ST_OK, 2},
        {" SET (subtree a (MailboxName)) (mailboxes (b \"c d\") (MailboxName))", ST_OK, 2},
        {" SET (subtree (MailboxName))", ST_SYNTAX, 0},
        {" SET (mailboxes () (MailboxName))", ST_SYNTAX, 0},
        {" SET (everything (MailboxName))", ST_SYNTAX, 0},
    };
    check(rows, sizeof rows / sizeof *rows, parse);
}

static void what_is_read(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct notify_args n;
    enum status st = parse(&a,
                           " SET STATUS (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge)) "
                           "(mailboxes (inbox {3}\r\na b x) (SubscriptionChange MailboxName))",
                           &n);
    assert_int_equal(st, ST_OK);
    assert_true(n.is_set && n.is_status_wanted && n.count == 2);
    assert_int_equal(n.groups[0].which, NOTIFY_SELECTED);
    assert_int_equal(n.groups[0].events, NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE);
    assert_int_equal(n.groups[0].fetch.count, 2);
    assert_int_equal(n.groups[1].which, NOTIFY_MAILBOXES);
    assert_int_equal(n.groups[1].events, NOTIFY_MAILBOX_NAME | NOTIFY_SUBSCRIPTION_CHANGE);
    assert_int_equal(n.groups[1].name_count, 3);
    assert_true(span_eq(n.groups[1].names[0], SPAN("INBOX")));
    assert_true(span_eq(n.groups[1].names[1], SPAN("a b")));
    assert_true(span_eq(n.groups[1].names[2], SPAN("x")));
}

/* RFC 7377 §2.2 */
static void sources_of_a_search(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"personal)", ST_OK, 1},
        {"mailboxes \"folder1\" subtree \"folder2\")", ST_OK, 2},
        {"mailboxes \"folder1\" subtree-one (a b))", ST_OK, 2},
        {"selected inboxes subscribed)", ST_OK, 3},
        {"selected-delayed)", ST_SYNTAX, 0},
        {"selected selected)", ST_SYNTAX, 0},
        {"personal", ST_SYNTAX, 0},
        {")", ST_SYNTAX, 0},
        {"personal )", ST_SYNTAX, 0},
        {"subtree-one)", ST_SYNTAX, 0},
        {"mailboxes ())", ST_SYNTAX, 0},
        {"personal (option 1))", ST_SYNTAX, 0},
    };
    check(rows, sizeof rows / sizeof *rows, parse_sources);
    AUTO_ARENA a = ARENA_INIT;
    struct notify_args n;
    assert_int_equal(parse(&a, " SET (subtree-one a (MailboxName))", &n), ST_SYNTAX); /* NOTIFY has none */
}

static void limits(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF groups = STRBUF_INIT;
    AUTO_STRBUF names = STRBUF_INIT;
    struct notify_args n;
    strbuf_add_cstr(&groups, " SET");
    for (int i = 0; i < NOTIFY_GROUPS_MAX; i++)
        strbuf_add_cstr(&groups, " (personal NONE)");
    assert_int_equal(parse(&a, strbuf_cstr(&groups), &n), ST_OK);
    strbuf_add_cstr(&groups, " (personal NONE)");
    assert_int_equal(parse(&a, strbuf_cstr(&groups), &n), ST_LIMIT);
    strbuf_add_cstr(&names, " SET (mailboxes (a");
    for (int i = 0; i < NOTIFY_NAMES_MAX; i++)
        strbuf_add_cstr(&names, " a");
    strbuf_add_cstr(&names, ") NONE)");
    assert_int_equal(parse(&a, strbuf_cstr(&names), &n), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_and_what_is_not),
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(sources_of_a_search),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
