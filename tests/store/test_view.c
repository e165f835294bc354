/*
 * test_view.c - snapshots against brute force: random changes, and after each the view kept in memory must be what the
 * rows say, the differences to older snapshots what a plain comparison finds, and a past state what it was.
 */
#include "fixture.h"
#include <time.h>
#include "base/clock.h"
#include "store/view_internal.h"

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return n ? (uint32_t)(seed >> 33) % n : 0;
}

static void assert_same(const struct view *a, const struct view *b)
{
    assert_int_equal(view_count(a), view_count(b));
    assert_int_equal(view_uidnext(a), view_uidnext(b));
    assert_int_equal(view_modseq(a), view_modseq(b));
    for (uint32_t i = 1; i <= view_count(a); i++) {
        const struct view_message *x = view_message(a, i), *y = view_message(b, i);
        if (x->uid != y->uid || x->flags != y->flags || x->modseq != y->modseq || x->content != y->content ||
            x->size != y->size || x->received_utc != y->received_utc || x->received_zone != y->received_zone ||
            x->saved_utc != y->saved_utc)
            fail_msg("message %u (uid %u / %u) differs", i, x->uid, y->uid);
    }
}

static void assert_indexes(const struct view *v)
{
    uint32_t unseen = 0;
    for (uint32_t i = 1; i <= view_count(v); i++) {
        uint32_t uid = view_message(v, i)->uid;
        assert_int_equal(view_seq_of(v, uid), i);
        assert_int_equal(view_seq_at_or_after(v, uid), i);
        if (i > 1 && view_message(v, i - 1)->uid + 1 < uid) {
            assert_int_equal(view_seq_of(v, uid - 1), 0);
            assert_int_equal(view_seq_at_or_after(v, uid - 1), i);
        }
        if (!unseen && !(view_message(v, i)->flags & FLAG_SEEN))
            unseen = i;
    }
    assert_int_equal(view_first_unseen(v), unseen);
    assert_int_equal(view_last_uid(v), view_count(v) ? view_message(v, view_count(v))->uid : 0);
    assert_int_equal(view_seq_at_or_after(v, view_last_uid(v) + 1), view_count(v) + 1);
}

static void assert_equal_sets(const struct seqset *a, const struct seqset *b)
{
    AUTO_STRBUF x = STRBUF_INIT, y = STRBUF_INIT;
    seqset_write(a, &x);
    seqset_write(b, &y);
    assert_string_equal(strbuf_cstr(&x), strbuf_cstr(&y));
}

/* view_diff the slow way. */
static void assert_diff(const struct view *from, const struct view *to)
{
    AUTO_ARENA a = ARENA_INIT;
    struct view_diff d, slow = {seqset_new(&a), seqset_new(&a), seqset_new(&a), seqset_new(&a)};
    for (uint32_t i = 1; i <= view_count(from); i++) {
        const struct view_message *m = view_message(from, i);
        uint32_t seq = view_seq_of(to, m->uid);
        if (!seq) {
            seqset_add(&a, slow.expunged_uids, m->uid, m->uid);
            seqset_add(&a, slow.expunged_seqs, i, i);
        } else if (view_message(to, seq)->modseq != m->modseq) {
            seqset_add(&a, slow.changed_uids, m->uid, m->uid);
        }
    }
    for (uint32_t i = 1; i <= view_count(to); i++)
        if (!view_seq_of(from, view_message(to, i)->uid))
            seqset_add(&a, slow.added_uids, view_message(to, i)->uid, view_message(to, i)->uid);
    view_diff(&a, from, to, &d);
    assert_equal_sets(d.expunged_uids, slow.expunged_uids);
    assert_equal_sets(d.expunged_seqs, slow.expunged_seqs);
    assert_equal_sets(d.changed_uids, slow.changed_uids);
    assert_equal_sets(d.added_uids, slow.added_uids);
}

