/*
 * commands.c - the command table of SMTP and LMTP, and the commands that are the same behind every door.
 *
 * The table says what a command is: which modes run it, in which states, how long its line may be. smtp_command_run()
 * enforces that once; the functions only do the work. HELP reads the table, too. EHLO's is in capabilities.c.
 */
#include "smtp/session.h"
#include <stdlib.h>
#include "auth/handover.h"
#include "base/clock.h"
#include "base/mem.h"
#include "smtp/filter.h"
#include "smtp/trace.h"
#include "text/date.h"
#include "base/banned.h"

struct smtp_row {
    const char *name;
    unsigned modes;
    unsigned states;
    size_t line_max; /* octets with CRLF */
    const char *rfc;
    enum next (*run)(struct smtp *sm, struct span args);
    const char *elsewhere; /* what is said in other states */
};

/* ---- EHLO --------------------------------------------------------------------------------------------------- */

static enum next hello(struct smtp *sm, struct span name, bool is_extended)
{
    if (!smtp_hello_is_valid(name)) {
        smtp_reply(sm, 501, "5.5.4", "Say who you are: a domain or an address literal");
        return NEXT_AGAIN;
    }
    smtp_transaction_end(sm); /* RFC 5321 §4.1.4 */
    if (!filter_hello(sm, name))
        return NEXT_AGAIN;
    smtp_set_hello(sm, name, is_extended);
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add_cstr(&text, sm->mode->hostname(sm->session));
    if (is_extended)
        smtp_capabilities_write(sm, &text);
    smtp_reply(sm, 250, NULL, "%s", strbuf_cstr(&text));
    return NEXT_AGAIN;
}

static enum next cmd_ehlo(struct smtp *sm, struct span args)
{
    return hello(sm, args, true);
}

static enum next cmd_helo(struct smtp *sm, struct span args)
{
    return hello(sm, args, false);
}

/* ---- transactions ------------------------------------------------------------------------------------------- */

static void reply_fault(struct smtp *sm, enum smtp_fault f, const char *bad_address, const struct err *err)
{
    static const struct smtp_code codes[] = {
        [SMTP_BAD_SYNTAX] = {501, "5.5.4"},
        [SMTP_BAD_ADDRESS] = {501, NULL},
        [SMTP_UNKNOWN_PARAMETER] = {555, "5.5.4"},
        [SMTP_NEEDS_SMTPUTF8] = {553, "5.6.7"},
    };
    smtp_reply(sm, codes[f].code, f == SMTP_BAD_ADDRESS ? bad_address : codes[f].enhanced, "%s", err->client);
}

static struct span written(struct arena *a, const struct mailbox_address *m)
{
    AUTO_STRBUF text = STRBUF_INIT;
    address_write(m, &text);
    return arena_strbuf(a, &text);
}

/* RFC 5321 §4.1.1.2. */
static enum next cmd_mail(struct smtp *sm, struct span args)
{
    if (!smtp_wishes_may_begin(sm))
        return NEXT_CLOSE;
    struct smtp_transaction *t = mem_alloc(sizeof *t);
    smtp_transaction_begin(sm, t); /* freed below by smtp_transaction_end() where the sender is refused */
    struct err err;
    enum smtp_fault f =
        smtp_mail_parse(&t->arena, arena_copy(&t->arena, args), smtp_capabilities_params(sm), &t->mail, &err);
    uint64_t size_max = sm->mode->message_size_max(sm->session);
    if (f != SMTP_FINE) {
        reply_fault(sm, f, "5.1.7", &err);
    } else if (t->mail.has_size && t->mail.size > size_max) { /* RFC 1870 §6.1 */
        t->from = written(&t->arena, &t->mail.from);
        trace_new(t->trace);
        smtp_reply(sm, 552, "5.3.4", "Message is larger than %llu octets", (unsigned long long)size_max);
        smtp_log_refused(sm, SPAN_NONE, 552, "message is too large, says MAIL");
    } else {
        t->from = written(&t->arena, &t->mail.from);
        t->mail_at = clock_wall_ms() / 1000;
        if (t->mail.trace.len)
            memcpy(t->trace, t->mail.trace.p, t->mail.trace.len);
        else
            trace_new(t->trace);
        if (smtp_wishes_check(sm) && (!sm->mode->sender || sm->mode->sender(sm)) && filter_mail(sm, args)) {
            sm->state = STATE_MAIL;
            smtp_wishes_reply(sm);
            return NEXT_AGAIN;
        }
    }
    smtp_transaction_end(sm);
    return NEXT_AGAIN;
}

