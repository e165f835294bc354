/*
 * resync.h - what a client that has been away is told of the time since (RFC 7162 §3.2). Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* What the client knows of a mailbox: the parameter QRESYNC of SELECT (RFC 7162 §3.2.5). */
struct imap_known {
    uint32_t uidvalidity;
    uint64_t modseq;
    struct seqset *uids;             /* NULL: not said, all */
    struct seqset *seqs, *seqs_uids; /* message sequence match data, as many of the one as of the other; NULL: none */
};
/* "(67890007 90060115194045000 41:211,214:541)" */
enum status imap_args_known(struct imap_args *args, struct imap_known *out, struct err *err);

/* The greatest uid up to which the match data show that the client knows of every expunge; 0: none
 * (RFC 7162 §3.2.5.2). */
uint32_t imap_match_known(const struct view *v, const struct imap_known *known);

/* Those of `uids` above `above` that the client's view has not and that were expunged after `modseq`; all that are not
 * there where it is not remembered for so long (RFC 7162 §3.2.6). */
enum status imap_vanished_since(struct imap *im, struct arena *a, const struct seqset *uids, uint64_t modseq,
                                uint32_t above, struct seqset **out, struct err *err);

/* "* VANISHED [(EARLIER)] uids" in lines of bounded length, from range *at on; true when all is written. */
bool imap_write_vanished(struct imap *im, const struct seqset *uids, bool is_earlier, size_t *at);
