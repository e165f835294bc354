/*
 * commands.h - the functions of the command table (table.c), one for each command or family. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

#define IMAP_RUN(name) enum status name(struct imap *im, struct imap_call *call, struct err *err)

/* cmd_any.c */
IMAP_RUN(cmd_capability);
IMAP_RUN(cmd_noop); /* CHECK, too */
IMAP_RUN(cmd_logout);
IMAP_RUN(cmd_id);
/* cmd_enable.c */
IMAP_RUN(cmd_enable);
/* cmd_language.c */
IMAP_RUN(cmd_language);
IMAP_RUN(cmd_namespace);
/* cmd_comparator.c */
IMAP_RUN(cmd_comparator);
/* cmd_compress.c */
IMAP_RUN(cmd_compress);
/* cmd_unauthenticate.c */
IMAP_RUN(cmd_unauthenticate);
/* cmd_login.c */
IMAP_RUN(cmd_starttls);
IMAP_RUN(cmd_authenticate);
IMAP_RUN(cmd_login);
/* cmd_select.c */
IMAP_RUN(cmd_select);
IMAP_RUN(cmd_examine);
IMAP_RUN(cmd_close);
IMAP_RUN(cmd_unselect);
/* cmd_mailbox.c */
IMAP_RUN(cmd_create);
IMAP_RUN(cmd_delete);
IMAP_RUN(cmd_rename);
IMAP_RUN(cmd_subscribe);
IMAP_RUN(cmd_unsubscribe);
/* cmd_list.c */
IMAP_RUN(cmd_list);
/* cmd_lsub.c */
IMAP_RUN(cmd_lsub);
/* cmd_status.c */
IMAP_RUN(cmd_status);
/* cmd_metadata.c */
IMAP_RUN(cmd_getmetadata);
IMAP_RUN(cmd_setmetadata);
/* cmd_acl.c */
IMAP_RUN(cmd_setacl);
IMAP_RUN(cmd_deleteacl);
IMAP_RUN(cmd_getacl);
IMAP_RUN(cmd_listrights);
IMAP_RUN(cmd_myrights);
/* cmd_quota.c */
IMAP_RUN(cmd_getquotaroot);
IMAP_RUN(cmd_getquota);
IMAP_RUN(cmd_setquota);
/* cmd_append.c */
IMAP_RUN(cmd_append);
IMAP_RUN(cmd_replace); /* UID REPLACE, too */
/* cmd_cancelupdate.c */
IMAP_RUN(cmd_cancelupdate);
/* cmd_url.c */
IMAP_RUN(cmd_genurlauth);
IMAP_RUN(cmd_resetkey);
IMAP_RUN(cmd_urlfetch);
/* cmd_notify.c */
IMAP_RUN(cmd_notify);
/* cmd_expunge.c */
IMAP_RUN(cmd_expunge); /* UID EXPUNGE, too */
/* cmd_idle.c */
IMAP_RUN(cmd_idle);
/* cmd_uidbatches.c */
IMAP_RUN(cmd_uidbatches);
/* cmd_fetch.c, cmd_search.c, cmd_store.c, cmd_copy.c; the UID forms, too */
IMAP_RUN(cmd_fetch);
IMAP_RUN(cmd_search);
IMAP_RUN(cmd_esearch); /* cmd_esearch.c */
IMAP_RUN(cmd_sort);    /* cmd_sort.c */
IMAP_RUN(cmd_thread);
IMAP_RUN(cmd_store);
IMAP_RUN(cmd_copy);
IMAP_RUN(cmd_move);
