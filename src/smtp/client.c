/*
 * client.c - see client.h. Everything that comes from the peer is bounded: a line, the lines of a reply, the time of a
 * reply.
 */
#include "smtp/client.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "text/date.h"
#include "text/dotstuff.h"
#include "base/banned.h"

enum { READ_BYTES = 4096, PIECES = 64 };

struct smtp_client {
    struct smtp_transport transport;
    struct strbuf out;
    struct strbuf in;
    size_t in_at; /* start of what is unread in `in` */
    unsigned extensions;
    uint64_t size_max;
    struct smtp_limits limits;
    int64_t by_least;
};

struct smtp_client *smtp_client_new(const struct smtp_transport *t)
{
    struct smtp_client *c = mem_alloc(sizeof *c);
    c->transport = *t;
    return c;
}

void smtp_client_free(struct smtp_client **cp)
{
    struct smtp_client *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    c->transport.close(c->transport.ctx);
    strbuf_free(&c->out);
    strbuf_free(&c->in);
    free(c);
}

void smtp_client_set_transport(struct smtp_client *c, const struct smtp_transport *t)
{
    c->transport = *t;
    c->extensions = 0; /* RFC 3207 §4.2 */
    c->limits = (struct smtp_limits){0};
    c->by_least = 0;
    strbuf_clear(&c->in);
    c->in_at = 0;
}

unsigned smtp_client_extensions(const struct smtp_client *c)
{
    return c->extensions;
}

uint64_t smtp_client_size_max(const struct smtp_client *c)
{
    return c->size_max;
}

int64_t smtp_client_by_least(const struct smtp_client *c)
{
    return c->by_least;
}

const struct smtp_limits *smtp_client_limits(const struct smtp_client *c)
{
    return &c->limits;
}

/* ---- going out ---------------------------------------------------------------------------------------------- */

void smtp_client_command(struct smtp_client *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&c->out, fmt, ap);
    va_end(ap);
    strbuf_add(&c->out, SPAN("\r\n"));
}

/* What the sender asked for beside the delivery itself: RFC 3461, 8689, 4865, 2852, 6710. */
static void mail_wishes(struct smtp_client *c, const struct smtp_mail *m)
{
    if (m->ret && (c->extensions & SMTP_EXT_DSN))
        strbuf_add_cstr(&c->out, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
    if (m->envid.len && (c->extensions & SMTP_EXT_DSN))
        strbuf_addf(&c->out, " ENVID=%.*s", SPAN_ARG(m->envid));
    if (m->is_tls_required && (c->extensions & SMTP_EXT_REQUIRETLS))
        strbuf_add_cstr(&c->out, " REQUIRETLS");
    if (m->hold_until && (c->extensions & SMTP_EXT_FUTURERELEASE)) {
        strbuf_add_cstr(&c->out, " HOLDUNTIL=");
        date_write_rfc3339(m->hold_until, &c->out);
    }
    if (m->hold_request.len && (c->extensions & SMTP_EXT_XTRACE))
        strbuf_addf(&c->out, " XHELD=%.*s", SPAN_ARG(m->hold_request));
    if (m->by && (c->extensions & SMTP_EXT_DELIVERBY))
        strbuf_addf(&c->out, " BY=%lld;%s%s", (long long)m->by_seconds, m->by == SMTP_BY_RETURN ? "R" : "N",
                    m->is_by_traced ? "T" : "");
    if (m->priority && (c->extensions & SMTP_EXT_MT_PRIORITY))
        strbuf_addf(&c->out, " MT-PRIORITY=%d", m->priority);
}

void smtp_client_mail(struct smtp_client *c, const struct smtp_mail *m)
{
    strbuf_add(&c->out, SPAN("MAIL FROM:<"));
    strbuf_add(&c->out, m->from);
    strbuf_add(&c->out, SPAN(">"));
    if (m->size && (c->extensions & SMTP_EXT_SIZE))
        strbuf_addf(&c->out, " SIZE=%llu", (unsigned long long)m->size);
    if (m->is_binary && (c->extensions & SMTP_EXT_BINARYMIME))
        strbuf_add(&c->out, SPAN(" BODY=BINARYMIME"));
    else if (m->is_8bit && (c->extensions & SMTP_EXT_8BITMIME))
        strbuf_add(&c->out, SPAN(" BODY=8BITMIME"));
    if (m->is_smtputf8 && (c->extensions & SMTP_EXT_SMTPUTF8))
        strbuf_add(&c->out, SPAN(" SMTPUTF8"));
    if (m->trace.len && (c->extensions & SMTP_EXT_XTRACE))
        strbuf_addf(&c->out, " XTRACE=%.*s", SPAN_ARG(m->trace));
    if (m->is_quarantined && (c->extensions & SMTP_EXT_XTRACE))
        strbuf_add(&c->out, SPAN(" XQUARANTINE"));
    mail_wishes(c, m);
    strbuf_add(&c->out, SPAN("\r\n"));
}

/* RFC 6533 §3: UTF-8 only to who knows SMTPUTF8; to others in ASCII. All else goes as it came. */
static void orcpt(struct smtp_client *c, struct span value)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span address = value, type, plain;
    strbuf_add(&c->out, SPAN(" ORCPT="));
    if (!(c->extensions & SMTP_EXT_SMTPUTF8) && span_cut(&address, ';', &type) && span_ieq(type, SPAN("utf-8")) &&
        unitext_decode(&a, address, &plain)) {
        strbuf_add(&c->out, SPAN("utf-8;"));
        unitext_encode(plain, &c->out);
    } else {
        strbuf_add(&c->out, value);
    }
}

