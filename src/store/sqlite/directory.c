/*
 * directory.c - domains, accounts and aliases in directory.db.
 *
 * One connection under a lock. What was looked up is remembered until the file changes: PRAGMA data_version tells of
 * other connections' commits without reading a page, our own commits empty the memory themselves. Both hits and misses
 * are remembered, up to CACHE_MAX addresses, then all are dropped: strangers choose the addresses.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/account.h"
#include "store/sqlite/directory_internal.h"
#include "text/address.h"
#include "base/banned.h"

enum { CACHE_MAX = 20000 };

struct cached {
    enum address_kind kind;
    uint64_t account_id;
    bool is_group;
    struct quota quota;
    struct strbuf targets; /* each ends with a NUL */
};

static const struct migration migrations[] = {
    {"CREATE TABLE domain(name TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE account("
     "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
     "  address TEXT NOT NULL UNIQUE,"
     "  domain TEXT NOT NULL,"
     "  created_at INTEGER NOT NULL);"
     "CREATE TABLE alias("
     "  source TEXT NOT NULL,"
     "  target TEXT NOT NULL,"
     "  domain TEXT NOT NULL," /* of the source */
     "  PRIMARY KEY(source, target)) WITHOUT ROWID;"
     "CREATE INDEX alias_target ON alias(target);"
     "CREATE TABLE grave(address TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"},
    {"CREATE INDEX account_domain ON account(domain, address);"},
    /* A group is an account with members in place of a password (sharing.h). share says who has been given rights on
     * something of whom: grantee 0 is anyone. */
    {"ALTER TABLE account ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;" /* 1: a group */
     "CREATE TABLE member(account INTEGER NOT NULL, team INTEGER NOT NULL, PRIMARY KEY(account, team)) WITHOUT ROWID;"
     "CREATE INDEX member_team ON member(team, account);"
     "CREATE TABLE share(grantee INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY(grantee, owner)) WITHOUT ROWID;"
     "CREATE INDEX share_owner ON share(owner, grantee);"},
    /* What an account may hold (quota.h): NULL as the config says, -1 any amount. */
    {"ALTER TABLE account ADD COLUMN quota_storage INTEGER;"
     "ALTER TABLE account ADD COLUMN quota_messages INTEGER;"
     "ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER;"},
};

/* ---- opening
 * ---------------------------------------------------------------------------------------------------------- */

static enum status make_file(const char *path, struct err *err)
{
    AUTO_STRBUF dir = STRBUF_INIT;
    size_t slash = span_rfind_byte(span_cstr(path), '/');
    strbuf_add(&dir, slash == SPAN_NPOS ? SPAN(".") : span_take(span_cstr(path), slash ? slash : 1));
    bool is_new;
    return path_make_file(strbuf_cstr(&dir), path, &is_new, err);
}

enum status directory_open(const char *path, bool may_create, struct directory **out, struct err *err)
{
    *out = NULL;
    struct stat st;
    if (may_create)
        TRY(make_file(path, err));
    if (stat(path, &st) != 0)
        return err_errno(err, "%s", path);
    bool was_unclean = may_create && db_has_wal(path);
    struct db *db;
    TRY(db_open(path, st.st_size == 0, &db, err));
    enum status result = was_unclean ? db_renew_wal(db, err) : ST_OK;
    if (result == ST_OK)
        result = schema_migrate(db, migrations, sizeof migrations / sizeof *migrations, NULL, err);
    if (result != ST_OK) {
        db_close(&db);
        return result;
    }
    struct directory *d = mem_alloc(sizeof *d);
    d->db = db;
    d->cache = map_new();
    pthread_mutex_init(&d->lock, NULL);
    *out = d;
    return ST_OK;
}

static void forget(struct directory *d)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(d->cache, &at, &key, &value);) {
        strbuf_free(&((struct cached *)value)->targets);
        free(value);
    }
    map_free(&d->cache);
    d->cache = map_new();
}

void directory_free(struct directory **dp)
{
    struct directory *d = *dp;
    if (!d)
        return;
    forget(d);
    map_free(&d->cache);
    db_close(&d->db);
    pthread_mutex_destroy(&d->lock);
    free(d);
    *dp = NULL;
}

/* ---- looking up
 * -------------------------------------------------------------------------------------------------------- */

static enum status exists(struct directory *d, const char *sql, struct span value, bool *out, struct err *err)
{
    int64_t n;
    TRY(db_number(d->db, 0, &n, err, sql, TEXT(value)));
    *out = n;
    return ST_OK;
}

