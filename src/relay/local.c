/* local.c - see local.h. */
#include "relay/local.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/banned.h"

struct answer {
    bool is_ours;
    int64_t until_ms;
};

struct local {
    struct smtp_pool *mail;
    pthread_mutex_t lock;
    struct map *domains;
};

struct local *local_new(struct smtp_pool *mail)
{
    struct local *l = mem_alloc(sizeof *l);
    l->mail = mail;
    l->domains = map_new();
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void forget(struct local *l)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(l->domains, &at, &key, &value);)
        free(value);
    map_free(&l->domains);
}

void local_free(struct local **lp)
{
    struct local *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    forget(l);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static bool remembered(struct local *l, struct span domain, bool *is_ours)
{
    pthread_mutex_lock(&l->lock);
    const struct answer *known = map_get(l->domains, domain);
    bool is_known = known && known->until_ms > clock_mono_ms();
    if (is_known)
        *is_ours = known->is_ours;
    pthread_mutex_unlock(&l->lock);
    return is_known;
}

static void remember(struct local *l, struct span domain, bool is_ours)
{
    struct answer *a = mem_alloc(sizeof *a);
    *a = (struct answer){is_ours, clock_mono_ms() + LOCAL_REMEMBER_MS};
    pthread_mutex_lock(&l->lock);
    if (map_count(l->domains) >= LOCAL_DOMAINS_MAX) {
        forget(l);
        l->domains = map_new();
    }
    free(map_put(l->domains, domain, a));
    pthread_mutex_unlock(&l->lock);
}

/* 5.7.1 is what `mail` says to an address whose domain is not ours (smtp/lmtp.c). */
enum status local_has(struct local *l, struct span domain, bool *is_ours, struct err *err)
{
    if (remembered(l, domain, is_ours))
        return ST_OK;
    AUTO_ARENA a = ARENA_INIT;
    struct smtp_rcpt postmaster = {.to = arena_printf(&a, "postmaster@%.*s", SPAN_ARG(domain))};
    struct smtp_mail nobody = {.is_smtputf8 = true};
    struct smtp_lease *lease;
    struct smtp_reply mail, rcpt;
    TRY(smtp_pool_begin(l->mail, &nobody, &postmaster, &lease, &mail, &rcpt, err));
    smtp_pool_return(l->mail, &lease);
    if (!smtp_reply_is_good(&mail) || (!smtp_reply_is_good(&rcpt) && !smtp_reply_is_permanent(&rcpt)))
        return err_set(err, ST_TEMPORARY, "the accounts cannot be asked now");
    *is_ours = !smtp_reply_is_permanent(&rcpt) || strcmp(rcpt.enhanced, "5.7.1") != 0;
    remember(l, domain, *is_ours);
    return ST_OK;
}

/* ---- delivery
 * --------------------------------------------------------------------------------------------------------- */

static bool take(struct verdict *v, const struct smtp_reply *r)
{
    bool is_good = smtp_reply_is_good(r);
    verdict_set(v,
                is_good                      ? QUEUE_DELIVERED
                : smtp_reply_is_permanent(r) ? QUEUE_FAILED
                                             : QUEUE_WAITING,
                "%u %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
    return is_good;
}

/* What becomes of it is told here, in the transaction that settles it; `mail` would tell of success only behind the
 * delivery, when the queue may not take the report. It still says "expanded", where an address is an alias now. */
static struct smtp_rcpt rcpt_of(const struct queue_recipient *r)
{
    unsigned notify = r->notify & ~(unsigned)QUEUE_NOTIFY_SUCCESS;
    return (struct smtp_rcpt){r->address, r->notify && !notify ? QUEUE_NOTIFY_NEVER : notify, r->orcpt};
}

static enum status recipients(struct smtp_lease *lease, const struct queue_message *m, const struct smtp_reply *mail,
                              const struct smtp_reply *first, struct verdict *v, bool *is_open, size_t *open,
                              struct err *err)
{
    struct smtp_reply r = *first;
    for (size_t i = 1; i < m->recipient_count; i++) {
        struct smtp_rcpt to = rcpt_of(&m->recipients[i]);
        smtp_client_rcpt(lease->client, &to);
    }
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (i)
            TRY(smtp_client_reply(lease->client, POOL_REPLY_MS, &r, err));
        is_open[i] = take(&v[i], smtp_reply_is_good(mail) ? &r : mail);
        *open += is_open[i];
    }
    return ST_OK;
}

static enum status send_body(struct smtp_lease *lease, const struct queue_message *m, struct span body,
                             struct verdict *v, const bool *is_open, struct err *err)
{
    struct smtp_reply r;
    bool is_sent = (smtp_client_extensions(lease->client) & SMTP_EXT_CHUNKING) != 0;
    if (is_sent) {
        TRY(smtp_client_chunk(lease->client, &body, 1, err));
    } else {
        smtp_client_command(lease->client, "DATA");
        TRY(smtp_client_reply(lease->client, POOL_REPLY_MS, &r, err));
        is_sent = r.code == 354;
        if (is_sent)
            TRY(smtp_client_text(lease->client, &body, 1, err));
    }
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (!is_open[i])
            continue;
        if (is_sent) { /* RFC 2033 §4.2: one reply for each */
            TRY(smtp_client_reply(lease->client, POOL_REPLY_MS, &r, err));
            lease->is_open = false;
        }
        take(&v[i], &r);
        v[i].is_final = true;
    }
    return ST_OK;
}

void local_deliver(struct local *l, const struct queue_message *m, struct span body, struct verdict *v)
{
    AUTO_ARENA a = ARENA_INIT;
    struct smtp_mail envelope = {.from = m->sender,
                                 .size = m->size,
                                 .is_8bit = m->wishes.body != QUEUE_7BIT,
                                 .is_binary = m->wishes.body == QUEUE_BINARYMIME,
                                 .is_smtputf8 = m->wishes.is_smtputf8,
                                 .is_tls_required = m->wishes.is_tls_required,
                                 .trace = m->trace,
                                 .ret = (enum smtp_ret)m->wishes.ret,
                                 .envid = m->wishes.envid,
                                 .hold_request = m->wishes.hold_request,
                                 .priority = m->wishes.priority};
    struct smtp_rcpt first = rcpt_of(&m->recipients[0]);
    struct smtp_lease *lease = NULL;
    struct smtp_reply mail, rcpt;
    struct err err;
    bool *is_open = arena_array(&a, m->recipient_count, sizeof *is_open);
    size_t open = 0;
    for (size_t i = 0; i < m->recipient_count; i++)
        v[i] = (struct verdict){.state = QUEUE_WAITING};
    enum status st = smtp_pool_begin(l->mail, &envelope, &first, &lease, &mail, &rcpt, &err);
    if (st == ST_OK)
        st = recipients(lease, m, &mail, &rcpt, v, is_open, &open, &err);
    if (st == ST_OK && open)
        st = send_body(lease, m, body, v, is_open, &err);
    if (st == ST_OK) {
        smtp_pool_return(l->mail, &lease);
        return;
    }
    for (size_t i = 0; i < m->recipient_count; i++)
        if (is_open[i] || !v[i].reply[0])
            verdict_set(&v[i], QUEUE_WAITING, "451 4.3.0 %s", err.client);
    if (lease)
        smtp_pool_drop(l->mail, &lease);
}
