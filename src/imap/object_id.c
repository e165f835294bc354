/*
 * object_id.c - see object_id.h.
 */
#include "imap/object_id.h"
#include <inttypes.h>
#include "base/banned.h"

void imap_write_email_id(struct span account, content_id content, struct strbuf *out)
{
    strbuf_addf(out, "M%.*s-%" PRIx64, SPAN_ARG(account), content);
}

void imap_write_thread_id(struct span account, uint64_t thread, content_id content, struct strbuf *out)
{
    if (thread)
        strbuf_addf(out, "T%" PRIx64, thread);
    else
        strbuf_addf(out, "T%.*s-%" PRIx64, SPAN_ARG(account), content);
}

enum status imap_thread_of(struct txn *txn, content_id content, const struct content_forms *forms, uint64_t *thread,
                           struct err *err)
{
    *thread = forms->thread;
    return forms->has_thread ? ST_OK : content_make_thread(txn, content, thread, err);
}
