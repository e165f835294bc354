/* cli_check_dns.c - see cli_check.h. Asked of libunbound, in the background, so that a dead network costs seconds and
 * not minutes. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <unbound.h>
#include "base/clock.h"
#include "roles/cli_check.h"
#include "store/directory.h"
#include "base/banned.h"

enum { ANSWER_MS = 4000, TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28, CLASS_IN = 1 };

struct question {
    struct ub_result *result;
    int error;
    bool is_done;
};

static void answered(void *ctx, int error, struct ub_result *result)
{
    struct question *q = ctx;
    q->result = result;
    q->error = error;
    q->is_done = true;
}

/* NULL: no answer in time, or an error; else the caller's, by ub_resolve_free(). */
static struct ub_result *resolve(struct ub_ctx *ctx, const char *name, int type)
{
    struct question q = {0};
    int id;
    if (ub_resolve_async(ctx, name, type, CLASS_IN, &q, answered, &id) != 0)
        return NULL;
    int64_t until = clock_mono_ms() + ANSWER_MS;
    for (int64_t left; !q.is_done && (left = until - clock_mono_ms()) > 0;) {
        struct pollfd p = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&p, 1, (int)left) == 1 && ub_process(ctx) != 0)
            break;
    }
    if (!q.is_done)
        ub_cancel(ctx, id);
    return q.error == 0 ? q.result : NULL;
}

static bool has_data(struct ub_result *r)
{
    return r && r->havedata;
}

static void check_hostname(struct findings *f, struct ub_ctx *ctx)
{
    const char *name = f->cli->config->hostname;
    static const int types[] = {TYPE_A, TYPE_AAAA};
    bool is_found = false;
    for (size_t i = 0; i < 2; i++) {
        struct ub_result *r = resolve(ctx, name, types[i]);
        for (int k = 0; has_data(r) && r->data[k]; k++) {
            char text[INET6_ADDRSTRLEN] = "?";
            if (r->len[k] == (types[i] == TYPE_A ? 4 : 16))
                inet_ntop(types[i] == TYPE_A ? AF_INET : AF_INET6, r->data[k], text, sizeof text);
            finding(f, FINDING_OK, "dns", "%s has the address %s", name, text);
            is_found = true;
        }
        ub_resolve_free(r);
    }
    if (!is_found)
        finding(f, FINDING_WARNING, "dns", "%s has no address (or DNS does not answer)", name);
}

/* A name in wire form as text; false where it is malformed. */
static bool name_text(const char *wire, int len, char *out, size_t size)
{
    size_t used = 0;
    for (int at = 0; at < len && wire[at];) {
        int label = (unsigned char)wire[at++];
        if (label > 63 || at + label > len || used + (size_t)label + 2 > size)
            return false;
        if (used)
            out[used++] = '.';
        for (int i = 0; i < label; i++)
            out[used++] = ascii_lower(wire[at + i]);
        at += label;
    }
    out[used] = '\0';
    return used > 0;
}

static void check_mx(struct findings *f, struct ub_ctx *ctx, const char *domain)
{
    const char *hostname = f->cli->config->hostname;
    struct ub_result *r = resolve(ctx, domain, TYPE_MX);
    bool is_ours = false;
    char name[256], list[400] = "";
    for (int i = 0; has_data(r) && r->data[i]; i++) {
        if (r->len[i] < 3 || !name_text(r->data[i] + 2, r->len[i] - 2, name, sizeof name))
            continue;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, " %s", name);
        is_ours = is_ours || strcmp(name, hostname) == 0;
    }
    ub_resolve_free(r);
    if (is_ours)
        finding(f, FINDING_OK, "dns", "the MX of %s is %s", domain, hostname);
    else if (list[0])
        finding(f, FINDING_WARNING, "dns", "the MX of %s is%s and not %s", domain, list, hostname);
    else
        finding(f, FINDING_WARNING, "dns", "%s has no MX (or DNS does not answer); it should be %s", domain, hostname);
}

static bool set_up(struct ub_ctx *ctx, const struct config *c)
{
    char forwarder[80];
    ub_ctx_async(ctx, 1);
    if (!c->resolver)
        return ub_ctx_resolvconf(ctx, NULL) == 0;
    /* The config says address:port, libunbound address@port. */
    struct span text = span_cstr(c->resolver);
    size_t colon = span_rfind_byte(text, ':');
    struct span host = span_take(text, colon);
    if (host.p[0] == '[')
        host = span_slice(host, 1, host.len - 1);
    snprintf(forwarder, sizeof forwarder, "%.*s@%s", SPAN_ARG(host), text.p + colon + 1);
    return ub_ctx_set_fwd(ctx, forwarder) == 0;
}

enum status check_dns(struct findings *f, struct err *err)
{
    AUTO(directory) d = NULL;
    struct cli *c = f->cli;
    struct span *domains;
    size_t count;
    TRY(cli_directory(c, &d, err));
    TRY(directory_domain_list(d, &c->config->arena, &domains, &count, err));
    struct ub_ctx *ctx = ub_ctx_create();
    if (ctx && set_up(ctx, c->config)) {
        check_hostname(f, ctx);
        for (size_t i = 0; i < count; i++)
            check_mx(f, ctx, arena_cstr(&c->config->arena, domains[i]));
    } else {
        finding(f, FINDING_WARNING, "dns", "the resolver cannot be set up");
    }
    if (ctx)
        ub_ctx_delete(ctx);
    return ST_OK;
}
