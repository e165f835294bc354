/*
 * config_local.h - what the config says about mail of local programs: [local] (see docs/administration.md). Strings
 * belong to the config.
 */
#pragma once
#include <stddef.h>

/* "shop=@shop.example.test": this user may send as this address, or as any of the domain. */
struct config_local_sender {
    const char *user;    /* a name or a number */
    const char *address; /* lower-cased domain; "@domain" for all of it */
};

struct config_local {
    const char *domain;   /* of users' own addresses; NULL: the hostname */
    const char **trusted; /* users who may send as anybody, beside root; NULL-ended */
    struct config_local_sender *senders;
    size_t sender_count;
};
enum { CONFIG_LOCAL_ROWS_MAX = 500, CONFIG_USER_MAX = 32 }; /* 32: useradd(8) */
