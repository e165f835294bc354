/*
 * wal_vfs.c - see wal_vfs.h.
 *
 * SQLite writes each frame of the WAL by two calls, a header of 24 octets and the page; a delivery of 10 KB is seven
 * frames. Here a frame waits in memory until its transaction's last one has come, and all go out in one pwrite.
 *
 * Why nothing can be seen too late or be lost:
 *   1. A frame's header says whether it is its transaction's last (WAL format: the second word is the size of the
 *      database after the commit, zero in other frames). When that frame's page has come, everything is written before
 *      xWrite() returns, and its status is xWrite()'s. Only after that does SQLite publish the transaction in the
 *      WAL-index, where other connections look. So no other connection ever looks for a frame that waits here.
 *   2. Whatever else this connection does with the file (read, flush, truncate, ask for its size, close) happens after
 *      what waits has been written.
 *   3. A write that fails fails the call that caused it; SQLite then rolls the transaction back. What waits is dropped:
 *      it belongs to no commit.
 *
 * A flush that failed. Linux tells of a failed write-back once and then holds the pages for written, though the disk
 * does not have them: the next flush succeeds and covers nothing of what was lost before it, and a commit after such a
 * gap would not be found by recovery. So a WAL whose flush or write failed is suspect: no flush of it succeeds any more
 * until wal_begin() has written all of it anew, over itself and under the write lock, and flushed that. Its octets are
 * still to be had, since SQLite and we write nothing twice in between: they are in the kernel's memory. A WAL that was
 * there when the process opened its file is suspect as well; whoever wrote it may have died of such a failure.
 * What is left: pages that the kernel has dropped from memory between the failure and wal_begin().
 * The transaction whose own flush failed is rolled back by SQLite, but its frames stand in the file and are whole; the
 * next recovery would bring back what its caller was told had failed. They are cut off before xSync() returns, while
 * the write lock is still held: nobody else's frames stand behind them, and nobody looks there.
 *
 * Other files are opened by SQLite's own methods and never pass through here.
 */
#include "store/sqlite/wal_vfs.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/banned.h"

enum {
    FRAME_HEADER_BYTES = 24,
    /* More is written without waiting for the last frame; SQLite writes less than 128 KB at once. */
    WAITING_MAX = 96 * 1024,
    WAITING_KEPT = 32 * 1024, /* an idle connection keeps no more memory than this */
    RENEW_BYTES = 64 * 1024,
};

struct wal_file {
    sqlite3_file base;
    char *waiting; /* octets for [offset, offset + len) */
    size_t len, cap;
    sqlite3_int64 offset;
    bool is_last;        /* the next write is the page of a transaction's last frame */
    bool is_begun;       /* frames of a transaction have come, not yet its last */
    bool is_promised;    /* the transaction asked for a flush at its end (wal_begin) */
    bool is_at_end;      /* its last frame was written, the flush comes next */
    sqlite3_int64 first; /* where the transaction's frames begin */
    const char *name;    /* of the WAL, with its whole path; SQLite's */
    sqlite3_file *below; /* SQLite's own, behind this struct */
};

static sqlite3_vfs *below_vfs;

/* ---- suspects ---------------------------------------------------------------------------------------------------- */

struct suspect {
    struct suspect *next;
    char *name;
};

static pthread_mutex_t suspects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct suspect *suspects;       /* under the lock */
static _Atomic uint32_t suspect_count; /* nearly always 0: then nobody takes the lock */

