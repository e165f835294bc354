/*
 * login_guard.h - slows down who guesses passwords: each network address has a bucket of wrong logins that refills
 * slowly.
 *
 * When it is empty, logins from there are answered "try again later" without looking at the password, except those that
 * the login cache already knows to be right, so that a whole office behind one address is not locked out by one bad
 * client. That holds only for accounts that have lately logged in from there: for anybody else the cache would tell at once, and
 * as often as asked, whether a guess is right. Loopback is not counted: a webmail beside the server logs everybody in from one address. IPv6 counts by /64.
 * Thread-safe.
 */
#pragma once
#include "base/span.h"

enum { GUARD_BURST = 20, GUARD_REFILL_SECONDS = 6, GUARD_ADDRESSES_MAX = 20000, GUARD_KNOWN_SECONDS = 600 };

struct login_guard;
struct login_guard *login_guard_new(void);
void login_guard_free(struct login_guard **g);
/* False: too many wrong logins came from this address lately. */
bool login_guard_allows(struct login_guard *g, struct span address);
void login_guard_failed(struct login_guard *g, struct span address);
/* The account has logged in from this address; login_guard_knows() says so for GUARD_KNOWN_SECONDS. */
void login_guard_succeeded(struct login_guard *g, struct span address, struct span account);
bool login_guard_knows(struct login_guard *g, struct span address, struct span account);
