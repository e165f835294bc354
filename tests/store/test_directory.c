/* test_directory.c - domains, accounts, aliases, the memory of look-ups, graves. */
#include "fixture.h"
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

struct state {
    char dir[64], path[80];
    struct directory *d;
    struct arena arena;
};

static int setup(void **state)
{
    static struct state s;
    s = (struct state){0};
    snprintf(s.dir, sizeof s.dir, "%s/directory-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(s.dir));
    snprintf(s.path, sizeof s.path, "%s/directory.db", s.dir);
    MUST_BE(ST_NOTFOUND, directory_open(s.path, false, &s.d, &err));
    MUST(directory_open(s.path, true, &s.d, &err));
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct state *s = *state;
    directory_free(&s->d);
    arena_free(&s->arena);
    assert_int_equal(unlink(s->path), 0); /* no WAL beside it: closed cleanly */
    assert_int_equal(rmdir(s->dir), 0);
    return 0;
}

static struct address_entry look_up(struct state *s, const char *local_part, const char *domain)
{
    struct address_entry e;
    MUST(directory_lookup(s->d, &s->arena, span_cstr(local_part), span_cstr(domain), &e, &err));
    return e;
}

static void domains(void **state)
{
    struct state *s = *state;
    struct span *list;
    size_t count;
    bool is_ours;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    MUST(directory_domain_add(s->d, SPAN("b.example.test"), &err));
    MUST_BE(ST_EXISTS, directory_domain_add(s->d, SPAN("example.test"), &err));
    static const char *const bad[] = {"", "Example.test", "a..b", ".a", "a.", "a b", "a/b", "../x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        MUST_BE(ST_SYNTAX, directory_domain_add(s->d, span_cstr(bad[i]), &err));
    MUST(directory_domain_list(s->d, &s->arena, &list, &count, &err));
    assert_int_equal(count, 2);
    assert_true(span_eq(list[0], SPAN("b.example.test")));
    MUST(directory_has_domain(s->d, SPAN("example.test"), &is_ours, &err));
    assert_true(is_ours);
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_STATE, directory_domain_remove(s->d, SPAN("example.test"), &err));
    MUST(directory_domain_remove(s->d, SPAN("b.example.test"), &err));
    MUST_BE(ST_NOTFOUND, directory_domain_remove(s->d, SPAN("b.example.test"), &err));
    MUST(directory_has_domain(s->d, SPAN("b.example.test"), &is_ours, &err));
    assert_false(is_ours);
}

static void many_accounts(void **state)
{
    struct state *s = *state;
    struct span list[] = {SPAN("alice@example.test"), SPAN("bob@example.test"), SPAN("carol@elsewhere.test")};
    size_t added, at;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    MUST_BE(ST_NOTFOUND, directory_account_add_all(s->d, list, 3, &added, &at, &err));
    assert_int_equal(at, 2);
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_NONE);
    MUST(directory_account_add(s->d, SPAN("bob@example.test"), &err));
    uint64_t bob = look_up(s, "bob", "example.test").account_id;
    MUST(directory_account_add_all(s->d, list, 2, &added, &at, &err));
    assert_int_equal(added, 1);
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_ACCOUNT);
    assert_int_equal(look_up(s, "bob", "example.test").account_id, bob);
    MUST(directory_alias_add(s->d, SPAN("sales@example.test"), SPAN("bob@example.test"), &err));
    list[1] = SPAN("sales@example.test"); /* an address is not two things */
    MUST_BE(ST_EXISTS, directory_account_add_all(s->d, list, 2, &added, &at, &err));
    assert_int_equal(at, 1);
}

