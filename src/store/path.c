/*
 * path.c - file names of accounts, and making and removing the files so that the folder's entry is durable too.
 *
 * A local part may hold any byte (RFC 5321 quoted strings, RFC 6531 UTF-8). Bytes outside [a-z0-9._+=-] and a leading
 * dot are written as %XX, so that a name can neither leave its folder nor hide, and two names never meet in one file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/account.h"
#include "text/address.h"
#include "base/banned.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || ascii_is_digit(c) || (c && strchr("._+=-", c));
}

static void add_safe(struct strbuf *out, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_plain(s.p[i]) && !(i == 0 && s.p[i] == '.'))
            strbuf_add_char(out, s.p[i]);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)s.p[i]);
    }
}

enum status account_path(const char *data_dir, struct span address, struct strbuf *dir, struct strbuf *file,
                         struct err *err)
{
    size_t at = span_rfind_byte(address, '@');
    if (at == SPAN_NPOS || at == 0 || at > LOCAL_PART_MAX || at + 1 == address.len || address.len - at - 1 > DOMAIN_MAX)
        return err_set(err, ST_SYNTAX, "not an address");
    strbuf_addf(dir, "%s/accounts/", data_dir);
    add_safe(dir, span_skip(address, at + 1));
    strbuf_add(file, strbuf_span(dir));
    strbuf_add_char(file, '/');
    add_safe(file, span_take(address, at));
    strbuf_add_cstr(file, ".db");
    return ST_OK;
}

enum status path_sync_dir(const char *path, struct err *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, "%s: cannot flush the folder", path);
    return ST_OK;
}

enum status path_make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(err, "%s: cannot make the folder", path);
    /* Also where it was there: who made it may have died before this. */
    AUTO_STRBUF parent = STRBUF_INIT;
    size_t slash = span_rfind_byte(span_cstr(path), '/');
    strbuf_add(&parent, slash == SPAN_NPOS ? SPAN(".") : span_take(span_cstr(path), slash ? slash : 1));
    return path_sync_dir(strbuf_cstr(&parent), err);
}

static enum status unlink_quiet(const char *file, const char *suffix, struct err *err)
{
    AUTO_STRBUF name = STRBUF_INIT;
    strbuf_addf(&name, "%s%s", file, suffix);
    if (unlink(strbuf_cstr(&name)) != 0 && errno != ENOENT)
        return err_errno(err, "%s: cannot remove", strbuf_cstr(&name));
    return ST_OK;
}

enum status path_remove_database(const char *dir, const char *file, struct err *err)
{
    struct stat st;
    if (stat(dir, &st) != 0 && errno == ENOENT)
        return ST_OK;
    TRY(unlink_quiet(file, "-wal", err));
    TRY(unlink_quiet(file, "-shm", err));
    TRY(unlink_quiet(file, "", err));
    return path_sync_dir(dir, err);
}

enum status path_make_file(const char *dir, const char *file, bool *is_new, struct err *err)
{
    struct stat st;
    *is_new = false;
    if (stat(file, &st) == 0)
        return ST_OK; /* not opened: closing it would drop SQLite's locks */
    if (errno != ENOENT)
        return err_errno(err, "%s", file);
    /* A WAL whose database is gone belongs to nobody. */
    TRY(unlink_quiet(file, "-wal", err));
    TRY(unlink_quiet(file, "-shm", err));
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST ? ST_OK : err_errno(err, "%s: cannot make the file", file);
    close(fd);
    *is_new = true;
    return path_sync_dir(dir, err);
}
