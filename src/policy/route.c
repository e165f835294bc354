/*
 * route.c - see route.h.
 *
 * One address is resolved to a directory entry by trying its forms from the most to the least exact; aliases are then
 * followed breadth first over a bounded work list, which also is the set of what was seen, so loops end by themselves.
 */
#include "policy/route.h"
#include "base/banned.h"

struct work {
    struct span address; /* canonical local@domain */
    struct span subaddress;
    unsigned depth;
    bool is_local_account;
    bool is_outside;
};

struct routing {
    struct directory *d;
    struct arena *a;
    struct span separator;
    struct work *list;
    size_t count;
};

static struct span lower(struct arena *a, struct span s)
{
    struct span copy = arena_copy(a, s);
    char *p = (char *)(uintptr_t)copy.p; /* our own copy */
    for (size_t i = 0; i < copy.len; i++)
        p[i] = ascii_lower(p[i]);
    return copy;
}

/* The canonical form of a domain for look-ups; a domain that IDNA refuses is looked up as it is, and not found. */
static struct span canonical_domain(struct arena *a, struct span domain)
{
    struct span ascii;
    struct err ignored;
    if (domain_to_ascii(a, domain, &ascii, &ignored) == ST_OK)
        return ascii;
    return lower(a, domain);
}

static struct span join(struct arena *a, struct span local, struct span domain)
{
    return arena_printf(a, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
}

/* Splits a canonical address at its last "@". */
static void split(struct span address, struct span *local, struct span *domain)
{
    size_t at = span_rfind_byte(address, '@');
    if (at == SPAN_NPOS) {
        *local = address;
        *domain = SPAN_NONE;
        return;
    }
    *local = span_take(address, at);
    *domain = span_skip(address, at + 1);
}

/* The local part without its subaddress; false where it has none. RFC 5233 §4: the first separator counts, and neither
 * side of it may make the user part empty. */
static bool cut_subaddress(struct span local, struct span separator, struct span *user, struct span *detail)
{
    if (separator.len == 0)
        return false;
    size_t at = span_find(local, separator, 1);
    if (at == SPAN_NPOS)
        return false;
    *user = span_take(local, at);
    *detail = span_skip(local, at + separator.len);
    return true;
}

/* RFC 5321 §4.5.1: every domain has a postmaster, whether anybody thought of it or not. */
static enum status find_postmaster(struct routing *r, struct span domain, struct address_entry *entry,
                                   struct span *found_local, struct err *err)
{
    struct directory_account first = {0};
    TRY(directory_first_account(r->d, r->a, domain, &first, err));
    if (first.address.len == 0)
        return ST_OK;
    struct span account_domain;
    split(first.address, found_local, &account_domain);
    *entry = (struct address_entry){.kind = ADDRESS_ACCOUNT, .account_id = first.id};
    return ST_OK;
}

/* Finds the entry for local@domain: exact, without subaddress, catch-all, postmaster's fallback. *found_local is the
 * local part that was found. */
static enum status resolve(struct routing *r, struct span local, struct span domain, struct address_entry *entry,
                           struct span *found_local, struct span *subaddress, struct err *err)
{
    *subaddress = SPAN_NONE;
    *found_local = local;
    TRY(directory_lookup(r->d, r->a, local, domain, entry, err));
    if (entry->kind != ADDRESS_NONE)
        return ST_OK;