static void accounts(void **state)
{
    struct state *s = *state;
    MUST_BE(ST_NOTFOUND, directory_account_add(s->d, SPAN("alice@example.test"), &err));
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_NONE);
    assert_int_equal(look_up(s, "alice", "other.test").kind, ADDRESS_NO_DOMAIN);
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_EXISTS, directory_account_add(s->d, SPAN("alice@example.test"), &err));
    static const char *const bad[] = {"alice", "@example.test", "Alice@example.test", "a\n@example.test", "a@"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        MUST_BE(ST_SYNTAX, directory_account_add(s->d, span_cstr(bad[i]), &err));
    struct address_entry e = look_up(s, "alice", "example.test");
    assert_int_equal(e.kind, ADDRESS_ACCOUNT);
    MUST(directory_account_remove(s->d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_NOTFOUND, directory_account_remove(s->d, SPAN("alice@example.test"), &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_NONE);
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    assert_true(look_up(s, "alice", "example.test").account_id > e.account_id);
    MUST(directory_account_add(s->d, SPAN("bob@example.test"), &err));
    struct directory_account *list;
    size_t count;
    MUST(directory_account_list(s->d, &s->arena, SPAN("example.test"), &list, &count, &err));
    assert_int_equal(count, 2);
    uint64_t alice = list[0].id;
    assert_true(span_eq(list[1].address, SPAN("bob@example.test")) && list[1].created_at > 1600000000);
    MUST(directory_account_list(s->d, &s->arena, SPAN("none.test"), &list, &count, &err));
    assert_int_equal(count, 0);

    struct directory_account first = {0};
    MUST(directory_first_account(s->d, &s->arena, SPAN("none.test"), &first, &err));
    assert_int_equal(first.address.len, 0);
    MUST(directory_first_account(s->d, &s->arena, SPAN("example.test"), &first, &err));
    assert_true(span_eq(first.address, SPAN("alice@example.test")) && first.id == alice);
}

/* A file of the first layout, which had no index on the domains of accounts, no groups and no shares. */
static void an_older_layout_is_migrated(void **state)
{
    struct state *s = *state;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    directory_free(&s->d);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    static const char first[] = "DROP INDEX account_domain; DROP TABLE member; DROP TABLE share;"
                                "ALTER TABLE account DROP COLUMN kind;"
                                "ALTER TABLE account DROP COLUMN quota_storage;"
                                "ALTER TABLE account DROP COLUMN quota_messages;"
                                "ALTER TABLE account DROP COLUMN quota_mailboxes; PRAGMA user_version = 1";
    assert_int_equal(sqlite3_exec(db, first, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    MUST(directory_open(s->path, false, &s->d, &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_ACCOUNT);
    directory_free(&s->d);
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP INDEX account_domain; DROP TABLE member; DROP TABLE share", NULL, NULL, NULL),
                     SQLITE_OK); /* they came back */
    sqlite3_close(db);
    MUST(directory_open(s->path, false, &s->d, &err));
}

static void aliases(void **state)
{
    struct state *s = *state;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_EXISTS, directory_alias_add(s->d, SPAN("alice@example.test"), SPAN("bob@other.test"), &err));
    MUST_BE(ST_NOTFOUND, directory_alias_add(s->d, SPAN("x@other.test"), SPAN("alice@example.test"), &err));
    MUST(directory_alias_add(s->d, SPAN("all@example.test"), SPAN("bob@other.test"), &err));
    MUST(directory_alias_add(s->d, SPAN("all@example.test"), SPAN("alice@example.test"), &err));
    MUST_BE(ST_EXISTS, directory_alias_add(s->d, SPAN("all@example.test"), SPAN("bob@other.test"), &err));
    MUST(directory_alias_add(s->d, SPAN("@example.test"), SPAN("alice@example.test"), &err));
    MUST_BE(ST_EXISTS, directory_account_add(s->d, SPAN("all@example.test"), &err));
    struct address_entry e = look_up(s, "all", "example.test");
    assert_int_equal(e.kind, ADDRESS_ALIAS);
    assert_int_equal(e.target_count, 2);
    assert_true(span_eq(e.targets[0], SPAN("alice@example.test")) && span_eq(e.targets[1], SPAN("bob@other.test")));
    assert_int_equal(look_up(s, "", "example.test").kind, ADDRESS_ALIAS);
    struct span *of;
    struct directory_alias *list;
    size_t count;
    MUST(directory_aliases_of(s->d, &s->arena, SPAN("alice@example.test"), &of, &count, &err));
    assert_int_equal(count, 2);
    assert_true(span_eq(of[0], SPAN("@example.test")) && span_eq(of[1], SPAN("all@example.test")));
    MUST(directory_alias_list(s->d, &s->arena, &list, &count, &err));
    assert_int_equal(count, 3);
    MUST(directory_alias_remove(s->d, SPAN("all@example.test"), SPAN("bob@other.test"), &err));
    assert_int_equal(look_up(s, "all", "example.test").target_count, 1);
    MUST(directory_alias_remove(s->d, SPAN("all@example.test"), SPAN_NONE, &err));
    MUST_BE(ST_NOTFOUND, directory_alias_remove(s->d, SPAN("all@example.test"), SPAN_NONE, &err));
    assert_int_equal(look_up(s, "all", "example.test").kind, ADDRESS_NONE);
    for (int i = 0; i < ALIAS_TARGETS_MAX; i++) {
        char to[32];
        snprintf(to, sizeof to, "t%d@other.test", i);
        MUST(directory_alias_add(s->d, SPAN("many@example.test"), span_cstr(to), &err));
    }
    MUST_BE(ST_LIMIT, directory_alias_add(s->d, SPAN("many@example.test"), SPAN("t@other.test"), &err));
}

static void others_changes_are_seen(void **state)
{
    struct state *s = *state;
    struct directory *command_line = NULL;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_NONE);
    MUST(directory_open(s->path, false, &command_line, &err));
    MUST(directory_account_add(command_line, SPAN("alice@example.test"), &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_ACCOUNT);
    MUST(directory_account_remove(command_line, SPAN("alice@example.test"), &err));
    assert_int_equal(look_up(s, "alice", "example.test").kind, ADDRESS_NONE);
    directory_free(&command_line);
    struct stat st;
    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_stranger_cannot_fill_memory(void **state)
{
    struct state *s = *state;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    for (int i = 0; i < 45000; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct address_entry e;
        char local[16];
        snprintf(local, sizeof local, "x%d", i);
        MUST(directory_lookup(s->d, &a, span_cstr(local), SPAN("example.test"), &e, &err));
        assert_int_equal(e.kind, ADDRESS_NONE);
    }
}

static int removals;
static enum status refuse(void *context, struct span address, struct err *err)
{
    (void)context;
    (void)address;
    removals++;
    return err_set(err, ST_IO, "not now");
}

static enum status accept(void *context, struct span address, struct err *err)
{
    (void)context;
    (void)err;
    assert_true(span_eq(address, SPAN("alice@example.test")));
    removals++;
    return ST_OK;
}

static void graves(void **state)
{
    struct state *s = *state;
    MUST(directory_domain_add(s->d, SPAN("example.test"), &err));
    MUST(directory_account_add(s->d, SPAN("alice@example.test"), &err));
    MUST(directory_close_graves(s->d, SPAN_NONE, accept, NULL, &err));
    assert_int_equal(removals, 0);
    MUST(directory_account_remove(s->d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_IO, directory_close_graves(s->d, SPAN_NONE, refuse, NULL, &err));
    MUST(directory_close_graves(s->d, SPAN("bob@example.test"), accept, NULL, &err));
    assert_int_equal(removals, 1);
    MUST(directory_close_graves(s->d, SPAN("alice@example.test"), accept, NULL, &err));
    MUST(directory_close_graves(s->d, SPAN_NONE, accept, NULL, &err));
    assert_int_equal(removals, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(domains),
        TEST(accounts),
        TEST(many_accounts),
        TEST(an_older_layout_is_migrated),
        TEST(aliases),
        TEST(others_changes_are_seen),
        TEST(a_stranger_cannot_fill_memory),
        TEST(graves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
