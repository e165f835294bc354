/* fuzz_smtp_command.c - a line of an SMTP client, as each command would read it. */
#include "fuzz.h"
#include "text/smtp_command.h"

static void check_path(const struct mailbox_address *m)
{
    CHECK(m->local_part.len <= PATH_MAX_OCTETS && m->domain.len <= DOMAIN_MAX);
    CHECK(m->local_part.len == 0 || !memchr(m->local_part.p, '\n', m->local_part.len));
}

/* What a parameter may be is what comes out of encoding it again. */
static void check_unitext(struct arena *a, struct span text)
{
    struct span plain, again;
    AUTO_STRBUF encoded = STRBUF_INIT;
    if (!unitext_decode(a, text, &plain))
        return;
    unitext_encode(plain, &encoded);
    CHECK(unitext_decode(a, strbuf_span(&encoded), &again) && span_eq(again, plain));
    for (size_t i = 0; i < encoded.len; i++)
        CHECK(encoded.p[i] > ' ' && encoded.p[i] < 0x7f && encoded.p[i] != '+' && encoded.p[i] != '=');
}

/* Within what the queue and the next hop can say, and never both kinds of holding. */
static void check_wishes(const struct smtp_mail_args *m, bool is_offered)
{
    bool has_any = m->hold_for || m->hold_until || m->by || m->priority || m->is_tls_required || m->hold_request.len;
    CHECK(is_offered || !has_any);
    CHECK(m->hold_for >= 0 && m->hold_until >= 0 && !(m->hold_for && m->hold_until));
    CHECK(m->priority >= -9 && m->priority <= 9);
    CHECK(m->by_seconds >= -SMTP_BY_SECONDS_MAX && m->by_seconds <= SMTP_BY_SECONDS_MAX);
    CHECK(m->by != SMTP_BY_RETURN || m->by_seconds > 0);
    for (size_t i = 0; i < m->hold_request.len; i++)
        CHECK(m->hold_request.p[i] > ' ' && m->hold_request.p[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span verb, args;
    if (size > SMTP_LINE_MAX || !smtp_command_split(span_of(data, size), &verb, &args))
        return 0;
    CHECK(verb.len && verb.len + args.len <= size);
    AUTO_ARENA a = ARENA_INIT;
    struct smtp_mail_args mail;
    struct smtp_rcpt_args to;
    struct err err;
    for (int i = 0; i < 2; i++) {
        if (smtp_mail_parse(&a, args, i ? SMTP_PARAMS_ALL : 0, &mail, &err) == SMTP_FINE) {
            check_path(&mail.from);
            CHECK(mail.trace.len == 0 || (i && smtp_trace_is_valid(mail.trace)));
            check_wishes(&mail, i);
        }
        if (smtp_rcpt_parse(&a, args, i ? SMTP_PARAMS_ALL : 0, i, &to, &err) == SMTP_FINE) {
            check_path(&to.to);
            CHECK(to.to.local_part.len || to.to.domain.len);
            struct span address = to.orcpt, type;
            if (span_cut(&address, ';', &type))
                check_unitext(&a, address);
        }
    }
    (void)smtp_hello_is_valid(args);
    return 0;
}