void smtp_client_rcpt(struct smtp_client *c, const struct smtp_rcpt *r)
{
    strbuf_add(&c->out, SPAN("RCPT TO:<"));
    strbuf_add(&c->out, r->to);
    strbuf_add(&c->out, SPAN(">"));
    if (r->notify && (c->extensions & SMTP_EXT_DSN)) {
        static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
        const char *before = " NOTIFY=";
        for (size_t i = 0; i < 4; i++)
            if (r->notify >> i & 1) {
                strbuf_addf(&c->out, "%s%s", before, words[i]);
                before = ",";
            }
    }
    if (r->orcpt.len && (c->extensions & SMTP_EXT_DSN))
        orcpt(c, r->orcpt);
    strbuf_add(&c->out, SPAN("\r\n"));
}

enum status smtp_client_flush(struct smtp_client *c, struct err *err)
{
    if (c->out.len == 0)
        return ST_OK;
    struct span all = strbuf_span(&c->out);
    enum status st = c->transport.write(c->transport.ctx, &all, 1, err);
    strbuf_clear(&c->out);
    return st;
}

/* A list of pieces on its way out, written when it is full. */
struct outgoing {
    struct smtp_client *c;
    struct span pieces[PIECES];
    size_t count;
};

static enum status outgoing_flush(struct outgoing *o, struct err *err)
{
    size_t n = o->count;
    o->count = 0;
    return n ? o->c->transport.write(o->c->transport.ctx, o->pieces, n, err) : ST_OK;
}

static enum status outgoing_add(struct outgoing *o, struct span piece, struct err *err)
{
    if (piece.len == 0)
        return ST_OK;
    if (o->count == PIECES)
        TRY(outgoing_flush(o, err));
    o->pieces[o->count++] = piece;
    return ST_OK;
}

/* A dot that begins a piece is stuffed where the piece before ended its line. */
enum status smtp_client_text(struct smtp_client *c, const struct span *pieces, size_t count, struct err *err)
{
    TRY(smtp_client_flush(c, err));
    struct outgoing o = {.c = c};
    bool at_line_start = true;
    for (size_t i = 0; i < count; i++) {
        struct span rest = pieces[i];
        while (rest.len) {
            bool needs_dot;
            TRY(outgoing_add(&o, dotstuff_encode(&rest, &at_line_start, &needs_dot), err));
            if (needs_dot)
                TRY(outgoing_add(&o, SPAN("."), err));
        }
    }
    TRY(outgoing_add(&o, at_line_start ? SPAN(".\r\n") : SPAN("\r\n.\r\n"), err));
    return outgoing_flush(&o, err);
}