static void assert_resolve(const struct view *v)
{
    AUTO_ARENA a = ARENA_INIT;
    struct seqset *set = seqset_new(&a), *by_uid = seqset_new(&a), *by_seq = seqset_new(&a);
    for (int i = 0; i < 4; i++) {
        uint32_t first = 1 + below(view_uidnext(v) + 5);
        seqset_add(&a, set, first, first + below(300));
    }
    seqset_add(&a, set, view_uidnext(v), below(2) ? UINT32_MAX : view_uidnext(v));
    for (uint32_t i = 1; i <= view_count(v); i++) {
        uint32_t uid = view_message(v, i)->uid;
        if (seqset_has(set, uid))
            seqset_add(&a, by_uid, uid, uid);
        if (seqset_has(set, i))
            seqset_add(&a, by_seq, uid, uid);
    }
    assert_equal_sets(view_resolve(&a, v, set, true), by_uid);
    assert_equal_sets(view_resolve(&a, v, set, false), by_seq);
}

static struct seqset *random_set(struct arena *a, uint32_t uidnext)
{
    struct seqset *s = seqset_new(a);
    for (uint32_t n = 1 + below(6); n; n--) {
        uint32_t first = 1 + below(uidnext);
        seqset_add(a, s, first, first + below(below(4) ? 5 : 200));
    }
    return s;
}

static void add_some(struct txn *t, mailbox_id to, uint32_t count)
{
    struct content c = {.raw = SPAN("0123456789")};
    uint32_t uid;
    for (uint32_t i = 0; i < count; i++) {
        c.raw.len = 1 + below(10);
        MUST(message_add(t, to, &c, below(16), (struct mail_date){below(1000000), (int)below(600) - 300}, &uid, &err));
    }
}

static void random_change(struct account *account, mailbox_id box, mailbox_id other, uint32_t uidnext)
{
    AUTO_ARENA a = ARENA_INIT;
    struct uid_pairs pairs;
    struct txn *t = NULL;
    struct seqset *set = random_set(&a, uidnext);
    MUST(store_begin(account, TXN_WRITE, &t, &err));
    for (uint32_t n = 1 + below(2); n; n--) {
        switch (below(8)) {
        case 0:
        case 1:
            add_some(t, box, 1 + below(below(3) ? 3 : 400));
            break;
        case 2:
            MUST(message_expunge(t, box, set, false, &a, NULL, &err));
            break;
        case 3:
            MUST(message_expunge(t, box, below(3) ? set : NULL, true, &a, NULL, &err));
            break;
        case 4:
            MUST(message_copy(t, other, set, box, &a, &pairs, &err));
            break;
        case 5:
            MUST(message_move(t, box, set, below(2) ? other : box, &a, &pairs, &err));
            break;
        default:
            MUST(message_change_flags(t, box, set, (enum flag_change)below(3), below(32), &err));
            break;
        }
    }
    if (below(10) == 0) {
        txn_free(&t); /* and some are rolled back */
        return;
    }
    MUST(store_commit(&t, &err));
}

enum { PAST_MAX = 12, ROUNDS = 250 };

