/*
 * link.c - see link.h.
 *
 * Hosts are tried in order, each address of each, until one greets us with 2xx and lets us say EHLO (RFC 5321 §5.1); a
 * host that is not as the TLS policy wants is passed over like one that does not answer (RFC 7672 §2.2, RFC 8461 §5).
 * Opportunistic TLS that fails is tried again in clear on a new connection, since nothing forbids it and mail in clear
 * is what the alternative was (RFC 7435 §4).
 */
#include "relay/link.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "relay/login.h"
#include "relay/tls_policy.h"
#include "base/banned.h"

static void fail(struct link_failure *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct link_failure *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->reply, sizeof why->reply, fmt, ap);
    va_end(ap);
}

/* ---- transport ------------------------------------------------------------------------------------------------------
 */

static enum status transport_read(void *ctx, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err)
{
    return dial_read(ctx, p, n, got, timeout_ms, err);
}

/* Small pieces leave together: one packet, one TLS record. */
static enum status transport_write(void *ctx, const struct span *pieces, size_t count, struct err *err)
{
    enum { TOGETHER = 16 * 1024, IDLE_MS = 180 * 1000 }; /* RFC 5321 §4.5.3.2.5: three minutes a block */
    char buffer[TOGETHER];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct span rest = pieces[i];
        while (rest.len) {
            if (used == 0 && rest.len >= TOGETHER) {
                TRY(dial_write(ctx, rest, IDLE_MS, err));
                break;
            }
            size_t n = rest.len < TOGETHER - used ? rest.len : TOGETHER - used;
            memcpy(buffer + used, rest.p, n);
            used += n;
            rest = span_skip(rest, n);
            if (used == TOGETHER) {
                TRY(dial_write(ctx, span_of(buffer, used), IDLE_MS, err));
                used = 0;
            }
        }
    }
    return used ? dial_write(ctx, span_of(buffer, used), IDLE_MS, err) : ST_OK;
}

static void transport_close(void *ctx)
{
    struct dial *d = ctx;
    dial_close(&d);
}

/* ---- the steps of one connection
 * ------------------------------------------------------------------------------------- */

struct opening {
    const struct link_maker *m;
    const struct config_route *route;
    const struct host *host;
    struct tls_need need;
    enum tls_wish wish;
    bool is_plain; /* TLS was tried and failed, and may be left out */
    struct link_failure *why;
};

static const char *hello_name(const struct opening *o)
{
    if (o->route && o->route->hello)
        return o->route->hello;
    return o->m->settings->hello ? o->m->settings->hello : o->m->hostname;
}

