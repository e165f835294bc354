/*
 * data.h - the data folder: what is in it, and whose it is. Used by the master before it starts the roles, and by the command line.
 *
 *   data/                  0711 (0700 without uid separation)
 *     vault/               vault's, 0700: credentials.db, self-signed-*.pem
 *     mail/                mail's, 0700: accounts/DOMAIN/LOCAL-PART.db, directory.db, tmp/ (SQLite's temporary files)
 *     queue/               relay's, 0700: queue.db
 *     accounts, directory.db   links into mail/, for people
 *
 * A folder for each role, so that its right to a folder (uid and Landlock) is all it needs and nothing else.
 */
#pragma once
#include <sys/types.h>
#include "sys/config.h"
#include "base/strbuf.h"

enum role { ROLE_VAULT, ROLE_GATE, ROLE_MX, ROLE_MAIL, ROLE_RELAY, ROLE_COUNT };
extern const char *const role_names[ROLE_COUNT];

/* Started as root, each role gets a user of its own: `<user>-<role>` where passwd has it, for mail also `<user>`; else these numbers
 * (docs/administration.md), which Debian leaves free. */
enum { ROLE_UID_FIRST = 51980 };

struct identity {
    uid_t uid;
    gid_t gid;
};
/* Not root: the caller's own. */
struct identity role_identity(enum role r, const char *user);

/* Makes what is missing, and gives each folder to its role. c->data has no symbolic links in it afterwards (SQLite is told to follow none). */
enum status data_prepare(struct config *c, struct err *err);
/* The latter alone. */
enum status data_resolve(struct config *c, struct err *err);

enum data_file {
    DATA_CREDENTIALS,
    DATA_DIRECTORY,
    DATA_QUEUE,
    DATA_VAULT_FOLDER,
    DATA_MAIL_FOLDER,
    DATA_QUEUE_FOLDER,
    DATA_ACCOUNTS_FOLDER,
    DATA_TEMPORARY_FOLDER
};
/* The path, in the config's arena. */
const char *data_path(struct config *c, enum data_file f);

/* The command line as root: files are made and opened as the role whose they are. No effect where the caller is not root. */
enum status act_as(const struct config *c, enum role r, struct err *err);
void act_as_root(void);
