/*
 * hub.c - a list of watchers per account. Accounts have a handful of sessions, so every change walks the list.
 *
 * The lock is held while poke() runs: that is what makes hub_unwatch() a promise. poke() therefore may not watch,
 * unwatch or call into the store; it sets a flag and wakes its session.
 */
#include "store/hub.h"
#include "store/account.h"
#include "base/banned.h"

void hub_init(struct hub *h)
{
    pthread_mutex_init(&h->lock, NULL);
    h->first = NULL;
}

void hub_destroy(struct hub *h)
{
    pthread_mutex_destroy(&h->lock);
}

void hub_watch(struct account *a, mailbox_id mailbox, struct watcher *w)
{
    struct hub *h = account_hub(a);
    w->account = account_ref(a);
    w->mailbox = mailbox;
    w->prev = NULL;
    pthread_mutex_lock(&h->lock);
    w->next = h->first;
    if (h->first)
        h->first->prev = w;
    h->first = w;
    pthread_mutex_unlock(&h->lock);
}

void hub_unwatch(struct watcher *w)
{
    if (!w->account)
        return;
    struct hub *h = account_hub(w->account);
    pthread_mutex_lock(&h->lock);
    *(w->prev ? &w->prev->next : &h->first) = w->next;
    if (w->next)
        w->next->prev = w->prev;
    pthread_mutex_unlock(&h->lock);
    w->prev = w->next = NULL;
    account_free(&w->account);
}

void hub_poke(struct hub *h, mailbox_id mailbox)
{
    struct pokes wake = {0};
    pthread_mutex_lock(&h->lock);
    for (struct watcher *w = h->first; w; w = w->next)
        if (w->mailbox == mailbox)
            w->poke(w, &wake);
    pthread_mutex_unlock(&h->lock);
    pokes_send(&wake);
}