static const char has_domain_sql[] = "SELECT EXISTS(SELECT 1 FROM domain WHERE name = ?)";
static const char has_account_sql[] = "SELECT EXISTS(SELECT 1 FROM account WHERE address = ?)";
static const char has_alias_sql[] = "SELECT EXISTS(SELECT 1 FROM alias WHERE source = ?)";

static enum status read_account(struct directory *d, struct span address, struct cached *c, struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(d->db, &s, err,
                 "SELECT id, kind, quota_storage, quota_messages, quota_mailboxes FROM account WHERE address = ?",
                 TEXT(address)));
    enum status st;
    if (!db_row(d->db, s, &st, err))
        return st;
    c->kind = ADDRESS_ACCOUNT;
    c->account_id = column_u64(s, 0);
    c->is_group = column_i64(s, 1) == DIRECTORY_GROUP;
    c->quota = directory_quota_of(s, 2);
    db_done(s);
    return ST_OK;
}

static enum status read_address(struct directory *d, struct span address, struct span domain, struct cached *c,
                                struct err *err)
{
    bool is_ours;
    TRY(exists(d, has_domain_sql, domain, &is_ours, err));
    if (!is_ours)
        return ST_OK;
    c->kind = ADDRESS_NONE;
    TRY(read_account(d, address, c, err));
    if (c->kind == ADDRESS_ACCOUNT)
        return ST_OK;
    sqlite3_stmt *s;
    TRY(db_query(d->db, &s, err, "SELECT target FROM alias WHERE source = ? ORDER BY target", TEXT(address)));
    enum status st;
    while (db_row(d->db, s, &st, err)) {
        c->kind = ADDRESS_ALIAS;
        strbuf_add(&c->targets, column_span(s, 0));
        strbuf_add_char(&c->targets, '\0');
    }
    return st;
}

static enum status cached_address(struct directory *d, struct span address, struct span domain,
                                  const struct cached **out, struct err *err)
{
    int64_t version;
    TRY(db_number_plain(d->db, 0, &version, err, "PRAGMA data_version"));
    if (version != d->data_version || map_count(d->cache) >= CACHE_MAX)
        forget(d);
    d->data_version = version;
    struct cached *c = map_get(d->cache, address);
    if (!c) {
        c = mem_alloc(sizeof *c);
        c->kind = ADDRESS_NO_DOMAIN;
        enum status st = read_address(d, address, domain, c, err);
        if (st != ST_OK) {
            strbuf_free(&c->targets);
            free(c);
            return st;
        }
        map_put(d->cache, address, c);
    }
    *out = c;
    return ST_OK;
}

static void entry_of(struct arena *a, const struct cached *c, struct address_entry *out)
{
    *out = (struct address_entry){
        .kind = c->kind, .account_id = c->account_id, .is_group = c->is_group, .quota = c->quota};
    struct span rest = arena_strbuf(a, &c->targets), head;
    for (size_t i = 0; i < rest.len; i++)
        out->target_count += rest.p[i] == '\0';
    out->targets = arena_array(a, out->target_count, sizeof *out->targets);
    for (size_t i = 0; i < out->target_count && span_cut(&rest, '\0', &head); i++)
        out->targets[i] = head;
}

enum status directory_lookup(struct directory *d, struct arena *a, struct span local_part, struct span domain,
                             struct address_entry *out, struct err *err)
{
    *out = (struct address_entry){.kind = ADDRESS_NO_DOMAIN};
    if (local_part.len > LOCAL_PART_MAX || domain.len > DOMAIN_MAX)
        return ST_OK;
    AUTO_STRBUF address = STRBUF_INIT;
    strbuf_add(&address, local_part);
    strbuf_add_char(&address, '@');
    strbuf_add(&address, domain);
    const struct cached *c;
    pthread_mutex_lock(&d->lock);
    enum status st = cached_address(d, strbuf_span(&address), domain, &c, err);
    if (st == ST_OK)
        entry_of(a, c, out);
    pthread_mutex_unlock(&d->lock);
    return st;
}

enum status directory_has_domain(struct directory *d, struct span domain, bool *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct address_entry entry;
    TRY(directory_lookup(d, &a, SPAN_NONE, domain, &entry, err));
    *out = entry.kind != ADDRESS_NO_DOMAIN;
    return ST_OK;
}

/* ---- changing
 * ----------------------------------------------------------------------------------------------------------- */