static void random_changes(void **state)
{
    struct fixture *f = *state;
    seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : (uint64_t)time(NULL);
    print_message("SEED=%llu\n", (unsigned long long)seed);
    struct store_options options = {.data_dir = f->dir, .is_reader = true};
    struct store *beside = NULL; /* reads rows, keeps no views */
    struct account *witness = NULL;
    MUST(store_open(&options, &beside, &err));
    MUST(account_open(beside, SPAN("alice@example.test"), &witness, &err));
    mailbox_id other = mailbox_id_of(f->account, "Archive");
    struct view *past[PAST_MAX] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        AUTO(view) now = NULL, *rows = NULL;
        MUST(view_get(f->account, f->inbox, &now, &err));
        random_change(f->account, below(4) ? f->inbox : other, below(2) ? other : f->inbox, view_uidnext(now));
        view_free(&now);
        MUST(view_get(f->account, f->inbox, &now, &err));
        MUST(view_get(witness, f->inbox, &rows, &err));
        assert_same(now, rows);
        assert_indexes(now);
        assert_resolve(now);
        uint32_t slot = below(PAST_MAX);
        if (past[slot]) {
            AUTO(view) again = NULL;
            AUTO_ARENA a = ARENA_INIT;
            MUST(view_get_as_of(f->account, f->inbox, view_modseq(past[slot]), view_uidnext(past[slot]), &again, &err));
            assert_int_equal(view_count(again), view_count(past[slot]));
            assert_int_equal(view_modseq(again), view_modseq(past[slot]));
            for (uint32_t i = 1; i <= view_count(again); i++)
                assert_int_equal(view_message(again, i)->uid, view_message(past[slot], i)->uid);
            assert_indexes(again);
            assert_diff(past[slot], now);
            assert_diff(again, now);
            struct view_diff true_diff, past_diff;
            view_diff(&a, past[slot], now, &true_diff);
            view_diff(&a, again, now, &past_diff);
            assert_equal_sets(true_diff.changed_uids, past_diff.changed_uids);
            view_free(&past[slot]);
        }
        past[slot] = view_ref(now);
    }
    assert_sound(f->account);
    for (int i = 0; i < PAST_MAX; i++)
        view_free(&past[i]);
    account_free(&witness);
    store_free(&beside);
}

static void a_commit_shares_chunks(void **state)
{
    struct fixture *f = *state;
    struct txn *t = NULL;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    add_some(t, f->inbox, 10 * VIEW_CHUNK_MESSAGES);
    MUST(store_commit(&t, &err));
    AUTO(view) before = NULL, *after = NULL;
    MUST(view_get(f->account, f->inbox, &before, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 3 * VIEW_CHUNK_MESSAGES + 7, 3 * VIEW_CHUNK_MESSAGES + 7),
                              FLAGS_SET, (uint64_t)1 << 20, &err));
    add_some(t, f->inbox, 1);
    MUST(store_commit(&t, &err));
    after = view_peek(f->account, f->inbox);
    assert_non_null(after); /* made by the commit */
    assert_int_equal(after->chunk_count, 11);
    int shared = 0;
    for (uint32_t i = 0; i < before->chunk_count; i++)
        shared += before->chunks[i] == after->chunks[i];
    assert_int_equal(shared, 9);
}

static void views_of_nobody_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct view_cache c;
    struct view_set set = {NULL};
    view_cache_init(&c);
    c.messages_max = 10 * VIEW_CHUNK_MESSAGES;
    struct view *held = NULL;
    for (mailbox_id id = 1; id <= 50; id++) {
        struct view_build b = {0};
        assert_null(view_cache_claim(&c, &set, id));
        struct view *v = view_build_finish(&b, 1, 1);
        assert_true(view_cache_fill(&c, &set, id, v));
        if (id == 1)
            held = view_ref(v);
        view_free(&v);
    }
    assert_true(c.messages <= c.messages_max);
    struct view *again = view_cache_get(&c, &set, 1); /* in use: stays */
    assert_ptr_equal(again, held);
    assert_null(view_cache_get(&c, &set, 2));
    view_free(&again);
    again = view_cache_get(&c, &set, 50);
    assert_non_null(again);
    view_free(&again);
    view_free(&held);
    view_cache_drop_set(&c, &set);
    assert_int_equal(c.messages, 0);
    view_cache_destroy(&c);
    (void)f;
}

