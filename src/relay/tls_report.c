/* tls_report.c - see tls_report.h. */
#include "relay/tls_report.h"
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/mta_sts.h"
#include "policy/tls_rpt.h"
#include "queue/outbound.h"
#include "queue/tls_store.h"
#include "text/codec.h"
#include "text/date.h"
#include "base/banned.h"

enum { DAY_SECONDS = 86400, BASE64_OCTETS_A_LINE = 57 };

struct tls_reporter {
    struct tls_reporter_parts parts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool is_stopping;
};

/* ---- JSON (RFC 8460 §4.4) -------------------------------------------------------------------------------------------
 */

static json_t *text(struct span s)
{
    json_t *t = json_stringn(s.p ? s.p : "", s.len);
    return t ? t : json_string("");
}

static json_t *time_text(int64_t at)
{
    AUTO_STRBUF t = STRBUF_INIT;
    date_write_rfc3339(at, &t);
    return json_string(strbuf_cstr(&t));
}

static json_t *lines_of(struct span policy)
{
    json_t *list = json_array();
    struct span line;
    while (policy.len) {
        span_cut(&policy, '\n', &line);
        if (span_trim(line).len)
            json_array_append_new(list, text(span_trim(line)));
    }
    return list;
}

static json_t *policy_of(const struct tls_count *c)
{
    json_t *p = json_pack("{s:o,s:o,s:o}", "policy-type", text(c->kind), "policy-string", lines_of(c->policy),
                          "policy-domain", text(c->domain));
    AUTO_ARENA a = ARENA_INIT;
    struct mta_sts_policy sts;
    struct err ignored;
    if (span_eq(c->kind, SPAN("sts")) && mta_sts_policy_read(&a, c->policy, &sts, &ignored) == ST_OK) {
        json_t *hosts = json_array();
        for (size_t i = 0; i < sts.mx_count; i++)
            json_array_append_new(hosts, text(sts.mx[i]));
        json_object_set_new(p, "mx-host", hosts);
    }
    return p;
}

/* Rows of one policy follow each other. */
static json_t *policies_of(const struct tls_count *rows, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count;) {
        uint64_t good = 0, bad = 0;
        json_t *failures = json_array();
        size_t first = i;
        for (; i < count && span_eq(rows[i].kind, rows[first].kind) && span_eq(rows[i].policy, rows[first].policy);
             i++) {
            if (rows[i].result.len == 0) {
                good += rows[i].sessions;
                continue;
            }
            bad += rows[i].sessions;
            json_t *f = json_pack("{s:o,s:o,s:I}", "result-type", text(rows[i].result), "receiving-mx-hostname",
                                  text(rows[i].mx), "failed-session-count", (json_int_t)rows[i].sessions);
            if (rows[i].address.len)
                json_object_set_new(f, "receiving-ip", text(rows[i].address));
            json_array_append_new(failures, f);
        }
        json_t *entry = json_pack("{s:o,s:{s:I,s:I}}", "policy", policy_of(&rows[first]), "summary",
                                  "total-successful-session-count", (json_int_t)good, "total-failure-session-count",
                                  (json_int_t)bad);
        if (json_array_size(failures))
            json_object_set_new(entry, "failure-details", failures);
        else
            json_decref(failures);
        json_array_append_new(list, entry);
    }
    return list;
}

static void write_json(const struct tls_reporter *r, const struct tls_count *about, const struct tls_count *rows,
                       size_t count, const char *id, struct strbuf *out)
{
    AUTO_ARENA a = ARENA_INIT;
    int64_t start = about->day * DAY_SECONDS;
    json_t *report = json_pack("{s:s,s:{s:o,s:o},s:o,s:s,s:o}", "organization-name", r->parts.hostname, "date-range",
                               "start-datetime", time_text(start), "end-datetime", time_text(start + DAY_SECONDS - 1),
                               "contact-info", text(arena_printf(&a, "postmaster@%s", r->parts.hostname)), "report-id",
                               id, "policies", policies_of(rows, count));
    char *dumped = json_dumps(report, JSON_COMPACT);
    strbuf_add_cstr(out, dumped ? dumped : "{}");
    free(dumped);
    json_decref(report);
}

/* RFC 1952. */
static bool gzip(struct span in, struct strbuf *out)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&z, in.len);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.len;
    z.next_out = (Bytef *)strbuf_extend(out, room);
    z.avail_out = (uInt)room;
    bool is_good = deflate(&z, Z_FINISH) == Z_STREAM_END;
    strbuf_truncate(out, room - z.avail_out);
    deflateEnd(&z);
    return is_good;
}

/* ---- sending
 * --------------------------------------------------------------------------------------------------------- */

struct report {
    const struct tls_count *about;
    const char *id;
    struct span packed;
};

/* §3, §5.3: multipart/report with the text for people and the file. */
static void write_mail(const struct tls_reporter *r, const struct report *p, struct span to, struct strbuf *out)
{
    const char *host = r->parts.hostname;
    int64_t start = p->about->day * DAY_SECONDS;
    strbuf_addf(out,
                "From: TLS reports <postmaster@%s>\r\nTo: <%.*s>\r\nSubject: Report Domain: %.*s Submitter: %s "
                "Report-ID: <%s>\r\nDate: ",
                host, SPAN_ARG(to), SPAN_ARG(p->about->domain), host, p->id);
    date_write_rfc5322(clock_wall_ms() / 1000, 0, out);
    strbuf_addf(
        out,
        "\r\nMessage-ID: <%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nTLS-Report-Domain: %.*s\r\n"
        "TLS-Report-Submitter: %s\r\nTLS-Required: No\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
        " boundary=\"report-%lld\"\r\n\r\n--report-%lld\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        "This is an aggregate report of TLS sessions from %s.\r\n\r\n--report-%lld\r\n"
        "Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: "
        "attachment;\r\n"
        " filename=\"%s!%.*s!%lld!%lld.json.gz\"\r\n\r\n",
        p->id, SPAN_ARG(p->about->domain), host, (long long)start, (long long)start, host, (long long)start, host,
        SPAN_ARG(p->about->domain), (long long)start, (long long)(start + DAY_SECONDS - 1));
    for (size_t at = 0; at < p->packed.len; at += BASE64_OCTETS_A_LINE) {
        base64_encode(span_slice(p->packed, at, at + BASE64_OCTETS_A_LINE), out);
        strbuf_add(out, SPAN("\r\n"));
    }
    strbuf_addf(out, "\r\n--report-%lld--\r\n", (long long)start);
}

