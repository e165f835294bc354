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
#include "sys/config_quota.h"

struct mail_app {
    struct handover_app handover;
    const char *hostname;
    struct store *store;
    struct directory *directory;
    int relay_channel;                /* SMTP into relay's queue; -1: none */
    const char *subaddress_separator; /* "" off */
    uint8_t srs_key[32];              /* policy/srs.h: senders of forwarded mail */
    _Atomic uint64_t message_size_max;
    _Atomic uint32_t messages_per_command;      /* of IMAP (RFC 9738); 0: any number */
    _Atomic(const struct config_quota *) quota; /* NULL: nobody is an administrator, full mailboxes are temporary */
    _Atomic uint32_t messages_per_save;         /* the same of COPY and APPEND */
};
