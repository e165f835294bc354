/* test_mailbox.c - names, the tree, UIDVALIDITY, deleting and renaming, subscriptions. */
#include "fixture.h"
#include "store/account.h"

static struct txn *begin(struct fixture *f)
{
    struct txn *t = NULL;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    return t;
}

static enum status create(struct fixture *f, const char *name, struct err *err)
{
    struct txn *t = begin(f);
    mailbox_id id;
    enum status st = mailbox_create(t, span_cstr(name), USE_NONE, &id, err);
    return st == ST_OK ? store_commit(&t, err) : (txn_free(&t), st);
}

static enum status delete (struct fixture *f, const char *name, struct err *err) {
    struct txn *t = begin(f); enum status st = mailbox_delete(t, span_cstr(name), err);
    return st == ST_OK ? store_commit(&t, err) : (txn_free(&t), st);
}

static enum status rename_to(struct fixture *f, const char *from, const char *to, struct err *err)
{
    struct txn *t = begin(f);
    enum status st = mailbox_rename(t, span_cstr(from), span_cstr(to), err);
    return st == ST_OK ? store_commit(&t, err) : (txn_free(&t), st);
}

static enum status find(struct fixture *f, const char *name, struct mailbox *m, struct err *err)
{
    struct txn *t = begin(f);
    enum status st = mailbox_find(t, span_cstr(name), &f->arena, m, err);
    txn_free(&t);
    return st;
}

/* "INBOX,Archive,a+,a/b": + has children, ! is \Noselect. */
static void assert_list(struct fixture *f, const char *expected)
{
    AUTO_STRBUF text = STRBUF_INIT;
    struct mailbox *list;
    size_t count;
    struct txn *t = begin(f);
    MUST(mailbox_list(t, &f->arena, &list, &count, &err));
    txn_free(&t);
    for (size_t i = 0; i < count; i++)
        strbuf_addf(&text, "%s%.*s%s%s", i ? "," : "", SPAN_ARG(list[i].name), list[i].has_children ? "+" : "",
                    list[i].is_noselect ? "!" : "");
    assert_string_equal(strbuf_cstr(&text), expected);
}

static void first_mailboxes(void **state)
{
    struct fixture *f = *state;
    struct mailbox m;
    assert_list(f, "INBOX,Archive,Drafts,Junk,Sent,Trash");
    MUST(find(f, "inbox", &m, &err));
    assert_true(span_eq(m.name, SPAN("INBOX")));
    assert_true(m.is_subscribed && m.uidnext == 1 && m.highest_modseq >= 1 && m.uidvalidity > 1600000000);
    MUST(find(f, "Junk", &m, &err));
    assert_int_equal(m.use, USE_JUNK);
    MUST_BE(ST_NOTFOUND, find(f, "nothing", &m, &err));
    MUST_BE(ST_NOTFOUND, find(f,
                              "b\xff"
                              "d*",
                              &m, &err));
}

