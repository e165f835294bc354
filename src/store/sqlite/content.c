/*
 * content.c - bodies: the first CONTENT_INLINE_BYTES in the content row, the rest in chunks.
 *
 * Parts of the inline bytes are read by SQLite's incremental blobs, which touch only the pages they must; the blob
 * stays open for the transaction and is moved from content to content, which is much cheaper than opening it: SQLite
 * compiles a statement for each opening. So a transaction's first read, which is the only one of many, is a query that
 * is compiled already, where the content is small and wanted from its beginning.
 */
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum {
    CONTENT_INLINE_BYTES = 256 * 1024,
    CONTENT_CHUNK_BYTES = 256 * 1024,
    CONTENT_SMALL_BYTES = 64 * 1024,
    CONTENT_ORDINAL_BITS = 16, /* contents of one modseq */
};

/* An id is a modseq and a number under it: never used twice, and no counter to keep. */
static content_id next_id(struct txn *t)
{
    uint64_t modseq = txn_modseq(t);
    if (t->contents == 1u << CONTENT_ORDINAL_BITS) {
        modseq = ++t->modseq;
        t->contents = 0;
    }
    return modseq << CONTENT_ORDINAL_BITS | t->contents++;
}

enum status content_insert(struct txn *t, const struct content *c, content_id *out, struct err *err)
{
    content_id id = next_id(t);
    TRY(db_run(t->db, err,
               "INSERT INTO content(id, size, header_size, thread, envelope, body, bodystructure, parts, preview, data)"
               " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               INT(id), INT(c->raw.len), INT(c->header_size), INT(c->thread), BLOB(c->envelope), BLOB(c->body),
               BLOB(c->bodystructure), BLOB(c->parts), BLOB(c->preview),
               BLOB(span_take(c->raw, CONTENT_INLINE_BYTES))));
    struct span rest = span_skip(c->raw, CONTENT_INLINE_BYTES);
    for (int64_t i = 0; rest.len; i++) {
        TRY(db_run(t->db, err, "INSERT INTO chunk(content, idx, data) VALUES(?, ?, ?)", INT(id), INT(i),
                   BLOB(span_take(rest, CONTENT_CHUNK_BYTES))));
        rest = span_skip(rest, CONTENT_CHUNK_BYTES);
    }
    *out = id;
    return ST_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------------
 */

static enum status damaged(struct txn *t, content_id id, struct err *err)
{
    return err_set_operator(err, ST_IO, "internal error, try again later", "%s: content %llu is damaged",
                            t->account->file, (unsigned long long)id);
}

static enum status open_blob(struct txn *t, content_id id, struct err *err)
{
    struct db *db = t->db;
    int rc = db->blob ? sqlite3_blob_reopen(db->blob, (int64_t)id)
                      : sqlite3_blob_open(db->conn, "main", "content", "data", (int64_t)id, 0, &db->blob);
    if (rc == SQLITE_OK)
        return ST_OK;
    sqlite3_blob_close(db->blob);
    db->blob = NULL;
    if (rc == SQLITE_ERROR) /* no such row */
        return err_set(err, ST_NOTFOUND, "no such message content");
    return db_error(db, rc, "opening a content", err);
}

/* Appends bytes from..to of the open blob. */
static enum status read_inline(struct txn *t, content_id id, uint64_t from, uint64_t to, struct strbuf *out,
                               struct err *err)
{
    if (to > (uint64_t)sqlite3_blob_bytes(t->db->blob))
        return damaged(t, id, err);
    size_t n = (size_t)(to - from), before = out->len;
    int rc = sqlite3_blob_read(t->db->blob, strbuf_extend(out, n), (int)n, (int)from);
    if (rc == SQLITE_OK)
        return ST_OK;
    strbuf_truncate(out, before);
    return db_error(t->db, rc, "reading a content", err);
}

/* Appends bytes from..to of the chunks (0 is the first byte behind the inline ones). */
static enum status read_chunks(struct txn *t, content_id id, uint64_t from, uint64_t to, struct strbuf *out,
                               struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT data FROM chunk WHERE content = ? AND idx BETWEEN ? AND ? ORDER BY idx",
                 INT(id), INT(from / CONTENT_CHUNK_BYTES), INT((to - 1) / CONTENT_CHUNK_BYTES)));
    uint64_t at = from / CONTENT_CHUNK_BYTES * CONTENT_CHUNK_BYTES, got = 0;
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        struct span piece = column_span(s, 0);
        piece = span_slice(piece, from > at ? (size_t)(from - at) : 0, (size_t)(to - at));
        strbuf_add(out, piece);
        got += piece.len;
        at += CONTENT_CHUNK_BYTES;
    }
    TRY(st);
    return got == to - from ? ST_OK : damaged(t, id, err);
}

/* The content's size; its blob is open. Where all is inline the blob says it, which spares a query for each read. */
static enum status size_of(struct txn *t, content_id id, uint64_t *size, struct err *err)
{
    int64_t n = sqlite3_blob_bytes(t->db->blob);
    *size = (uint64_t)n;
    if (n < CONTENT_INLINE_BYTES)
        return ST_OK;
    TRY(db_number(t->db, -1, &n, err, "SELECT size FROM content WHERE id = ?", INT(id)));
    if (n < 0)
        return err_set(err, ST_NOTFOUND, "no such message content");
    *size = (uint64_t)n;
    return ST_OK;
}

