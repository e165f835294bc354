/*
 * srs.h - the Sender Rewriting Scheme: forwarded mail leaves with a sender of our own domain, so that SPF at the next
 * hop judges us and not the original sender's domain; bounces to it find their way back.
 *
 *   SRS0=HHHHHH=TT=original.domain=local@ours          of a first forwarder
 *   SRS1=HHHHHH=first.forwarder==rest@ours             of mail that was rewritten before: the first forwarder's form is
 * kept
 *
 * (The scheme has no RFC; this is the form of libsrs2 and postsrsd, with a longer hash.) HHHHHH is a keyed hash, so
 * that nobody makes bounces through us to whom he likes; TT is the day, in base 32, modulo 1024 days. Pure; any thread.
 */
#pragma once
#include "base/arena.h"
#include "text/address.h"

enum { SRS_KEY_BYTES = 32, SRS_DAYS_MAX = 21 /* bounces come within this time */ };

/* The new sender's local part (to be quoted where it must be). False: it would be longer than a local part may be (RFC
 * 5321 §4.5.3.1.1), so the sender stays as it is. */
bool srs_forward(struct arena *a, const uint8_t key[SRS_KEY_BYTES], const struct mailbox_address *from, int64_t now,
                 struct span *local_part);

/* Whether it looks like one of ours (SRS0= or SRS1=, without regard to case). */
bool srs_is(struct span local_part);
/* The address that a bounce to this local part goes to. False: not made with this key, or too old. */
bool srs_reverse(struct arena *a, const uint8_t key[SRS_KEY_BYTES], struct span local_part, int64_t now,
                 struct span *address);
