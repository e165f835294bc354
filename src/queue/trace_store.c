/* trace_store.c - see trace_store.h: writing, pruning, and going through batches. What is looked for is in
 * trace_find.c. */
#include "queue/trace_internal.h"
#include <stdlib.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/banned.h"

enum { PRUNE_BATCHES = 200, TRACE_SCHEMA_VERSION = 1, TRACE_BUSY_MS = 5000 };

static const char schema[] = "CREATE TABLE batch("
                             " id INTEGER PRIMARY KEY,"    /* in the order of coming */
                             " first_ms INTEGER NOT NULL," /* of its lines */
                             " last_ms INTEGER NOT NULL,"
                             " keys BLOB NOT NULL,"   /* sorted 32-bit hashes, the machine's byte order */
                             " lines BLOB NOT NULL);" /* behind keys, so that these are read without it */
                             "PRAGMA user_version=1;";

static enum status prepare(struct queue_db *d, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql_run(d,
                      "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                      "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=8388608",
                      err));
    TRY(queue_sql(d, "PRAGMA user_version", &st, err));
    int version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    sqlite3_reset(st);
    if (version == 0)
        return queue_sql_run(d, schema, err);
    return version == TRACE_SCHEMA_VERSION
               ? ST_OK
               : err_set(err, ST_UNSUPPORTED, "the trace is of another version (%d)", version);
}

enum status trace_store_open(const char *path, bool may_create, struct trace_store **out, struct err *err)
{
    AUTO(trace_store) t = mem_alloc(sizeof *t);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (may_create ? SQLITE_OPEN_CREATE : 0);
    mode_t before = umask(077);
    int rc = sqlite3_open_v2(path, &t->db.db, flags, NULL);
    umask(before);
    if (rc != SQLITE_OK)
        return err_set_operator(err, rc == SQLITE_CANTOPEN && !may_create ? ST_NOTFOUND : ST_IO,
                                "the trace is not available", "trace: %s: %s", path,
                                t->db.db ? sqlite3_errmsg(t->db.db) : sqlite3_errstr(rc));
    sqlite3_busy_timeout(t->db.db, TRACE_BUSY_MS);
    TRY(prepare(&t->db, err));
    *out = t;
    t = NULL;
    return ST_OK;
}

void trace_store_free(struct trace_store **tp)
{
    struct trace_store *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    for (size_t i = 0; i < QUEUE_STATEMENTS; i++)
        sqlite3_finalize(t->db.statements[i].st);
    sqlite3_close(t->db.db);
    free(t->keys);
    free(t);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* FNV-1a without case. It is in the file, so it stays as it is; who makes words collide makes us read a batch more. */
uint32_t trace_key(struct span word)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < word.len; i++)
        h = (h ^ (unsigned char)ascii_lower(word.p[i])) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

static void add_key(struct trace_store *t, struct span word)
{
    if (word.len == 0)
        return;
    if (t->key_count == t->key_cap) {
        t->key_cap = t->key_cap ? 2 * t->key_cap : 1024;
        t->keys = mem_resize(t->keys, t->key_cap * sizeof *t->keys);
    }
    t->keys[t->key_count++] = trace_key(word);
}

