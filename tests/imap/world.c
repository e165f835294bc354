/*
 * world.c - a store in a throw-away folder, for tests and fuzzing; see harness.h.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "store/directory.h"
#include "harness.h"

struct world {
    char folder[64];
    struct store *store;
    struct account *account;
    struct mail_app app;
    struct gate_app gate;
};

static void must(enum status st, const struct err *err)
{
    if (st != ST_OK)
        panic(err->operator_text);
}

static void make_accounts(const char *folder)
{
    char path[128];
    struct err err;
    AUTO(directory) d = NULL;
    snprintf(path, sizeof path, "%s/directory.db", folder);
    must(directory_open(path, true, &d, &err), &err);
    must(directory_domain_add(d, SPAN("example.test"), &err), &err);
    must(directory_account_add(d, SPAN("alice@example.test"), &err), &err);
}

struct world *world_new(void)
{
    struct err err;
    struct world *w = mem_alloc(sizeof *w);
    log_set_level(LOG_ERROR);
    snprintf(w->folder, sizeof w->folder, "/tmp/imap-test-XXXXXX");
    if (!mkdtemp(w->folder))
        panic("no folder for the test");
    make_accounts(w->folder);
    const struct store_options options = {.data_dir = w->folder};
    must(store_open(&options, &w->store, &err), &err);
    must(account_open(w->store, SPAN("alice@example.test"), &w->account, &err), &err);
    w->app.hostname = w->gate.hostname = "mx.example.test";
    w->app.store = w->store;
    w->app.directory = store_directory(w->store);
    w->app.message_size_max = 1024 * 1024;
    return w;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void world_free(struct world **wp)
{
    struct world *w = *wp;
    account_free(&w->account);
    store_free(&w->store);
    nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    *wp = NULL;
}

void world_close(struct world *w)
{
    account_free(&w->account);
    store_free(&w->store);
}

void world_open(struct world *w)
{
    struct err err;
    const struct store_options options = {.data_dir = w->folder};
    must(store_open(&options, &w->store, &err), &err);
    must(account_open(w->store, SPAN("alice@example.test"), &w->account, &err), &err);
    w->app.store = w->store;
    w->app.directory = store_directory(w->store);
}

void world_add_account(struct world *w, const char *address)
{
    struct err err;
    must(directory_account_add(w->app.directory, span_cstr(address), &err), &err);
}

struct account *world_account(struct world *w)
{
    return w->account;
}
struct mail_app *world_app(struct world *w)
{
    return &w->app;
}
struct gate_app *world_gate(struct world *w)
{
    return &w->gate;
}

enum status world_try_deliver(struct world *w, const char *name, const char *message, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) txn = NULL;
    struct content content;
    struct mailbox m;
    uint32_t uid;
    content_prepare(&a, span_cstr(message), &content);
    TRY(store_begin(w->account, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, span_cstr(name), &a, &m, err));
    TRY(message_add(txn, m.id, &content, 0, (struct mail_date){1769860800, 60}, &uid, err));
    return store_commit(&txn, err);
}

void world_deliver(struct world *w, const char *name, const char *message)
{
    struct err err;
    must(world_try_deliver(w, name, message, &err), &err);
}
