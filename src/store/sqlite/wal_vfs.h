/*
 * wal_vfs.h - SQLite's own file access, but that a transaction goes into the WAL with one write instead of two a page,
 * and that nothing is built on a flush that failed (both are explained in wal_vfs.c).
 *
 * All functions may be called by any thread.
 */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>

/* Once per process, before any other use of SQLite (later calls do nothing). Makes the VFS known. */
void wal_vfs_start(void);
/* The name for sqlite3_open_v2(). */
#define WAL_VFS_NAME "tassis-wal"

/*
 * To be called in each transaction that writes, when the connection has the write lock and has written nothing yet.
 * `is_flushed`: it ends with a flush (synchronous = FULL). If nobody knows how much of the WAL is on the disk, all of
 * it is put there first. Returns SQLite's result code; on failure the transaction is to be rolled back, it could not
 * commit.
 */
int wal_begin(sqlite3 *conn, bool is_flushed);

/* Says that nobody knows how much of the WAL of this connection's file is on the disk. */
void wal_suspect(sqlite3 *conn);
/* Whether so, by wal_suspect() or since a flush has failed in this process, until a wal_begin() has mended it. */
bool wal_is_suspect(sqlite3 *conn);