enum status directory_write(struct directory *d, const struct directory_change *c, directory_work *work,
                            struct err *err)
{
    pthread_mutex_lock(&d->lock);
    enum status st = db_begin_write(d->db, err);
    if (st == ST_OK)
        st = work(d, c, err);
    if (st == ST_OK)
        st = db_commit(d->db, err);
    if (st != ST_OK)
        db_rollback(d->db);
    forget(d);
    pthread_mutex_unlock(&d->lock);
    return st;
}

static enum status check_domain(struct span domain, struct err *err)
{
    bool is_good = domain.len > 0 && domain.len <= DOMAIN_MAX;
    for (size_t i = 0; is_good && i < domain.len; i++)
        is_good = ascii_is_digit(domain.p[i]) || (domain.p[i] >= 'a' && domain.p[i] <= 'z') || domain.p[i] == '-' ||
                  (domain.p[i] == '.' && i > 0 && i + 1 < domain.len && domain.p[i - 1] != '.');
    return is_good ? ST_OK : err_set(err, ST_SYNTAX, "not a domain name (lower case, A-labels)");
}

enum status directory_check_address(struct span address, bool may_be_domain, struct span *domain, struct err *err)
{
    size_t at = span_rfind_byte(address, '@');
    if (at == SPAN_NPOS || at > LOCAL_PART_MAX || (at == 0 && !may_be_domain))
        return err_set(err, ST_SYNTAX, "not an address");
    for (size_t i = 0; i < at; i++)
        if ((unsigned char)address.p[i] < 0x20 || address.p[i] == 0x7f || (address.p[i] >= 'A' && address.p[i] <= 'Z'))
            return err_set(err, ST_SYNTAX, "not an address in lower case");
    *domain = span_skip(address, at + 1);
    return check_domain(*domain, err);
}

static enum status domain_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    TRY(db_run(d->db, err, "INSERT OR IGNORE INTO domain(name) VALUES(?)", TEXT(c->domain)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_EXISTS, "the domain exists");
}

enum status directory_domain_add(struct directory *d, struct span domain, struct err *err)
{
    TRY(check_domain(domain, err));
    return directory_write(d, &(struct directory_change){.domain = domain}, domain_add, err);
}

static enum status domain_remove(struct directory *d, const struct directory_change *c, struct err *err)
{
    bool has_accounts, has_aliases;
    TRY(exists(d, "SELECT EXISTS(SELECT 1 FROM account WHERE domain = ?)", c->domain, &has_accounts, err));
    TRY(exists(d, "SELECT EXISTS(SELECT 1 FROM alias WHERE domain = ?)", c->domain, &has_aliases, err));
    if (has_accounts || has_aliases)
        return err_set(err, ST_STATE, "the domain still has %s", has_accounts ? "accounts" : "aliases");
    TRY(db_run(d->db, err, "DELETE FROM domain WHERE name = ?", TEXT(c->domain)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_NOTFOUND, "no such domain");
}

enum status directory_domain_remove(struct directory *d, struct span domain, struct err *err)
{
    return directory_write(d, &(struct directory_change){.domain = domain}, domain_remove, err);
}

/* What every new address needs: its domain, and nothing else of that address. */
static enum status check_free(struct directory *d, struct span address, struct span domain, const char *taken_sql,
                              struct err *err)
{
    bool has_domain, is_taken;
    TRY(exists(d, has_domain_sql, domain, &has_domain, err));
    if (!has_domain)
        return err_set(err, ST_NOTFOUND, "no such domain");
    TRY(exists(d, taken_sql, address, &is_taken, err));
    return is_taken ? err_set(err, ST_EXISTS, "the address exists") : ST_OK;
}

enum status directory_add_row(struct directory *d, const struct directory_change *c, enum directory_kind kind,
                              struct err *err)
{
    TRY(check_free(d, c->a, c->domain, has_account_sql, err));
    TRY(check_free(d, c->a, c->domain, has_alias_sql, err));
    return db_run(d->db, err, "INSERT INTO account(address, domain, created_at, kind) VALUES(?, ?, ?, ?)", TEXT(c->a),
                  TEXT(c->domain), INT(clock_wall_ms() / 1000), INT(kind));
}

static enum status account_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    return directory_add_row(d, c, DIRECTORY_PERSON, err);
}

enum status directory_account_add(struct directory *d, struct span address, struct err *err)
{
    struct directory_change c = {.a = address};
    TRY(directory_check_address(address, false, &c.domain, err));
    return directory_write(d, &c, account_add, err);
}

