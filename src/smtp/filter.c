/* filter.c - see filter.h. */
#include "smtp/filter_internal.h"
#include <stdlib.h>
#include "base/mem.h"
#include "text/header.h"
#include "base/banned.h"

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void log_refused(const struct smtp *sm, const struct filter_link *l, const struct smtp_recipient *r,
                        unsigned code, const char *why)
{
    struct log_line line;
    smtp_log_begin(sm, &line, LOG_INFO, "refused");
    log_str(&line, "milter", l->config->name);
    if (sm->transaction)
        log_span(&line, "from", sm->transaction->from);
    if (r)
        log_span(&line, "to", r->text);
    log_u64(&line, "code", code);
    log_str(&line, "reason", why);
    log_end(&line);
}

/* The filter cannot be had: true where the mail goes on without it. That the role stops is not the filter's failure. */
static bool go_without(struct smtp *sm, const struct filter_link *l, const struct smtp_recipient *r)
{
    if (l->config->is_open && !atomic_load(&sm->filters->role->is_stopping))
        return true;
    smtp_reply(sm, 451, "4.7.1", "Try again later");
    log_refused(sm, l, r, 451, "the filter is not available");
    return false;
}

static void lose(const struct smtp *sm, struct filter_link *l, const struct err *err)
{
    struct log_line line;
    smtp_log_begin(sm, &line, LOG_WARN, "milter-failed");
    log_str(&line, "milter", l->config->name);
    log_str(&line, "then", l->config->is_open ? "open" : "closed");
    log_err(&line, err);
    log_end(&line);
    milter_free(&l->milter);
    l->is_in_message = false;
}

static bool take(struct smtp *sm, struct filter_link *l, enum milter_stage stage, const struct milter_answer *answer,
                 const struct smtp_recipient *r)
{
    bool is_of_message = stage != MILTER_STAGE_UNKNOWN && sm->transaction;
    switch (answer->kind) {
    case MILTER_ANSWER_ACCEPT:
        if (stage == MILTER_STAGE_UNKNOWN)
            return true;
        *(stage <= MILTER_STAGE_HELO ? &l->is_session_accepted : &l->is_message_accepted) = true;
        return true;
    case MILTER_ANSWER_DISCARD:
        sm->filters->is_discarded = sm->filters->is_discarded || is_of_message;
        if (is_of_message)
            log_refused(sm, l, r, 250, "discarded");
        return true;
    case MILTER_ANSWER_REFUSE:
        smtp_reply(sm, answer->code, answer->enhanced, "%s", answer->text);
        log_refused(sm, l, r, answer->code, answer->text);
        sm->is_closing = sm->is_closing || answer->code == 421;
        return false;
    default:
        return true;
    }
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static enum status tell(struct smtp *sm, struct filter_link *l, enum milter_stage stage, struct span data,
                        const struct smtp_recipient *r, struct milter_answer *answer, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct milter_macro macros[FILTER_MACROS];
    struct filter_recipient recipient;
    filter_recipient_of(r, SPAN_NONE, &recipient);
    filter_macros_of(sm, &recipient, &a, macros);
    return milter_tell(l->milter, stage, data, macros, FILTER_MACROS, answer, err);
}

static bool ask(struct smtp *sm, struct filter_link *l, enum milter_stage stage, struct span data,
                const struct smtp_recipient *r)
{
    struct milter_answer answer;
    struct err err;
    if (l->is_session_accepted || l->is_message_accepted || sm->filters->is_discarded)
        return true;
    if (!l->milter)
        return go_without(sm, l, r);
    if (tell(sm, l, stage, data, r, &answer, &err) != ST_OK) {
        lose(sm, l, &err);
        return go_without(sm, l, r);
    }
    return take(sm, l, stage, &answer, r);
}

/* Connects to a filter that there is no connection to, and tells it what it has missed. */
static bool join(struct smtp *sm, struct filter_link *l)
{
    AUTO_STRBUF data = STRBUF_INIT;
    const struct peer *peer = session_peer(sm->session);
    struct err err;
    if (milters_call(sm->filters->role, l->place, l->config, &l->milter, &err) != ST_OK) {
        l->milter = NULL;
        lose(sm, l, &err);
        return true; /* asked again, and answered, at MAIL */
    }
    AUTO_STRBUF name = STRBUF_INIT;
    strbuf_addf(&name, peer->address[0] ? "[%s]" : "localhost", peer->address);
    milter_put_connect(&data, strbuf_span(&name), span_cstr(peer->address), peer->port);
    return ask(sm, l, MILTER_STAGE_CONNECT, strbuf_span(&data), NULL);
}

static bool say_hello(struct smtp *sm, struct filter_link *l, struct span name)
{
    AUTO_STRBUF data = STRBUF_INIT;
    milter_put_string(&data, name);
    return !l->milter || ask(sm, l, MILTER_STAGE_HELO, strbuf_span(&data), NULL);
}

/* False: too many ask already, and the client has heard so. */
static bool enter(struct smtp *sm)
{
    if (milters_enter(sm->filters->role))
        return true;
    smtp_reply(sm, 451, "4.3.2", "Too busy, try again later");
    smtp_log_refused(sm, SPAN_NONE, 451, "too many sessions wait for filters");
    return false;
}

static void leave(struct smtp *sm)
{
    milters_leave(sm->filters->role);
}

static bool ask_all(struct smtp *sm, enum milter_stage stage, struct span data, const struct smtp_recipient *r)
{
    struct filters *f = sm->filters;
    if (!f || f->is_discarded)
        return true;
    if (!enter(sm))
        return false;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < f->count; i++)
        goes_on = ask(sm, &f->links[i], stage, data, r);
    leave(sm);
    return goes_on;
}

