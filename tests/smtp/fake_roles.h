/*
 * fake_roles.h - the floors below SMTP, for tests that are about SMTP: a vault with one user (alice / secret), a
 * directory with the domain example.test (alice, bob; "team" leads to both, "away" to bob@outside.test, "crowd" to two
 * outside, "loop" to alice and outside), a store and a queue that remember what they were given. One thread.
 */
#pragma once
#include "smtp/smtp.h"

struct fake_mail {
    char to[128]; /* the account, or the recipients joined by spaces */
    char from[128];
    char trace[64];
    struct queue_wishes wishes; /* of a queued one; envid is not kept */
    char asked[256]; /* of a queued one, for each recipient: "NOTIFY;ORCPT", joined by spaces */
    struct strbuf text;
};
enum { FAKE_MAIL_MAX = 64 };
extern struct fake_mail fake_delivered[FAKE_MAIL_MAX], fake_queued[FAKE_MAIL_MAX];
extern size_t fake_delivered_count, fake_queued_count;
extern unsigned fake_prepared;          /* how often content_prepare() ran */
extern const char *fake_broken_account; /* store_begin() of this one fails temporarily */
extern const char *fake_full_account;   /* has room for a message of fake_room octets */
extern uint64_t fake_room;
extern bool fake_queue_is_broken;
extern char fake_run[128]; /* the last queue_run(): "KIND name destination"; it finds two messages for "one.test" */
extern bool fake_may_login;
extern char fake_handed_tag[64];
extern size_t fake_handed_unread;

void fake_reset(void);
/* Serves channel connections with this protocol in a thread, until fake_service_stop(). Returns the caller's end. */
int fake_service_start(const struct protocol *p, void *app);
void fake_service_stop(void);
/* All connections of all services end, as when a role restarts. Returns when they are gone. */
void fake_service_hang_up(void);
