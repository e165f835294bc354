/*
 * context_tell.c - ADDTO and REMOVEFROM as the client reads them (RFC 5267 §4.3.3, §4.3.4), and the results that are
 * expunged.
 *
 * Of a search in the mailbox's order the positions are 0: the client knows where they belong. Of a sorted one they are
 * told so that each pair is right when the client has done what stands before it: removals from the last to the first,
 * additions from the first to the last.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/context.h"
#include "base/banned.h"

/* ---- telling -------------------------------------------------------------------------------------------------------
 */

/* All results, in their order; *count of them. Freed by the caller. */
uint32_t *imap_context_results(const struct imap_context *c, size_t *count)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < c->count; i++)
        n += (size_t)(c->ranges[i].last - c->ranges[i].first) + 1;
    uint32_t *uids = mem_array(n, sizeof *uids);
    for (size_t i = 0; i < c->count; i++)
        for (uint32_t uid = c->ranges[i].first;; uid++) {
            uids[at++] = uid;
            if (uid == c->ranges[i].last)
                break;
        }
    *count = n;
    return uids;
}

/* "* ESEARCH (TAG "B01") UID ADDTO (" */
static void begin(const struct imap_context *c, const char *item, struct strbuf *out)
{
    strbuf_addf(out, "* ESEARCH (TAG \"%s\"%s)%s %s (", c->tag, c->mailbox ? c->mailbox : "", c->is_uid ? " UID" : "",
                item);
}

/* "3 7,9:10", with a space before all but the first */
static void write_pair(const struct imap *im, const struct imap_context *c, bool is_first, size_t position,
                       const uint32_t *uids, size_t count, struct strbuf *out)
{
    uint32_t *seqs = mem_array(count, sizeof *seqs);
    for (size_t i = 0; i < count; i++)
        seqs[i] = view_seq_of(im->view, uids[i]);
    strbuf_addf(out, "%s%zu ", is_first ? "" : " ", position);
    search_write_set(im->view, c->is_uid, (struct search_hits){seqs, count, NULL}, out);
    free(seqs);
}

/* Those of `uids` that are marked. */
static void tell_unsorted(const struct imap *im, const struct imap_context *c, const char *item, const uint32_t *uids,
                          const bool *marks, size_t count, struct strbuf *out)
{
    size_t n = 0;
    uint32_t *told = mem_array(count, sizeof *told);
    for (size_t i = 0; i < count; i++)
        if (marks[i])
            told[n++] = uids[i];
    begin(c, item, out);
    write_pair(im, c, true, 0, told, n, out);
    strbuf_add_cstr(out, ")\r\n");
    free(told);
}

/* Runs of marked results: as additions from the first on, as removals from the last. */
static void tell_sorted(const struct imap *im, const struct imap_context *c, bool is_removal, const uint32_t *uids,
                        const bool *marks, size_t count, struct strbuf *out)
{
    bool is_first = true;
    begin(c, is_removal ? "REMOVEFROM" : "ADDTO", out);
    for (size_t done = 0, end; done < count; done = end) {
        size_t at = is_removal ? count - 1 - done : done;
        end = done + 1;
        if (!marks[at])
            continue;
        while (end < count && marks[is_removal ? count - 1 - end : end])
            end++;
        size_t from = is_removal ? count - end : done;
        write_pair(im, c, is_first, from + 1, uids + from, end - done, out);
        is_first = false;
    }
    strbuf_add_cstr(out, ")\r\n");
}

void imap_context_tell(const struct imap *im, const struct imap_context *c, bool is_removal, const uint32_t *uids,
                       const bool *marks, size_t count, struct strbuf *out)
{
    if (c->is_sorted)
        tell_sorted(im, c, is_removal, uids, marks, count, out);
    else
        tell_unsorted(im, c, is_removal ? "REMOVEFROM" : "ADDTO", uids, marks, count, out);
}

/* ---- removals ------------------------------------------------------------------------------------------------------
 */

/* Takes the marked results out. False: what is left are too many ranges. */
static bool take_out(struct imap_context *c, uint32_t *uids, const bool *marks, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!marks[i])
            uids[n++] = uids[i];
    return imap_context_set_results(c, uids, n);
}

void imap_context_give_up(struct imap *im, struct imap_context *c)
{
    imap_context_write_refused(span_cstr(c->tag), "Too much has changed to be kept up to date", imap_out(im));
    imap_context_cancel(im, span_cstr(c->tag));
}

static bool overlaps(const struct imap_context *c, const struct seqset *set)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t low = 0, high = set->count; /* the first range that ends at or behind this one's begin */
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (set->ranges[middle].last < c->ranges[i].first)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < set->count && set->ranges[low].first <= c->ranges[i].last)
            return true;
    }
    return false;
}

static void tell_gone(struct imap *im, struct imap_context *c, const struct seqset *expunged)
{
    size_t count;
    uint32_t *uids = imap_context_results(c, &count);
    bool *marks = mem_array(count, sizeof *marks);
    for (size_t i = 0; i < count; i++)
        marks[i] = seqset_has(expunged, uids[i]);
    imap_context_tell(im, c, true, uids, marks, count, imap_out(im));
    if (!take_out(c, uids, marks, count))
        imap_context_give_up(im, c);
    free(uids);
    free(marks);
}

void imap_contexts_tell_gone(struct imap *im, const struct seqset *expunged_uids)
{
    for (struct imap_context *c = im->contexts, *next; c && expunged_uids->count; c = next) {
        next = c->next;
        if (overlaps(c, expunged_uids))
            tell_gone(im, c, expunged_uids);
    }
}
