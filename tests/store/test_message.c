/* test_message.c - adding, flags, copying, moving, expunging, bodies, keywords; every state is checked with
 * account_check. */
#include "fixture.h"
#include "store/hub.h"

static struct txn *begin(struct fixture *f, enum txn_mode mode)
{
    struct txn *t = NULL;
    MUST(store_begin(f->account, mode, &t, &err));
    return t;
}

static void assert_set(const struct seqset *s, const char *text)
{
    AUTO_STRBUF b = STRBUF_INIT;
    seqset_write(s, &b);
    assert_string_equal(strbuf_cstr(&b), text);
}

static void assert_counters(struct fixture *f, mailbox_id id, uint32_t messages, uint32_t unseen, uint32_t deleted,
                            uint64_t size)
{
    struct mailbox m = mailbox_now(f, id);
    assert_int_equal(m.messages, messages);
    assert_int_equal(m.unseen, unseen);
    assert_int_equal(m.deleted, deleted);
    assert_int_equal(m.size_bytes, size);
}

static void add_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t before = mailbox_now(f, f->inbox).highest_modseq;
    assert_int_equal(add_message(f->account, f->inbox, 0, 100), 1);
    assert_int_equal(add_message(f->account, f->inbox, FLAG_SEEN | FLAG_DELETED, 50), 2);
    assert_counters(f, f->inbox, 2, 1, 1, 150);
    struct mailbox m = mailbox_now(f, f->inbox);
    assert_int_equal(m.uidnext, 3);
    assert_true(m.highest_modseq >= before + 2);
    assert_sound(f->account);
}

static void rolled_back_adds_leave_nothing(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, 10);
    struct mailbox before = mailbox_now(f, f->inbox);
    struct txn *t = begin(f, TXN_WRITE);
    struct content c = {.raw = SPAN("x")};
    uint32_t uid;
    uint64_t bit;
    MUST(message_add(t, f->inbox, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(keyword_bit(t, SPAN("gone"), true, &bit, &err));
    txn_free(&t);
    struct mailbox after = mailbox_now(f, f->inbox);
    assert_int_equal(after.uidnext, before.uidnext);
    assert_int_equal(after.highest_modseq, before.highest_modseq);
    t = begin(f, TXN_READ);
    MUST_BE(ST_NOTFOUND, keyword_bit(t, SPAN("gone"), false, &bit, &err));
    txn_free(&t);
    assert_sound(f->account);
}

static void flags_touch_only_what_changes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        add_message(f->account, f->inbox, i % 2 ? FLAG_SEEN : 0, 10);
    AUTO(view) before = NULL;
    MUST(view_get(f->account, f->inbox, &before, &err));
    struct txn *t = begin(f, TXN_FLAGS);
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 3, 8), FLAGS_ADD, FLAG_SEEN, &err));
    MUST(store_commit(&t, &err));
    AUTO(view) after = NULL;
    MUST(view_get(f->account, f->inbox, &after, &err));
    struct view_diff d;
    view_diff(&f->arena, before, after, &d);
    assert_set(d.changed_uids, "3,5,7");
    assert_set(d.added_uids, "");
    assert_counters(f, f->inbox, 10, 2, 0, 100);

    t = begin(f, TXN_FLAGS);
    MUST(
        message_change_flags(t, f->inbox, set_of(&f->arena, 1, UINT32_MAX), FLAGS_SET, FLAG_DELETED | FLAG_SEEN, &err));
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 2, 2), FLAGS_REMOVE, FLAG_SEEN, &err));
    MUST(store_commit(&t, &err));
    assert_counters(f, f->inbox, 10, 1, 10, 100);

    uint64_t modseq = mailbox_now(f, f->inbox).highest_modseq;
    t = begin(f, TXN_FLAGS);
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 2, 2), FLAGS_SET, FLAG_DELETED, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(mailbox_now(f, f->inbox).highest_modseq, modseq);
    assert_sound(f->account);
}