static void fail_reply(struct opening *o, const struct smtp_reply *r)
{
    fail(o->why, "%u %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
}

static enum status hello(struct opening *o, struct link *l, struct err *err)
{
    struct smtp_reply r;
    TRY(smtp_client_hello(l->client, l->is_lmtp ? "LHLO" : "EHLO", hello_name(o), o->m->settings->reply_ms, &r, err));
    if (!smtp_reply_is_good(&r) && !l->is_lmtp && r.code != 421) /* RFC 5321 §3.2: a server from before ESMTP */
        TRY(smtp_client_hello(l->client, "HELO", hello_name(o), o->m->settings->reply_ms, &r, err));
    if (smtp_reply_is_good(&r))
        return ST_OK;
    fail_reply(o, &r);
    return err_set(err, ST_TEMPORARY, "EHLO was refused");
}

static enum status handshake(struct opening *o, struct link *l, struct err *err)
{
    enum dial_fault fault;
    enum status st = dial_start_tls(l->dial, o->m->tls, &o->need.dial, o->m->settings->connect_ms, &fault, err);
    enum dial_fault told = st == ST_OK ? dial_facts(l->dial)->fault : fault;
    bool is_success = st == ST_OK && told == DIAL_FAULT_NONE;
    tls_policy_count(o->m->policies, &o->need, l->address, is_success ? TLS_RESULT_SUCCESS : tls_result_of(told));
    if (st != ST_OK) {
        fail(o->why, "451 4.7.5 %s", err->client);
        return st;
    }
    l->is_tls = true;
    l->is_authentic = dial_facts(l->dial)->is_verified;
    return ST_OK;
}

/* STARTTLS (RFC 3207), where the host offers it or the policy wants it. */
static enum status start_tls(struct opening *o, struct link *l, struct err *err)
{
    struct smtp_reply r;
    if (o->is_plain || o->need.level == TLS_NEVER)
        return ST_OK;
    if (!(smtp_client_extensions(l->client) & SMTP_EXT_STARTTLS)) {
        if (o->need.level == TLS_MAY)
            return ST_OK;
        tls_policy_count(o->m->policies, &o->need, l->address, TLS_RESULT_STARTTLS_NOT_SUPPORTED);
        fail(o->why, "451 4.7.4 %.*s does not offer STARTTLS, and %s asks for it", SPAN_ARG(o->host->name),
             o->need.source);
        return err_set(err, ST_DENIED, "no STARTTLS");
    }
    smtp_client_command(l->client, "STARTTLS");
    TRY(smtp_client_reply(l->client, o->m->settings->reply_ms, &r, err));
    if (r.code != 220) {
        fail_reply(o, &r);
        if (o->need.level == TLS_MAY)
            return ST_OK;
        tls_policy_count(o->m->policies, &o->need, l->address, TLS_RESULT_STARTTLS_NOT_SUPPORTED);
        return err_set(err, ST_DENIED, "STARTTLS was refused");
    }
    TRY(handshake(o, l, err));
    /* RFC 3207 §4.2: nothing said in clear counts any more. */
    smtp_client_set_transport(l->client,
                              &(struct smtp_transport){l->dial, transport_read, transport_write, transport_close});
    return hello(o, l, err);
}

static enum status greet(struct opening *o, struct link *l, struct err *err)
{
    struct smtp_reply r;
    bool is_implicit = o->need.level == TLS_IMPLICIT;
    if (is_implicit)
        TRY(handshake(o, l, err));
    TRY(smtp_client_greeting(l->client, o->m->settings->reply_ms, &r, err));
    if (!smtp_reply_is_good(&r)) {
        fail_reply(o, &r);
        return err_set(err, ST_TEMPORARY, "the greeting is a refusal");
    }
    TRY(hello(o, l, err));
    if (!is_implicit)
        TRY(start_tls(o, l, err));
    if (o->wish == TLS_WISH_REQUIRED && !(smtp_client_extensions(l->client) & SMTP_EXT_REQUIRETLS)) {
        fail(o->why, "451 4.7.30 %.*s does not offer REQUIRETLS",
             SPAN_ARG(o->host->name)); /* RFC 8689 §4.2.1: the next */
        return err_set(err, ST_DENIED, "no REQUIRETLS");
    }
    if (o->route && o->route->user)
        return login(l->client, o->route, o->m->settings->reply_ms, o->why->reply, sizeof o->why->reply, err);
    return ST_OK;
}

static enum status connect_unix(const char *path, struct dial **out, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return err_set(err, ST_TEMPORARY, "cannot connect: the path is too long");
    memcpy(to.sun_path, path, strlen(path) + 1);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        return err_set(err, ST_TEMPORARY, "cannot connect to %s: %s", path, strerror(errno));
    *out = dial_over(fd);
    fd = -1;
    return ST_OK;
}

static enum status connect_to(const struct opening *o, const struct host_address *to, struct dial **out,
                              struct err *err)
{
    const struct config_relay *c = o->m->settings;
    if (!to)
        return connect_unix(o->route ? o->route->host : "", out, err);
    bool is_6 = to->address.ss_family == AF_INET6;
    const char *source = is_6 ? (o->route && o->route->source6 ? o->route->source6 : c->source6)
                              : (o->route && o->route->source ? o->route->source : c->source);
    struct host_address from = {0};
    bool has_source = source && host_address_read(span_cstr(source), 0, &from);
    return dial_connect((const struct sockaddr *)&to->address, to->length,
                        has_source ? (const struct sockaddr *)&from.address : NULL, from.length, c->connect_ms, out,
                        err);
}

static enum status try_address(struct opening *o, const struct host_address *to, struct link **out, struct err *err)
{
    struct link *l = mem_alloc(sizeof *l);
    snprintf(l->host, sizeof l->host, "%.*s", SPAN_ARG(o->host->name));
    snprintf(l->address, sizeof l->address, "%s", to ? to->text : "unix");
    l->is_lmtp = o->route && o->route->protocol == ROUTE_LMTP;
    l->is_waived = o->wish == TLS_WISH_WAIVED;
    enum status st = connect_to(o, to, &l->dial, err);
    if (st != ST_OK) {
        free(l);
        return st;
    }
    l->client = smtp_client_new(&(struct smtp_transport){l->dial, transport_read, transport_write, transport_close});
    st = greet(o, l, err);
    if (st != ST_OK) {
        link_close(&l, false);
        return st;
    }
    *out = l;
    return ST_OK;
}

/* One address, and again in clear where opportunistic TLS failed. */
static enum status try_both_ways(struct opening *o, const struct host_address *to, struct link **out)
{
    struct err err;
    char host[sizeof o->why->host];
    snprintf(host, sizeof host, "%.*s", SPAN_ARG(o->host->name));
    o->why->reply[0] = '\0';
    o->is_plain = false;
    enum status st = try_address(o, to, out, &err);
    if (st != ST_OK && o->need.level == TLS_MAY && strstr(o->why->reply, " 4.7.5 ")) {
        log_text(LOG_INFO, "tls-fallback", "%s [%s] is spoken to in clear: %s", host, to ? to->text : "unix",
                 err.client);
        o->is_plain = true;
        st = try_address(o, to, out, &err);
    }
    if (st == ST_OK)
        return ST_OK;
    if (!o->why->reply[0])
        fail(o->why, "451 4.4.1 %.*s [%s]: %s", SPAN_ARG(o->host->name), to ? to->text : "unix", err.client);
    memcpy(o->why->host, host, sizeof host);
    return st;
}

static enum status try_hosts(struct opening *o, struct arena *a, const struct hosts *hosts, struct span domain,
                             struct link **out)
{
    unsigned tried = 0;
    o->why->is_host = true;
    for (size_t i = 0; i < hosts->count; i++) {
        o->host = &hosts->list[i];
        struct err err;
        if (tls_policy_for(o->m, a, domain, hosts, o->host, o->route, o->wish, &o->need, &err) != ST_OK) {
            fail(o->why, "451 4.7.5 %s",
                 err.client); /* RFC 7672 §2.2: not to be used, as its TLSA records are unknown */
            continue;
        }
        for (size_t k = 0; k < o->host->address_count; k++) {
            if (tried++ == LINK_HOSTS_TRIED_MAX)
                return ST_TEMPORARY;
            if (try_both_ways(o, &o->host->addresses[k], out) == ST_OK)
                return ST_OK;
        }
    }
    return ST_TEMPORARY;
}

static enum status find_hosts(const struct link_maker *m, struct arena *a, struct span domain,
                              const struct config_route *route, struct hosts *out, struct err *err)
{
    if (!route || !route->host)
        return hosts_by_mx(m->dns, a, domain, m->settings->port, &m->self, out, err);
    struct span host = span_cstr(route->host);
    uint16_t usual = route->tls == ROUTE_TLS_IMPLICIT ? 465 : route->protocol == ROUTE_LMTP ? 24 : m->settings->port;
    if (route->is_mx_followed)
        return hosts_by_mx(m->dns, a, host, usual, &m->self, out, err);
    return hosts_by_name(m->dns, a, host, route->port ? route->port : usual, out, err);
}

/* RFC 8689 §4.2.1: who cannot is not asked again. 5.7.30: the extension is missing; 5.7.10: the TLS it needs. */
static void refuse_required(struct link_failure *why)
{
    char text[sizeof why->reply];
    struct span rest = span_cstr(why->reply), code, enhanced;
    span_cut(&rest, ' ', &code);
    span_cut(&rest, ' ', &enhanced);
    if (!span_starts(enhanced, SPAN("4.7.")))
        return;
    snprintf(text, sizeof text, "550 %s %.*s", span_eq(enhanced, SPAN("4.7.30")) ? "5.7.30" : "5.7.10", SPAN_ARG(rest));
    memcpy(why->reply, text, sizeof text);
    why->is_permanent = true;
    why->is_host = false;
}

enum status link_open(const struct link_maker *m, struct span domain, const struct config_route *route,
                      enum tls_wish wish, struct link **out, struct link_failure *why)
{
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct hosts hosts;
    struct opening o = {.m = m, .route = route, .wish = wish, .why = why};
    *why = (struct link_failure){0};
    if (route && route->host && route->host[0] == '/') {
        struct host unix_host = {.name = span_cstr(route->host)};
        o.host = &unix_host;
        why->is_host = true;
        return try_both_ways(&o, NULL, out);
    }
    enum status st = find_hosts(m, &a, domain, route, &hosts, &err);
    if (st != ST_OK) {
        /* A smarthost's missing address is the operator's to mend, not the sender's. */
        why->is_permanent = st != ST_TEMPORARY && !(route && route->host);
        why->is_host = !why->is_permanent;
        fail(why, "%s %s", why->is_permanent ? "550" : "451", err.client);
        return st;
    }
    st = try_hosts(&o, &a, &hosts, route && route->is_mx_followed ? span_cstr(route->host) : domain, out);
    if (st != ST_OK && wish == TLS_WISH_REQUIRED)
        refuse_required(why);
    return st;
}

unsigned link_messages_max(const struct link *l)
{
    uint32_t limit = smtp_client_limits(l->client)->mail;
    return limit && limit < LINK_MESSAGES_MAX ? limit : LINK_MESSAGES_MAX;
}

size_t link_recipients_max(const struct link *l)
{
    return smtp_client_limits(l->client)->rcpt;
}

bool link_takes_domain(struct link *l, struct span domain)
{
    size_t limit = smtp_client_limits(l->client)->rcpt_domain;
    for (size_t i = 0; i < l->domain_count; i++)
        if (span_ieq(span_cstr(l->domains[i]), domain))
            return true;
    if (limit == 0)
        return true;
    if (l->domain_count >= limit || l->domain_count == LINK_DOMAINS_MAX)
        return false;
    l->domains[l->domain_count++] = mem_cstr(domain.p, domain.len);
    return true;
}

void link_close(struct link **lp, bool is_good)
{
    struct link *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    if (is_good) {
        struct err ignored;
        smtp_client_command(l->client, "QUIT");
        (void)smtp_client_flush(l->client, &ignored); /* nobody waits for the 221 */
    }
    smtp_client_free(&l->client);
    for (size_t i = 0; i < l->domain_count; i++)
        free(l->domains[i]);
    free(l);
}
