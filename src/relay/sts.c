/*
 * sts.c - see sts.h.
 *
 * A policy that was fetched counts for its max_age, also when record and web server are gone since (RFC 8461 §5.1, that
 * is its point); the record is only asked whether there is a newer one. What was asked lately is remembered in memory,
 * policies in the queue's file.
 */
#include "relay/sts.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "queue/tls_store.h"
#include "base/banned.h"

struct sts {
    struct queue *queue;
    struct https https;
    pthread_mutex_t lock; /* around the map; fetches are one at a time too, so that one domain is fetched once */
    struct map *asked;    /* domain -> int64_t *: monotonic ms until which the answer counts */
};

struct sts *sts_new(struct queue *q, const struct https *h)
{
    struct sts *s = mem_alloc(sizeof *s);
    s->queue = q;
    s->https = *h;
    s->asked = map_new();
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void forget(struct sts *s)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(s->asked, &at, &key, &value);)
        free(value);
    map_free(&s->asked);
}

void sts_free(struct sts **sp)
{
    struct sts *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    forget(s);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static bool was_asked(struct sts *s, struct span domain)
{
    pthread_mutex_lock(&s->lock);
    const int64_t *until = map_get(s->asked, domain);
    bool was = until && *until > clock_mono_ms();
    pthread_mutex_unlock(&s->lock);
    return was;
}

static void remember(struct sts *s, struct span domain)
{
    int64_t *until = mem_alloc(sizeof *until);
    *until = clock_mono_ms() + STS_ASK_MS;
    pthread_mutex_lock(&s->lock);
    if (map_count(s->asked) >= STS_DOMAINS_MAX) {
        forget(s);
        s->asked = map_new();
    }
    free(map_put(s->asked, domain, until));
    pthread_mutex_unlock(&s->lock);
}

/* §3.1. False: there is no record, or it cannot be had now. */
static bool ask_record(struct sts *s, struct arena *a, struct span domain, struct span *id)
{
    struct dns_answer answer;
    struct span texts[DNS_RECORDS_MAX];
    size_t n = 0;
    dns_ask(s->https.dns, a, arena_printf(a, "_mta-sts.%.*s", SPAN_ARG(domain)), DNS_TXT, DNS_DEFAULT_MS, &answer);
    for (size_t i = 0; i < answer.count; i++)
        n += dns_txt_read(a, answer.records[i], &texts[n]);
    return mta_sts_record_read(texts, n, id);
}

static enum sts_result fetch(struct sts *s, struct arena *a, struct span domain, struct sts_entry *e)
{
    AUTO_STRBUF text = STRBUF_INIT;
    struct mta_sts_policy policy;
    struct err err;
    bool is_certificate;
    int64_t now = clock_wall_ms() / 1000;
    struct span host = arena_printf(a, "mta-sts.%.*s", SPAN_ARG(domain));
    enum sts_result result = STS_FOUND;
    e->fetched_at = now;
    enum status st = https_get(&s->https, host, "/.well-known/mta-sts.txt", "text/plain", MTA_STS_POLICY_MAX, &text,
                               &is_certificate, &err);
    if (st != ST_OK)
        result = is_certificate ? STS_WEBPKI_FAILED : STS_FETCH_FAILED;
    else if (mta_sts_policy_read(a, strbuf_span(&text), &policy, &err) != ST_OK)
        result = STS_INVALID;
    if (result != STS_FOUND) {
        log_text(LOG_WARN, "mta-sts", "the policy of %.*s cannot be had: %s", SPAN_ARG(domain), err.client);
        return result;
    }
    e->text = arena_strbuf(a, &text);
    e->expires_at = now + policy.max_age;
    return STS_FOUND;
}

/* Asks for the record and, where it names a policy that is not the known one, fetches it. */
static enum sts_result refresh(struct sts *s, struct arena *a, struct span domain, struct sts_entry *e, bool is_known)
{
    struct err err;
    struct span id = SPAN_NONE;
    int64_t now = clock_wall_ms() / 1000;
    bool is_valid = is_known && e->text.len && e->expires_at > now;
    if (!ask_record(s, a, domain, &id))
        return is_valid ? STS_FOUND : STS_NONE;
    if (is_valid && span_eq(id, e->id))
        return STS_FOUND;
    if (is_known && !is_valid && span_eq(id, e->id) && now - e->fetched_at < STS_RETRY_SECONDS)
        return STS_FETCH_FAILED;
    struct sts_entry fresh = {.id = id};
    enum sts_result result = fetch(s, a, domain, &fresh);
    if (result != STS_FOUND && is_valid) { /* §3.3: the known one goes on to count */
        fresh = *e;
        fresh.fetched_at = now;
        result = STS_FOUND;
    }
    if (queue_sts_put(s->queue, domain, &fresh, &err) != ST_OK)
        log_text(LOG_ERROR, "queue-failed", "%s", err.operator_text);
    *e = fresh;
    return result;
}

enum sts_result sts_find(struct sts *s, struct arena *a, struct span domain, struct mta_sts_policy *out,
                         struct span *text)
{
    struct sts_entry e = {0};
    struct err err;
    enum sts_result result = STS_FOUND;
    bool is_known = queue_sts_get(s->queue, a, domain, &e, &err) == ST_OK;
    if (!was_asked(s, domain)) {
        result = refresh(s, a, domain, &e, is_known);
        remember(s, domain);
    } else if (!is_known) {
        return STS_NONE;
    } else if (e.text.len == 0) {
        return STS_FETCH_FAILED;
    }
    if (result != STS_FOUND)
        return result;
    if (e.text.len == 0 || e.expires_at <= clock_wall_ms() / 1000)
        return STS_NONE;
    *text = e.text;
    return mta_sts_policy_read(a, e.text, out, &err) == ST_OK ? STS_FOUND : STS_NONE;
}
