/*
 * ticket.c - see ticket.h. The table's key is the SHA-256 of the ticket, so that neither the time a comparison takes
 * nor a look at this table's keys helps to guess one.
 */
#include "auth/ticket.h"
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/banned.h"

enum { KEY_BYTES = 32 };

struct waiting {
    struct waiting *newer; /* all live equally long, so the list is in the order of expiry */
    struct waiting *older;
    int64_t expires_at_ms;
    unsigned char key[KEY_BYTES];
    size_t account_len;
    char account[];
};

struct tickets {
    pthread_mutex_t lock;
    struct map *by_key;
    struct waiting *oldest, *newest;
};

struct tickets *tickets_new(void)
{
    struct tickets *t = mem_alloc(sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->by_key = map_new();
    return t;
}

/* Takes w out of the table; the caller frees it. */
static void take_out(struct tickets *t, struct waiting *w)
{
    map_remove(t->by_key, span_of(w->key, KEY_BYTES));
    if (w->older)
        w->older->newer = w->newer;
    else
        t->oldest = w->newer;
    if (w->newer)
        w->newer->older = w->older;
    else
        t->newest = w->older;
}

static void free_oldest(struct tickets *t)
{
    struct waiting *w = t->oldest;
    map_remove(t->by_key, span_of(w->key, KEY_BYTES));
    t->oldest = w->newer;
    if (t->oldest)
        t->oldest->older = NULL;
    else
        t->newest = NULL;
    free(w);
}

static void put_in(struct tickets *t, struct waiting *w)
{
    w->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = w;
    t->newest = w;
    map_put(t->by_key, span_of(w->key, KEY_BYTES), w);
}

static void drop_expired(struct tickets *t)
{
    int64_t now = clock_mono_ms();
    while (t->oldest && t->oldest->expires_at_ms <= now)
        free_oldest(t);
}

void tickets_free(struct tickets **t)
{
    if (!*t)
        return;
    while ((*t)->oldest)
        free_oldest(*t);
    map_free(&(*t)->by_key);
    pthread_mutex_destroy(&(*t)->lock);
    free(*t);
    *t = NULL;
}

static void key_of(const uint8_t ticket[VAULT_TICKET_BYTES], unsigned char key[KEY_BYTES])
{
    if (!EVP_Digest(ticket, VAULT_TICKET_BYTES, key, NULL, EVP_sha256(), NULL))
        panic("SHA-256 failed");
}

enum status ticket_issue(struct tickets *t, struct span account, uint8_t out[VAULT_TICKET_BYTES], struct err *err)
{
    if (RAND_bytes(out, VAULT_TICKET_BYTES) != 1)
        return err_set(err, ST_IO, "no random bytes");
    struct waiting *w = mem_alloc(sizeof *w + account.len);
    key_of(out, w->key);
    w->expires_at_ms = clock_mono_ms() + VAULT_TICKET_SECONDS * 1000;
    w->account_len = account.len;
    memcpy(w->account, account.p, account.len);
    pthread_mutex_lock(&t->lock);
    drop_expired(t);
    bool has_room = map_count(t->by_key) < TICKETS_MAX;
    if (has_room)
        put_in(t, w);
    pthread_mutex_unlock(&t->lock);
    if (has_room)
        return ST_OK;
    free(w);
    return err_set(err, ST_TEMPORARY, "too many logins at once, try again later");
}

enum status ticket_redeem(struct tickets *t, const uint8_t ticket[VAULT_TICKET_BYTES], struct strbuf *account,
                          struct err *err)
{
    unsigned char key[KEY_BYTES];
    key_of(ticket, key);
    pthread_mutex_lock(&t->lock);
    drop_expired(t);
    struct waiting *w = map_get(t->by_key, span_of(key, KEY_BYTES));
    if (w)
        take_out(t, w);
    pthread_mutex_unlock(&t->lock);
    if (!w)
        return err_set(err, ST_DENIED, "the login has expired, log in again");
    strbuf_add_bytes(account, w->account, w->account_len);
    free(w);
    return ST_OK;
}
