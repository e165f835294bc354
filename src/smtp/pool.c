/*
 * pool.c - see pool.h. Idle connections are a stack: the one used last is used first, so that those not needed grow old
 * and are closed. A connection that was cut while it was idle is found by using it; then all idle ones are as old as
 * the other role's last life, and go.
 */
#include "smtp/pool.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "sys/channel.h"
#include "base/banned.h"

struct smtp_pool {
    int channel;
    const char *hostname;
    bool is_lmtp;
    pthread_mutex_t lock;
    struct smtp_lease *idle[POOL_IDLE_MAX]; /* newest last */
    size_t count;
};

struct smtp_pool *smtp_pool_new(int channel, const char *hostname, bool is_lmtp)
{
    struct smtp_pool *p = mem_alloc(sizeof *p);
    p->channel = channel;
    p->hostname = hostname;
    p->is_lmtp = is_lmtp;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void lease_free(struct smtp_lease *l)
{
    smtp_client_free(&l->client);
    free(l);
}

void smtp_pool_free(struct smtp_pool **pp)
{
    struct smtp_pool *p = *pp;
    *pp = NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        lease_free(p->idle[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Takes idle connections out of the pool that are too old, or all; the caller closes them without the lock. */
static size_t take_old(struct smtp_pool *p, bool all, struct smtp_lease *out[POOL_IDLE_MAX])
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    while (n < p->count && (all || now - p->idle[n]->idle_since_ms > POOL_IDLE_MS)) {
        out[n] = p->idle[n];
        n++;
    }
    p->count -= n;
    for (size_t i = 0; i < p->count; i++)
        p->idle[i] = p->idle[i + n];
    return n;
}

static struct smtp_lease *take_idle(struct smtp_pool *p, bool is_fresh)
{
    struct smtp_lease *old[POOL_IDLE_MAX], *l = NULL;
    pthread_mutex_lock(&p->lock);
    size_t n = take_old(p, is_fresh, old);
    if (p->count)
        l = p->idle[--p->count];
    pthread_mutex_unlock(&p->lock);
    while (n)
        lease_free(old[--n]);
    return l;
}

static enum status connect_new(struct smtp_pool *p, struct smtp_lease **out, struct err *err)
{
    int fd;
    TRY(channel_connect(p->channel, false, &fd, err));
    struct smtp_transport t = smtp_socket_transport(fd, POOL_REPLY_MS);
    AUTO(smtp_client) c = smtp_client_new(&t);
    struct smtp_reply r;
    TRY(smtp_client_greeting(c, POOL_REPLY_MS, &r, err));
    if (smtp_reply_is_good(&r))
        TRY(smtp_client_hello(c, p->is_lmtp ? "LHLO" : "EHLO", p->hostname, POOL_REPLY_MS, &r, err));
    if (!smtp_reply_is_good(&r))
        return err_set_operator(err, ST_TEMPORARY, "try again later", "the other role says %u %s", r.code, r.text);
    *out = mem_alloc(sizeof **out);
    (*out)->client = c;
    c = NULL;
    return ST_OK;
}

/* is_fresh: only a new connection will do, a used one has just failed. */
static enum status lease(struct smtp_pool *p, bool is_fresh, struct smtp_lease **out, struct err *err)
{
    *out = take_idle(p, is_fresh);
    return *out ? ST_OK : connect_new(p, out, err);
}

void smtp_pool_return(struct smtp_pool *p, struct smtp_lease **lp)
{
    struct smtp_lease *l = *lp, *old[POOL_IDLE_MAX];
    *lp = NULL;
    l->is_used = true;
    l->idle_since_ms = clock_mono_ms();
    pthread_mutex_lock(&p->lock);
    size_t n = take_old(p, false, old);
    if (p->count < POOL_IDLE_MAX) {
        p->idle[p->count++] = l;
        l = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    while (n)
        lease_free(old[--n]);
    if (l)
        lease_free(l);
}

void smtp_pool_drop(struct smtp_pool *p, struct smtp_lease **lp)
{
    (void)p;
    lease_free(*lp);
    *lp = NULL;
}

static enum status begin_on(struct smtp_lease *l, const struct smtp_mail *mail, const struct smtp_rcpt *first_rcpt,
                            struct smtp_reply *mail_reply, struct smtp_reply *rcpt_reply, struct err *err)
{
    bool is_open = l->is_open;
    if (is_open)
        smtp_client_command(l->client, "RSET");
    smtp_client_mail(l->client, mail);
    smtp_client_rcpt(l->client, first_rcpt);
    if (is_open)
        TRY(smtp_client_reply(l->client, POOL_REPLY_MS, mail_reply, err));
    l->is_open = true;
    TRY(smtp_client_reply(l->client, POOL_REPLY_MS, mail_reply, err));
    return smtp_client_reply(l->client, POOL_REPLY_MS, rcpt_reply, err);
}

enum status smtp_pool_begin(struct smtp_pool *p, const struct smtp_mail *mail, const struct smtp_rcpt *first_rcpt,
                            struct smtp_lease **out, struct smtp_reply *mail_reply, struct smtp_reply *rcpt_reply,
                            struct err *err)
{
    for (bool is_fresh = false;; is_fresh = true) {
        struct smtp_lease *l;
        TRY(lease(p, is_fresh, &l, err));
        bool was_used = l->is_used;
        struct err why = {.operator_text = "421"};
        if (begin_on(l, mail, first_rcpt, mail_reply, rcpt_reply, &why) == ST_OK && mail_reply->code != 421) {
            *out = l;
            return ST_OK;
        }
        smtp_pool_drop(p, &l);
        if (!was_used)
            return err_set_operator(err, ST_TEMPORARY, "try again later", "the other role hung up: %s",
                                    why.operator_text);
    }
}

static enum status command_on(struct smtp_lease *l, const char *line, struct smtp_reply *reply, struct err *err)
{
    bool is_open = l->is_open;
    if (is_open)
        smtp_client_command(l->client, "RSET");
    smtp_client_command(l->client, "%s", line);
    l->is_open = false;
    if (is_open)
        TRY(smtp_client_reply(l->client, POOL_REPLY_MS, reply, err));
    return smtp_client_reply(l->client, POOL_REPLY_MS, reply, err);
}

enum status smtp_pool_command(struct smtp_pool *p, struct smtp_reply *reply, struct err *err, const char *fmt, ...)
{
    AUTO_STRBUF line = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&line, fmt, ap);
    va_end(ap);
    for (bool is_fresh = false;; is_fresh = true) {
        struct smtp_lease *l;
        TRY(lease(p, is_fresh, &l, err));
        bool was_used = l->is_used;
        struct err why = {.operator_text = "421"};
        if (command_on(l, strbuf_cstr(&line), reply, &why) == ST_OK && reply->code != 421) {
            smtp_pool_return(p, &l);
            return ST_OK;
        }
        smtp_pool_drop(p, &l);
        if (!was_used)
            return err_set_operator(err, ST_TEMPORARY, "try again later", "the other role hung up: %s",
                                    why.operator_text);
    }
}