struct smtp_recipient *smtp_recipient_slot(struct smtp_transaction *t)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 4;
        struct smtp_recipient *grown = arena_array(&t->arena, cap, sizeof *grown);
        if (t->count)
            memcpy(grown, t->recipients, t->count * sizeof *grown);
        t->recipients = grown;
        t->cap = cap;
    }
    struct smtp_recipient *r = &t->recipients[t->count];
    *r = (struct smtp_recipient){0};
    return r;
}

/* RFC 5321 §4.1.1.3. The mode refuses in its own words; whom it takes, filters may still refuse. The good reply is
 * given here, behind both. */
static enum next cmd_rcpt(struct smtp *sm, struct span args)
{
    struct smtp_transaction *t = sm->transaction;
    if (t->count >= SMTP_RECIPIENTS_MAX || t->arena.total > SMTP_ENVELOPE_MAX) {
        smtp_reply(sm, 452, "4.5.3", "Too many recipients");
        return NEXT_AGAIN;
    }
    struct smtp_recipient *r = smtp_recipient_slot(t);
    struct err err;
    struct smtp_rcpt_args rcpt;
    enum smtp_fault f = smtp_rcpt_parse(&t->arena, arena_copy(&t->arena, args), smtp_capabilities_params(sm),
                                        t->mail.is_smtputf8, &rcpt, &err);
    if (f != SMTP_FINE) {
        reply_fault(sm, f, "5.1.3", &err);
        return NEXT_AGAIN;
    }
    r->address = rcpt.to;
    r->notify = rcpt.notify;
    r->orcpt = rcpt.orcpt;
    r->text = written(&t->arena, &r->address);
    size_t before = session_output(sm->session)->len;
    if (!sm->mode->recipient(sm, r)) {
        filter_rcpt_refused(sm, r, args, span_skip(strbuf_span(session_output(sm->session)), before));
        return NEXT_AGAIN;
    }
    if (!filter_rcpt(sm, r, args)) {
        t->is_envelope_changed = true; /* the mode has taken it already */
        return NEXT_AGAIN;
    }
    t->count++;
    sm->state = STATE_RCPT;
    smtp_reply(sm, 250, "2.1.5", "Recipient ok");
    return NEXT_AGAIN;
}

static bool has_args(struct smtp *sm, struct span args)
{
    if (args.len)
        smtp_reply(sm, 501, "5.5.4", "No arguments here");
    return args.len > 0;
}

static enum next cmd_data(struct smtp *sm, struct span args)
{
    if (has_args(sm, args))
        return NEXT_AGAIN;
    if (sm->state ==
        STATE_MAIL) { /* RFC 5321 §3.3; RFC 2920 §3.1: a pipelining client sees here that all were refused */
        smtp_reply(sm, sm->mode->bit == MODE_LMTP ? 503 : 554, "5.5.1", "No valid recipients");
        return NEXT_AGAIN;
    }
    if (sm->transaction->mail.is_binary) { /* RFC 3030 §3 */
        smtp_reply(sm, 503, "5.5.1", "A message with BODY=BINARYMIME comes by BDAT");
        return NEXT_AGAIN;
    }
    return filter_data(sm) ? smtp_data_begin(sm) : NEXT_AGAIN;
}

static enum next cmd_bdat(struct smtp *sm, struct span args)
{
    return smtp_bdat_begin(sm, args);
}

static enum next cmd_rset(struct smtp *sm, struct span args)
{
    if (has_args(sm, args))
        return NEXT_AGAIN;
    smtp_transaction_end(sm);
    smtp_reply(sm, 250, "2.0.0", "Ok");
    return NEXT_AGAIN;
}

/* ---- the small ones ----------------------------------------------------------------------------------------- */