/* The command leaves with the first octets of the message. */
enum status smtp_client_chunk(struct smtp_client *c, const struct span *pieces, size_t count, struct err *err)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].len;
    smtp_client_command(c, "BDAT %llu LAST", (unsigned long long)size);
    struct outgoing o = {.c = c};
    enum status st = outgoing_add(&o, strbuf_span(&c->out), err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = outgoing_add(&o, pieces[i], err);
    if (st == ST_OK)
        st = outgoing_flush(&o, err);
    strbuf_clear(&c->out);
    return st;
}

/* ---- coming in ---------------------------------------------------------------------------------------------- */

static enum status read_line(struct smtp_client *c, int64_t deadline, struct span *line, struct err *err)
{
    for (;;) {
        struct span unread = span_skip(strbuf_span(&c->in), c->in_at);
        size_t lf = span_find_byte(unread, '\n', 0);
        if (lf != SPAN_NPOS) {
            *line = span_trim(span_take(unread, lf)); /* replies with a bare LF are read, too */
            c->in_at += lf + 1;
            return ST_OK;
        }
        if (unread.len > SMTP_REPLY_LINE_MAX)
            return err_set(err, ST_SYNTAX, "reply line too long");
        strbuf_consume(&c->in, c->in_at);
        c->in_at = 0;
        int64_t left = deadline - clock_mono_ms();
        if (left <= 0)
            return err_set(err, ST_TEMPORARY, "no reply in time");
        size_t had = c->in.len, got = 0;
        char *at = strbuf_extend(&c->in, READ_BYTES);
        enum status st = c->transport.read(c->transport.ctx, at, READ_BYTES, &got, left, err);
        strbuf_truncate(&c->in, had + got);
        TRY(st);
    }
}

static void learn_mechanisms(struct smtp_client *c, struct span line)
{
    struct span word;
    while (line.len) {
        span_cut(&line, ' ', &word);
        if (span_ieq(word, SPAN("PLAIN")))
            c->extensions |= SMTP_EXT_AUTH_PLAIN;
        if (span_ieq(word, SPAN("LOGIN")))
            c->extensions |= SMTP_EXT_AUTH_LOGIN;
    }
}

/* RFC 9422 §3: NAME=VALUE, of which those that are not known or make no sense say nothing. */
static void learn_limits(struct smtp_client *c, struct span line)
{
    struct span word, name;
    while (line.len) {
        uint64_t n;
        span_cut(&line, ' ', &word);
        bool has_value = span_cut(&word, '=', &name);
        uint32_t *limit = span_ieq(name, SPAN("MAILMAX"))         ? &c->limits.mail
                          : span_ieq(name, SPAN("RCPTMAX"))       ? &c->limits.rcpt
                          : span_ieq(name, SPAN("RCPTDOMAINMAX")) ? &c->limits.rcpt_domain
                                                                  : NULL;
        if (limit && has_value && span_to_u64(word, UINT32_MAX, &n))
            *limit = (uint32_t)n;
    }
}

/* RFC 2852 §3: the first of a list. */
static void learn_by_least(struct smtp_client *c, struct span line)
{
    struct span word;
    uint64_t n;
    span_cut(&line, ',', &word);
    c->by_least = span_to_u64(span_trim(word), SMTP_BY_SECONDS_MAX, &n) ? (int64_t)n : 0;
}