/* Where the suspect of this name stands, or the list's end. The lock is held. */
static struct suspect **find_suspect(const char *name)
{
    struct suspect **at = &suspects;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static bool is_suspect(const char *name)
{
    if (atomic_load(&suspect_count) == 0)
        return false;
    pthread_mutex_lock(&suspects_lock);
    bool is_one = *find_suspect(name) != NULL;
    pthread_mutex_unlock(&suspects_lock);
    return is_one;
}

static void suspect(const char *name)
{
    pthread_mutex_lock(&suspects_lock);
    struct suspect **at = find_suspect(name);
    if (!*at) {
        *at = mem_alloc(sizeof **at);
        (*at)->name = mem_cstr(name, strlen(name));
        atomic_fetch_add(&suspect_count, 1);
    }
    pthread_mutex_unlock(&suspects_lock);
}

static void trust(const char *name)
{
    pthread_mutex_lock(&suspects_lock);
    struct suspect **at = find_suspect(name), *s = *at;
    if (s) {
        *at = s->next;
        free(s->name);
        free(s);
        atomic_fetch_sub(&suspect_count, 1);
    }
    pthread_mutex_unlock(&suspects_lock);
}

/* ---- the WAL's methods ------------------------------------------------------------------------------------------- */

static struct wal_file *wal_of(sqlite3_file *f)
{
    return (struct wal_file *)(void *)f;
}

static int write_below(struct wal_file *w, const void *bytes, int n, sqlite3_int64 offset)
{
    int rc = w->below->pMethods->xWrite(w->below, bytes, n, offset);
    if (rc != SQLITE_OK && rc != SQLITE_FULL) /* a full disk has been told in time: nothing was taken for written */
        suspect(w->name);
    return rc;
}

static int flush(struct wal_file *w)
{
    int rc = SQLITE_OK;
    if (w->len)
        rc = write_below(w, w->waiting, (int)w->len, w->offset);
    w->len = 0;
    if (w->cap > WAITING_KEPT) {
        free(w->waiting);
        w->waiting = NULL;
        w->cap = 0;
    }
    return rc;
}

static bool is_last_frame(const unsigned char *header)
{
    return header[4] || header[5] || header[6] || header[7];
}

static int wal_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
    struct wal_file *w = wal_of(f);
    bool is_header = n == FRAME_HEADER_BYTES, is_done = !is_header && w->is_last;
    w->is_last = is_header && is_last_frame(bytes);
    if (is_header && !w->is_begun)
        w->first = offset;
    w->is_begun = !is_done && (is_header || w->is_begun);
    w->is_at_end = is_done && w->is_promised;
    if (w->len && (offset != w->offset + (sqlite3_int64)w->len || w->len + (size_t)n > WAITING_MAX)) {
        int rc = flush(w);
        if (rc != SQLITE_OK)
            return rc;
    }
    if ((size_t)n > WAITING_MAX)
        return write_below(w, bytes, n, offset);
    if (w->len == 0)
        w->offset = offset;
    if (!w->waiting || w->len + (size_t)n > w->cap) {
        w->cap = 2 * (w->len + (size_t)n);
        w->waiting = mem_resize(w->waiting, w->cap);
    }
    memcpy(w->waiting + w->len, bytes, (size_t)n);
    w->len += (size_t)n;
    return is_done ? flush(w) : SQLITE_OK;
}

static int wal_read(sqlite3_file *f, void *bytes, int n, sqlite3_int64 offset)
{
    struct wal_file *w = wal_of(f);
    int rc = flush(w);
    return rc == SQLITE_OK ? w->below->pMethods->xRead(w->below, bytes, n, offset) : rc;
}

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct wal_file *w = wal_of(f);
    int rc = flush(w);
    return rc == SQLITE_OK ? w->below->pMethods->xTruncate(w->below, size) : rc;
}

static int wal_sync(sqlite3_file *f, int flags)
{
    struct wal_file *w = wal_of(f);
    int rc = flush(w);
    if (rc == SQLITE_OK && is_suspect(w->name))
        return SQLITE_IOERR_FSYNC;
    if (rc == SQLITE_OK)
        rc = w->below->pMethods->xSync(w->below, flags);
    if (rc != SQLITE_OK) {
        suspect(w->name);
        if (w->is_at_end && w->below->pMethods->xTruncate(w->below, w->first) != SQLITE_OK)
            log_text(LOG_ERROR, "store-flush", "%s: what was not flushed cannot be taken back", w->name);
    }
    w->is_at_end = false;
    return rc;
}

static int wal_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    struct wal_file *w = wal_of(f);
    int rc = flush(w);
    return rc == SQLITE_OK ? w->below->pMethods->xFileSize(w->below, size) : rc;
}

