/*
 * mail_app.h - what the role mail gives to its protocols as session_app(): the services that sessions after login work
 * with.
 *
 * Made once by roles/mail.c before the first session and then only read, but for what is atomic. `handover` comes
 * first: auth/handover.c sees the same pointer as a struct handover_app.
 */
#pragma once
#include "auth/handover.h"
#include "store/directory.h"
#include "store/store.h"
#include "sys/config_local.h"
#include "sys/config_quota.h"
#include "sys/config_rates.h"
#include "sys/config_smtp.h"

struct rate;

struct milters;
struct smtp_pool;
struct mail_app {
    struct handover_app handover;
    const char *hostname;
    /* Metadata of the server (RFC 5464 §3.2.1.1), NULL: none. What a reload replaces stays for who still reads it. */
    _Atomic(const char *) comment, contact;
    struct store *store;
    struct directory *directory;
    _Atomic(const struct config_local *) local; /* what users of this machine may send */
    /* The name of a user of this machine; blocks. ST_NOTFOUND: none has this number. ST_TEMPORARY: not known now. */
    enum status (*user_name)(void *ctx, uint32_t uid, char name[CONFIG_USER_MAX + 1], struct err *err);
    void *user_ctx;
    struct smtp_pool *relay;          /* SMTP into relay's queue (smtp/smtp.h); NULL: none */
    struct milters *filters;          /* smtp/filter.h: of submission; NULL: none */
    const char *subaddress_separator; /* "" off */
    uint8_t srs_key[32];              /* policy/srs.h: senders of forwarded mail */
    _Atomic(const struct config_smtp *) settings;
    _Atomic uint64_t message_size_max;
    _Atomic uint32_t messages_per_command;      /* of IMAP (RFC 9738); 0: any number */
    struct rate *sent;                          /* policy/rate.h: what accounts have sent */
    _Atomic(const struct config_rates *) rates; /* NULL: no limits */
    _Atomic(const struct config_quota *) quota; /* NULL: nobody is an administrator, full mailboxes are temporary */
    _Atomic uint32_t messages_per_save;         /* the same of COPY and APPEND */
};
