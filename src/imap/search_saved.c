/*
 * search_saved.c - "$", the result of the last SEARCH that was told to save it (RFC 5182). Kept as uids: an expunged
 * message drops out by not being in the view any more, as no uid is used twice.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/session.h"
#include "base/banned.h"

void imap_save_result(struct imap *im, const struct seqset *uids)
{
    if (im->saved)
        free(im->saved->ranges);
    free(im->saved);
    im->saved = NULL;
    if (!uids || !uids->count)
        return;
    im->saved = mem_alloc(sizeof *im->saved);
    im->saved->ranges = mem_copy(uids->ranges, uids->count * sizeof *uids->ranges);
    im->saved->count = im->saved->cap = uids->count;
}
