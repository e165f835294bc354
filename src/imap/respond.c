/*
 * respond.c - the responses every command uses, and the one table from a status to what the client is told.
 */
#include "imap/internal.h"
#include "base/banned.h"

/* RFC 5530, RFC 3501 §7.1. */
static const struct {
    const char *word;
    const char *code;
} answers[ST_COUNT] = {
    /* clang-format off */
    [ST_OK]          = { "OK",  NULL },
    [ST_SYNTAX]      = { "BAD", NULL },
    [ST_STATE]       = { "BAD", NULL },
    [ST_DENIED]      = { "NO",  "CANNOT" },
    [ST_NOTFOUND]    = { "NO",  "NONEXISTENT" },
    [ST_EXISTS]      = { "NO",  "ALREADYEXISTS" },
    [ST_LIMIT]       = { "NO",  "LIMIT" },
    [ST_QUOTA]       = { "NO",  "OVERQUOTA" },
    [ST_TEMPORARY]   = { "NO",  "UNAVAILABLE" },
    [ST_UNSUPPORTED] = { "NO",  NULL },
    [ST_CLOSED]      = { "NO",  "UNAVAILABLE" },
    [ST_IO]          = { "NO",  "UNAVAILABLE" },
    [ST_BUG]         = { "NO",  "SERVERBUG" },
    /* clang-format on */
};

const char *imap_response_code(enum status st)
{
    return answers[st].code;
}

void imap_write_status(struct strbuf *out, struct span tag, const char *code, enum status st, const char *text)
{
    strbuf_add(out, tag);
    strbuf_addf(out, " %s ", answers[st].word);
    if (code)
        strbuf_addf(out, "[%s] ", code);
    strbuf_addf(out, "%s\r\n", text[0] ? text : "Failed");
}

static const char *no_code(const struct imap_call *call, enum status st)
{
    if (call->no_code)
        return call->no_code;
    if (st == ST_NOTFOUND && call->command && (call->command->flags & IMAP_TRYCREATE))
        return "TRYCREATE";
    return imap_response_code(st);
}

void imap_tagged(struct imap *im, const struct imap_call *call, enum status st, const struct err *err)
{
    struct strbuf *out = imap_out(im);
    struct span tag = call->tag.len ? call->tag : SPAN("*");
    if (st != ST_OK) {
        imap_write_status(out, tag, no_code(call, st), st, err->client);
        return;
    }
    strbuf_add(out, tag);
    strbuf_add_cstr(out, " OK ");
    if (call->code.len)
        strbuf_addf(out, "[%.*s] ", SPAN_ARG(call->code));
    if (call->text)
        strbuf_addf(out, "%s\r\n", call->text);
    else
        strbuf_addf(out, "%s completed\r\n", call->command->name);
}

void imap_untagged(struct imap *im, const char *fmt, ...)
{
    struct strbuf *out = imap_out(im);
    va_list ap;
    strbuf_add_cstr(out, "* ");
    va_start(ap, fmt);
    strbuf_vaddf(out, fmt, ap);
    va_end(ap);
    strbuf_add_cstr(out, "\r\n");
}

void imap_begin_fetch(const struct imap *im, uint32_t seq, uint32_t uid, struct strbuf *out)
{
    bool is_uidonly = imap_has(im, IMAP_UIDONLY);
    strbuf_add_cstr(out, "* ");
    strbuf_add_u64(out, is_uidonly ? uid : seq);
    strbuf_add_cstr(out, is_uidonly ? " UIDFETCH (" : " FETCH (");
}

void imap_set_code(struct imap_call *call, const char *fmt, ...)
{
    AUTO_STRBUF text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&text, fmt, ap);
    va_end(ap);
    call->code = arena_strbuf(&call->arena, &text);
}

void imap_set_copyuid(struct imap_call *call, const struct uid_pairs *pairs)
{
    if (!pairs->from || pairs->from->count == 0)
        return;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "COPYUID %u ", pairs->uidvalidity);
    seqset_write(pairs->from, &text);
    strbuf_add_char(&text, ' ');
    seqset_write(pairs->to, &text);
    call->code = arena_strbuf(&call->arena, &text);
}
