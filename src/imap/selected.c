/*
 * selected.c - the selected mailbox of a session: what it remembers of it, and being told when it changes.
 *
 * SELECT needs no list of messages: it answers from the mailbox's counters and remembers the modseq and the next uid it
 * told. Most clients that select a mailbox know it well and only wait; the view is made when a command first needs one,
 * as of that moment (view_get_as_of), so that the client's message numbers are those it was told.
 *
 * The watch begins before the mailbox is read: a change in between is looked for twice, never missed.
 */
#include <stddef.h>
#include <stdlib.h>
#include "base/mem.h"
#include "imap/context.h"
#include "imap/internal.h"
#include "imap/place.h"
#include "base/banned.h"

enum { RECENT_RANGES_MAX = 1000 }; /* of a session; more only if several sessions share the new messages of weeks */

/* The hub's call, on the thread that committed. */
static void news_arrived(struct watcher *w, struct pokes *wake)
{
    struct imap *im = (struct imap *)((char *)w - offsetof(struct imap, watcher));
    im->has_news = true;
    if (im->is_idling)
        session_poke_with(wake, im->session);
}

void imap_deselect(struct imap *im)
{
    if (im->is_watching)
        hub_unwatch(&im->watcher);
    im->is_watching = false;
    im->has_news = false;
    view_free(&im->view);
    view_free(&im->told_flags);
    imap_save_result(im, NULL);
    imap_contexts_free(im);
    free(im->recent);
    im->recent = NULL;
    im->recent_count = 0;
    im->keywords_told = 0;
    im->mailbox = 0;
    account_free(&im->owner);
    if (im->state == IMAP_SELECTED)
        im->state = IMAP_AUTHENTICATED;
}

static void remember_recent(struct imap *im, uint32_t first, uint32_t last)
{
    if (im->recent_count && im->recent[im->recent_count - 1].last + 1 == first) {
        im->recent[im->recent_count - 1].last = last;
        return;
    }
    if (im->recent_count == RECENT_RANGES_MAX)
        memmove(im->recent, im->recent + 1, --im->recent_count * sizeof *im->recent);
    im->recent = mem_resize(im->recent, (im->recent_count + 1) * sizeof *im->recent);
    im->recent[im->recent_count++] = (struct seqrange){first, last};
}

/* Reads the mailbox. What is \Recent in it is so for this session and, unless it only examines, for no other after it
 * (RFC 3501 §2.3.2, §6.3.2). A write transaction only where there is something to take. */
static enum status read_mailbox(struct imap *im, struct arena *a, struct mailbox *m, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    TRY(mailbox_get(txn, im->mailbox, a, m, err));
    uint32_t first = m->recent_from;
    if (first >= m->uidnext || im->owner != im->account ||
        imap_has(im, IMAP_REV2)) /* which has no \Recent: others may have them */
        return ST_OK;
    if (!im->is_read_only) {
        txn_free(&txn);
        TRY(imap_begin(im, TXN_FLAGS, &txn, err));
        TRY(mailbox_claim_recent(txn, im->mailbox, &first, err));
        TRY(mailbox_get(txn, im->mailbox, a, m, err));
        TRY(store_commit(&txn, err));
    }
    if (im->recent_count && im->recent[im->recent_count - 1].last >= first)
        first = im->recent[im->recent_count - 1].last + 1;
    if (first < m->uidnext)
        remember_recent(im, first, m->uidnext - 1);
    return ST_OK;
}

enum status imap_claim_recent(struct imap *im, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct mailbox m;
    return read_mailbox(im, &a, &m, err);
}

enum status imap_select(struct imap *im, const struct imap_place *place, mailbox_id id, bool is_read_only,
                        struct arena *a, struct mailbox *out, struct err *err)
{
    imap_deselect(im);
    im->owner = account_ref(place->account);
    im->rights = place->rights;
    im->mailbox = id;
    im->is_read_only = is_read_only;
    im->watcher.poke = news_arrived;
    hub_watch(im->owner, im->mailbox, &im->watcher);
    im->is_watching = true;
    im->has_news = false;
    enum status st = read_mailbox(im, a, out, err);
    if (st != ST_OK) {
        imap_deselect(im);
        return st;
    }
    im->known_modseq = out->highest_modseq;
    im->known_uidnext = out->uidnext;
    im->state = IMAP_SELECTED;
    return ST_OK;
}

enum status imap_load_view(struct imap *im, struct err *err)
{
    if (im->view)
        return ST_OK;
    return view_get_as_of_for(im->owner, imap_reader(im, im->owner), im->mailbox, im->known_modseq, im->known_uidnext,
                              &im->view, err);
}

uint64_t imap_known_modseq(const struct imap *im)
{
    return im->view ? view_modseq(im->view) : im->known_modseq;
}

uint32_t imap_recent_count(const struct imap *im, const struct view *v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < im->recent_count; i++) {
        uint32_t first = view_seq_at_or_after(v, im->recent[i].first);
        uint32_t last = im->recent[i].last;
        n += (last == UINT32_MAX ? view_count(v) + 1 : view_seq_at_or_after(v, last + 1)) - first;
    }
    return n;
}
