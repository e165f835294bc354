/*
 * search_result.c - see search_result.h.
 */
#include "imap/search_result.h"
#include <inttypes.h>
#include <stdlib.h>
#include "base/mem.h"
#include "imap/names.h"
#include "base/banned.h"

bool search_reply_write(struct imap *im, struct search_reply *reply)
{
    struct span piece = span_take(span_skip(strbuf_span(&reply->text), reply->sent), SESSION_OUT_HIGH);
    strbuf_add(imap_out(im), piece);
    reply->sent += piece.len;
    return reply->sent == reply->text.len;
}

static uint32_t number_of(const struct view *view, bool is_uid, uint32_t seq)
{
    return is_uid ? view_message(view, seq)->uid : seq;
}

void search_write_set(const struct view *view, bool is_uid, struct search_hits hits, struct strbuf *out)
{
    for (size_t i = 0, end; i < hits.count; i = end) {
        uint32_t first = number_of(view, is_uid, hits.seqs[i]), last = first;
        for (end = i + 1; end < hits.count && number_of(view, is_uid, hits.seqs[end]) == last + 1; end++)
            last++;
        if (i)
            strbuf_add_char(out, ',');
        strbuf_add_u64(out, first);
        if (last > first) {
            strbuf_add_char(out, ':');
            strbuf_add_u64(out, last);
        }
    }
}

static uint64_t modseq_of(const struct search_mailbox *in, struct search_hits hits)
{
    uint64_t greatest = 0;
    for (size_t i = 0; i < hits.count; i++) {
        uint64_t modseq = search_message(in, hits.seqs[i])->modseq;
        if (modseq > greatest)
            greatest = modseq;
    }
    return greatest;
}

void search_write_numbers(const struct search_mailbox *in, const char *name, bool is_uid, struct search_hits hits,
                          bool has_modseq, struct strbuf *out)
{
    strbuf_add_cstr(out, "* ");
    strbuf_add_cstr(out, name);
    for (size_t i = 0; i < hits.count; i++) {
        strbuf_add_char(out, ' ');
        strbuf_add_u64(out, number_of(in->view, is_uid, hits.seqs[i]));
    }
    if (has_modseq && hits.count) /* RFC 7162 §3.1.6 */
        strbuf_addf(out, " (MODSEQ %" PRIu64 ")", modseq_of(in, hits));
    strbuf_add_cstr(out, "\r\n");
}

/* ---- ESEARCH --------------------------------------------------------------------------------------------------- */

static struct search_hits partial_of(const struct search_return *returns, struct search_hits hits)
{
    size_t from, to;
    search_return_range(returns, hits.count, &from, &to);
    if (from == to)
        return (struct search_hits){0}; /* no hits may be no array either */
    return (struct search_hits){hits.seqs + from, to - from, hits.scores ? hits.scores + from : NULL};
}

/* RFC 9394 §3.1: the range as it was asked for, and NIL where nothing is in it. */
static void write_partial(const struct search_mailbox *in, bool is_uid, const struct search_return *returns,
                          struct search_hits hits, struct strbuf *out)
{
    struct search_hits part = partial_of(returns, hits);
    strbuf_add_cstr(out, " PARTIAL (");
    strbuf_add(out, returns->partial);
    strbuf_add_char(out, ' ');
    if (part.count)
        search_write_set(in->view, is_uid, part, out);
    else
        strbuf_add_cstr(out, "NIL");
    strbuf_add_char(out, ')');
}

/* RFC 6203 §4; as ALL, nothing where nothing is found */
static void write_scores(struct search_hits hits, struct strbuf *out)
{
    if (!hits.scores)
        return;
    for (size_t i = 0; i < hits.count; i++)
        strbuf_addf(out, "%s%u", i ? " " : " RELEVANCY (", hits.scores[i]);
    if (hits.count)
        strbuf_add_char(out, ')');
}