static enum status account_add_missing(struct directory *d, const struct directory_change *c, struct err *err)
{
    for (*c->at = 0; *c->at < c->address_count; ++*c->at) {
        struct directory_change one = {.a = c->addresses[*c->at]};
        bool is_there;
        TRY(directory_check_address(one.a, false, &one.domain, err));
        TRY(exists(d, has_account_sql, one.a, &is_there, err));
        if (!is_there)
            TRY(account_add(d, &one, err));
        *c->added += !is_there;
    }
    return ST_OK;
}

enum status directory_account_add_all(struct directory *d, const struct span *addresses, size_t count, size_t *added,
                                      size_t *at, struct err *err)
{
    struct directory_change c = {.addresses = addresses, .address_count = count, .added = added, .at = at};
    *added = 0;
    return directory_write(d, &c, account_add_missing, err);
}

static enum status account_remove(struct directory *d, const struct directory_change *c, struct err *err)
{
    int64_t id;
    TRY(db_number(d->db, 0, &id, err, "SELECT id FROM account WHERE address = ?", TEXT(c->a)));
    if (!id)
        return err_set(err, ST_NOTFOUND, "no such account");
    TRY(db_run(d->db, err, "DELETE FROM account WHERE id = ?", INT(id)));
    TRY(db_run(d->db, err, "DELETE FROM member WHERE account = ?1 OR team = ?1", INT(id)));
    TRY(db_run(d->db, err, "DELETE FROM share WHERE owner = ?1 OR grantee = ?1", INT(id)));
    return db_run(d->db, err, "INSERT OR IGNORE INTO grave(address) VALUES(?)", TEXT(c->a));
}

enum status directory_account_remove(struct directory *d, struct span address, struct err *err)
{
    return directory_write(d, &(struct directory_change){.a = address}, account_remove, err);
}

static enum status alias_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    int64_t targets;
    TRY(check_free(d, c->a, c->domain, has_account_sql, err));
    TRY(db_number(d->db, 0, &targets, err, "SELECT count(*) FROM alias WHERE source = ?", TEXT(c->a)));
    if (targets >= ALIAS_TARGETS_MAX)
        return err_set(err, ST_LIMIT, "an alias has at most %d targets", ALIAS_TARGETS_MAX);
    TRY(db_run(d->db, err, "INSERT OR IGNORE INTO alias(source, target, domain) VALUES(?, ?, ?)", TEXT(c->a),
               TEXT(c->b), TEXT(c->domain)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_EXISTS, "the alias exists");
}

enum status directory_alias_add(struct directory *d, struct span from, struct span to, struct err *err)
{
    struct directory_change c = {.a = from, .b = to};
    struct span ignored;
    TRY(directory_check_address(from, true, &c.domain, err));
    TRY(directory_check_address(to, false, &ignored, err));
    return directory_write(d, &c, alias_add, err);
}

static enum status alias_remove(struct directory *d, const struct directory_change *c, struct err *err)
{
    if (c->b.len)
        TRY(db_run(d->db, err, "DELETE FROM alias WHERE source = ? AND target = ?", TEXT(c->a), TEXT(c->b)));
    else
        TRY(db_run(d->db, err, "DELETE FROM alias WHERE source = ?", TEXT(c->a)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_NOTFOUND, "no such alias");
}

enum status directory_alias_remove(struct directory *d, struct span from, struct span to, struct err *err)
{
    return directory_write(d, &(struct directory_change){.a = from, .b = to}, alias_remove, err);
}

/* ---- graves
 * ------------------------------------------------------------------------------------------------------------- */

static enum status list_graves(struct directory *d, struct span address, struct arena *a, struct span **list,
                               size_t *count, struct err *err)
{
    int64_t total;
    TRY(db_number(d->db, 0, &total, err, "SELECT count(*) FROM grave WHERE ?1 = '' OR address = ?1", TEXT(address)));
    *list = arena_array(a, (size_t)total, sizeof **list);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query(d->db, &s, err, "SELECT address FROM grave WHERE ?1 = '' OR address = ?1", TEXT(address)));
    enum status st;
    while (*count < (size_t)total && db_row(d->db, s, &st, err))
        (*list)[(*count)++] = arena_copy(a, column_span(s, 0));
    db_done(s);
    return ST_OK;
}

static enum status close_graves(struct directory *d, const struct directory_change *c, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span *list;
    size_t count;
    TRY(list_graves(d, c->a, &a, &list, &count, err));
    for (size_t i = 0; i < count; i++) {
        TRY(c->remove(c->context, list[i], err));
        TRY(db_run(d->db, err, "DELETE FROM grave WHERE address = ?", TEXT(list[i])));
    }
    return ST_OK;
}

