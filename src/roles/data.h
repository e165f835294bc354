/*
 * data.h - the data folder: what is in it, and whose it is. Used by the master before it starts the roles, and by the
 * command line.
 *
 *   data/                  0711 (0700 where all roles are one user)
 *     vault/               vault's, 0700: credentials.db, self-signed-*.pem
 *     mail/                mail's, 0700: accounts/DOMAIN/LOCAL-PART.db, directory.db, tmp/ (SQLite's temporary files)
 *     queue/               relay's, 0700: queue.db
 *     trace/               relay's, 0700: trace.db
 *     accounts, directory.db   links into mail/, for people
 *
 * A folder for each role, so that its right to a folder (uid and Landlock) is all it needs and nothing else.
 */
#pragma once
#include "base/strbuf.h"
#include "roles/identity.h"

/* Makes what is missing, and gives each folder, with what is in it, to its role. c->data has no symbolic links in it
 * afterwards (SQLite is told to follow none). */
enum status data_prepare(struct config *c, struct err *err);
/* The latter alone. */
enum status data_resolve(struct config *c, struct err *err);

enum data_file {
    DATA_CREDENTIALS,
    DATA_DIRECTORY,
    DATA_QUEUE,
    DATA_QUEUE_WAKE,
    DATA_TRACE,
    DATA_SRS_KEY,
    DATA_VAULT_FOLDER,
    DATA_MAIL_FOLDER,
    DATA_QUEUE_FOLDER,
    DATA_TRACE_FOLDER,
    DATA_ACCOUNTS_FOLDER,
    DATA_TEMPORARY_FOLDER
};
/* The path, in the config's arena. */
const char *data_path(struct config *c, enum data_file f);
