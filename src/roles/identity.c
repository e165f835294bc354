/* identity.c - see identity.h. */
#include "roles/identity.h"
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/banned.h"

enum { PASSWD_TEXT_MAX = 4096, PATH_TEXT_MAX = 4096 };

const char *const role_names[ROLE_COUNT] = {"vault", "gate", "mx", "mail", "relay"};

static bool find_user(const char *name, struct identity *out)
{
    struct passwd entry, *found = NULL;
    char text[PASSWD_TEXT_MAX];
    if (getpwnam_r(name, &entry, text, sizeof text, &found) != 0 || !found || found->pw_uid == 0)
        return false;
    *out = (struct identity){found->pw_uid, found->pw_gid};
    return true;
}

/* Whether anybody may go through all folders above this path. */
static bool is_reachable(const char *path)
{
    char above[PATH_TEXT_MAX];
    struct stat st;
    snprintf(above, sizeof above, "%s", path);
    for (char *slash; (slash = strrchr(above, '/')) != NULL && slash != above;) {
        *slash = '\0';
        if (stat(above, &st) != 0 || !(st.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

enum separation data_separation(const struct config *c)
{
    struct stat st;
    if (getuid() != 0)
        return SEPARATION_NOT_ROOT;
    if (stat(c->data, &st) == 0 && st.st_uid != 0)
        return SEPARATION_DATA_OWNER;
    return is_reachable(c->data) ? SEPARATION_OWN_USERS : SEPARATION_UNREACHABLE;
}

struct identity role_identity(enum role r, const struct config *c)
{
    struct identity id = {getuid(), getgid()};
    struct stat st;
    char name[64];
    switch (data_separation(c)) {
    case SEPARATION_DATA_OWNER:
        return stat(c->data, &st) == 0 ? (struct identity){st.st_uid, st.st_gid} : id;
    case SEPARATION_OWN_USERS:
        snprintf(name, sizeof name, "%s-%s", c->user, role_names[r]);
        if (!find_user(name, &id) && !(r == ROLE_MAIL && find_user(c->user, &id)))
            id = (struct identity){ROLE_UID_FIRST + (uid_t)r, ROLE_UID_FIRST + (gid_t)r};
        return id;
    case SEPARATION_NOT_ROOT:
    case SEPARATION_UNREACHABLE:
        break;
    }
    return id;
}

/* Root without capabilities is an ordinary user who owns root's files; Landlock then says which of them. */
static enum status drop_capabilities(struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return err_errno(err, "cannot drop capability %lu", cap);
    if (syscall(SYS_capset, &head, none) != 0)
        return err_errno(err, "cannot drop the capabilities");
    return ST_OK;
}

enum status identity_become(struct identity id, struct err *err)
{
    if (getuid() != 0)
        return ST_OK;
    if (id.uid == 0)
        return drop_capabilities(err);
    if (setgroups(0, NULL) != 0 || setresgid(id.gid, id.gid, id.gid) != 0 || setresuid(id.uid, id.uid, id.uid) != 0)
        return err_errno(err, "cannot become user %u", (unsigned)id.uid);
    if (setuid(0) == 0)
        return err_set(err, ST_BUG, "root could be taken back");
    return ST_OK;
}

enum status act_as(const struct config *c, enum role r, struct err *err)
{
    if (getuid() != 0)
        return ST_OK;
    act_as_root(); /* it may be another now */
    struct identity id = role_identity(r, c);
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