static enum next cmd_noop(struct smtp *sm, struct span args)
{
    (void)args; /* RFC 5321 §4.1.1.9: a string may follow, and means nothing */
    smtp_reply(sm, 250, "2.0.0", "Ok");
    return NEXT_AGAIN;
}

static enum next cmd_vrfy(struct smtp *sm, struct span args)
{
    if (args.len == 0)
        smtp_reply(sm, 501, "5.5.4", "VRFY what?");
    else
        smtp_reply(sm, 252, "2.5.0", "Cannot verify; send mail and see"); /* RFC 5321 §3.5.3 */
    return NEXT_AGAIN;
}

static enum next cmd_expn(struct smtp *sm, struct span args)
{
    (void)args;
    smtp_reply(sm, 502, "5.5.1", "Lists are not shown");
    return NEXT_AGAIN;
}

static enum next cmd_quit(struct smtp *sm, struct span args)
{
    if (has_args(sm, args))
        return NEXT_AGAIN;
    smtp_transaction_end(sm);
    smtp_reply(sm, 221, "2.0.0", "Bye");
    return NEXT_CLOSE;
}

/* RFC 3207 §4. Commands that came in the same packet were not protected, whoever put them there: they are not run. */
static enum next cmd_starttls(struct smtp *sm, struct span args)
{
    struct session *s = sm->session;
    if (args.len) {
        smtp_reply(sm, 501, "5.5.4", "No arguments here");
    } else if (session_is_tls(s)) {
        smtp_reply(sm, 503, "5.5.1", "TLS is already there");
    } else if (!session_can_tls(s)) {
        smtp_reply(sm, 502, "5.5.1", "No TLS here");
    } else if (session_input(s).len) {
        session_consume(s, session_input(s).len);
        smtp_reply(sm, 554, "5.5.0", "Nothing may be sent behind STARTTLS before its answer");
        smtp_log_refused(sm, SPAN_NONE, 554, "commands pipelined behind STARTTLS");
    } else {
        smtp_reply(sm, 220, "2.0.0", "Ready to start TLS");
        return NEXT_STARTTLS;
    }
    return NEXT_AGAIN;
}

static enum next cmd_auth(struct smtp *sm, struct span args)
{
    return smtp_auth_begin(sm, args);
}

static enum next cmd_auth_again(struct smtp *sm, struct span args)
{
    (void)args;
    smtp_reply(sm, 503, "5.5.1", "Already authenticated"); /* RFC 4954 §4 */
    return NEXT_AGAIN;
}

static enum next cmd_auth_first(struct smtp *sm, struct span args)
{
    (void)args;
    smtp_reply(sm, 530, "5.7.0", "Authentication required"); /* RFC 6409 §4.3, RFC 4954 §6 */
    return NEXT_AGAIN;
}

static enum next cmd_help(struct smtp *sm, struct span args);

/* ---- the table ---------------------------------------------------------------------------------------------- */

/* clang-format off */
#define SMTP_MODES    (MODE_MX | MODE_GATE | MODE_SUBMISSION | MODE_LOCAL | MODE_QUEUE)
#define MAIL_MODES    (MODES_ALL & ~MODE_GATE)
#define IN_MAIL       (STATE_MAIL | STATE_RCPT)

