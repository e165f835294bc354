/* Tests of policy/url_auth.h and of the keys in store/url_key.h: who may use which URL, and that nothing of one can be
 * changed. */
#include "../store/fixture.h"
#include "base/clock.h"
#include "policy/url_auth.h"

#define URL(rest) "imap://alice%40example.test@h.example.test/INBOX/;UID=1" rest

/* RFC 4231 has no vector of such a key and URL; this one was made with `openssl dgst -sha256 -mac HMAC`. */
static void the_token(void **state)
{
    (void)state;
    uint8_t key[URL_KEY_BYTES];
    char token[URL_TOKEN_CHARS + 1];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    url_token_write(key, SPAN("imap://a@b/INBOX/;UID=1;URLAUTH=anonymous"), token);
    assert_string_equal(token, "010e26c7c7fa7ff6d9789ff2c0e68f64444f76eda33b1ed5373dde060b0a103435");
}

/* The whole URL, with a token of alice's INBOX. */
static struct span made(struct fixture *f, const char *rump)
{
    AUTO(txn) txn = NULL;
    uint8_t key[URL_KEY_BYTES];
    char token[URL_TOKEN_CHARS + 1];
    MUST(store_begin(f->account, TXN_WRITE, &txn, &err));
    MUST(url_key_make(txn, f->inbox, key, &err));
    MUST(store_commit(&txn, &err));
    url_token_write(key, span_cstr(rump), token);
    return arena_printf(&f->arena, "%s:INTERNAL:%s", rump, token);
}

static enum status use(struct fixture *f, const char *who, enum url_use how, struct span url)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_URL_TARGET target = {0};
    struct err err = {0};
    enum status st = url_authorize(f->store, span_cstr(who), how, url, &a, &target, &err);
    if (st == ST_OK)
        assert_int_equal(target.mailbox, f->inbox);
    else
        assert_string_equal(err.client, "IMAP URL authorization failed");
    return st;
}

static void who_may_use_it(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *rump, *who;
        enum status imap, submission;
    } rows[] = {
        {URL(";URLAUTH=anonymous"), "bob@example.test", ST_OK, ST_OK},
        {URL(";URLAUTH=authuser"), "bob@example.test", ST_OK, ST_OK},
        {URL(";URLAUTH=authuser"), "", ST_DENIED, ST_DENIED},
        {URL(";URLAUTH=user+bob%40example.test"), "bob@example.test", ST_OK, ST_DENIED},
        {URL(";URLAUTH=user+BOB%40Example.Test"), "bob@example.test", ST_OK, ST_DENIED},
        {URL(";URLAUTH=user+bob%40example.test"), "alice@example.test", ST_DENIED, ST_DENIED},
        {URL(";URLAUTH=submit+bob%40example.test"), "bob@example.test", ST_DENIED, ST_OK},
        {URL(";URLAUTH=submit+bob%40example.test"), "alice@example.test", ST_DENIED, ST_DENIED},
        {URL(";URLAUTH=submit+bob"), "bob@example.test", ST_DENIED, ST_DENIED},
        {URL(";EXPIRE=2020-01-01T00:00:00Z;URLAUTH=authuser"), "bob@example.test", ST_DENIED, ST_DENIED},
        {URL(";EXPIRE=2999-01-01T00:00:00+01:00;URLAUTH=authuser"), "bob@example.test", ST_OK, ST_OK},
        {URL(""), "alice@example.test", ST_DENIED, ST_DENIED},
        {"imap://alice%40example.test@h/Nowhere/;UID=1;URLAUTH=authuser", "bob@example.test", ST_DENIED, ST_DENIED},
        {"imap://alice%40example.test@h/Drafts/;UID=1;URLAUTH=authuser", "bob@example.test", ST_DENIED, ST_DENIED},
        {"imap://nobody%40example.test@h/INBOX/;UID=1;URLAUTH=authuser", "bob@example.test", ST_DENIED, ST_DENIED},
        {"imap://h/INBOX/;UID=1;URLAUTH=authuser", "bob@example.test", ST_DENIED, ST_DENIED},
        {"/INBOX/;UID=1;URLAUTH=authuser", "bob@example.test", ST_DENIED, ST_DENIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span url = made(f, rows[i].rump);
        if (use(f, rows[i].who, URL_USE_IMAP, url) != rows[i].imap ||
            use(f, rows[i].who, URL_USE_SUBMISSION, url) != rows[i].submission)
            fail_msg("%s by %s", rows[i].rump, rows[i].who);
    }
}

/* Every octet counts, and every octet must be there. Case of a hexadecimal digit and of the mechanism's name does not.
 */
static void nothing_can_be_changed(void **state)
{
    struct fixture *f = *state;
    struct span url = made(f, URL(";URLAUTH=authuser"));
    size_t mechanism = span_find(url, SPAN(":INTERNAL:"), 0), token = mechanism + 10;
    for (size_t i = 0; i < url.len; i++) {
        char *changed = arena_cstr(&f->arena, url);
        changed[i] ^= 1;
        assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, span_cstr(changed)), ST_DENIED);
        changed[i] ^= 1 ^ 32;
        bool is_same = i >= token ? !ascii_is_digit(url.p[i]) : i > mechanism && i + 1 < token;
        assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, span_cstr(changed)), is_same ? ST_OK : ST_DENIED);
        assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, span_take(url, i)), ST_DENIED);
    }
    assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, arena_printf(&f->arena, "%.*s0", SPAN_ARG(url))),
                     ST_DENIED);
}

/* A key outlives the process; what is forgotten never comes again, and a mailbox's deletion is as good as that. */
static void keys(void **state)
{
    struct fixture *f = *state;
    uint8_t key[URL_KEY_BYTES], again[URL_KEY_BYTES];
    struct span url = made(f, URL(";URLAUTH=authuser"));
    fixture_reopen(f, 0);
    assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, url), ST_OK);
    {
        AUTO(txn) txn = NULL;
        MUST(store_begin(f->account, TXN_WRITE, &txn, &err));
        MUST(url_key_get(txn, f->inbox, key, &err));
        MUST(url_key_forget(txn, f->inbox, &err));
        MUST_BE(ST_NOTFOUND, url_key_get(txn, f->inbox, again, &err));
        MUST(url_key_make(txn, f->inbox, again, &err));
        assert_memory_not_equal(key, again, URL_KEY_BYTES);
        MUST(store_commit(&txn, &err));
    }
    assert_int_equal(use(f, "bob@example.test", URL_USE_IMAP, url), ST_DENIED);
    AUTO(txn) txn = NULL;
    mailbox_id work;
    MUST(store_begin(f->account, TXN_WRITE, &txn, &err));
    MUST(mailbox_create(txn, SPAN("Work"), USE_NONE, &work, &err));
    MUST(url_key_make(txn, work, key, &err));
    MUST(mailbox_delete(txn, SPAN("Work"), &err));
    MUST_BE(ST_NOTFOUND, url_key_get(txn, work, again, &err));
    MUST(url_key_forget_all(txn, &err));
    MUST_BE(ST_NOTFOUND, url_key_get(txn, f->inbox, again, &err));
    MUST(store_commit(&txn, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token),
        cmocka_unit_test_setup_teardown(who_may_use_it, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_changed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(keys, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