/* RFC 4731 §3.2: of MIN and MAX alone, theirs. */
static uint64_t modseq_told(const struct search_mailbox *in, const struct search_return *returns,
                            struct search_hits hits)
{
    unsigned what = returns->what & SEARCH_RETURN_DATA;
    if (what & ~(unsigned)(SEARCH_RETURN_MIN | SEARCH_RETURN_MAX))
        return modseq_of(in, hits);
    uint64_t min = modseq_of(in, (struct search_hits){hits.seqs, !!(what & SEARCH_RETURN_MIN), NULL});
    uint64_t max = modseq_of(in, (struct search_hits){hits.seqs + hits.count - 1, !!(what & SEARCH_RETURN_MAX), NULL});
    return min > max ? min : max;
}

static void write_number(const struct search_mailbox *in, const char *name, bool is_uid, uint32_t seq,
                         struct strbuf *out)
{
    strbuf_add_cstr(out, name);
    strbuf_add_u64(out, number_of(in->view, is_uid, seq));
}

/* RFC 7377 §2.1 */
void search_write_mailbox(const struct search_mailbox *in, struct strbuf *out)
{
    if (!in->name.len)
        return;
    strbuf_add_cstr(out, " MAILBOX ");
    imap_write_name(in->im, in->name, out);
    strbuf_addf(out, " UIDVALIDITY %u", in->uidvalidity);
}

void search_write_esearch(const struct search_mailbox *in, struct span tag, bool is_uid,
                          const struct search_return *returns, struct search_hits hits, bool has_modseq,
                          struct strbuf *out)
{
    unsigned what = returns->what;
    strbuf_addf(out, "* ESEARCH (TAG \"%.*s\"", SPAN_ARG(tag));
    search_write_mailbox(in, out);
    strbuf_add_cstr(out, is_uid ? ") UID" : ")");
    if (hits.count) {
        if (what & SEARCH_RETURN_MIN)
            write_number(in, " MIN ", is_uid, hits.seqs[0], out);
        if (what & SEARCH_RETURN_MAX)
            write_number(in, " MAX ", is_uid, hits.seqs[hits.count - 1], out);
    }
    if (what & SEARCH_RETURN_COUNT) {
        strbuf_add_cstr(out, " COUNT ");
        strbuf_add_u64(out, hits.count);
    }
    if (what & SEARCH_RETURN_PARTIAL)
        write_partial(in, is_uid, returns, hits, out);
    if ((what & SEARCH_RETURN_ALL) && hits.count) {
        strbuf_add_cstr(out, " ALL ");
        search_write_set(in->view, is_uid, hits, out);
    }
    if (what & SEARCH_RETURN_RELEVANCY)
        write_scores(what & SEARCH_RETURN_PARTIAL ? partial_of(returns, hits) : hits, out);
    if (has_modseq && hits.count && (what & SEARCH_RETURN_DATA))
        strbuf_addf(out, " MODSEQ %" PRIu64, modseq_told(in, returns, hits));
    strbuf_add_cstr(out, "\r\n");
}

/* ---- SAVE -------------------------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void search_save(const struct search_mailbox *in, struct arena *a, const struct search_return *returns,
                 struct search_hits hits)
{
    unsigned what = returns->what & SEARCH_RETURN_DATA;
    struct search_hits part = {hits.seqs, 0, NULL};
    bool is_all = !(what & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL)) ||
                  (what & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT));
    if (is_all)
        part = hits;
    else if (what & SEARCH_RETURN_PARTIAL)
        part = partial_of(returns, hits);
    uint32_t *uids = mem_array(part.count + 2, sizeof *uids);
    size_t n = 0;
    for (size_t i = 0; i < part.count; i++)
        uids[n++] = number_of(in->view, true, part.seqs[i]);
    if (!is_all && hits.count && (what & SEARCH_RETURN_MIN))
        uids[n++] = number_of(in->view, true, hits.seqs[0]);
    if (!is_all && hits.count && (what & SEARCH_RETURN_MAX))
        uids[n++] = number_of(in->view, true, hits.seqs[hits.count - 1]);
    qsort(uids, n, sizeof *uids, compare_numbers);
    struct seqset *set = seqset_new(a);
    for (size_t i = 0; i < n; i++)
        seqset_add(a, set, uids[i], uids[i]);
    free(uids);
    imap_save_result(in->im, set);
}
