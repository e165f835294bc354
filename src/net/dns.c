/*
 * dns.c - see dns.h. Questions are given to libunbound's thread from the asker's own; one thread here waits on
 * libunbound's descriptor and calls what has been answered, by condition variable.
 *
 * A question that is given up is cancelled under the lock, so that its answer, if it comes in the same moment, finds
 * nobody.
 */
#include "net/dns.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/banned.h"

enum { CLASS_IN = 1, RCODE_NXDOMAIN = 3, ANCHOR_LINE_MAX = 4096, NAME_MAX_OCTETS = 255, LABEL_MAX = 63 };

/* The root's keys, as IANA publishes them (https://data.iana.org/root-anchors/root-anchors.xml): KSK-2017, KSK-2024. */
static const char *const root_anchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

struct dns {
    struct ub_ctx *ctx;
    pthread_mutex_t lock;
    bool has_thread;
    pthread_t thread;
    int stop_fd;
};

struct question {
    struct dns *dns;
    pthread_cond_t done;
    bool is_done;
    int error;
    struct ub_result *result;
};

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static enum status failed(struct err *err, int code, const char *what)
{
    return err_set_operator(err, ST_IO, "DNS is not available", "dns: %s: %s", what, ub_strerror(code));
}

/* libunbound writes address@port. */
static enum status set_forwarder(struct ub_ctx *ctx, const char *resolver, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span text = span_cstr(resolver);
    size_t colon = span_rfind_byte(text, ':');
    struct span host = span_take(text, colon), port = span_skip(text, colon + 1);
    if (host.len > 2 && host.p[0] == '[')
        host = span_slice(host, 1, host.len - 1);
    char *at = arena_cstr(&a, arena_printf(&a, "%.*s@%.*s", SPAN_ARG(host), SPAN_ARG(port)));
    (void)ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
    int rc = ub_ctx_set_fwd(ctx, at);
    if (rc != 0)
        return failed(err, rc, resolver);
    /* Who names a resolver wants it asked about everything, names of RFC 6761 for private use among them. */
    rc = ub_ctx_zone_remove(ctx, "test.");
    return rc == 0 ? ST_OK : failed(err, rc, "test.");
}

static enum status add_anchors(struct ub_ctx *ctx, struct span text, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span line;
    while (text.len) {
        span_cut(&text, '\n', &line);
        line = span_trim(line);
        if (line.len == 0 || line.p[0] == ';' || line.p[0] == '#')
            continue;
        if (line.len > ANCHOR_LINE_MAX)
            return err_set(err, ST_SYNTAX, "the trust anchor has a line that is too long");
        int rc = ub_ctx_add_ta(ctx, arena_cstr(&a, line));
        if (rc != 0)
            return failed(err, rc, "trust anchor");
    }
    return ST_OK;
}

static enum status configure(struct ub_ctx *ctx, const struct dns_settings *s, struct err *err)
{
    int rc = ub_ctx_async(ctx, 1);
    if (rc != 0)
        return failed(err, rc, "threads");
    static const char *const options[][2] = {{"msg-cache-size:", "8m"},         {"rrset-cache-size:", "16m"},
                                             {"key-cache-size:", "2m"},         {"neg-cache-size:", "1m"},
                                             {"outgoing-range:", "256"},        {"num-queries-per-thread:", "1024"},
                                             {"cache-max-negative-ttl:", "300"}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)ub_ctx_set_option(ctx, options[i][0], options[i][1]);
    if (s->trust_anchor.len)
        TRY(add_anchors(ctx, s->trust_anchor, err));
    else
        for (size_t i = 0; i < sizeof root_anchors / sizeof root_anchors[0]; i++)
            TRY(add_anchors(ctx, span_cstr(root_anchors[i]), err));
    if (s->resolver)
        return set_forwarder(ctx, s->resolver, err);
    (void)ub_ctx_resolvconf(ctx, NULL); /* where there is none, the root servers are asked */
    return ST_OK;
}

