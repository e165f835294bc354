/*
 * account.h - the parts of a store and an account that need no SQL; for src/store only.
 */
#pragma once
#include <pthread.h>
#include "store/hub.h"
#include "store/view_internal.h"

struct hub {
    pthread_mutex_t lock;
    struct watcher *first;
};
void hub_init(struct hub *h);
void hub_destroy(struct hub *h);
/* Pokes who watches this mailbox; 0: those who watch the account. */
void hub_poke(struct hub *h, mailbox_id mailbox);
struct hub *account_hub(struct account *a);

/* ---- path.c: where an account's file lies. All pieces are made safe for file names. ------------------------- */

/* accounts/<domain> and accounts/<domain>/<localpart>.db below data_dir, NUL-terminated. ST_SYNTAX for what is not an
 * address. */
enum status account_path(const char *data_dir, struct span address, struct strbuf *dir, struct strbuf *file,
                         struct err *err);
/* mkdir 0700, fine where it is there; its parent is flushed in any case. */
enum status path_make_dir(const char *path, struct err *err);
enum status path_sync_dir(const char *path, struct err *err);
/* Makes an empty file 0600 with its folder flushed. *is_new false: it was there. */
enum status path_make_file(const char *dir, const char *file, bool *is_new, struct err *err);
/* Unlinks an SQLite database, its WAL first, and flushes the folder. Fine where nothing is. */
enum status path_remove_database(const char *dir, const char *file, struct err *err);

/* ---- name.c: names of mailboxes ------------------------------------------------------------------------------- */

/* Checks a name and brings INBOX (as first level) to its one writing. ST_SYNTAX, ST_LIMIT. */
enum status mailbox_name_check(struct span name, struct arena *a, struct span *out, struct err *err);
/* As mailbox_name_check for names to be looked up: what cannot be a name is ST_NOTFOUND. */
enum status mailbox_name_lookup(struct span name, struct arena *a, struct span *out, struct err *err);
static inline bool mailbox_name_is_inbox(struct span name)
{
    return span_eq(name, SPAN("INBOX"));
}
