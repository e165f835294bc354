/*
 * route.h - where mail for an address goes: subaddresses, aliases, catch-all, postmaster (RFC 5233, RFC 5321 §4.5.1, RFC 2142).
 *
 * Order for local@domain of one of our domains: the exact address (account, or alias); without its subaddress
 * ("alice+lists" -> "alice"); "postmaster" falls back to the domain's catch-all, then to the first account of the domain; the
 * catch-all "@domain". Local parts compare without case. Aliases may lead to aliases, at most ROUTE_DEPTH_MAX deep; loops end. Any thread.
 */
#pragma once
#include "store/directory.h"
#include "text/address.h"

enum { ROUTE_DEPTH_MAX = 10, ROUTE_TARGETS_MAX = 1000 };

struct route_target {
    struct span address;    /* canonical, of an account; or the outside address as configured */
    struct span subaddress; /* "lists" of alice+lists, for Sieve and Delivered-To; empty: none */
    bool is_local;
};
struct route {
    struct route_target *targets; /* at least one on ST_OK, without duplicates */
    size_t count;
};

/* ST_DENIED: the domain is not ours (relaying). ST_NOTFOUND: no such address. ST_LIMIT, ST_IO. separator "" or NULL: no subaddressing.
 * An empty domain (RCPT TO:<postmaster>) means `hostname_domain`'s postmaster: any of our domains. */
enum status route_address(struct directory *d, struct arena *a, const struct mailbox_address *to,
                          const char *separator, struct route *out, struct err *err);

/* Whether the account may use this address as its sender: its own address (with any subaddress), aliases that lead to it,
 * the catch-all if that leads to it. The null reverse-path is always allowed. */
enum status route_may_send_as(struct directory *d, struct arena *a, struct span account,
                              const struct mailbox_address *from, const char *separator, bool *out, struct err *err);