/* ---- stages ----------------------------------------------------------------------------------------------------- */

static void begin(struct smtp *sm)
{
    struct milters *role = sm->mode->filters ? sm->mode->filters(sm->session) : NULL;
    const struct config_milters *c = role ? atomic_load(&role->config) : NULL;
    for (size_t i = 0; c && i < c->count; i++) {
        if (!(c->list[i].doors & role->door))
            continue;
        if (!sm->filters) {
            sm->filters = mem_alloc(sizeof *sm->filters);
            sm->filters->role = role;
        }
        sm->filters->links[sm->filters->count++] = (struct filter_link){.config = &c->list[i], .place = i};
    }
}

bool filter_hello(struct smtp *sm, struct span name)
{
    if (!sm->filters)
        begin(sm);
    struct filters *f = sm->filters;
    if (!f)
        return true;
    if (!enter(sm))
        return false;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < f->count; i++) {
        struct filter_link *l = &f->links[i];
        goes_on = (l->milter || l->is_session_accepted || join(sm, l)) && say_hello(sm, l, name);
    }
    leave(sm);
    return goes_on;
}

/* "FROM:<a@example.test> SIZE=10": the words behind the path. A ">" may stand in a quoted local part. */
static void put_path(struct span path, struct span args, struct strbuf *data)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "<%.*s>", SPAN_ARG(path));
    milter_put_string(data, strbuf_span(&text));
    bool is_quoted = false;
    size_t at = 0;
    for (; at < args.len && (is_quoted || args.p[at] != '>'); at++) {
        if (args.p[at] == '"')
            is_quoted = !is_quoted;
        else if (args.p[at] == '\\')
            at++;
    }
    struct span rest = span_skip(args, at + 1), word;
    while ((rest = span_trim(rest)).len) {
        span_cut(&rest, ' ', &word);
        milter_put_string(data, word);
    }
}

bool filter_mail(struct smtp *sm, struct span args)
{
    AUTO_STRBUF data = STRBUF_INIT;
    if (!sm->filters)
        begin(sm); /* a client that was handed over has said EHLO at gate */
    struct filters *f = sm->filters;
    if (!f)
        return true;
    put_path(sm->transaction->from, args, &data);
    if (!enter(sm))
        return false;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < f->count; i++) {
        struct filter_link *l = &f->links[i];
        if (!l->milter && !l->is_session_accepted) /* it may be there again */
            goes_on = join(sm, l) && say_hello(sm, l, span_cstr(sm->hello));
        l->is_in_message = l->milter && !l->is_session_accepted;
        goes_on = goes_on && ask(sm, l, MILTER_STAGE_MAIL, strbuf_span(&data), NULL);
    }
    leave(sm);
    return goes_on;
}

bool filter_rcpt(struct smtp *sm, const struct smtp_recipient *r, struct span args)
{
    AUTO_STRBUF data = STRBUF_INIT;
    if (!sm->filters)
        return true;
    put_path(r->text, args, &data);
    return ask_all(sm, MILTER_STAGE_RCPT, strbuf_span(&data), r);
}

static enum status tell_refused(struct smtp *sm, struct filter_link *l, struct span data,
                                const struct filter_recipient *r, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct milter_macro macros[FILTER_MACROS];
    struct milter_answer answer;
    filter_macros_of(sm, r, &a, macros);
    return milter_tell(l->milter, MILTER_STAGE_RCPT, data, macros, FILTER_MACROS, &answer, err);
}

void filter_rcpt_refused(struct smtp *sm, const struct smtp_recipient *r, struct span args, struct span reply)
{
    AUTO_STRBUF data = STRBUF_INIT;
    struct filter_recipient refused;
    struct filters *f = sm->filters;
    struct err err;
    if (!f || f->is_discarded || !milters_enter(f->role))
        return;
    put_path(r->text, args, &data);
    filter_recipient_of(r, reply, &refused);
    for (size_t i = 0; i < f->count; i++) {
        struct filter_link *l = &f->links[i];
        bool is_asked = l->is_in_message && !l->is_message_accepted && l->milter && milter_wants_refused(l->milter);
        if (is_asked && tell_refused(sm, l, strbuf_span(&data), &refused, &err) != ST_OK)
            lose(sm, l, &err);
    }
    leave(sm);
}