/* A load that a commit overtook is not kept; a view that is not the commit's base is dropped. */
static void loads_and_commits_race(void **state)
{
    (void)state;
    struct view_cache c;
    struct view_set set = {NULL};
    view_cache_init(&c);
    struct view_build b = {0};
    struct view *loaded = view_build_finish(&b, 1, 1), *newer = view_build_finish(&b, 2, 2);
    assert_null(view_cache_claim(&c, &set, 7));
    view_cache_publish(&c, &set, 7, NULL, NULL);
    assert_false(view_cache_fill(&c, &set, 7, loaded));
    assert_null(view_cache_get(&c, &set, 7));
    assert_null(set.first);
    assert_null(view_cache_claim(&c, &set, 7));
    assert_true(view_cache_fill(&c, &set, 7, loaded));
    view_cache_publish(&c, &set, 7, NULL, view_ref(newer)); /* its base was not this one */
    assert_null(view_cache_get(&c, &set, 7));
    assert_null(view_cache_claim(&c, &set, 7));
    assert_true(view_cache_fill(&c, &set, 7, loaded));
    view_cache_publish(&c, &set, 7, loaded, view_ref(newer));
    struct view *now = view_cache_get(&c, &set, 7);
    assert_ptr_equal(now, newer);
    view_free(&now);
    view_free(&loaded);
    view_free(&newer);
    view_cache_drop_set(&c, &set);
    view_cache_destroy(&c);
}

static void a_past_that_was_pruned(void **state)
{
    struct fixture *f = *state;
    AUTO(view) v = NULL;
    struct txn *t = NULL;
    struct mailbox m;
    mailbox_id id;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_create(t, SPAN("a/b"), USE_NONE, &id, &err));
    MUST(mailbox_find(t, SPAN("a"), &f->arena, &m, &err));
    MUST(store_commit(&t, &err));
    add_message(f->account, m.id, 0, 1);
    m = mailbox_now(f, m.id);
    MUST(view_get_as_of(f->account, m.id, m.highest_modseq, m.uidnext, &v, &err));
    assert_int_equal(view_count(v), 1);
    view_free(&v);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_delete(t, SPAN("a"), &err)); /* stays for its child, without a journal */
    MUST(store_commit(&t, &err));
    MUST_BE(ST_STATE, view_get_as_of(f->account, m.id, m.highest_modseq, m.uidnext, &v, &err));
    MUST(view_get(f->account, m.id, &v, &err));
    assert_int_equal(view_count(v), 0);
    view_free(&v);
    MUST_BE(ST_NOTFOUND, view_get(f->account, 4711, &v, &err));
    assert_null(view_peek(f->account, 4711));
}

static void expunge_one(struct fixture *f, uint32_t uid)
{
    struct txn *t = NULL;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_expunge(t, f->inbox, set_of(&f->arena, uid, uid), false, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
}

static void tombstones_are_forgotten_by_age(void **state)
{
    struct fixture *f = *state;
    const int64_t day_ms = 86400000, start_ms = clock_wall_ms();
    AUTO(view) v = NULL;
    for (int i = 0; i < 4; i++)
        add_message(f->account, f->inbox, 0, 1);
    struct mailbox whole = mailbox_now(f, f->inbox);
    expunge_one(f, 1);
    struct mailbox first_gone = mailbox_now(f, f->inbox);
    clock_fake(start_ms + 80 * day_ms, 1);
    expunge_one(f, 2); /* the first is not old enough yet */
    MUST(view_get_as_of(f->account, f->inbox, whole.highest_modseq, whole.uidnext, &v, &err));
    assert_int_equal(view_count(v), 4);
    view_free(&v);
    clock_fake(start_ms + 100 * day_ms, 1);
    expunge_one(f, 3);
    assert_int_equal(mailbox_now(f, f->inbox).journal_modseq, first_gone.highest_modseq);
    MUST_BE(ST_STATE, view_get_as_of(f->account, f->inbox, whole.highest_modseq, whole.uidnext, &v, &err));
    MUST(view_get_as_of(f->account, f->inbox, first_gone.highest_modseq, first_gone.uidnext, &v, &err));
    assert_int_equal(view_count(v), 3);
    clock_unfake();
    assert_sound(f->account);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(random_changes),         TEST(a_commit_shares_chunks), TEST(views_of_nobody_are_bounded),
        TEST(loads_and_commits_race), TEST(a_past_that_was_pruned), TEST(tombstones_are_forgotten_by_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
