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
 * Other files are opened by SQLite's own methods and never pass through here.
 */
#include "store/sqlite/wal_vfs.h"
#include <sqlite3.h>
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
    WAITING_KEPT = 32 * 1024 /* an idle connection keeps no more memory than this */
};

struct wal_file {
    sqlite3_file base;
    char *waiting; /* octets for [offset, offset + len) */
    size_t len, cap;
    sqlite3_int64 offset;
    bool is_last;        /* the next write is the page of a transaction's last frame */
    sqlite3_file *below; /* SQLite's own, behind this struct */
};

static sqlite3_vfs *below_vfs;

static struct wal_file *wal_of(sqlite3_file *f)
{
    return (struct wal_file *)(void *)f;
}

static int flush(struct wal_file *w)
{
    int rc = SQLITE_OK;
    if (w->len)
        rc = w->below->pMethods->xWrite(w->below, w->waiting, (int)w->len, w->offset);
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
    if (w->len && (offset != w->offset + (sqlite3_int64)w->len || w->len + (size_t)n > WAITING_MAX)) {
        int rc = flush(w);
        if (rc != SQLITE_OK)
            return rc;
    }
    if ((size_t)n > WAITING_MAX)
        return w->below->pMethods->xWrite(w->below, bytes, n, offset);
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
    return rc == SQLITE_OK ? w->below->pMethods->xSync(w->below, flags) : rc;
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
    *w = (struct wal_file){.below = (sqlite3_file *)(void *)(w + 1)};
    int rc = below_vfs->xOpen(below_vfs, name, w->below, flags, out_flags);
    w->base.pMethods = w->below->pMethods ? &wal_methods : NULL;
    return rc;
}

void wal_vfs_register(void)
{
    static sqlite3_vfs vfs;
    below_vfs = sqlite3_vfs_find(NULL);
    vfs = *below_vfs; /* all but opening is SQLite's own */
    vfs.zName = WAL_VFS_NAME;
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct wal_file) + below_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        panic("SQLite takes no VFS");
}