enum status dns_new(const struct dns_settings *s, struct dns **out, struct err *err)
{
    struct dns *d = mem_alloc(sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->ctx = ub_ctx_create();
    enum status st =
        d->ctx && d->stop_fd >= 0 ? configure(d->ctx, s, err) : err_set(err, ST_IO, "libunbound does not start");
    if (st != ST_OK)
        dns_free(&d);
    *out = d;
    return st;
}

void dns_free(struct dns **dp)
{
    struct dns *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    if (d->has_thread) {
        uint64_t one = 1;
        if (write(d->stop_fd, &one, sizeof one) != (ssize_t)sizeof one)
            panic("an eventfd that cannot be written");
        pthread_join(d->thread, NULL);
    }
    if (d->ctx)
        ub_ctx_delete(d->ctx);
    if (d->stop_fd >= 0)
        close(d->stop_fd);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- asking -------------------------------------------------------------------------------------------------------
 */

/* On the resolver's thread, without the lock: ub_process() calls. */
static void answered(void *ctx, int error, struct ub_result *result)
{
    struct question *q = ctx;
    pthread_mutex_lock(&q->dns->lock);
    q->error = error;
    q->result = result;
    q->is_done = true;
    pthread_cond_signal(&q->done);
    pthread_mutex_unlock(&q->dns->lock);
}

static void *carry(void *ctx)
{
    struct dns *d = ctx;
    struct pollfd fds[2] = {{.fd = ub_fd(d->ctx), .events = POLLIN}, {.fd = d->stop_fd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            return NULL;
        (void)ub_process(d->ctx);
    }
}

static bool wait_for(struct question *q, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!q->is_done)
        if (pthread_cond_timedwait(&q->done, &q->dns->lock, &until) != 0)
            break;
    return q->is_done;
}

static void read_result(struct arena *a, const struct ub_result *r, struct dns_answer *out)
{
    out->is_secure = r->secure != 0;
    out->is_bogus = r->bogus != 0;
    out->ttl_seconds = r->ttl > 0 ? (uint32_t)r->ttl : 0;
    if (r->bogus || (r->rcode != 0 && r->rcode != RCODE_NXDOMAIN)) {
        out->result = DNS_FAILED;
        out->why = r->bogus ? "DNSSEC validation failed" : "the name servers do not answer";
        return;
    }
    out->result = r->nxdomain || r->rcode == RCODE_NXDOMAIN ? DNS_NO_NAME : r->havedata ? DNS_FOUND : DNS_NO_DATA;
    const char *name = r->canonname ? r->canonname : r->qname;
    struct span canonical = arena_copy(a, span_cstr(name));
    for (size_t i = 0; i < canonical.len; i++)
        ((char *)(uintptr_t)canonical.p)[i] = ascii_lower(canonical.p[i]);
    out->canonical = span_ends(canonical, SPAN(".")) ? span_take(canonical, canonical.len - 1) : canonical;
    if (out->result != DNS_FOUND)
        return;
    while (out->count < DNS_RECORDS_MAX && r->data[out->count])
        out->count++;
    out->records = arena_array(a, out->count, sizeof *out->records);
    for (size_t i = 0; i < out->count; i++)
        out->records[i] = arena_copy(a, span_of(r->data[i], (size_t)r->len[i]));
}

static bool start_thread(struct dns *d)
{
    pthread_mutex_lock(&d->lock);
    if (!d->has_thread)
        d->has_thread = pthread_create(&d->thread, NULL, carry, d) == 0;
    bool has = d->has_thread;
    pthread_mutex_unlock(&d->lock);
    return has;
}

void dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms,
             struct dns_answer *out)
{
    struct question q = {.dns = d};
    int id;
    *out = (struct dns_answer){.result = DNS_FAILED, .why = "no answer in time"};
    if (name.len == 0 || name.len > NAME_MAX_OCTETS || !start_thread(d)) {
        out->why = "not a name that can be asked";
        return;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q.done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (ub_resolve_async(d->ctx, arena_cstr(a, name), (int)type, CLASS_IN, &q, answered, &id) == 0) {
        pthread_mutex_lock(&d->lock);
        bool is_done = wait_for(&q, timeout_ms);
        pthread_mutex_unlock(&d->lock);
        if (!is_done && ub_cancel(d->ctx, id) != 0) {
            /* The answer is being given this moment: it must be taken, since it points here. */
            pthread_mutex_lock(&d->lock);
            while (!q.is_done)
                pthread_cond_wait(&q.done, &d->lock);
            pthread_mutex_unlock(&d->lock);
        }
    }
    if (q.is_done && q.error == 0 && q.result)
        read_result(a, q.result, out);
    ub_resolve_free(q.result);
    pthread_cond_destroy(&q.done);
}

/* ---- RDATA ----------------------------------------------------------------------------------------------------------
 */

static bool is_host_octet(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
}

bool dns_name_read(struct arena *a, struct span rdata, struct span *out)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t at = 0;;) {
        if (at >= rdata.len)
            return false;
        size_t n = (unsigned char)rdata.p[at++];
        if (n == 0)
            break;
        if (n > LABEL_MAX || n > rdata.len - at || text.len + n + 1 > NAME_MAX_OCTETS)
            return false;
        if (text.len)
            strbuf_add_char(&text, '.');
        for (size_t i = 0; i < n; i++) {
            if (!is_host_octet(rdata.p[at + i]))
                return false;
            strbuf_add_char(&text, ascii_lower(rdata.p[at + i]));
        }
        at += n;
    }
    *out = arena_strbuf(a, &text);
    return true;
}

bool dns_txt_read(struct arena *a, struct span rdata, struct span *out)
{
    AUTO_STRBUF text = STRBUF_INIT;
    while (rdata.len) {
        size_t n = (unsigned char)rdata.p[0];
        if (n + 1 > rdata.len)
            return false;
        strbuf_add(&text, span_slice(rdata, 1, n + 1));
        rdata = span_skip(rdata, n + 1);
    }
    *out = arena_strbuf(a, &text);
    return true;
}
