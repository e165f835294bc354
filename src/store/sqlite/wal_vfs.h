/*
 * wal_vfs.h - SQLite's own file access, but that a transaction goes into the WAL with one write instead of two a page.
 */
#pragma once

/* The name for sqlite3_open_v2(); known from wal_vfs_register() on, which is called once. */
#define WAL_VFS_NAME "tassis-wal"
void wal_vfs_register(void);