static int wal_close(sqlite3_file *f)
{
    struct wal_file *w = wal_of(f);
    int rc = flush(w), closed = w->below->pMethods->xClose(w->below);
    free(w->waiting);
    return rc == SQLITE_OK ? closed : rc;
}

static int wal_lock(sqlite3_file *f, int level)
{
    return wal_of(f)->below->pMethods->xLock(wal_of(f)->below, level);
}

static int wal_unlock(sqlite3_file *f, int level)
{
    return wal_of(f)->below->pMethods->xUnlock(wal_of(f)->below, level);
}

static int wal_check_lock(sqlite3_file *f, int *out)
{
    return wal_of(f)->below->pMethods->xCheckReservedLock(wal_of(f)->below, out);
}

static int wal_control(sqlite3_file *f, int op, void *arg)
{
    return wal_of(f)->below->pMethods->xFileControl(wal_of(f)->below, op, arg);
}

static int wal_sector_size(sqlite3_file *f)
{
    return wal_of(f)->below->pMethods->xSectorSize(wal_of(f)->below);
}

static int wal_characteristics(sqlite3_file *f)
{
    return wal_of(f)->below->pMethods->xDeviceCharacteristics(wal_of(f)->below);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1, /* no shared memory, no mapping: those are the database file's */
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_file_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_characteristics,
};

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out_flags)
{
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return below_vfs->xOpen(below_vfs, name, f, flags, out_flags);
    struct wal_file *w = wal_of(f);
    *w = (struct wal_file){.name = name, .below = (sqlite3_file *)(void *)(w + 1)};
    int rc = below_vfs->xOpen(below_vfs, name, w->below, flags, out_flags);
    w->base.pMethods = w->below->pMethods ? &wal_methods : NULL;
    return rc;
}

static void start(void)
{
    static sqlite3_vfs vfs;
    /* Memory statistics take a process-wide lock at every allocation. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_initialize() != SQLITE_OK)
        panic("SQLite cannot be initialised");
    below_vfs = sqlite3_vfs_find(NULL);
    vfs = *below_vfs; /* all but opening is SQLite's own */
    vfs.zName = WAL_VFS_NAME;
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct wal_file) + below_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        panic("SQLite takes no VFS");
}

void wal_vfs_start(void)
{
    static pthread_once_t started = PTHREAD_ONCE_INIT;
    pthread_once(&started, start);
}

/* ---- renewing ---------------------------------------------------------------------------------------------------- */

static const char *wal_name(sqlite3 *conn)
{
    return sqlite3_filename_wal(sqlite3_db_filename(conn, "main"));
}

void wal_suspect(sqlite3 *conn)
{
    suspect(wal_name(conn));
}

bool wal_is_suspect(sqlite3 *conn)
{
    return atomic_load(&suspect_count) && is_suspect(wal_name(conn));
}

/* Puts the whole WAL on the disk. */
static int renew(struct wal_file *w)
{
    sqlite3_file *f = w->below;
    sqlite3_int64 size;
    int rc = f->pMethods->xFileSize(f, &size);
    char *bytes = mem_alloc(RENEW_BYTES);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += RENEW_BYTES) {
        int n = size - at < RENEW_BYTES ? (int)(size - at) : RENEW_BYTES;
        rc = f->pMethods->xRead(f, bytes, n, at);
        if (rc == SQLITE_OK)
            rc = f->pMethods->xWrite(f, bytes, n, at);
    }
    free(bytes);
    if (rc == SQLITE_OK)
        rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
    if (rc == SQLITE_OK)
        trust(w->name);
    return rc;
}

int wal_begin(sqlite3 *conn, bool is_flushed)
{
    sqlite3_file *f = NULL;
    int rc = sqlite3_file_control(conn, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);
    if (rc != SQLITE_OK || !f || f->pMethods != &wal_methods)
        return rc; /* not in WAL mode yet */
    struct wal_file *w = wal_of(f);
    w->is_promised = is_flushed;
    w->is_begun = w->is_at_end = false;
    return is_suspect(w->name) ? renew(w) : SQLITE_OK;
}