static enum status send_mail(struct tls_reporter *r, const struct report *p, struct span address, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF message = STRBUF_INIT;
    const struct config_relay *settings = *r->parts.settings;
    size_t at = span_rfind_byte(address, '@');
    struct queue_to to = {.address = address,
                          .destination = outbound_destination(settings, &a, SPAN_NONE, span_skip(address, at + 1)),
                          .notify = QUEUE_NOTIFY_NEVER};
    struct queue_envelope e = {.sender = SPAN(""), .trace = SPAN("tlsrpt"), .to = &to, .to_count = 1};
    uint64_t id;
    e.first_deadline_at = outbound_first_deadline(settings, clock_wall_ms() / 1000, &e.wishes);
    write_mail(r, p, address, &message);
    TRY(queue_add(r->parts.queue, &e, strbuf_span(&message), &id, err));
    r->parts.wake(r->parts.wake_ctx);
    return ST_OK;
}

static bool find_targets(struct tls_reporter *r, struct arena *a, struct span domain, struct tls_rpt_target *targets,
                         size_t *count)
{
    struct dns_answer answer;
    struct span texts[DNS_RECORDS_MAX];
    size_t n = 0;
    dns_ask(r->parts.https.dns, a, arena_printf(a, "_smtp._tls.%.*s", SPAN_ARG(domain)), DNS_TXT, DNS_DEFAULT_MS,
            &answer);
    for (size_t i = 0; i < answer.count; i++)
        n += dns_txt_read(a, answer.records[i], &texts[n]);
    return tls_rpt_record_read(texts, n, targets, count);
}

static void send_all(struct tls_reporter *r, const struct report *p, const struct tls_rpt_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err;
        enum status st = targets[i].is_https
                             ? https_post(&r->parts.https, targets[i].uri, "application/tlsrpt+gzip", p->packed, &err)
                             : send_mail(r, p, targets[i].uri, &err);
        struct log_line l;
        log_begin(&l, st == ST_OK ? LOG_INFO : LOG_WARN, st == ST_OK ? "tls-report" : "tls-report-failed");
        log_span(&l, "domain", p->about->domain);
        log_span(&l, "to", targets[i].uri);
        if (st != ST_OK)
            log_err(&l, &err);
        log_end(&l);
        if (st == ST_OK && targets[i].is_https) /* §3: several are the same, one each way is enough */
            return;
    }
}

static enum status report_one(struct tls_reporter *r, struct arena *a, const struct tls_count *about, struct err *err)
{
    struct tls_rpt_target targets[TLS_RPT_ADDRESSES_MAX];
    size_t target_count = 0, count;
    struct tls_count *rows;
    AUTO_STRBUF json = STRBUF_INIT, packed = STRBUF_INIT;
    if ((*r->parts.settings)->is_tls_report_sent && find_targets(r, a, about->domain, targets, &target_count)) {
        TRY(queue_tls_rows(r->parts.queue, a, about->day, about->domain, &rows, &count, err));
        char *id = arena_cstr(
            a, arena_printf(a, "%lld.%.*s@%s", (long long)about->day, SPAN_ARG(about->domain), r->parts.hostname));
        write_json(r, about, rows, count, id, &json);
        if (gzip(strbuf_span(&json), &packed))
            send_all(r, &(struct report){about, id, strbuf_span(&packed)}, targets, target_count);
    }
    return queue_tls_forget(r->parts.queue, about->day, about->domain, err);
}

static bool wait_seconds(struct tls_reporter *r, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&r->lock);
    int rc = 0;
    while (!r->is_stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->stop, &r->lock, &until);
    bool goes_on = !r->is_stopping;
    pthread_mutex_unlock(&r->lock);
    return goes_on;
}

static void *work(void *ctx)
{
    struct tls_reporter *r = ctx;
    for (int wait = TLS_REPORT_FIRST_SECONDS; wait_seconds(r, wait);) {
        AUTO_ARENA a = ARENA_INIT;
        struct tls_count about;
        struct err err;
        wait = TLS_REPORT_SECONDS;
        if (queue_tls_oldest(r->parts.queue, &a, clock_wall_ms() / 1000 / DAY_SECONDS, &about, &err) != ST_OK)
            continue;
        if (report_one(r, &a, &about, &err) == ST_OK)
            wait = 0; /* the next one */
        else
            log_text(LOG_ERROR, "tls-report-failed", "%s", err.operator_text);
    }
    return NULL;
}

struct tls_reporter *tls_reporter_start(const struct tls_reporter_parts *p)
{
    struct tls_reporter *r = mem_alloc(sizeof *r);
    r->parts = *p;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->stop, NULL);
    if (pthread_create(&r->thread, NULL, work, r) != 0)
        panic("no thread for the TLS reports");
    return r;
}

void tls_reporter_stop(struct tls_reporter **rp)
{
    struct tls_reporter *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->is_stopping = true;
    pthread_cond_signal(&r->stop);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->stop);
    free(r);
}
