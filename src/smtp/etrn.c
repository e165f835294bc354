/*
 * etrn.c - ETRN (RFC 1985): a node that was away asks for the mail that waits for it. The queue is relay's, so the
 * command is handed on like mail: `mx` to `mail`, `mail` to relay, which answers. Who may: addresses that the config
 * names, and whoever is logged in; it brings nobody any mail, it only has hosts called that the DNS or a route names.
 */
#include <stdatomic.h>
#include "queue/outbound.h"
#include "smtp/pool.h"
#include "smtp/session.h"
#include "base/banned.h"

bool smtp_may_etrn(const struct smtp *sm)
{
    if (sm->mode->bit & (MODE_GATE | MODE_SUBMISSION))
        return true;
    if (sm->mode->bit != MODE_MX)
        return smtp_is_internal(sm);
    const struct mx_app *app = session_app(sm->session);
    const struct config_smtp *settings = atomic_load(&app->settings);
    return settings && ip_set_has_text(&settings->etrn, span_cstr(session_peer(sm->session)->address));
}

/* ---- relay -------------------------------------------------------------------------------------------------- */

static enum status run(struct relay_app *app, struct span node, size_t *waiting, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span name = span_skip(node, 1), ascii;
    if (node.p[0] == '#')
        return queue_run(app->queue, QUEUE_RUN_ROUTE, name, SPAN_NONE, waiting, err);
    bool is_below = node.p[0] == '@';
    if (domain_to_ascii(&a, is_below ? name : node, &ascii, err) != ST_OK)
        return err_set(err, ST_SYNTAX, "not a domain");
    struct span destination = outbound_destination(atomic_load(&app->settings), &a, SPAN_NONE, ascii);
    return queue_run(app->queue, is_below ? QUEUE_RUN_BELOW : QUEUE_RUN_DOMAIN, ascii, destination, waiting, err);
}

static void answer_here(struct smtp *sm, struct span node)
{
    struct relay_app *app = session_app(sm->session);
    size_t waiting = 0;
    struct err err;
    struct log_line l;
    enum status st = run(app, node, &waiting, &err);
    smtp_log_begin(sm, &l, st == ST_OK ? LOG_INFO : LOG_WARN, "queue-run");
    log_span(&l, "for", node);
    if (st == ST_OK)
        log_u64(&l, "messages", waiting);
    else
        log_err(&l, &err);
    log_end(&l);
    if (st == ST_SYNTAX)
        smtp_reply(sm, 501, "5.5.4", "%s", err.client);
    else if (st != ST_OK) /* RFC 1985 §5 */
        smtp_reply(sm, 458, "4.3.0", "Unable to queue messages for node %.*s", SPAN_ARG(node));
    else if (waiting == 0)
        smtp_reply(sm, 251, "2.0.0", "OK, no messages waiting for node %.*s", SPAN_ARG(node));
    else
        smtp_reply(sm, 253, "2.0.0", "OK, %zu pending messages for node %.*s started", waiting, SPAN_ARG(node));
    if (waiting)
        app->wake(app->wake_ctx);
}

/* ---- on the way there --------------------------------------------------------------------------------------- */

static enum status ask(struct smtp *sm, struct span node, struct smtp_reply *said, struct err *err)
{
    if (sm->mode->bit == MODE_MX) {
        const struct mx_app *app = session_app(sm->session);
        return smtp_pool_command(app->mail, said, err, "ETRN %.*s", SPAN_ARG(node));
    }
    const struct mail_app *app = session_app(sm->session);
    if (!app->relay)
        return err_set(err, ST_TEMPORARY, "there is no queue");
    return smtp_pool_command(app->relay, said, err, "ETRN %.*s", SPAN_ARG(node));
}

/* A domain, "@domain" for it and all below, "#route" (RFC 1985 §3, the last locally defined). */
static bool node_is_valid(struct span node)
{
    struct span name = span_skip(node, node.len && (node.p[0] == '@' || node.p[0] == '#'));
    if (node.len && node.p[0] != '#')
        return domain_is_valid(name, true);
    for (size_t i = 0; i < name.len; i++)
        if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
            return false;
    return name.len > 0;
}

enum next smtp_etrn(struct smtp *sm, struct span args)
{
    struct smtp_reply said;
    struct err err;
    if (!smtp_may_etrn(sm)) {
        smtp_reply(sm, 459, "4.7.1", "Node %.*s not allowed: not from here", SPAN_ARG(span_take(args, DOMAIN_MAX)));
        smtp_log_refused(sm, SPAN_NONE, 459, "ETRN is not for this client");
    } else if (!node_is_valid(args)) {
        smtp_reply(sm, 501, "5.5.4", "ETRN needs a domain, @domain or #route");
    } else if (sm->mode->bit == MODE_QUEUE) {
        answer_here(sm, args);
    } else if (ask(sm, args, &said, &err) != ST_OK) {
        smtp_reply(sm, 458, "4.3.0", "Unable to queue messages for node %.*s", SPAN_ARG(args));
    } else {
        smtp_reply(sm, said.code, said.enhanced[0] ? said.enhanced : NULL, "%s", said.text);
    }
    return NEXT_AGAIN;
}