enum status directory_close_graves(struct directory *d, struct span address,
                                   enum status (*remove)(void *context, struct span address, struct err *err),
                                   void *context, struct err *err)
{
    int64_t graves;
    pthread_mutex_lock(&d->lock);
    enum status st =
        db_number(d->db, 0, &graves, err, "SELECT count(*) FROM grave WHERE ?1 = '' OR address = ?1", TEXT(address));
    pthread_mutex_unlock(&d->lock);
    if (st != ST_OK || graves == 0)
        return st;
    return directory_write(d, &(struct directory_change){.a = address, .remove = remove, .context = context},
                           close_graves, err);
}

/* ---- lists
 * -------------------------------------------------------------------------------------------------------------- */

enum status directory_rows(struct directory *d, struct arena *a, const char *sql, const struct db_value *values,
                           size_t value_count, size_t size, directory_fill *fill, void **list, size_t *count,
                           struct err *err)
{
    size_t cap = 16;
    char *rows = mem_array(cap, size);
    *count = 0;
    pthread_mutex_lock(&d->lock);
    sqlite3_stmt *s;
    enum status st = db_query_values(d->db, &s, err, sql, values, value_count);
    while (st == ST_OK && db_row(d->db, s, &st, err)) {
        if (*count == cap)
            rows = mem_resize(rows, (cap *= 2) * size);
        fill(a, s, rows + *count * size);
        ++*count;
    }
    pthread_mutex_unlock(&d->lock);
    *list = arena_array(a, *count, size);
    memcpy(*list, rows, *count * size);
    free(rows);
    return st;
}

static enum status list_rows(struct directory *d, struct arena *a, const char *sql, struct span value, size_t size,
                             directory_fill *fill, void **list, size_t *count, struct err *err)
{
    return directory_rows(d, a, sql, DB_VALUES(TEXT(value)), size, fill, list, count, err);
}

void directory_fill_span(struct arena *a, sqlite3_stmt *s, void *row)
{
    *(struct span *)row = arena_copy(a, column_span(s, 0));
}

enum status directory_domain_list(struct directory *d, struct arena *a, struct span **list, size_t *count,
                                  struct err *err)
{
    return list_rows(d, a, "SELECT name FROM domain WHERE ?1 = '' ORDER BY name", SPAN_NONE, sizeof **list,
                     directory_fill_span, (void **)list, count, err);
}

static void fill_account(struct arena *a, sqlite3_stmt *s, void *row)
{
    *(struct directory_account *)row =
        (struct directory_account){arena_copy(a, column_span(s, 0)), column_u64(s, 1), column_i64(s, 2)};
}

enum status directory_account_list(struct directory *d, struct arena *a, struct span domain,
                                   struct directory_account **list, size_t *count, struct err *err)
{
    return list_rows(
        d, a,
        "SELECT address, id, created_at FROM account WHERE kind = 0 AND (?1 = '' OR domain = ?1) ORDER BY address",
        domain, sizeof **list, fill_account, (void **)list, count, err);
}

enum status directory_first_account(struct directory *d, struct arena *a, struct span domain,
                                    struct directory_account *out, struct err *err)
{
    struct directory_account *list;
    size_t count;
    TRY(list_rows(d, a,
                  "SELECT address, id, created_at FROM account WHERE domain = ? AND kind = 0 ORDER BY address LIMIT 1",
                  domain, sizeof *list, fill_account, (void **)&list, &count, err));
    if (count)
        *out = list[0];
    return ST_OK;
}

static void fill_alias(struct arena *a, sqlite3_stmt *s, void *row)
{
    *(struct directory_alias *)row =
        (struct directory_alias){arena_copy(a, column_span(s, 0)), arena_copy(a, column_span(s, 1))};
}

enum status directory_alias_list(struct directory *d, struct arena *a, struct directory_alias **list, size_t *count,
                                 struct err *err)
{
    return list_rows(d, a, "SELECT source, target FROM alias WHERE ?1 = '' ORDER BY source, target", SPAN_NONE,
                     sizeof **list, fill_alias, (void **)list, count, err);
}

enum status directory_aliases_of(struct directory *d, struct arena *a, struct span address, struct span **list,
                                 size_t *count, struct err *err)
{
    return list_rows(d, a, "SELECT source FROM alias WHERE target = ? ORDER BY source", address, sizeof **list,
                     directory_fill_span, (void **)list, count, err);
}