static const struct smtp_row rows[] = {
    /* name      modes                  states       line max            RFC               function        in other states */
    {"EHLO",     SMTP_MODES,            STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.1",  cmd_ehlo,       NULL},
    {"HELO",     SMTP_MODES,            STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.1",  cmd_helo,       NULL},
    {"LHLO",     MODE_LMTP,             STATES_ANY,  SMTP_COMMAND_MAX,   "2033 §4.1",      cmd_ehlo,       NULL},
    {"STARTTLS", MODE_MX | MODE_GATE,   STATES_ANY,  SMTP_COMMAND_MAX,   "3207 §4",        cmd_starttls,   NULL},
    {"AUTH",     MODE_GATE,             STATE_READY, SMTP_AUTH_LINE_MAX, "4954 §4",        cmd_auth,       "EHLO first"},
    {"AUTH",     MODE_SUBMISSION,       STATES_ANY,  SMTP_LINE_MAX,      "4954 §4",        cmd_auth_again, NULL},
    {"MAIL",     MAIL_MODES,            STATE_READY, SMTP_LINE_MAX,      "5321 §4.1.1.2",  cmd_mail,       "EHLO first, and one MAIL at a time"},
    {"RCPT",     MAIL_MODES,            IN_MAIL,     SMTP_LINE_MAX,      "5321 §4.1.1.3",  cmd_rcpt,       "MAIL first"},
    {"DATA",     MAIL_MODES,            IN_MAIL,     SMTP_COMMAND_MAX,   "5321 §4.1.1.4",  cmd_data,       "MAIL first"},
    {"BDAT",     MAIL_MODES,            STATES_ANY,  SMTP_COMMAND_MAX,   "3030 §2",        cmd_bdat,       NULL},
    {"BURL",     MODE_SUBMISSION,       STATES_ANY,  SMTP_AUTH_LINE_MAX, "4468 §3.2",      smtp_burl,      NULL},
    {"BURL",     MODE_GATE,             STATES_ANY,  SMTP_AUTH_LINE_MAX, "6409 §4.3",      cmd_auth_first, NULL},
    {"MAIL",     MODE_GATE,             STATES_ANY,  SMTP_LINE_MAX,      "6409 §4.3",      cmd_auth_first, NULL},
    {"RCPT",     MODE_GATE,             STATES_ANY,  SMTP_LINE_MAX,      "6409 §4.3",      cmd_auth_first, NULL},
    {"DATA",     MODE_GATE,             STATES_ANY,  SMTP_COMMAND_MAX,   "6409 §4.3",      cmd_auth_first, NULL},
    {"ETRN",     MAIL_MODES,            STATE_READY, SMTP_COMMAND_MAX,   "1985 §3",        smtp_etrn,      "EHLO first, and not within a message"},
    {"ETRN",     MODE_GATE,             STATES_ANY,  SMTP_COMMAND_MAX,   "1985 §3",        cmd_auth_first, NULL},
    {"XCLIENT",  MODE_MX,               STATES_ANY,  SMTP_LINE_MAX,      "",               smtp_xclient,   NULL},
    {"RSET",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.5",  cmd_rset,       NULL},
    {"VRFY",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.6",  cmd_vrfy,       NULL},
    {"EXPN",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.7",  cmd_expn,       NULL},
    {"HELP",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.8",  cmd_help,       NULL},
    {"NOOP",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.9",  cmd_noop,       NULL},
    {"QUIT",     MODES_ALL,             STATES_ANY,  SMTP_COMMAND_MAX,   "5321 §4.1.1.10", cmd_quit,       NULL},
};
/* clang-format on */
enum { ROWS = sizeof rows / sizeof rows[0] };

static enum next cmd_help(struct smtp *sm, struct span args)
{
    (void)args;
    AUTO_STRBUF names = STRBUF_INIT;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].modes & sm->mode->bit)
            strbuf_addf(&names, " %s", rows[i].name);
    smtp_reply(sm, 214, "2.0.0", "Commands:%s", strbuf_cstr(&names));
    return NEXT_AGAIN;
}

static const struct smtp_row *row_find(const struct smtp *sm, struct span verb)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((rows[i].modes & sm->mode->bit) && span_ieq(verb, span_cstr(rows[i].name)))
            return &rows[i];
    return NULL;
}

static void refuse_unknown(struct smtp *sm, struct span line)
{
    unsigned errors = sm->errors;
    if (filter_unknown(sm, line))
        smtp_reply(sm, 500, "5.5.1", "Command not known here");
    sm->errors = errors + 1; /* whatever a filter calls it */
}

enum next smtp_command_run(struct smtp *sm, struct span line)
{
    struct span verb, args;
    const struct smtp_row *row;
    if (!smtp_command_split(line, &verb, &args))
        smtp_reply(sm, 500, "5.5.2", "Not a command line");
    else if (!(row = row_find(sm, verb)))
        refuse_unknown(sm, line);
    else if (line.len + 2 > row->line_max)
        smtp_reply(sm, 500, "5.5.2", "Line too long");
    else if (!(row->states & sm->state))
        smtp_reply(sm, 503, "5.5.1", "%s", row->elsewhere);
    else
        return row->run(sm, args);
    return NEXT_AGAIN;
}