static void names(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",
                                      "/a",
                                      "a/",
                                      "a//b",
                                      "a*",
                                      "a%b",
                                      "a\tb",
                                      "\x7f",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "\xc2\x80",
                                      "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        MUST_BE(ST_SYNTAX, create(f, bad[i], &err));
    char name[MAILBOX_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[MAILBOX_NAME_MAX + 1] = '\0';
    MUST_BE(ST_LIMIT, create(f, name, &err));
    name[MAILBOX_NAME_MAX] = '\0';
    MUST(create(f, name, &err));
    AUTO_STRBUF deep = STRBUF_INIT;
    for (int i = 0; i < MAILBOX_DEPTH_MAX; i++)
        strbuf_addf(&deep, "%sd", i ? "/" : "");
    MUST(create(f, strbuf_cstr(&deep), &err));
    strbuf_add_cstr(&deep, "/d");
    MUST_BE(ST_LIMIT, create(f, strbuf_cstr(&deep), &err));
    MUST(create(f, "Entw\xc3\xbcrfe/\xe2\x82\xac", &err));
    MUST_BE(ST_EXISTS, create(f, "inBox", &err));
}

static void the_tree(void **state)
{
    struct fixture *f = *state;
    MUST(create(f, "a/b/c", &err));
    MUST(create(f, "a-z", &err));
    MUST(create(f, "inbox/sub", &err));
    assert_list(f, "INBOX+,INBOX/sub,Archive,Drafts,Junk,Sent,Trash,a+,a/b+,a/b/c,a-z");
    MUST_BE(ST_EXISTS, create(f, "a/b", &err));
    MUST(delete (f, "a/b", &err));
    assert_list(f, "INBOX+,INBOX/sub,Archive,Drafts,Junk,Sent,Trash,a+,a/b+!,a/b/c,a-z");
    MUST_BE(ST_DENIED, delete (f, "a/b", &err));
    MUST_BE(ST_DENIED, delete (f, "INBOX", &err));
    MUST_BE(ST_NOTFOUND, delete (f, "zzz", &err));
    MUST(create(f, "a/b", &err));
    assert_list(f, "INBOX+,INBOX/sub,Archive,Drafts,Junk,Sent,Trash,a+,a/b+,a/b/c,a-z");
    MUST(delete (f, "a/b", &err));
    MUST(delete (f, "a/b/c", &err));
    MUST(delete (f, "a/b", &err));
    assert_list(f, "INBOX+,INBOX/sub,Archive,Drafts,Junk,Sent,Trash,a,a-z");
    assert_sound(f->account);
}

static void deleting_takes_the_messages(void **state)
{
    struct fixture *f = *state;
    MUST(create(f, "a/b", &err));
    mailbox_id a = mailbox_id_of(f->account, "a"), b = mailbox_id_of(f->account, "a/b");
    add_message(f->account, a, 0, 300000);
    add_message(f->account, b, 0, 10);
    AUTO(view) v = NULL;
    MUST(view_get(f->account, b, &v, &err));
    view_free(&v);
    struct mailbox before = mailbox_now(f, a), m;
    MUST(delete (f, "a", &err));
    MUST(delete (f, "a/b", &err));
    assert_sound(f->account);
    assert_null(view_peek(f->account, b));
    MUST_BE(ST_NOTFOUND, view_get(f->account, b, &v, &err));
    MUST(create(f, "a", &err)); /* anew under the old name: another UIDVALIDITY, and UIDs go on */
    MUST(find(f, "a", &m, &err));
    assert_true(m.uidvalidity > before.uidvalidity);
    assert_true(m.highest_modseq > before.highest_modseq);
    assert_int_equal(m.messages, 0);
    MUST(delete (f, "a", &err));
    MUST(create(f, "a", &err));
    struct mailbox again;
    MUST(find(f, "a", &again, &err));
    assert_true(again.uidvalidity > m.uidvalidity);
    assert_true(again.id > m.id);
    assert_sound(f->account);
}

static void modseq_survives_its_mailbox(void **state)
{
    struct fixture *f = *state;
    MUST(create(f, "last", &err));
    for (int i = 0; i < 10; i++)
        add_message(f->account, mailbox_id_of(f->account, "last"), 0, 1);
    uint64_t modseq = mailbox_now(f, mailbox_id_of(f->account, "last")).highest_modseq;
    MUST(delete (f, "last", &err));
    fixture_reopen(f, 0);
    add_message(f->account, f->inbox, 0, 1);
    assert_true(mailbox_now(f, f->inbox).highest_modseq > modseq);
    assert_sound(f->account);
}

static void renaming(void **state)
{
    struct fixture *f = *state;
    struct mailbox m, before;
    MUST(create(f, "a/b/c", &err));
    MUST(create(f, "ab", &err));
    mailbox_id c = mailbox_id_of(f->account, "a/b/c");
    add_message(f->account, c, 0, 10);
    MUST_BE(ST_NOTFOUND, rename_to(f, "zz", "yy", &err));
    MUST_BE(ST_EXISTS, rename_to(f, "a", "ab", &err));
    MUST_BE(ST_DENIED, rename_to(f, "a", "a/x", &err));
    MUST_BE(ST_EXISTS, rename_to(f, "a", "inbox", &err));
    MUST_BE(ST_SYNTAX, rename_to(f, "a", "x//y", &err));
    before = mailbox_now(f, c);
    MUST(rename_to(f, "a", "new/place", &err));
    assert_list(f, "INBOX,Archive,Drafts,Junk,Sent,Trash,ab,new+,new/place+,new/place/b+,new/place/b/c");
    MUST(find(f, "new/place/b/c", &m, &err));
    assert_int_equal(m.id, c);
    assert_int_equal(m.messages, 1);
    assert_int_equal(m.uidvalidity, before.uidvalidity);

    /* A name that was known under a greater UIDVALIDITY is not given a smaller one. */
    MUST(create(f, "young", &err));
    MUST(find(f, "young", &before, &err));
    MUST(delete (f, "young", &err));
    MUST(rename_to(f, "ab", "young", &err));
    MUST(find(f, "young", &m, &err));
    assert_true(m.uidvalidity > before.uidvalidity);

    AUTO_STRBUF deep = STRBUF_INIT;
    for (int i = 0; i < MAILBOX_DEPTH_MAX - 1; i++)
        strbuf_addf(&deep, "%sd", i ? "/" : "");
    MUST_BE(ST_LIMIT, rename_to(f, "new", strbuf_cstr(&deep), &err));
    assert_sound(f->account);
}

/* RFC 3501 §6.3.5: the messages move, INBOX and its children stay. */
static void renaming_inbox(void **state)
{
    struct fixture *f = *state;
    MUST(create(f, "INBOX/child", &err));
    for (int i = 0; i < 3; i++)
        add_message(f->account, f->inbox, FLAG_SEEN, 10);
    MUST(rename_to(f, "inbox", "old/mail", &err));
    assert_list(f, "INBOX+,INBOX/child,Archive,Drafts,Junk,Sent,Trash,old+,old/mail");
    struct mailbox m;
    MUST(find(f, "old/mail", &m, &err));
    assert_int_equal(m.messages, 3);
    m = mailbox_now(f, f->inbox);
    assert_int_equal(m.messages, 0);
    assert_int_equal(m.uidnext, 4);
    assert_sound(f->account);
}

static void subscriptions(void **state)
{
    struct fixture *f = *state;
    struct span *names;
    size_t count;
    struct mailbox m;
    struct txn *t = NULL;
    MUST(store_begin(f->account, TXN_FLAGS, &t, &err));
    MUST(mailbox_subscribe(t, SPAN("not/there"), true, &err));
    MUST(mailbox_subscribe(t, SPAN("not/there"), true, &err));
    MUST(mailbox_subscribe(t, SPAN("inbox"), false, &err));
    MUST_BE(ST_NOTFOUND, mailbox_subscribe(t, SPAN("inbox"), false, &err));
    MUST(store_commit(&t, &err));
    t = begin(f);
    MUST(subscription_list(t, &f->arena, &names, &count, &err));
    txn_free(&t);
    assert_int_equal(count, 6);
    assert_true(span_eq(names[0], SPAN("Archive")) && span_eq(names[5], SPAN("not/there")));
    MUST(find(f, "INBOX", &m, &err));
    assert_false(m.is_subscribed);
    MUST(find(f, "Sent", &m, &err));
    assert_true(m.is_subscribed);
}

static void a_bounded_number(void **state)
{
    struct fixture *f = *state;
    struct txn *t = begin(f);
    struct mailbox *list;
    size_t count = 0;
    mailbox_id id;
    char name[32];
    for (int i = 0; i < MAILBOXES_MAX - 6; i++) {
        snprintf(name, sizeof name, "m%05d", i);
        MUST(mailbox_create(t, span_cstr(name), USE_NONE, &id, &err));
    }
    MUST_BE(ST_LIMIT, mailbox_create(t, SPAN("one more"), USE_NONE, &id, &err));
    MUST_BE(ST_LIMIT, mailbox_create(t, SPAN("m00000/x"), USE_NONE, &id, &err));
    MUST(mailbox_list(t, &f->arena, &list, &count, &err));
    assert_int_equal(count, MAILBOXES_MAX);
    MUST(store_commit(&t, &err));
}

static void changes_show_within_the_transaction(void **state)
{
    struct fixture *f = *state;
    struct txn *t = begin(f);
    struct content c = {.raw = SPAN("abc")};
    struct mailbox m;
    mailbox_id id;
    uint32_t uid;
    MUST(mailbox_create(t, SPAN("x"), USE_NONE, &id, &err));
    MUST(message_add(t, id, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(mailbox_get(t, id, &f->arena, &m, &err));
    assert_int_equal(m.messages, 1);
    MUST(mailbox_rename(t, SPAN("x"), SPAN("y"), &err));
    MUST(message_add(t, id, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(mailbox_find(t, SPAN("y"), &f->arena, &m, &err));
    assert_int_equal(m.messages, 2);
    MUST(mailbox_delete(t, SPAN("y"), &err));
    MUST_BE(ST_NOTFOUND, message_add(t, id, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(store_commit(&t, &err));
    assert_sound(f->account);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(first_mailboxes),
        TEST(names),
        TEST(the_tree),
        TEST(deleting_takes_the_messages),
        TEST(modseq_survives_its_mailbox),
        TEST(renaming),
        TEST(renaming_inbox),
        TEST(subscriptions),
        TEST(a_bounded_number),
        TEST(changes_show_within_the_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