bool trace_field_is_key(struct span name)
{
    static const char *const names[] = {"trace", "queue", "from", "to", "account", "about", "message_id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq(name, span_cstr(names[i])))
            return true;
    return false;
}

static void add_keys(struct trace_store *t, struct arena *a, struct span fields)
{
    struct span key, value, word;
    while (fields.len && log_field_next(&fields, a, &key, &value)) {
        if (!trace_field_is_key(key))
            continue;
        for (bool is_more = true; is_more;) { /* several recipients */
            is_more = span_cut(&value, ',', &word);
            add_key(t, word);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_keys(struct trace_store *t)
{
    size_t n = 0;
    if (t->key_count)
        qsort(t->keys, t->key_count, sizeof *t->keys, by_value);
    for (size_t i = 0; i < t->key_count; i++)
        if (n == 0 || t->keys[i] != t->keys[n - 1])
            t->keys[n++] = t->keys[i];
    t->key_count = n;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

enum status trace_store_add(struct trace_store *t, struct span lines, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF kept = STRBUF_INIT;
    struct span line;
    struct log_record r;
    int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
    t->key_count = 0;
    while (span_cut(&lines, '\n', &line)) {
        if (!log_record_parse(line, &r))
            continue;
        first_ms = r.at_ms < first_ms ? r.at_ms : first_ms;
        last_ms = r.at_ms > last_ms ? r.at_ms : last_ms;
        add_keys(t, &a, r.fields);
        strbuf_add(&kept, line);
        strbuf_add_char(&kept, '\n');
    }
    if (kept.len == 0)
        return ST_OK;
    sort_keys(t);
    sqlite3_stmt *st;
    TRY(queue_sql(&t->db, "INSERT INTO batch(first_ms, last_ms, keys, lines) VALUES(?, ?, ?, ?)", &st, err));
    sqlite3_bind_int64(st, 1, first_ms);
    sqlite3_bind_int64(st, 2, last_ms);
    sqlite3_bind_blob(st, 3, t->keys ? (const void *)t->keys : "", (int)(t->key_count * sizeof *t->keys),
                      SQLITE_STATIC);
    sqlite3_bind_blob(st, 4, kept.p, (int)kept.len, SQLITE_STATIC);
    return queue_sql_done(&t->db, st, "trace", err);
}

/* ---- pruning ---------------------------------------------------------------------------------------------------- */

static enum status pragma(struct trace_store *t, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&t->db, sql, &st, err));
    bool has_row = sqlite3_step(st) == SQLITE_ROW;
    *out = has_row ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return has_row ? ST_OK : queue_sql_error(&t->db, sql, err);
}

static enum status used_bytes(struct trace_store *t, uint64_t *out, struct err *err)
{
    int64_t pages, free_pages, size;
    TRY(pragma(t, "PRAGMA page_count", &pages, err));
    TRY(pragma(t, "PRAGMA freelist_count", &free_pages, err));
    TRY(pragma(t, "PRAGMA page_size", &size, err));
    *out = (uint64_t)((pages - free_pages) * size);
    return ST_OK;
}

/* The front of the table, at most PRUNE_BATCHES of it. */
static enum status remove_front(struct trace_store *t, int64_t before_ms, int64_t limit, int *removed, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&t->db,
                  "DELETE FROM batch WHERE id IN (SELECT id FROM (SELECT id, last_ms FROM batch ORDER BY id LIMIT ?)"
                  " WHERE last_ms < ?)",
                  &st, err));
    sqlite3_bind_int64(st, 1, limit);
    sqlite3_bind_int64(st, 2, before_ms);
    TRY(queue_sql_done(&t->db, st, "trace prune", err));
    *removed = sqlite3_changes(t->db.db);
    return ST_OK;
}

enum status trace_store_prune(struct trace_store *t, int64_t before_ms, uint64_t max_bytes, bool *is_done,
                              struct err *err)
{
    int removed = 0, more = 0;
    uint64_t used = 0;
    int64_t rows = 0;
    TRY(remove_front(t, before_ms, PRUNE_BATCHES, &removed, err));
    TRY(used_bytes(t, &used, err));
    if (used > max_bytes) {
        TRY(pragma(t, "SELECT count(*) FROM batch", &rows, err));
        /* about as many as are too many, and a tenth more, so that this does not come at every look */
        int64_t excess = (int64_t)((double)rows * (1.1 - (double)max_bytes / (double)used)) + 1;
        TRY(remove_front(t, INT64_MAX, excess < PRUNE_BATCHES ? excess : PRUNE_BATCHES, &more, err));
    }
    TRY(queue_sql_run(&t->db, "PRAGMA incremental_vacuum(2000)", err));
    *is_done = removed < PRUNE_BATCHES && more == 0;
    return ST_OK;
}
