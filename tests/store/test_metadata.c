/* test_metadata.c - annotations in the account's file (store/metadata.h): whose they are, and what has changed since.
 */
#include "fixture.h"
#include "store/hub.h"
#include "store/metadata.h"

static struct metadata_key key_of(mailbox_id mailbox, bool is_private, const char *path)
{
    return (struct metadata_key){mailbox, is_private, span_cstr(path)};
}

/* For this reader (0: the owner); value NULL removes. Returns the modseq of the change, 0 where there was none. */
static uint64_t set(struct fixture *f, uint64_t reader, struct metadata_key key, const char *value)
{
    struct txn *t = NULL;
    bool is_too_many;
    struct span text = span_cstr(value ? value : "");
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    if (reader)
        store_act_as(t, reader, 0);
    MUST(metadata_set(t, &key, value ? &text : NULL, &is_too_many, &err));
    uint64_t modseq = store_modseq(t);
    MUST(store_commit(&t, &err));
    return modseq;
}

static bool has(struct fixture *f, uint64_t reader, struct metadata_key key, const char *value)
{
    struct txn *t = NULL;
    struct span found;
    bool has_value;
    MUST(store_begin(f->account, TXN_READ, &t, &err));
    if (reader)
        store_act_as(t, reader, 0);
    MUST(metadata_get(t, &key, &f->arena, &has_value, &found, &err));
    txn_free(&t);
    return value ? has_value && span_eq(found, span_cstr(value)) : !has_value;
}

/* The paths that have changed since, with the number of looks that it took. */
static size_t changes(struct fixture *f, uint64_t reader, uint64_t since, size_t max, size_t *looks)
{
    struct txn *t = NULL;
    uint64_t last;
    size_t total = 0;
    MUST(store_begin(f->account, TXN_READ, &t, &err));
    if (reader)
        store_act_as(t, reader, 0);
    MUST(metadata_modseq(t, &last, &err));
    for (*looks = 0; since < last; ++*looks) {
        struct metadata_change *list;
        size_t count;
        uint64_t to;
        MUST(metadata_changes(t, since, max, &f->arena, &list, &count, &to, &err));
        assert_true(to > since);
        for (size_t i = 0; i < count; i++)
            assert_true(list[i].modseq > since && list[i].modseq <= to);
        total += count;
        since = to;
    }
    txn_free(&t);
    return total;
}

static void whose_they_are(void **state)
{
    struct fixture *f = *state;
    struct metadata_key shared = key_of(f->inbox, false, "/comment"), private = key_of(f->inbox, true, "/comment");
    set(f, 0, shared, "all");
    set(f, 0, private, "owner");
    set(f, 7, private, "seven");
    assert_true(has(f, 0, shared, "all") && has(f, 7, shared, "all") && has(f, 8, shared, "all"));
    assert_true(has(f, 0, private, "owner") && has(f, 7, private, "seven") && has(f, 8, private, NULL));
    set(f, 7, private, NULL);
    assert_true(has(f, 0, private, "owner") && has(f, 7, private, NULL));
    fixture_reopen(f, 0);
    assert_true(has(f, 0, private, "owner") && has(f, 0, shared, "all"));
    assert_sound(f->account);
}

/* A modseq is never given twice, also where only metadata had it and the store was closed. */
static void what_has_changed(void **state)
{
    struct fixture *f = *state;
    size_t looks;
    uint64_t before = set(f, 0, key_of(f->inbox, false, "/a"), "1");
    set(f, 0, key_of(0, true, "/b"), "1");
    set(f, 7, key_of(f->inbox, true, "/c"), "1");
    assert_int_equal(changes(f, 0, before, 10, &looks), 1);
    assert_int_equal(changes(f, 7, before, 10, &looks), 1);
    assert_int_equal(changes(f, 8, before, 10, &looks), 0);
    fixture_reopen(f, 0);
    uint64_t removed = set(f, 0, key_of(f->inbox, false, "/a"), NULL);
    assert_true(removed > before + 2);
    assert_int_equal(set(f, 0, key_of(f->inbox, false, "/a"), NULL), 0); /* nothing to remove, nothing to tell */
    assert_int_equal(changes(f, 0, removed - 1, 10, &looks), 1);
    /* Others' private entries are passed over, however many there are. */
    for (int i = 0; i < 20; i++) {
        char path[16];
        snprintf(path, sizeof path, "/x%d", i);
        set(f, 7, key_of(f->inbox, true, path), "1");
    }
    assert_int_equal(changes(f, 0, removed, 3, &looks), 0);
    assert_int_equal(looks, 7);
    assert_int_equal(changes(f, 7, removed, 3, &looks), 20);
}

static void count_poke(struct watcher *w, struct pokes *wake);
static struct {
    struct watcher watcher;
    int pokes;
} watched = {.watcher.poke = count_poke};
static void count_poke(struct watcher *w, struct pokes *wake)
{
    (void)wake;
    (void)w;
    watched.pokes++;
}

/* Only what changes metadata pokes who waits for it. */
static void watchers(void **state)
{
    struct fixture *f = *state;
    watched.pokes = 0;
    hub_watch(f->account, HUB_METADATA, &watched.watcher);
    add_message(f->account, f->inbox, 0, 100);
    assert_int_equal(watched.pokes, 0);
    set(f, 0, key_of(f->inbox, false, "/a"), "1");
    assert_int_equal(watched.pokes, 1);
    set(f, 0, key_of(f->inbox, false, "/none"), NULL);
    assert_int_equal(watched.pokes, 1);
    hub_unwatch(&watched.watcher);
}

/* What an account's entries may be together. */
static void too_much(void **state)
{
    struct fixture *f = *state;
    static char value[METADATA_VALUE_MAX];
    struct span text = span_of(value, sizeof value);
    struct txn *t = NULL;
    struct err failure;
    bool is_too_many;
    enum status st = ST_OK;
    size_t n = 0;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    for (; st == ST_OK && n < 10000; n++) {
        char path[16];
        snprintf(path, sizeof path, "/x%zu", n % METADATA_ENTRIES_MAX);
        store_act_as(t, 1 + n / METADATA_ENTRIES_MAX, 0); /* many users, each as much as he may */
        struct metadata_key key = key_of(f->inbox, true, path);
        st = metadata_set(t, &key, &text, &is_too_many, &failure);
    }
    assert_int_equal(st, ST_LIMIT);
    assert_false(is_too_many);
    assert_int_equal(n - 1, METADATA_ACCOUNT_BYTES / METADATA_VALUE_MAX);
    txn_free(&t);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROW(whose_they_are), ROW(what_has_changed), ROW(watchers), ROW(too_much)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
