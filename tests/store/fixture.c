/* fixture.c - see fixture.h. */
#include "fixture.h"
#include <ftw.h>
#include <unistd.h>
#include "base/mem.h"

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void fixture_reopen(struct fixture *f, uint32_t handles_max)
{
    if (f->account)
        account_free(&f->account);
    if (f->store)
        store_free(&f->store);
    struct store_options options = {.data_dir = f->dir, .handles_max = handles_max};
    MUST(store_open(&options, &f->store, &err));
    f->account = fixture_account(f, "alice");
    f->inbox = mailbox_id_of(f->account, "INBOX");
}

int fixture_setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    snprintf(f->dir, sizeof f->dir, "%s/store-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    fixture_reopen(f, 0);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    account_free(&f->account);
    store_free(&f->store);
    arena_free(&f->arena);
    assert_int_equal(nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

struct account *fixture_account(struct fixture *f, const char *local_part)
{
    char address[128];
    snprintf(address, sizeof address, "%s@example.test", local_part);
    struct err ignored;
    struct directory *d = store_directory(f->store);
    (void)directory_domain_add(d, SPAN("example.test"), &ignored); /* may be there */
    (void)directory_account_add(d, span_cstr(address), &ignored);
    struct account *a = NULL;
    MUST(account_open(f->store, span_cstr(address), &a, &err));
    return a;
}

mailbox_id mailbox_id_of(struct account *a, const char *name)
{
    AUTO_ARENA arena = ARENA_INIT;
    struct txn *t = NULL;
    struct mailbox m;
    MUST(store_begin(a, TXN_READ, &t, &err));
    MUST(mailbox_find(t, span_cstr(name), &arena, &m, &err));
    txn_free(&t);
    return m.id;
}

struct mailbox mailbox_now(struct fixture *f, mailbox_id id)
{
    struct txn *t = NULL;
    struct mailbox m;
    MUST(store_begin(f->account, TXN_READ, &t, &err));
    MUST(mailbox_get(t, id, &f->arena, &m, &err));
    txn_free(&t);
    return m;
}

uint32_t add_message(struct account *a, mailbox_id to, uint64_t flags, size_t size)
{
    char *bytes = mem_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    struct content c = {.raw = span_of(bytes, size),
                        .header_size = size < 10 ? size : 10,
                        .envelope = SPAN("(env)"),
                        .body = SPAN("(body)"),
                        .bodystructure = SPAN("(bodystructure)"),
                        .parts = SPAN("parts")};
    struct txn *t = NULL;
    uint32_t uid;
    MUST(store_begin(a, TXN_WRITE, &t, &err));
    MUST(message_add(t, to, &c, flags, (struct mail_date){1700000000, 60}, &uid, &err));
    MUST(store_commit(&t, &err));
    free(bytes);
    return uid;
}

/* What the account is known to hold is what its mailboxes say. */
static void assert_sums(struct account *a)
{
    AUTO_ARENA arena = ARENA_INIT;
    AUTO(txn) t = NULL;
    struct mailbox *list;
    size_t count;
    struct quota held, limits, sum = {0};
    MUST(store_begin(a, TXN_READ, &t, &err));
    MUST(mailbox_list(t, &arena, &list, &count, &err));
    MUST(account_quota(a, &held, &limits, &err));
    for (size_t i = 0; i < count; i++) {
        sum.of[QUOTA_STORAGE] += list[i].size_bytes;
        sum.of[QUOTA_MESSAGES] += list[i].messages;
    }
    sum.of[QUOTA_MAILBOXES] = count;
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        assert_int_equal(held.of[i], sum.of[i]);
}

void assert_sound(struct account *a)
{
    AUTO_STRBUF report = STRBUF_INIT;
    uint32_t findings;
    MUST(account_check(a, &report, &findings, &err));
    if (findings)
        print_error("%s", strbuf_cstr(&report));
    assert_int_equal(findings, 0);
    assert_sums(a);
}

struct seqset *set_of(struct arena *a, uint32_t first, uint32_t last)
{
    struct seqset *s = seqset_new(a);
    seqset_add(a, s, first, last);
    return s;
}
