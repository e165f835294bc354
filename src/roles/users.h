/*
 * users.h - names of this machine's users, for a role that may not look them up itself: it asks the master by its
 * control channel, which asks the system (passwd, LDAP…), and remembers the answer for a while.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"
#include "sys/config_local.h"

/* CONTROL_USER: "user UID", answered with "user UID NAME", or without a name where there is none. */
#define CONTROL_USER "user"
enum { USERS_WAIT_MS = 3000, USERS_REMEMBER_MS = 60 * 1000, USERS_REMEMBERED = 64 };

struct users;
struct users *users_new(void);
/* ctx: the struct users. Blocks until the answer is there. ST_NOTFOUND: the number has no name. Any thread. */
enum status users_name(void *ctx, uint32_t uid, char name[CONFIG_USER_MAX + 1], struct err *err);
/* What came behind CONTROL_USER. */
void users_answer(struct users *u, struct span args);

/* In the master: the answer to a role's question. False: it is none. */
bool users_look_up(struct span message, char *answer, size_t size);
