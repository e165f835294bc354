/*
 * hub.h - who wants to be told when a mailbox changes.
 *
 * A watcher is embedded in its owner's struct. poke() is called after a commit, by the committing thread, with no lock
 * of the account held but the hub's own: it must only set a flag and have its owner woken (session_poke_with; all who
 * watch are woken together), never call into the store. After hub_unwatch() returns poke() is not running and will not
 * be called again.
 */
#pragma once
#include "net/session.h"
#include "store/store.h"

struct watcher {
    void (*poke)(struct watcher *w, struct pokes *wake);
    /* private to the hub: */
    struct account *account;
    mailbox_id mailbox;
    struct watcher *prev, *next;
};

/* In place of a mailbox: changes of metadata, wherever in the account (store/metadata.h). */
#define HUB_METADATA UINT64_MAX

/* mailbox 0: every change of the account, the list of mailboxes included. Takes a reference to the account. */
void hub_watch(struct account *a, mailbox_id mailbox, struct watcher *w);
void hub_unwatch(struct watcher *w);
