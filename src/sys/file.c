/*
 * file.c - see file.h.
 *
 * What is on disk in file_write_atomic, in order:
 *   1. path.tmp-PID holds some of the bytes         a crash leaves the old file and a stray temporary
 *   2. path.tmp-PID holds all of them, flushed      likewise
 *   3. renamed in the page cache                    a crash of the machine shows the old or the new file, both whole
 *   4. the folder is flushed                        the new file, always
 */
#include "sys/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/banned.h"

enum { READ_CHUNK = 16 * 1024, PATH_TEXT_MAX = 4096 };

enum status file_read_fd(int fd, const char *name, size_t max, struct strbuf *out, struct err *err)
{
    size_t start = out->len;
    for (;;) {
        char *room = strbuf_extend(out, READ_CHUNK);
        size_t done = out->len - READ_CHUNK - start;
        ssize_t n = pread(fd, room, READ_CHUNK, (off_t)done);
        strbuf_truncate(out, start + done + (n > 0 ? (size_t)n : 0));
        if (n == 0)
            return ST_OK;
        if (n < 0 && errno != EINTR)
            return err_errno(err, "cannot read %s", name);
        if (out->len - start > max)
            return err_set(err, ST_LIMIT, "%s is larger than %zu octets", name, max);
    }
}

enum status file_read(const char *path, size_t max, struct strbuf *out, struct err *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    return file_read_fd(fd, path, max, out, err);
}

static enum status write_and_sync(int fd, const char *path, struct span bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.p, bytes.len);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "cannot write %s", path);
        bytes = span_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    if (fsync(fd) != 0)
        return err_errno(err, "cannot flush %s", path);
    return ST_OK;
}

/* The folder a path is in, as a C string of the caller's. */
static void parent_of(const char *path, char out[PATH_TEXT_MAX])
{
    size_t slash = span_rfind_byte(span_cstr(path), '/');
    if (slash == SPAN_NPOS)
        snprintf(out, PATH_TEXT_MAX, ".");
    else
        snprintf(out, PATH_TEXT_MAX, "%.*s", slash == 0 ? 1 : (int)slash, path);
}

enum status folder_sync(const char *path, struct err *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the folder %s", path);
    if (fsync(fd) != 0)
        return err_errno(err, "cannot flush the folder %s", path);
    return ST_OK;
}

enum status file_write_atomic(const char *path, mode_t mode, struct span bytes, struct err *err)
{
    char temporary[PATH_TEXT_MAX], folder[PATH_TEXT_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return err_set(err, ST_LIMIT, "path too long");
    parent_of(path, folder);
    AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, "cannot create %s", temporary);
    enum status st = write_and_sync(fd, temporary, bytes, err);
    if (st == ST_OK && fchmod(fd, mode) != 0)
        st = err_errno(err, "cannot set the mode of %s", temporary);
    if (st == ST_OK && rename(temporary, path) != 0)
        st = err_errno(err, "cannot rename %s to %s", temporary, path);
    if (st != ST_OK) {
        unlink(temporary);
        return st;
    }
    return folder_sync(folder, err);
}

static enum status make_one(const char *path, mode_t mode, struct err *err)
{
    char parent[PATH_TEXT_MAX];
    if (mkdir(path, mode) != 0) {
        struct stat st;
        int saved = errno;
        if (saved == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return ST_OK;
        errno = saved;
        return err_errno(err, "cannot make the folder %s", path);
    }
    parent_of(path, parent);
    return folder_sync(parent, err);
}

enum status folder_make(const char *path, mode_t mode, struct err *err)
{
    char part[PATH_TEXT_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return err_set(err, ST_LIMIT, "path too long");
    for (size_t i = 1; i < len; i++)
        if (path[i] == '/' && path[i - 1] != '/') {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            if (access(part, F_OK) != 0)
                TRY(make_one(part, 0755, err));
        }
    return make_one(path, mode, err);
}

enum status memory_file(const char *name, struct span bytes, int *fd, struct err *err)
{
    AUTO_FD int made = memfd_create(name, MFD_ALLOW_SEALING);
    if (made < 0)
        return err_errno(err, "memfd_create");
    struct span left = bytes;
    while (left.len > 0) {
        ssize_t n = write(made, left.p, left.len);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "cannot write a memory file");
        left = span_skip(left, n > 0 ? (size_t)n : 0);
    }
    if (fcntl(made, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        return err_errno(err, "cannot seal a memory file");
    *fd = made;
    made = -1;
    return ST_OK;
}
