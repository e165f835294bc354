/* filter_macros.c - what filters are told beside the events: Sendmail's macros (its Operations Guide, 5.2), with its
 * values where we have no such thing as a mailer.
 *
 * The client's name is its address, as Sendmail writes it where the DNS says nothing: names are not looked up.
 */
#include "smtp/filter_internal.h"
#include "base/banned.h"

/* Of a refused recipient (SMFIP_RCPT_REJ), as Sendmail tells its mailer `error`: the enhanced code is the host, the
 * reply is the address. */
static void refused(struct span reply, struct filter_recipient *out)
{
    struct span line, code;
    span_cut(&reply, '\r', &line);
    out->mailer = SPAN("error");
    out->address = line;
    line = span_skip(line, 4);
    span_cut(&line, ' ', &code);
    out->host = code;
}

void filter_recipient_of(const struct smtp_recipient *r, struct span reply, struct filter_recipient *out)
{
    *out = (struct filter_recipient){SPAN_NONE, SPAN_NONE, SPAN_NONE};
    if (reply.len)
        refused(reply, out);
    else if (r)
        *out = (struct filter_recipient){r->text, r->address.domain, SPAN("smtp")};
}

void filter_macros_of(const struct smtp *sm, const struct filter_recipient *r, struct arena *a,
                      struct milter_macro out[FILTER_MACROS])
{
    const struct peer *peer = session_peer(sm->session);
    const struct smtp_transaction *t = sm->transaction;
    bool is_submission = sm->filters->role->door == MILTER_DOOR_SUBMISSION;
    struct span address = span_cstr(peer->address);
    struct span name = address.len ? arena_printf(a, "[%s]", peer->address) : SPAN("localhost");
    const struct milter_macro list[FILTER_MACROS] = {
        {"j", span_cstr(sm->mode->hostname(sm->session))},
        {"v", SPAN("Tassis " TASSIS_VERSION)},
        {"_", name},
        {"{daemon_name}", is_submission ? SPAN("MSA") : SPAN("MTA")},
        {"{daemon_port}", arena_printf(a, "%u", peer->local_port)},
        {"{client_addr}", address},
        {"{client_name}", name},
        {"{client_ptr}", name},
        {"{client_port}", arena_printf(a, "%u", peer->port)},
        {"{tls_version}", span_cstr(peer->tls_version)},
        {"{cipher}", span_cstr(peer->tls_cipher)},
        {"{cipher_bits}", peer->tls_version[0] ? arena_printf(a, "%u", peer->tls_bits) : SPAN_NONE},
        {"{auth_type}", sm->account ? span_cstr(peer->auth_mechanism) : SPAN_NONE},
        {"{auth_authen}", span_cstr(sm->account)},
        {"i", t ? span_cstr(t->trace) : SPAN_NONE},
        {"{mail_addr}", t ? t->from : SPAN_NONE},
        {"{mail_host}", t ? t->mail.from.domain : SPAN_NONE},
        {"{mail_mailer}", t ? SPAN("smtp") : SPAN_NONE},
        {"{rcpt_addr}", r->address},
        {"{rcpt_host}", r->host},
        {"{rcpt_mailer}", r->mailer},
    };
    memcpy(out, list, sizeof list);
}