/* The view that follows flag changes is the one that the rows give. */
static void flags_followed_are_flags_stored(void **state)
{
    struct fixture *f = *state;
    enum { MESSAGES = 600 }; /* more than two chunks of a view */
    static const struct {
        uint32_t first, last;
        enum flag_change how;
        uint64_t flags;
        bool is_last; /* of its transaction */
    } changes[] = {
        {250, 260, FLAGS_ADD, FLAG_FLAGGED, true},
        {1, UINT32_MAX, FLAGS_ADD, FLAG_SEEN, true},
        {255, 520, FLAGS_REMOVE, FLAG_SEEN, false},
        {530, 530, FLAGS_SET, FLAG_DELETED, true},
        {400, 410, FLAGS_SET, FLAG_DRAFT, false},
        {1, 405, FLAGS_ADD, FLAG_ANSWERED, true},
        {600, UINT32_MAX, FLAGS_REMOVE, ~(uint64_t)0, true},
    };
    struct txn *t = begin(f, TXN_WRITE);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct content c;
        uint32_t uid;
        content_prepare(&f->arena, SPAN("Subject: x\r\n\r\nhello\r\n"), &c);
        MUST(message_add(t, f->inbox, &c, i % 3 ? FLAG_SEEN : FLAG_FLAGGED, (struct mail_date){0}, &uid, &err));
    }
    MUST(store_commit(&t, &err));
    AUTO(view) loaded = NULL;
    AUTO(view) stored = NULL;
    MUST(view_get(f->account, f->inbox, &loaded, &err));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (!t)
            t = begin(f, TXN_FLAGS);
        MUST(message_change_flags(t, f->inbox, set_of(&f->arena, changes[i].first, changes[i].last), changes[i].how,
                                  changes[i].flags, &err));
        if (changes[i].is_last)
            MUST(store_commit(&t, &err));
    }
    AUTO(view) followed = view_peek(f->account, f->inbox);
    assert_non_null(followed);
    fixture_reopen(f, 0);
    MUST(view_get(f->account, f->inbox, &stored, &err));
    assert_int_equal(view_modseq(followed), view_modseq(stored));
    assert_int_equal(view_count(followed), MESSAGES);
    assert_int_equal(view_count(stored), MESSAGES);
    for (uint32_t seq = 1; seq <= MESSAGES; seq++) {
        const struct view_message *x = view_message(followed, seq), *y = view_message(stored, seq);
        if (x->uid != y->uid || x->flags != y->flags || x->modseq != y->modseq || x->content != y->content ||
            x->size != y->size)
            fail_msg("message %u differs", seq);
    }
    assert_sound(f->account);
}