/* *is_small false: nothing was read, the content is larger than CONTENT_SMALL_BYTES. */
static enum status read_small(struct txn *t, content_id id, uint64_t size, struct strbuf *out, bool *is_small,
                              struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT CASE WHEN size <= ?2 THEN data END FROM content WHERE id = ?1", INT(id),
                 INT(CONTENT_SMALL_BYTES)));
    enum status st;
    if (!db_row(t->db, s, &st, err))
        return st == ST_OK ? err_set(err, ST_NOTFOUND, "no such message content") : st;
    *is_small = sqlite3_column_type(s, 0) != SQLITE_NULL;
    if (*is_small)
        strbuf_add(out, span_take(column_span(s, 0), size));
    db_done(s);
    return ST_OK;
}

enum status content_read(struct txn *t, content_id id, uint64_t offset, uint64_t size, struct strbuf *out,
                         struct err *err)
{
    uint64_t total = 0;
    bool is_first = !t->has_read, is_small = false;
    t->has_read = true;
    if (is_first && offset == 0)
        TRY(read_small(t, id, size, out, &is_small, err));
    if (is_small)
        return ST_OK;
    TRY(open_blob(t, id, err));
    TRY(size_of(t, id, &total, err));
    if (offset >= total || size == 0)
        return ST_OK;
    uint64_t end = size < total - offset ? offset + size : total;
    if (offset < CONTENT_INLINE_BYTES)
        TRY(read_inline(t, id, offset, end < CONTENT_INLINE_BYTES ? end : CONTENT_INLINE_BYTES, out, err));
    if (end <= CONTENT_INLINE_BYTES)
        return ST_OK;
    uint64_t from = offset > CONTENT_INLINE_BYTES ? offset - CONTENT_INLINE_BYTES : 0;
    return read_chunks(t, id, from, end - CONTENT_INLINE_BYTES, out, err);
}

/* Each form is read only where asked for: the CASEs keep SQLite from walking to the others. */
static const char forms_sql[] = "SELECT size, header_size, thread,"
                                " CASE WHEN ?2 & 1 THEN envelope END, CASE WHEN ?2 & 2 THEN body END,"
                                " CASE WHEN ?2 & 4 THEN bodystructure END, CASE WHEN ?2 & 8 THEN parts END,"
                                " CASE WHEN ?2 & 32 THEN preview END"
                                " FROM content WHERE id = ?1";

enum status content_load(struct txn *t, content_id id, unsigned what, struct arena *a, struct content_forms *out,
                         struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, forms_sql, INT(id), INT(what)));
    enum status st;
    if (!db_row(t->db, s, &st, err))
        return st == ST_OK ? err_set(err, ST_NOTFOUND, "no such message content") : st;
    *out = (struct content_forms){.size = column_u64(s, 0), .header_size = column_u64(s, 1)};
    out->has_thread = sqlite3_column_type(s, 2) != SQLITE_NULL;
    out->thread = column_u64(s, 2);
    struct span *forms[] = {&out->envelope, &out->body, &out->bodystructure, &out->parts};
    for (int i = 0; i < 4; i++)
        if (what & (1u << i))
            *forms[i] = arena_copy(a, column_span(s, i + 3));
    out->has_preview = sqlite3_column_type(s, 7) != SQLITE_NULL;
    if (out->has_preview)
        out->preview = arena_copy(a, column_span(s, 7));
    db_done(s);
    if (what & CONTENT_HEADER) {
        AUTO_STRBUF header = STRBUF_INIT;
        TRY(content_read(t, id, 0, out->header_size, &header, err));
        out->header = arena_strbuf(a, &header);
    }
    return ST_OK;
}

/* ---- references ----------------------------------------------------------------------------------------------------
 */

enum status content_retain_range(struct txn *t, struct message_range r, struct err *err)
{
    return db_run(t->db, err,
                  "INSERT INTO content_refs(content, refs) SELECT content, 2 FROM message WHERE " RANGE
                  " ON CONFLICT(content) DO UPDATE SET refs = refs + 1",
                  RANGE_VALUES(r));
}

/* Contents of the range that nobody else has: without a count, or whose count came down to 0. */
#define DEAD                                                                                                           \
    "(SELECT content FROM message WHERE " RANGE                                                                        \
    " AND coalesce((SELECT refs FROM content_refs r WHERE r.content = message.content), 0) = 0)"

enum status content_release_range(struct txn *t, struct message_range r, struct err *err)
{
    TRY(db_run(t->db, err,
               "INSERT INTO content_refs(content, refs) SELECT content, 0 FROM message WHERE " RANGE
               " AND content IN (SELECT content FROM content_refs)"
               " ON CONFLICT(content) DO UPDATE SET refs = refs - 1",
               RANGE_VALUES(r)));
    TRY(pins_keep_range(t, r, err));
    TRY(db_run(t->db, err, "DELETE FROM chunk WHERE content IN " DEAD, RANGE_VALUES(r)));
    TRY(db_run(t->db, err, "DELETE FROM content WHERE id IN " DEAD, RANGE_VALUES(r)));
    return db_run(
        t->db, err,
        "DELETE FROM content_refs WHERE refs BETWEEN 0 AND 1 AND content IN (SELECT content FROM message WHERE " RANGE
        ")",
        RANGE_VALUES(r));
}