static void learn_extension(struct smtp_client *c, struct span line)
{
    static const struct {
        const char *name;
        enum smtp_extension bit;
    } known[] = {
        {"PIPELINING", SMTP_EXT_PIPELINING},
        {"SIZE", SMTP_EXT_SIZE},
        {"8BITMIME", SMTP_EXT_8BITMIME},
        {"SMTPUTF8", SMTP_EXT_SMTPUTF8},
        {"STARTTLS", SMTP_EXT_STARTTLS},
        {"XTRACE", SMTP_EXT_XTRACE},
        {"DSN", SMTP_EXT_DSN},
        {"CHUNKING", SMTP_EXT_CHUNKING},
        {"BINARYMIME", SMTP_EXT_BINARYMIME},
        {"REQUIRETLS", SMTP_EXT_REQUIRETLS},
        {"FUTURERELEASE", SMTP_EXT_FUTURERELEASE},
        {"DELIVERBY", SMTP_EXT_DELIVERBY},
        {"MT-PRIORITY", SMTP_EXT_MT_PRIORITY},
    };
    struct span name;
    span_cut(&line, ' ', &name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_ieq(name, span_cstr(known[i].name)))
            c->extensions |= known[i].bit;
    if (span_ieq(name, SPAN("AUTH")))
        learn_mechanisms(c, line);
    if (span_ieq(name, SPAN("LIMITS")))
        learn_limits(c, line);
    if (span_ieq(name, SPAN("DELIVERBY")))
        learn_by_least(c, line);
    if (span_ieq(name, SPAN("SIZE")) && !span_to_u64(span_trim(line), UINT64_MAX, &c->size_max))
        c->size_max = 0;
}

/* "5.1.1 text": the code goes to out, *text behind it. */
static void take_enhanced(struct span *text, char out[12])
{
    struct span word = span_take(*text, span_find_byte(*text, ' ', 0));
    bool is_code = word.len >= 5 && word.len < 12 && strchr("245", word.p[0]) && word.p[1] == '.';
    for (size_t i = 0; is_code && i < word.len; i++)
        is_code = ascii_is_digit(word.p[i]) || word.p[i] == '.';
    if (!is_code)
        return;
    memcpy(out, word.p, word.len);
    out[word.len] = '\0';
    *text = span_trim(span_skip(*text, word.len));
}

static void add_text(struct smtp_reply *r, struct span text)
{
    size_t at = strlen(r->text);
    if (at && at + 1 < sizeof r->text)
        r->text[at++] = ' ';
    for (size_t i = 0; i < text.len && at + 1 < sizeof r->text; i++) {
        bool is_control = (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f;
        char c = text.p[i];
        if (is_control)
            c = '?';
        r->text[at++] = c;
    }
    r->text[at] = '\0';
}

static enum status read_reply(struct smtp_client *c, int64_t timeout_ms, bool is_hello, struct smtp_reply *r,
                              struct err *err)
{
    *r = (struct smtp_reply){0};
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (unsigned n = 0; n < SMTP_REPLY_LINES_MAX; n++) {
        struct span line = SPAN_NONE;
        uint64_t code = 0;
        TRY(read_line(c, deadline, &line, err));
        bool is_last = line.len <= 3 || line.p[3] == ' ';
        if (line.len < 3 || !span_to_u64(span_take(line, 3), 599, &code) || code < 200 ||
            (!is_last && line.p[3] != '-') || (n && r->code != code))
            return err_set(err, ST_SYNTAX, "not an SMTP reply");
        r->code = (unsigned)code;
        struct span text = span_skip(line, 4);
        if (is_hello && n && code == 250)
            learn_extension(c, text);
        take_enhanced(&text, r->enhanced);
        add_text(r, text);
        if (is_last)
            return ST_OK;
    }
    return err_set(err, ST_SYNTAX, "reply with too many lines");
}

enum status smtp_client_reply(struct smtp_client *c, int64_t timeout_ms, struct smtp_reply *reply, struct err *err)
{
    TRY(smtp_client_flush(c, err));
    return read_reply(c, timeout_ms, false, reply, err);
}

enum status smtp_client_greeting(struct smtp_client *c, int64_t timeout_ms, struct smtp_reply *reply, struct err *err)
{
    return read_reply(c, timeout_ms, false, reply, err);
}

enum status smtp_client_hello(struct smtp_client *c, const char *verb, const char *hostname, int64_t timeout_ms,
                              struct smtp_reply *reply, struct err *err)
{
    c->extensions = 0;
    c->size_max = 0;
    c->limits = (struct smtp_limits){0};
    c->by_least = 0;
    smtp_client_command(c, "%s %s", verb, hostname);
    TRY(smtp_client_flush(c, err));
    return read_reply(c, timeout_ms, true, reply, err);
}