bool filter_unknown(struct smtp *sm, struct span line)
{
    AUTO_STRBUF data = STRBUF_INIT;
    if (!sm->filters)
        return true;
    milter_put_string(&data, line);
    return ask_all(sm, MILTER_STAGE_UNKNOWN, strbuf_span(&data), NULL);
}

bool filter_data(struct smtp *sm)
{
    return ask_all(sm, MILTER_STAGE_DATA, SPAN_NONE, NULL);
}

/* ---- the message ------------------------------------------------------------------------------------------------ */

static enum status tell_header(struct smtp *sm, struct filter_link *l, struct span header, struct milter_answer *answer,
                               struct err *err)
{
    AUTO_STRBUF data = STRBUF_INIT;
    struct header_field f;
    bool is_wanted = milter_wants(l->milter, MILTER_STAGE_HEADER);
    for (size_t at = 0; is_wanted && answer->kind == MILTER_ANSWER_CONTINUE && header_next(header, &at, &f);) {
        strbuf_clear(&data);
        milter_put_header(&data, f.name, f.value, milter_keeps_space(l->milter));
        TRY(milter_tell(l->milter, MILTER_STAGE_HEADER, strbuf_span(&data), NULL, 0, answer, err));
    }
    if (answer->kind == MILTER_ANSWER_CONTINUE)
        TRY(tell(sm, l, MILTER_STAGE_EOH, SPAN_NONE, NULL, answer, err));
    return ST_OK;
}

/* The whole message; *answer is the first that is more than "go on", or the one to its end. */
static enum status tell_message(struct smtp *sm, struct filter_link *l, struct milter_changes *changes,
                                struct milter_answer *answer, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct milter_macro macros[FILTER_MACROS];
    struct filter_recipient none;
    struct span message;
    TRY(body_span(sm->transaction->body, &message, err));
    size_t end = header_block_end(message, NULL);
    answer->kind = MILTER_ANSWER_CONTINUE;
    TRY(tell_header(sm, l, span_take(message, end), answer, err));
    for (struct span rest = span_skip(message, end); rest.len && answer->kind == MILTER_ANSWER_CONTINUE;
         rest = span_skip(rest, MILTER_CHUNK_MAX)) {
        if (!milter_wants(l->milter, MILTER_STAGE_BODY))
            break;
        TRY(milter_tell(l->milter, MILTER_STAGE_BODY, span_take(rest, MILTER_CHUNK_MAX), NULL, 0, answer, err));
    }
    if (answer->kind != MILTER_ANSWER_CONTINUE && answer->kind != MILTER_ANSWER_SKIP)
        return ST_OK;
    filter_recipient_of(NULL, SPAN_NONE, &none);
    filter_macros_of(sm, &none, &a, macros);
    TRY(milter_end(l->milter, macros, FILTER_MACROS, changes, answer, err));
    l->is_in_message = false;
    return ST_OK;
}

static bool pass(struct smtp *sm, struct filter_link *l)
{
    struct milter_changes changes = {.arena = &sm->transaction->arena,
                                     .body_max = sm->mode->message_size_max(sm->session)};
    struct milter_answer answer;
    struct err err;
    if (l->is_session_accepted || l->is_message_accepted || sm->filters->is_discarded)
        return true;
    if (!l->milter)
        return go_without(sm, l, NULL);
    enum status st = tell_message(sm, l, &changes, &answer, &err);
    bool is_kept = st == ST_OK && (answer.kind == MILTER_ANSWER_CONTINUE || answer.kind == MILTER_ANSWER_ACCEPT);
    if (is_kept)
        st = filter_apply(sm, l, &changes, &err);
    strbuf_free(&changes.body);
    if (st != ST_OK) {
        lose(sm, l, &err);
        return go_without(sm, l, NULL);
    }
    return take(sm, l, MILTER_STAGE_EOM, &answer, NULL);
}

bool filter_message(struct smtp *sm)
{
    struct filters *f = sm->filters;
    if (!f)
        return true;
    if (!enter(sm))
        return false;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < f->count; i++)
        goes_on = pass(sm, &f->links[i]);
    leave(sm);
    if (goes_on && (f->is_discarded || sm->transaction->count == 0)) {
        smtp_reply(sm, 250, "2.0.0", "Ok, id %s", sm->transaction->trace);
        if (!f->is_discarded)
            smtp_log_refused(sm, SPAN_NONE, 250, "filters have left no recipient");
        return false;
    }
    return goes_on;
}

void filter_end(struct smtp *sm)
{
    struct filters *f = sm->filters;
    struct err err;
    for (size_t i = 0; f && i < f->count; i++) {
        struct filter_link *l = &f->links[i];
        if (l->is_in_message && l->milter && milter_abort(l->milter, &err) != ST_OK)
            lose(sm, l, &err);
        l->is_message_accepted = l->is_in_message = false;
    }
    if (f)
        f->is_discarded = false;
}

void filter_close(struct smtp *sm)
{
    for (size_t i = 0; sm->filters && i < sm->filters->count; i++)
        milter_free(&sm->filters->links[i].milter);
    free(sm->filters);
    sm->filters = NULL;
}
