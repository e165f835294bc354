/*
 * cli_index.c - tassis index …: the search index of each account.
 *
 * All work beside a running server: status and check read. rebuild drops the index in one short transaction of the
 * account's file, which SQLite keeps apart from the server's own; the server reads mail directly from then on and makes
 * the index anew in the background, from the next delivery, login or long search on. Where no server runs, rebuild
 * makes it at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include "roles/cli.h"
#include "store/directory.h"
#include "store/search_index.h"
#include "base/banned.h"

typedef enum status each_account(struct cli *c, struct account *a, void *context, struct err *err);

/* Those of the arguments, or all. */
static enum status accounts(struct cli *c, struct span **list, size_t *count, struct err *err)
{
    AUTO(directory) d = NULL;
    struct directory_account *all;
    if (c->word_count) {
        *list = arena_alloc(&c->config->arena, sizeof **list);
        *count = 1;
        return cli_address(c, c->words[0], false, *list, err);
    }
    TRY(cli_directory(c, &d, err));
    TRY(directory_account_list(d, &c->config->arena, SPAN_NONE, &all, count, err));
    *list = arena_array(&c->config->arena, *count, sizeof **list);
    for (size_t i = 0; i < *count; i++)
        (*list)[i] = arena_copy(&c->config->arena, all[i].address);
    return ST_OK;
}

static enum status for_each(struct cli *c, bool is_reader, each_account *do_it, void *context, struct err *err)
{
    AUTO(store) store = NULL;
    struct span *list;
    size_t count;
    TRY(accounts(c, &list, &count, err));
    TRY(act_as(c->config, ROLE_MAIL, err));
    const struct store_options options = {.data_dir = data_path(c->config, DATA_MAIL_FOLDER), .is_reader = is_reader};
    TRY(store_open(&options, &store, err));
    for (size_t i = 0; i < count; i++) {
        AUTO(account) a = NULL;
        enum status st = account_open(store, list[i], &a, err);
        if (st == ST_NOTFOUND && !c->word_count)
            continue; /* it has got no mail yet, or was removed just now */
        TRY(st);
        TRY(do_it(c, a, context, err));
    }
    return ST_OK;
}

/* ---- status -------------------------------------------------------------------------------------------------------
 */

static enum status add_status(struct cli *c, struct account *a, void *context, struct err *err)
{
    (void)c;
    AUTO(txn) t = NULL;
    struct index_status s;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(index_status_get(t, &s, err));
    json_t *row = json_object();
    json_object_set_new(row, "account", cli_text(account_address(a)));
    json_object_set_new(row, "messages", json_integer((json_int_t)s.contents));
    json_object_set_new(row, "indexed", json_integer((json_int_t)s.indexed));
    json_object_set_new(row, "gone", json_integer((json_int_t)s.gone));
    json_object_set_new(row, "segments", json_integer((json_int_t)s.segments));
    json_object_set_new(row, "bytes", json_integer((json_int_t)s.bytes));
    json_object_set_new(row, "text_bytes", json_integer((json_int_t)s.text_bytes));
    json_array_append_new(context, row);
    return ST_OK;
}

static enum status index_show(struct cli *c, struct err *err)
{
    static const char *const keys[] = {"account",  "messages", "indexed",    "gone",
                                       "segments", "bytes",    "text_bytes", NULL};
    json_t *list = json_array();
    enum status st = for_each(c, true, add_status, list, err);
    if (st == ST_OK)
        cli_print_list(c, list, keys);
    else
        json_decref(list);
    return st;
}

/* ---- check, rebuild -------------------------------------------------------------------------------------------------
 */

static enum status check_one(struct cli *c, struct account *a, void *context, struct err *err)
{
    (void)context;
    AUTO_STRBUF report = STRBUF_INIT;
    uint32_t findings = 0;
    TRY(index_check(a, &report, &findings, err));
    struct span rest = strbuf_span(&report), line;
    while (span_cut(&rest, '\n', &line))
        printf("%.*s: %.*s\n", SPAN_ARG(account_address(a)), SPAN_ARG(line));
    c->is_failed |= findings != 0;
    return ST_OK;
}

static enum status index_look(struct cli *c, struct err *err)
{
    return for_each(c, true, check_one, NULL, err);
}

static enum status forget_one(struct cli *c, struct account *a, void *context, struct err *err)
{
    (void)c, (void)context;
    return index_forget(a, err);
}

static enum status rebuild_one(struct cli *c, struct account *a, void *context, struct err *err)
{
    (void)c, (void)context;
    TRY(index_forget(a, err));
    for (bool is_done = false; !is_done;)
        TRY(index_step(a, &is_done, err));
    return ST_OK;
}

static enum status index_rebuild(struct cli *c, struct err *err)
{
    enum status st = for_each(c, false, rebuild_one, NULL, err);
    return st == ST_STATE ? for_each(c, true, forget_one, NULL, err) : st; /* a server has the accounts */
}

const struct cli_command index_commands[] = {
    {"index", "status", "[ADDRESS]", 0, 1, index_show, "search indexes: how far, how large"},
    {"index", "check", "[ADDRESS]", 0, 1, index_look, "compare search indexes with the mail"},
    {"index", "rebuild", "[ADDRESS]", 0, 1, index_rebuild, "make search indexes anew"},
    {0},
};
