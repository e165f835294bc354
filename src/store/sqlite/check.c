/*
 * check.c - does an account's file hold what it says? Every check is a query whose rows are findings, so that it can
 * also be run by hand with sqlite3.
 */
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum { FINDINGS_MAX = 1000 };

/* Each gives texts, one per finding. */
static const char *const queries[] = {
    "SELECT 'mailbox ' || b.id || ': counters are messages=' || b.messages || ' unseen=' || b.unseen || ' deleted=' ||"
    " b.deleted || ' size=' || b.size || ' deleted_size=' || b.deleted_size || ', rows say ' || coalesce(n, 0) || ' ' || coalesce(u, 0) || ' ' ||"
    " coalesce(d, 0) || ' ' || coalesce(z, 0) || ' ' || coalesce(x, 0)"
    " FROM mailbox b LEFT JOIN (SELECT mailbox, count(*) n, sum(flags & 1 = 0) u, sum(flags & 8 <> 0) d, sum(size) z,"
    " sum(size * (flags & 8 <> 0)) x"
    " FROM message GROUP BY mailbox) m ON m.mailbox = b.id"
    " WHERE b.messages <> coalesce(n, 0) OR b.unseen <> coalesce(u, 0) OR b.deleted <> coalesce(d, 0)"
    " OR b.size <> coalesce(z, 0) OR b.deleted_size <> coalesce(x, 0)",

    "SELECT 'mailbox ' || b.id || ': uidnext is ' || b.uidnext || ', greatest uid is ' || m.uid FROM mailbox b"
    " JOIN (SELECT mailbox, max(uid) uid FROM message GROUP BY mailbox) m ON m.mailbox = b.id WHERE m.uid >= b.uidnext",

    "SELECT 'mailbox ' || b.id || ': modseq is ' || b.highest_modseq || ', a message has ' || m.modseq FROM mailbox b"
    " JOIN (SELECT mailbox, max(modseq) modseq FROM message GROUP BY mailbox) m ON m.mailbox = b.id"
    " WHERE m.modseq > b.highest_modseq",

    "SELECT 'mailbox ' || m.mailbox || ' uid ' || m.uid || ': its content ' || m.content || ' is missing' FROM message "
    "m"
    " WHERE NOT EXISTS(SELECT 1 FROM content c WHERE c.id = m.content)",

    "SELECT 'mailbox ' || m.mailbox || ' uid ' || m.uid || ': size is ' || m.size || ', its content has ' || c.size"
    " FROM message m JOIN content c ON c.id = m.content WHERE c.size <> m.size",

    "SELECT 'message uid ' || m.uid || ' is in mailbox ' || m.mailbox || ', which does not exist' FROM message m"
    " WHERE m.mailbox NOT IN (SELECT id FROM mailbox)",

    "SELECT 'content ' || c.id || ' belongs to no message' FROM content c"
    " WHERE c.id NOT IN (SELECT content FROM message)"
    " AND c.id NOT IN (SELECT content FROM content_refs WHERE refs = -1)", /* kept for a reader (pin.c) */

    "SELECT 'content ' || m.content || ': referenced ' || n || ' times, counted ' || coalesce(r.refs, 1)"
    " FROM (SELECT content, count(*) n FROM message GROUP BY content) m LEFT JOIN content_refs r ON r.content = "
    "m.content"
    " WHERE n <> coalesce(r.refs, 1)",

    "SELECT 'content ' || r.content || ': counted ' || r.refs || ', but belongs to no message' FROM content_refs r"
    " WHERE r.refs <> -1 AND r.content NOT IN (SELECT content FROM message)",

    "SELECT 'content ' || c.id || ': size is ' || c.size || ', its bytes are ' || (length(c.data) + coalesce(k.size, "
    "0))"
    " FROM content c LEFT JOIN (SELECT content, sum(length(data)) size FROM chunk GROUP BY content) k ON k.content = "
    "c.id"
    " WHERE c.size <> length(c.data) + coalesce(k.size, 0)",

    "SELECT 'content ' || content || ': has ' || n || ' chunks, numbered ' || low || ' to ' || high"
    " FROM (SELECT content, count(*) n, min(idx) low, max(idx) high FROM chunk GROUP BY content)"
    " WHERE low <> 0 OR high <> n - 1",

    "SELECT 'chunk ' || idx || ' of content ' || content || ' belongs to no content' FROM chunk"
    " WHERE content NOT IN (SELECT id FROM content)",

    "SELECT 'mailbox ' || t.mailbox || ' uid ' || t.uid || ': both there and expunged' FROM tombstone t"
    " JOIN message m ON m.mailbox = t.mailbox AND m.uid = t.uid",

    "SELECT 'mailbox ' || b.id || ': counts ' || b.tombstones || ' tombstones, has ' || coalesce(n, 0) FROM mailbox b"
    " LEFT JOIN (SELECT mailbox, count(*) n FROM tombstone GROUP BY mailbox) t ON t.mailbox = b.id"
    " WHERE b.tombstones <> coalesce(n, 0)",

    "SELECT 'mailbox ' || s.mailbox || ' uid ' || s.uid || ': seen by ' || s.reader || ', but not there' FROM seen s"
    " WHERE NOT EXISTS(SELECT 1 FROM message m WHERE m.mailbox = s.mailbox AND m.uid = s.uid)",

    "SELECT 'mailbox ' || c.mailbox || ': counts ' || c.messages || ' seen by ' || c.reader || ', rows say ' ||"
    " coalesce(n, 0) FROM seen_count c LEFT JOIN (SELECT mailbox, reader, count(*) n FROM seen WHERE is_seen = 1"
    " GROUP BY mailbox, reader) s ON s.mailbox = c.mailbox AND s.reader = c.reader WHERE c.messages <> coalesce(n, 0)",

    "SELECT 'metadata of mailbox ' || mailbox || ', which does not exist' FROM metadata"
    " WHERE mailbox <> 0 AND mailbox NOT IN (SELECT id FROM mailbox)",
    "SELECT 'access control list of mailbox ' || mailbox || ', which does not exist' FROM acl"
    " WHERE mailbox NOT IN (SELECT id FROM mailbox)",

    "SELECT 'there is no INBOX' WHERE NOT EXISTS(SELECT 1 FROM mailbox WHERE name = 'INBOX')",
};

static enum status run(struct txn *t, const char *sql, struct strbuf *report, uint32_t *findings, struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, sql, NULL, 0));
    enum status st = ST_OK;
    while (*findings < FINDINGS_MAX && db_row(t->db, s, &st, err)) {
        strbuf_add(report, column_span(s, 0));
        strbuf_add_char(report, '\n');
        ++*findings;
    }
    db_done(s);
    return st;
}

static enum status integrity(struct txn *t, struct strbuf *report, uint32_t *findings, struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "PRAGMA integrity_check", NULL, 0));
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        if (span_eq(column_span(s, 0), SPAN("ok")))
            continue;
        strbuf_add(report, column_span(s, 0));
        strbuf_add_char(report, '\n');
        ++*findings;
    }
    return st;
}

enum status account_check(struct account *a, struct strbuf *report, uint32_t *findings, struct err *err)
{
    *findings = 0;
    AUTO(txn) t = NULL;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(integrity(t, report, findings, err));
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        TRY(run(t, queries[i], report, findings, err));
    return ST_OK;
}
