/* data.c - see data.h. */
#include "roles/data.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "sys/file.h"
#include "base/banned.h"

enum { PATH_TEXT_MAX = 4096, PASSWD_TEXT_MAX = 4096 };

const char *const role_names[ROLE_COUNT] = {"vault", "gate", "mx", "mail", "relay"};

static const char *const file_names[] = {
    [DATA_CREDENTIALS] = "vault/credentials.db",
    [DATA_DIRECTORY] = "mail/directory.db",
    [DATA_QUEUE] = "queue/queue.db",
    [DATA_VAULT_FOLDER] = "vault",
    [DATA_MAIL_FOLDER] = "mail",
    [DATA_QUEUE_FOLDER] = "queue",
    [DATA_ACCOUNTS_FOLDER] = "mail/accounts",
    [DATA_TEMPORARY_FOLDER] = "mail/tmp",
};

static const struct {
    enum data_file folder;
    enum role owner;
} folders[] = {
    {DATA_VAULT_FOLDER, ROLE_VAULT},   {DATA_MAIL_FOLDER, ROLE_MAIL},      {DATA_QUEUE_FOLDER, ROLE_RELAY},
    {DATA_ACCOUNTS_FOLDER, ROLE_MAIL}, {DATA_TEMPORARY_FOLDER, ROLE_MAIL},
};

static bool find_user(const char *name, struct identity *out)
{
    struct passwd entry, *found = NULL;
    char text[PASSWD_TEXT_MAX];
    if (getpwnam_r(name, &entry, text, sizeof text, &found) != 0 || !found || found->pw_uid == 0)
        return false;
    *out = (struct identity){found->pw_uid, found->pw_gid};
    return true;
}

struct identity role_identity(enum role r, const char *user)
{
    struct identity id = {getuid(), getgid()};
    char name[64];
    if (id.uid != 0)
        return id;
    snprintf(name, sizeof name, "%s-%s", user, role_names[r]);
    if (!find_user(name, &id) && !(r == ROLE_MAIL && find_user(user, &id)))
        id = (struct identity){ROLE_UID_FIRST + (uid_t)r, ROLE_UID_FIRST + (gid_t)r};
    return id;
}

const char *data_path(struct config *c, enum data_file f)
{
    return arena_printf(&c->arena, "%s/%s%c", c->data, file_names[f], '\0').p;
}

/* The folder itself by descriptor, so that nobody can put a link in its place meanwhile. What is in it belongs to the role
 * already: nobody else writes there. */
static enum status prepare_folder(const char *path, struct identity owner, mode_t mode, struct err *err)
{
    struct stat st;
    TRY(folder_make(path, mode, err));
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "cannot open the folder %s", path);
    if (geteuid() == 0 && (st.st_uid != owner.uid || st.st_gid != owner.gid) && fchown(fd, owner.uid, owner.gid) != 0)
        return err_errno(err, "cannot give the folder %s to its user", path);
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
    bool is_root = geteuid() == 0;
    struct identity self = {geteuid(), getegid()};
    if (strlen(c->data) + 64 > sizeof path)
        return err_set(err, ST_LIMIT, "the path of the data folder is too long");
    TRY(folder_make(c->data, is_root ? 0711 : 0700, err));
    TRY(data_resolve(c, err));
    TRY(prepare_folder(c->data, self, is_root ? 0711 : 0700, err));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", c->data, file_names[folders[i].folder]);
        TRY(prepare_folder(path, role_identity(folders[i].owner, c->user), 0700, err));
    }
    TRY(prepare_link(c, "accounts", DATA_ACCOUNTS_FOLDER, err));
    return prepare_link(c, "directory.db", DATA_DIRECTORY, err);
}

enum status act_as(const struct config *c, enum role r, struct err *err)
{
    if (getuid() != 0)
        return ST_OK;
    struct identity id = role_identity(r, c->user);
    act_as_root();
    if (setgroups(0, NULL) != 0 || setegid(id.gid) != 0 || seteuid(id.uid) != 0)
        return err_errno(err, "cannot become the user of %s", role_names[r]);
    return ST_OK;
}

void act_as_root(void)
{
    if (getuid() != 0)
        return;
    if (seteuid(0) != 0 || setegid(0) != 0)
        panic("cannot become root again");
}
