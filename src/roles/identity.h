/*
 * identity.h - which user each role is, and being that user.
 *
 * Started as an ordinary user, all roles are that user. Started as root:
 *   - each role has a user of its own: `<user>-<role>` where passwd has it, for mail also `<user>`; else a number from
 * ROLE_UID_FIRST on (docs/administration.md), which Debian leaves free;
 *   - but where the data folder belongs to an ordinary user, who used it without root before, all are that user;
 *   - and where other users cannot reach the data folder (a folder above it is closed to them), all stay root, without
 * root's capabilities.
 */
#pragma once
#include <sys/types.h>
#include "sys/config.h"

enum role { ROLE_VAULT, ROLE_GATE, ROLE_MX, ROLE_MAIL, ROLE_RELAY, ROLE_COUNT };
extern const char *const role_names[ROLE_COUNT];

enum { ROLE_UID_FIRST = 51980 };

struct identity {
    uid_t uid;
    gid_t gid;
};

enum separation {
    SEPARATION_NOT_ROOT,
    SEPARATION_OWN_USERS,
    SEPARATION_DATA_OWNER, /* all are who owns the data folder */
    SEPARATION_UNREACHABLE /* all stay root, without capabilities */
};
/* c->data as data_resolve() left it. */
enum separation data_separation(const struct config *c);
struct identity role_identity(enum role r, const struct config *c);

/* For good: becomes that user, or stays root but gives up root's capabilities. Called before any thread is made. */
enum status identity_become(struct identity id, struct err *err);

/* The command line as root: files are made and opened as the role whose they are. No effect where the caller is not
 * root. */
enum status act_as(const struct config *c, enum role r, struct err *err);
void act_as_root(void);
