/*
 * flags.c - flags on the wire: system flags, the account's keywords, and \Recent, which no message has but which each
 * session remembers for those it was the first to see (RFC 3501 §2.3.2).
 */
#include "imap/internal.h"
#include "base/banned.h"

static const struct {
    uint64_t bit;
    const char *name;
} system_flags[] = {
    {FLAG_ANSWERED, "\\Answered"}, {FLAG_FLAGGED, "\\Flagged"}, {FLAG_DELETED, "\\Deleted"},
    {FLAG_SEEN, "\\Seen"},         {FLAG_DRAFT, "\\Draft"},
};
enum { SYSTEM_FLAG_COUNT = sizeof system_flags / sizeof *system_flags };

_Static_assert((unsigned)IMAP_FLAG_SEEN == (unsigned)FLAG_SEEN &&
                   (unsigned)IMAP_FLAG_ANSWERED == (unsigned)FLAG_ANSWERED &&
                   (unsigned)IMAP_FLAG_FLAGGED == (unsigned)FLAG_FLAGGED &&
                   (unsigned)IMAP_FLAG_DELETED == (unsigned)FLAG_DELETED &&
                   (unsigned)IMAP_FLAG_DRAFT == (unsigned)FLAG_DRAFT,
               "the lexer's flags are the store's");

enum status imap_flag_bits(struct txn *t, const struct imap_flags *flags, bool may_create, uint64_t *bits,
                           struct err *err)
{
    *bits = flags->system;
    for (size_t i = 0; i < flags->count; i++) {
        uint64_t bit;
        TRY(keyword_bit(t, flags->keywords[i], may_create, &bit, err));
        *bits |= bit;
    }
    return ST_OK;
}

static void add_item(struct strbuf *out, size_t *n, struct span name)
{
    if ((*n)++)
        strbuf_add_char(out, ' ');
    strbuf_add(out, name);
}

/* FLAGS and PERMANENTFLAGS, before the first response that may name a keyword the client has not heard of
 * (RFC 3501 §7.2.6). */
static void tell_keywords(struct imap *im, const struct imap_call *call)
{
    struct strbuf *out = imap_out(im);
    uint64_t may = im->is_read_only ? 0 : imap_may_flags(im); /* \Flagged stands for all that need the right w */
    for (int is_permanent = 0; is_permanent < 2; is_permanent++) {
        strbuf_add_cstr(out, is_permanent ? "* OK [PERMANENTFLAGS (" : "* FLAGS (");
        size_t n = 0;
        for (size_t i = 0; i < SYSTEM_FLAG_COUNT; i++)
            if (!is_permanent || (may & system_flags[i].bit))
                add_item(out, &n, span_cstr(system_flags[i].name));
        for (size_t i = 0; i < call->keyword_count; i++)
            if (!is_permanent || (may & FLAG_FLAGGED))
                add_item(out, &n, call->keywords[i]);
        if (is_permanent && (may & FLAG_FLAGGED))
            add_item(out, &n, SPAN("\\*"));
        strbuf_add_cstr(out, is_permanent ? ")] Flags that stay\r\n" : ")\r\n");
    }
    im->keywords_told = (uint32_t)call->keyword_count + 1;
}

enum status imap_need_keywords(struct imap *im, struct imap_call *call, struct err *err)
{
    if (call->has_keywords)
        return ST_OK;
    AUTO(txn) txn = NULL;
    if (!keyword_names_known(im->owner, &call->arena, &call->keywords, &call->keyword_count)) {
        TRY(imap_begin(im, TXN_READ, &txn, err));
        TRY(keyword_names(txn, &call->arena, &call->keywords, &call->keyword_count, err));
    }
    call->has_keywords = true;
    if (im->keywords_told != call->keyword_count + 1)
        tell_keywords(im, call);
    return ST_OK;
}

const struct view_message *imap_told_message(const struct imap *im, uint32_t seq)
{
    const struct view_message *m = view_message(im->view, seq);
    uint32_t newer = im->told_flags ? view_seq_of(im->told_flags, m->uid) : 0;
    return newer ? view_message(im->told_flags, newer) : m;
}

/* The client has been told newer flags than those of its view: what the command added goes on top of these. */
static uint64_t newest_flags(const struct imap *im, uint32_t uid, uint64_t flags)
{
    uint32_t old = view_seq_of(im->view, uid), new = view_seq_of(im->told_flags, uid);
    if (!old || !new)
        return flags;
    return view_message(im->told_flags, new)->flags | (flags & ~view_message(im->view, old)->flags);
}

void imap_write_flags(struct imap *im, const struct imap_call *call, uint32_t uid, uint64_t flags, struct strbuf *out)
{
    imap_write_flag_list(im, call, uid, im->told_flags ? newest_flags(im, uid, flags) : flags, out);
}

void imap_write_flag_list(const struct imap *im, const struct imap_call *call, uint32_t uid, uint64_t flags,
                          struct strbuf *out)
{
    size_t n = 0;
    strbuf_add_char(out, '(');
    for (size_t i = 0; i < SYSTEM_FLAG_COUNT; i++)
        if (flags & system_flags[i].bit)
            add_item(out, &n, span_cstr(system_flags[i].name));
    if (im->recent_count && imap_is_recent(im, uid) && !imap_has(im, IMAP_REV2))
        add_item(out, &n, SPAN("\\Recent"));
    for (size_t k = 0; k < call->keyword_count && flags >> FLAG_KEYWORD_SHIFT; k++)
        if (flags >> (FLAG_KEYWORD_SHIFT + k) & 1)
            add_item(out, &n, call->keywords[k]);
    strbuf_add_char(out, ')');
}

bool imap_is_recent(const struct imap *im, uint32_t uid)
{
    size_t low = 0, high = im->recent_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (uid > im->recent[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < im->recent_count && uid >= im->recent[low].first;
}