static void copy_shares_content(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        add_message(f->account, f->inbox, FLAG_FLAGGED, 1000);
    mailbox_id archive = mailbox_id_of(f->account, "Archive");
    struct seqset *some = set_of(&f->arena, 2, 3);
    seqset_add(&f->arena, some, 5, 99);
    struct uid_pairs pairs;
    struct txn *t = begin(f, TXN_WRITE);
    MUST(message_copy(t, f->inbox, some, archive, &f->arena, &pairs, &err));
    MUST(message_copy(t, f->inbox, some, archive, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    assert_set(pairs.from, "2:3,5");
    assert_set(pairs.to, "4:6");
    assert_int_equal(pairs.uidvalidity, mailbox_now(f, archive).uidvalidity);
    assert_counters(f, archive, 6, 6, 0, 6000);
    assert_sound(f->account);

    AUTO(view) a = NULL, *b = NULL;
    MUST(view_get(f->account, f->inbox, &a, &err));
    MUST(view_get(f->account, archive, &b, &err));
    assert_int_equal(view_message(a, 2)->content, view_message(b, 1)->content);
    assert_int_equal(view_message(b, 6)->content, view_message(a, 5)->content);
    assert_int_equal(view_message(b, 1)->flags, FLAG_FLAGGED);
    assert_int_equal(view_message(b, 1)->received_utc, 1700000000);
    assert_int_equal(view_message(b, 1)->received_zone, 60);
    content_id shared = view_message(a, 2)->content, single = view_message(a, 1)->content;
    view_free(&b);

    /* The originals go; what was copied stays readable, what was not is gone. */
    struct seqset *removed;
    t = begin(f, TXN_WRITE);
    MUST(message_expunge(t, f->inbox, NULL, false, &f->arena, &removed, &err));
    MUST(store_commit(&t, &err));
    assert_set(removed, "1:5");
    assert_sound(f->account);
    t = begin(f, TXN_READ);
    AUTO_STRBUF body = STRBUF_INIT;
    MUST(content_read(t, shared, 0, 5000, &body, &err));
    assert_int_equal(body.len, 1000);
    MUST_BE(ST_NOTFOUND, content_read(t, single, 0, 10, &body, &err));
    txn_free(&t);

    /* All copies of a content in one range. */
    t = begin(f, TXN_WRITE);
    MUST(message_expunge(t, archive, NULL, false, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
    assert_counters(f, archive, 0, 0, 0, 0);
    assert_sound(f->account);
}

static void copy_within_one_mailbox(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        add_message(f->account, f->inbox, 0, 10);
    struct uid_pairs pairs;
    struct txn *t = begin(f, TXN_WRITE);
    MUST(message_copy(t, f->inbox, set_of(&f->arena, 1, UINT32_MAX), f->inbox, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    assert_set(pairs.to, "5:8");
    assert_sound(f->account);
    t = begin(f, TXN_WRITE);
    MUST(message_move(t, f->inbox, set_of(&f->arena, 2, 5), f->inbox, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    assert_set(pairs.from, "2:5");
    assert_set(pairs.to, "9:12");
    assert_counters(f, f->inbox, 8, 8, 0, 80);
    assert_sound(f->account);
}

static void move_and_expunge(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        add_message(f->account, f->inbox, i % 3 == 0 ? FLAG_DELETED : FLAG_SEEN, 10);
    mailbox_id trash = mailbox_id_of(f->account, "Trash");
    struct uid_pairs pairs;
    struct seqset *removed;
    struct txn *t = begin(f, TXN_WRITE);
    MUST(message_move(t, f->inbox, set_of(&f->arena, 5, 8), trash, &f->arena, &pairs, &err));
    MUST(message_expunge(t, f->inbox, set_of(&f->arena, 1, 12), true, &f->arena, &removed, &err));
    MUST(store_commit(&t, &err));
    assert_set(pairs.from, "5:8");
    assert_set(removed, "1,4,10");
    assert_counters(f, trash, 4, 1, 1, 40);
    assert_counters(f, f->inbox, 13, 3, 3, 130);
    assert_sound(f->account);
    assert_int_equal(add_message(f->account, f->inbox, 0, 5), 21);
    t = begin(f, TXN_WRITE);
    MUST(message_expunge(t, f->inbox, NULL, false, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(add_message(f->account, f->inbox, 0, 5), 22); /* never used again */
    assert_sound(f->account);
}

static void large_bodies_in_pieces(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 512 * 1024, 1000 * 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t uid = add_message(f->account, f->inbox, 0, sizes[i]);
        AUTO(view) v = NULL;
        MUST(view_get(f->account, f->inbox, &v, &err));
        content_id id = view_message(v, view_seq_of(v, uid))->content;
        struct txn *t = begin(f, TXN_READ);
        AUTO_STRBUF whole = STRBUF_INIT;
        MUST(content_read(t, id, 0, UINT64_MAX, &whole, &err));
        assert_int_equal(whole.len, sizes[i]);
        for (size_t j = 0; j < whole.len; j++)
            if (whole.p[j] != (char)('a' + (j * 7 + j / 1000) % 26))
                fail_msg("octet %zu differs", j);
        for (size_t at = 0; at < sizes[i] + 1000; at += 99991) { /* every kind of piece */
            AUTO_STRBUF part = STRBUF_INIT;
            MUST(content_read(t, id, at, 200000, &part, &err));
            assert_true(span_eq(strbuf_span(&part), span_slice(strbuf_span(&whole), at, at + 200000)));
        }
        txn_free(&t);
    }
    assert_sound(f->account);
    struct txn *t = begin(f, TXN_WRITE);
    MUST(message_expunge(t, f->inbox, NULL, false, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
    assert_sound(f->account);
}

static void prepared_forms(void **state)
{
    struct fixture *f = *state;
    struct span raw = SPAN("From: alice@example.test\r\nSubject: hello\r\n\r\nbody\r\n");
    struct content c;
    content_prepare(&f->arena, raw, &c);
    assert_int_equal(c.header_size, raw.len - 6);
    struct txn *t = begin(f, TXN_WRITE);
    uint32_t uid;
    MUST(message_add(t, f->inbox, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(store_commit(&t, &err));
    AUTO(view) v = NULL;
    MUST(view_get(f->account, f->inbox, &v, &err));
    struct content_forms forms;
    t = begin(f, TXN_READ);
    content_id id = view_message(v, 1)->content;
    MUST(content_load(t, id, 31, &f->arena, &forms, &err));
    assert_true(span_eq(forms.envelope, c.envelope) && forms.envelope.len > 10);
    assert_true(span_eq(forms.body, c.body) && forms.body.len > 10);
    assert_true(span_eq(forms.bodystructure, c.bodystructure) && forms.bodystructure.len > 10);
    assert_true(span_eq(forms.parts, c.parts) && forms.parts.len > 10);
    assert_true(span_eq(forms.header, span_take(raw, raw.len - 6)));
    MUST(content_load(t, id, CONTENT_BODY, &f->arena, &forms, &err));
    assert_int_equal(forms.envelope.len, 0);
    assert_true(span_eq(forms.body, c.body));
    assert_int_equal(forms.size, raw.len);
    MUST_BE(ST_NOTFOUND, content_load(t, 12345, 31, &f->arena, &forms, &err));
    txn_free(&t);
}

static void keywords(void **state)
{
    struct fixture *f = *state;
    uint64_t bit, again;
    struct txn *t = begin(f, TXN_FLAGS);
    MUST(keyword_bit(t, SPAN("$Forwarded"), true, &bit, &err));
    MUST(keyword_bit(t, SPAN("$forwarded"), true, &again, &err));
    assert_int_equal(bit, 1u << FLAG_KEYWORD_SHIFT);
    assert_int_equal(bit, again);
    MUST_BE(ST_SYNTAX, keyword_bit(t, SPAN("a b"), true, &bit, &err));
    MUST_BE(ST_SYNTAX, keyword_bit(t, SPAN(""), true, &bit, &err));
    MUST(store_commit(&t, &err));
    t = begin(f, TXN_FLAGS);
    for (int i = 1; i < KEYWORDS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", i);
        MUST(keyword_bit(t, span_cstr(name), true, &bit, &err));
    }
    assert_true(bit == (uint64_t)1 << 62);
    MUST_BE(ST_LIMIT, keyword_bit(t, SPAN("more"), true, &again, &err));
    MUST(store_commit(&t, &err));
    uint32_t uid = add_message(f->account, f->inbox, bit | FLAG_SEEN, 10);
    fixture_reopen(f, 0);
    AUTO(view) v = NULL;
    MUST(view_get(f->account, f->inbox, &v, &err));
    assert_true(view_message(v, view_seq_of(v, uid))->flags == (bit | FLAG_SEEN));
    struct span *names;
    size_t count;
    t = begin(f, TXN_READ);
    MUST(keyword_names(t, &f->arena, &names, &count, &err));
    assert_int_equal(count, KEYWORDS_MAX);
    assert_true(span_eq(names[0], SPAN("$Forwarded")) && span_eq(names[57], SPAN("k57")));
    txn_free(&t);
}

static void the_wrong_transaction(void **state)
{
    struct fixture *f = *state;
    struct content c = {.raw = SPAN("x")};
    uint32_t uid;
    struct txn *t = begin(f, TXN_READ), *second = NULL;
    MUST_BE(ST_BUG, message_add(t, f->inbox, &c, 0, (struct mail_date){0}, &uid, &err));
    txn_free(&t);
    t = begin(f, TXN_FLAGS);
    MUST_BE(ST_BUG, message_add(t, f->inbox, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST_BE(ST_BUG, store_begin(f->account, TXN_WRITE, &second, &err));
    assert_null(second);
    MUST_BE(ST_NOTFOUND, message_change_flags(t, 9999, set_of(&f->arena, 1, 1), FLAGS_ADD, 1, &err));
    MUST(store_commit(&t, &err)); /* what was refused did no harm */
}

static void recent(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, 1);
    add_message(f->account, f->inbox, 0, 1);
    uint32_t from;
    struct txn *t = begin(f, TXN_FLAGS);
    MUST(mailbox_claim_recent(t, f->inbox, &from, &err));
    assert_int_equal(from, 1);
    MUST(store_commit(&t, &err));
    add_message(f->account, f->inbox, 0, 1);
    t = begin(f, TXN_FLAGS);
    MUST(mailbox_claim_recent(t, f->inbox, &from, &err));
    assert_int_equal(from, 3);
    MUST(store_commit(&t, &err));
    assert_int_equal(mailbox_now(f, f->inbox).recent_from, 4);
}

struct counting {
    struct watcher watcher; /* first */
    int pokes;
};

static void count_poke(struct watcher *w, struct pokes *wake)
{
    (void)wake;
    ((struct counting *)w)->pokes++;
}

static void watchers(void **state)
{
    struct fixture *f = *state;
    struct counting inbox = {{.poke = count_poke}, 0}, all = {{.poke = count_poke}, 0},
                    other = {{.poke = count_poke}, 0};
    mailbox_id trash = mailbox_id_of(f->account, "Trash");
    hub_watch(f->account, f->inbox, &inbox.watcher);
    hub_watch(f->account, 0, &all.watcher);
    hub_watch(f->account, trash, &other.watcher);
    add_message(f->account, f->inbox, 0, 1);
    assert_int_equal(inbox.pokes, 1);
    assert_int_equal(all.pokes, 1);
    assert_int_equal(other.pokes, 0);
    struct txn *t = begin(f, TXN_FLAGS);
    MUST(mailbox_subscribe(t, SPAN("news"), true, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(inbox.pokes, 1);
    assert_int_equal(all.pokes, 2);
    t = begin(f, TXN_WRITE);
    MUST(message_expunge(t, f->inbox, NULL, false, &f->arena, NULL, &err));
    txn_free(&t); /* rolled back: nobody is told */
    assert_int_equal(inbox.pokes, 1);
    hub_unwatch(&inbox.watcher);
    hub_unwatch(&inbox.watcher);
    hub_unwatch(&other.watcher);
    add_message(f->account, f->inbox, 0, 1);
    assert_int_equal(inbox.pokes, 1);
    assert_int_equal(all.pokes, 3);
    hub_unwatch(&all.watcher);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(add_counts),
        TEST(rolled_back_adds_leave_nothing),
        TEST(flags_touch_only_what_changes),
        TEST(flags_followed_are_flags_stored),
        TEST(copy_shares_content),
        TEST(copy_within_one_mailbox),
        TEST(move_and_expunge),
        TEST(large_bodies_in_pieces),
        TEST(prepared_forms),
        TEST(keywords),
        TEST(the_wrong_transaction),
        TEST(recent),
        TEST(watchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