    struct span user, detail;
    if (cut_subaddress(local, r->separator, &user, &detail)) {
        TRY(directory_lookup(r->d, r->a, user, domain, entry, err));
        if (entry->kind == ADDRESS_ACCOUNT || entry->kind == ADDRESS_ALIAS) {
            *found_local = user;
            *subaddress = detail;
            return ST_OK;
        }
    }
    *found_local = SPAN("");
    TRY(directory_lookup(r->d, r->a, SPAN(""), domain, entry, err));
    if (entry->kind == ADDRESS_NONE && span_eq(local, SPAN("postmaster")))
        TRY(find_postmaster(r, domain, entry, found_local, err));
    return ST_OK;
}

static enum status add_work(struct routing *r, struct span address, struct span subaddress, unsigned depth,
                            struct err *err)
{
    for (size_t i = 0; i < r->count; i++)
        if (span_eq(r->list[i].address, address))
            return ST_OK;
    if (r->count >= ROUTE_TARGETS_MAX)
        return err_set(err, ST_LIMIT, "the address leads to too many others");
    r->list[r->count++] = (struct work){.address = address, .subaddress = subaddress, .depth = depth};
    return ST_OK;
}

/* One step: turns the work item into an account, an outside address, or more work. */
static enum status follow(struct routing *r, size_t at, struct err *err)
{
    struct span local, domain, found_local, subaddress;
    struct address_entry entry;
    split(r->list[at].address, &local, &domain);
    TRY(resolve(r, local, domain, &entry, &found_local, &subaddress, err));
    switch (entry.kind) {
    case ADDRESS_NO_DOMAIN:
        r->list[at].is_outside = true;
        return ST_OK;
    case ADDRESS_NONE:
        return ST_OK; /* an alias to nobody: dropped unless it was all there is */
    case ADDRESS_ACCOUNT: {
        /* The item was an address with a subaddress or an alias of the account: two items may lead to one account. */
        struct span account = join(r->a, found_local, domain);
        for (size_t i = 0; i < r->count; i++)
            if (i != at && r->list[i].is_local_account && span_eq(r->list[i].address, account))
                return ST_OK;
        r->list[at].address = account;
        if (subaddress.len)
            r->list[at].subaddress = subaddress;
        r->list[at].is_local_account = true;
        return ST_OK;
    }
    case ADDRESS_ALIAS:
        if (r->list[at].depth >= ROUTE_DEPTH_MAX)
            return err_set(err, ST_LIMIT, "aliases are nested too deep");
        for (size_t i = 0; i < entry.target_count; i++) {
            struct span target_local, target_domain;
            split(entry.targets[i], &target_local, &target_domain);
            bool is_ours;
            TRY(directory_has_domain(r->d, target_domain, &is_ours, err));
            struct span target = is_ours ? lower(r->a, entry.targets[i]) : entry.targets[i];
            TRY(add_work(r, target, subaddress, r->list[at].depth + 1, err));
        }
        return ST_OK;
    }
    return err_set(err, ST_BUG, "internal error");
}

static enum status run(struct routing *r, struct err *err)
{
    for (size_t i = 0; i < r->count; i++)
        TRY(follow(r, i, err));
    return ST_OK;
}

/* RCPT TO:<postmaster> (RFC 5321 §4.1.1.3): the first of our domains stands for this host. */
static enum status default_domain(struct directory *d, struct arena *a, struct span *domain, struct err *err)
{
    AUTO_ARENA all = ARENA_INIT;
    struct span *domains;
    size_t count;
    TRY(directory_domain_list(d, &all, &domains, &count, err));
    if (count == 0)
        return err_set(err, ST_NOTFOUND, "no such address here");
    *domain = arena_copy(a, domains[0]);
    return ST_OK;
}

enum status route_address(struct directory *d, struct arena *a, const struct mailbox_address *to, const char *separator,
                          struct route *out, struct err *err)
{
    struct routing r = {.d = d, .a = a, .separator = span_cstr(separator)};
    struct span domain = SPAN_NONE;
    if (to->domain.len)
        domain = canonical_domain(a, to->domain);
    else
        TRY(default_domain(d, a, &domain, err));

    bool is_ours;
    TRY(directory_has_domain(d, domain, &is_ours, err));
    if (!is_ours)
        return err_set(err, ST_DENIED, "relaying denied");

    AUTO_ARENA work = ARENA_INIT; /* a transaction keeps what a thousand routes leave in its arena */
    r.list = arena_array(&work, ROUTE_TARGETS_MAX, sizeof *r.list);
    TRY(add_work(&r, join(a, lower(a, to->local_part), domain), SPAN_NONE, 0, err));
    TRY(run(&r, err));

    out->targets = arena_array(a, r.count, sizeof *out->targets);
    out->count = 0;
    for (size_t i = 0; i < r.count; i++)
        if (r.list[i].is_local_account || r.list[i].is_outside)
            out->targets[out->count++] = (struct route_target){.address = r.list[i].address,
                                                               .subaddress = r.list[i].subaddress,
                                                               .is_local = r.list[i].is_local_account};
    if (out->count == 0)
        return err_set(err, ST_NOTFOUND, "no such address here");
    return ST_OK;
}

enum status route_may_send_as(struct directory *d, struct arena *a, struct span account,
                              const struct mailbox_address *from, const char *separator, bool *out, struct err *err)
{
    *out = from->local_part.len == 0 && from->domain.len == 0;
    if (*out)
        return ST_OK;
    struct route route = {0};
    enum status st = route_address(d, a, from, separator, &route, err);
    if (st == ST_DENIED || st == ST_NOTFOUND)
        return ST_OK;
    TRY(st);
    for (size_t i = 0; i < route.count; i++)
        if (route.targets[i].is_local && span_eq(route.targets[i].address, account))
            *out = true;
    return ST_OK;
}
