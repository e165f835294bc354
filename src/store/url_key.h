/*
 * url_key.h - the keys that URLs are authorized with (RFC 4467 §2): one for each mailbox, made when first needed, in
 * the account's file. Who resets a key takes back all URLs that were made with it. A key goes with its mailbox.
 */
#pragma once
#include "store/store.h"

enum { URL_KEY_BYTES = 32 };

/* ST_NOTFOUND: the mailbox has none. */
enum status url_key_get(struct txn *t, mailbox_id mailbox, uint8_t key[URL_KEY_BYTES], struct err *err);
/* As it is, or a new one (TXN_WRITE). */
enum status url_key_make(struct txn *t, mailbox_id mailbox, uint8_t key[URL_KEY_BYTES], struct err *err);
/* Forgets the key of this mailbox, or of all (TXN_WRITE). The next one made is another. */
enum status url_key_forget(struct txn *t, mailbox_id mailbox, struct err *err);
enum status url_key_forget_all(struct txn *t, struct err *err);
