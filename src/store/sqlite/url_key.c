/* url_key.c - see url_key.h. */
#include "store/url_key.h"
#include <sys/random.h>
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum status url_key_get(struct txn *t, mailbox_id mailbox, uint8_t key[URL_KEY_BYTES], struct err *err)
{
    sqlite3_stmt *s;
    enum status st;
    bool is_found = false;
    TRY(db_query(t->db, &s, err, "SELECT key FROM url_key WHERE mailbox = ?", INT(mailbox)));
    while (db_row(t->db, s, &st, err)) {
        struct span found = column_span(s, 0);
        is_found = found.len == URL_KEY_BYTES;
        if (is_found)
            memcpy(key, found.p, URL_KEY_BYTES);
    }
    TRY(st);
    return is_found ? ST_OK : err_set(err, ST_NOTFOUND, "the mailbox has no key");
}

enum status url_key_make(struct txn *t, mailbox_id mailbox, uint8_t key[URL_KEY_BYTES], struct err *err)
{
    enum status st = url_key_get(t, mailbox, key, err);
    if (st != ST_NOTFOUND)
        return st;
    if (getrandom(key, URL_KEY_BYTES, 0) != URL_KEY_BYTES)
        return err_errno(err, "getrandom");
    TRY_WRITE(t, db_run(t->db, err, "INSERT OR REPLACE INTO url_key(mailbox, key) VALUES(?, ?)", INT(mailbox),
                        BLOB(span_of(key, URL_KEY_BYTES))));
    return ST_OK;
}

enum status url_key_forget(struct txn *t, mailbox_id mailbox, struct err *err)
{
    TRY_WRITE(t, db_run(t->db, err, "DELETE FROM url_key WHERE mailbox = ?", INT(mailbox)));
    return ST_OK;
}

enum status url_key_forget_all(struct txn *t, struct err *err)
{
    TRY_WRITE(t, db_run_plain(t->db, err, "DELETE FROM url_key"));
    return ST_OK;
}
