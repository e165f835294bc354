/*
 * login.h - AUTH as the calling side (RFC 4954), with a route's user and password. Blocking.
 */
#pragma once
#include "smtp/client.h"
#include "sys/config_relay.h"

enum { LOGIN_PASSWORD_MAX = 1024 };
/* The password file's first line is read each time: it may change, and is in no other memory. reply gets what the peer
 * said where it refused. */
enum status login(struct smtp_client *c, const struct config_route *route, int64_t reply_ms, char *reply,
                  size_t reply_size, struct err *err);
