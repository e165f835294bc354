/*
 * file.h - files that must survive a loss of power, and small files read whole.
 *
 * A rename is durable only when the folder was flushed, so that is part of each function here. Paths are the program's
 * own or the operator's, never a stranger's. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"
#include <sys/types.h>

/* Appends the whole file to *out. ST_LIMIT where it is larger than max. */
enum status file_read(const char *path, size_t max, struct strbuf *out, struct err *err);
/* As file_read, from the start of an open file; does not move the file's offset (which other processes may share). */
enum status file_read_fd(int fd, const char *name, size_t max, struct strbuf *out, struct err *err);

/* After ST_OK the path names a file with exactly these bytes, also after a loss of power; at any time before, it names
 * the old file or none (written beside it, flushed, renamed, folder flushed). */
enum status file_write_atomic(const char *path, mode_t mode, struct span bytes, struct err *err);

/* Makes the folder (this mode) and its missing parents (0755), each flushed into its parent. An existing folder is left
 * as it is. */
enum status folder_make(const char *path, mode_t mode, struct err *err);
enum status folder_sync(const char *path, struct err *err);

/* A sealed memory file with these bytes, read-only for whoever gets it, not close-on-exec. */
enum status memory_file(const char *name, struct span bytes, int *fd, struct err *err);
