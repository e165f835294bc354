/*
 * capabilities.c - what EHLO and LHLO announce: a table of extensions, with the doors that have them. A door takes the
 * parameters of what it announces and of nothing else, so both come out of the same rows.
 *
 * A client that logs in knows what it was told before: `gate` announces what the session will have behind AUTH.
 */
#include "auth/handover.h"
#include "base/clock.h"
#include "smtp/session.h"
#include "text/date.h"
#include "base/banned.h"

struct smtp_capability {
    const char *name;
    unsigned modes;
    const char *rfc;
    bool (*is_offered)(const struct smtp *sm);                     /* NULL: always */
    void (*write_args)(const struct smtp *sm, struct strbuf *out); /* NULL: none */
    unsigned params;                                               /* enum smtp_param: of MAIL and RCPT */
};

static bool can_starttls(const struct smtp *sm)
{
    return session_can_tls(sm->session) && !session_is_tls(sm->session);
}

static bool can_auth(const struct smtp *sm)
{
    return gate_may_login(sm->session);
}

static bool can_xclient(const struct smtp *sm)
{
    return sm->may_xclient;
}

/* RFC 8689 §2: only where this session is protected itself. Nothing can listen between our own roles. */
static bool can_require_tls(const struct smtp *sm)
{
    return session_is_tls(sm->session) || smtp_is_internal(sm);
}

static void xclient_args(const struct smtp *sm, struct strbuf *out)
{
    (void)sm;
    strbuf_add(out, SPAN(" NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"));
}

static void size_args(const struct smtp *sm, struct strbuf *out)
{
    strbuf_add_char(out, ' ');
    strbuf_add_u64(out, sm->mode->message_size_max(sm->session));
}

static void auth_args(const struct smtp *sm, struct strbuf *out)
{
    gate_write_mechanisms(sm->session, " ", out);
}

/* RFC 4468 §3.1: before the login there is nothing that could be used. */
static void burl_args(const struct smtp *sm, struct strbuf *out)
{
    if (sm->mode->bit == MODE_SUBMISSION)
        strbuf_add(out, SPAN(" imap"));
}

/* RFC 4865 §3: the longest time, in seconds and as a date. */
static void future_args(const struct smtp *sm, struct strbuf *out)
{
    (void)sm;
    strbuf_addf(out, " %d ", SMTP_HOLD_SECONDS_MAX);
    date_write_rfc3339(clock_wall_ms() / 1000 + SMTP_HOLD_SECONDS_MAX, out);
}

/* RFC 9422 §4: what cmd_mail() and cmd_rcpt() really refuse. Domains are not counted. */
static void limits_args(const struct smtp *sm, struct strbuf *out)
{
    if (!smtp_is_internal(sm))
        strbuf_addf(out, " MAILMAX=%d", SMTP_TRANSACTIONS_MAX);
    strbuf_addf(out, " RCPTMAX=%d", SMTP_RECIPIENTS_MAX);
}

#define SUBMITTING (MODE_GATE | MODE_SUBMISSION | MODE_LOCAL)
/* clang-format off */
static const struct smtp_capability capabilities[] = {
    /* name                 modes                    RFC     offered where     arguments     parameters */
    {"PIPELINING",          MODES_ALL,               "2920", NULL,             NULL,         0},
    {"SIZE",                MODES_ALL,               "1870", NULL,             size_args,    0},
    {"STARTTLS",            MODE_MX | MODE_GATE,     "3207", can_starttls,     NULL,         0},
    {"AUTH",                MODE_GATE,               "4954", can_auth,         auth_args,    0},
    {"ENHANCEDSTATUSCODES", MODES_ALL,               "2034", NULL,             NULL,         0},
    {"8BITMIME",            MODES_ALL,               "6152", NULL,             NULL,         0},
    {"SMTPUTF8",            MODES_ALL,               "6531", NULL,             NULL,         0},
    {"CHUNKING",            MODES_ALL,               "3030", NULL,             NULL,         0},
    {"BINARYMIME",          MODES_ALL,               "3030", NULL,             NULL,         SMTP_PARAM_BINARYMIME},
    {"BURL",                MODE_GATE | MODE_SUBMISSION, "4468", NULL,         burl_args,    0},
    {"DSN",                 MODES_ALL,               "3461", NULL,             NULL,         SMTP_PARAM_DSN},
    {"REQUIRETLS",          MODES_ALL,               "8689", can_require_tls,  NULL,         SMTP_PARAM_REQUIRETLS},
    {"FUTURERELEASE",       SUBMITTING | MODE_QUEUE, "4865", NULL,             future_args,  SMTP_PARAM_HOLD},
    {"DELIVERBY",           MODES_ALL,               "2852", NULL,             NULL,         SMTP_PARAM_BY},
    {"MT-PRIORITY",         MODES_ALL,               "6710", NULL,             NULL,         SMTP_PARAM_PRIORITY},
    {"LIMITS",              MODES_ALL,               "9422", NULL,             limits_args,  0},
    {"ETRN",                MODES_ALL,               "1985", smtp_may_etrn,    NULL,         0},
    {"XCLIENT",             MODE_MX,                 "",     can_xclient,      xclient_args, 0},
    {"XTRACE",              MODE_LMTP | MODE_QUEUE,  "",     smtp_is_internal, NULL,         SMTP_PARAM_XTRACE},
};
/* clang-format on */
enum { CAPABILITIES = sizeof capabilities / sizeof capabilities[0] };

static bool is_offered(const struct smtp *sm, const struct smtp_capability *c)
{
    return (c->modes & sm->mode->bit) && (!c->is_offered || c->is_offered(sm));
}

void smtp_capabilities_write(const struct smtp *sm, struct strbuf *out)
{
    for (size_t i = 0; i < CAPABILITIES; i++) {
        const struct smtp_capability *c = &capabilities[i];
        if (!is_offered(sm, c))
            continue;
        strbuf_add_char(out, '\n');
        strbuf_add_cstr(out, c->name);
        if (c->write_args)
            c->write_args(sm, out);
    }
}

unsigned smtp_capabilities_params(const struct smtp *sm)
{
    unsigned params = 0;
    for (size_t i = 0; i < CAPABILITIES; i++)
        if (capabilities[i].params && is_offered(sm, &capabilities[i]))
            params |= capabilities[i].params;
    return params;
}
