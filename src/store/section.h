/*
 * section.h - the octets of a message that a section names (RFC 3501 §6.4.5), and that a URL names (RFC 5092 §6).
 *
 * Blocking, in a transaction of its own or the caller's; any thread.
 */
#pragma once
#include "store/view.h"
#include "sys/body.h"
#include "text/imap_url.h"

enum {
    SECTION_HEADER_BYTES_MAX = 1024 * 1024, /* of a header whose fields are picked; what lies behind is not looked at */
    SECTION_PIECE_BYTES = 256 * 1024,       /* of one read, which ends at a multiple of it, as the store's chunks do */
};

/* The content's forms that section_range() needs. */
unsigned section_forms(const struct fetch_item *item);
/* Where the section lies, picked fields as the whole header; the partial is not considered. False: there is none. */
bool section_range(const struct content_forms *forms, const struct mime_message *parts, const struct fetch_item *item,
                   uint64_t *offset, uint64_t *size);
/* "<origin.size>": what lies beyond the end is cut off, an origin beyond it gives nothing. */
void section_cut(const struct fetch_item *item, uint64_t *offset, uint64_t *size);

/* Appends the octets that the URL names in this mailbox, as FETCH BODY.PEEK[…] gives them. `reader` as in
 * view_get_for(). ST_NOTFOUND: no such message or section, or another UIDVALIDITY. ST_LIMIT: more than `to` takes. The
 * caller has no transaction of this account open. */
enum status section_append(struct account *account, uint64_t reader, mailbox_id mailbox, const struct imap_url *url,
                           struct body *to, struct err *err);
/* The message that it names, in the current view of the mailbox, which the caller owns. */
enum status section_find_message(struct account *account, uint64_t reader, mailbox_id mailbox,
                                 const struct imap_url *url, struct view **view, uint32_t *seq, struct err *err);
