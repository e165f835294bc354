/* data.c - see data.h. */
#include "roles/data.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sys/file.h"
#include "base/banned.h"

enum { PATH_TEXT_MAX = 4096 };

static const char *const file_names[] = {
    [DATA_CREDENTIALS] = "vault/credentials.db",
    [DATA_DIRECTORY] = "mail/directory.db",
    [DATA_QUEUE] = "queue/queue.db",
    [DATA_QUEUE_WAKE] = "queue/wake",
    [DATA_TRACE] = "trace/trace.db",
    [DATA_SRS_KEY] = "mail/srs.key",
    [DATA_VAULT_FOLDER] = "vault",
    [DATA_MAIL_FOLDER] = "mail",
    [DATA_QUEUE_FOLDER] = "queue",
    [DATA_TRACE_FOLDER] = "trace",
    [DATA_ACCOUNTS_FOLDER] = "mail/accounts",
    [DATA_TEMPORARY_FOLDER] = "mail/tmp",
};

static const struct {
    enum data_file folder;
    enum role owner;
} folders[] = {
    {DATA_VAULT_FOLDER, ROLE_VAULT},   {DATA_MAIL_FOLDER, ROLE_MAIL},      {DATA_QUEUE_FOLDER, ROLE_RELAY},
    {DATA_TRACE_FOLDER, ROLE_RELAY},   {DATA_ACCOUNTS_FOLDER, ROLE_MAIL}, {DATA_TEMPORARY_FOLDER, ROLE_MAIL},
};

const char *data_path(struct config *c, enum data_file f)
{
    return arena_printf(&c->arena, "%s/%s%c", c->data, file_names[f], '\0').p;
}

static struct identity new_owner; /* of give_one(); nftw has no argument for it */

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    if (kind != FTW_D && !(S_ISREG(st->st_mode) && st->st_nlink == 1))
        return 0; /* links are nobody's way to other files */
    return lchown(path, new_owner.uid, new_owner.gid);
}

/* A folder that was another's (the server ran as somebody else, or root put a copy back): all that is in it becomes the
 * new owner's. */
static enum status give_tree(const char *path, struct identity owner, struct err *err)
{
    new_owner = owner;
    if (nftw(path, give_one, 16, FTW_PHYS | FTW_MOUNT) != 0)
        return err_errno(err, "cannot give the folder %s to its user", path);
    return ST_OK;
}

static enum status prepare_folder(const char *path, struct identity owner, mode_t mode, struct err *err)
{
    struct stat st;
    TRY(folder_make(path, mode, err));
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "cannot open the folder %s", path);
    if (geteuid() == 0 && (st.st_uid != owner.uid || st.st_gid != owner.gid))
        TRY(give_tree(path, owner, err));
    if ((st.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
        return err_errno(err, "cannot set the mode of the folder %s", path);
    return ST_OK;
}

static enum status prepare_link(const struct config *c, const char *name, enum data_file target, struct err *err)
{
    char link[PATH_TEXT_MAX];
    snprintf(link, sizeof link, "%s/%s", c->data, name);
    if (symlink(file_names[target], link) == 0)
        return folder_sync(c->data, err);
    return errno == EEXIST ? ST_OK : err_errno(err, "cannot make the link %s", link);
}

enum status data_resolve(struct config *c, struct err *err)
{
    char *real = realpath(c->data, NULL);
    if (!real)
        return err_errno(err, "cannot find the data folder %s", c->data);
    c->data = arena_cstr(&c->arena, span_cstr(real));
    free(real);
    return ST_OK;
}

enum status data_prepare(struct config *c, struct err *err)
{
    char path[PATH_TEXT_MAX];
    bool is_shared = geteuid() == 0; /* by roles with users of their own */
    struct stat st;
    if (strlen(c->data) + 64 > sizeof path)
        return err_set(err, ST_LIMIT, "the path of the data folder is too long");
    TRY(folder_make(c->data, is_shared ? 0711 : 0700, err));
    TRY(data_resolve(c, err));
    if (stat(c->data, &st) != 0)
        return err_errno(err, "cannot look at the data folder %s", c->data);
    TRY(prepare_folder(c->data, (struct identity){st.st_uid, st.st_gid}, is_shared ? 0711 : 0700, err));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", c->data, file_names[folders[i].folder]);
        TRY(prepare_folder(path, role_identity(folders[i].owner, c), 0700, err));
    }
    TRY(prepare_link(c, "accounts", DATA_ACCOUNTS_FOLDER, err));
    return prepare_link(c, "directory.db", DATA_DIRECTORY, err);
}
