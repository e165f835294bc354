/*
 * cli_quota.c - tassis account quota …: what an account holds, and what it may hold (store/quota.h). What is changed
 * here counts for the running server at once.
 */
#include <stdio.h>
#include "roles/cli.h"
#include "store/directory.h"
#include "store/store.h"
#include "base/banned.h"

static const char *const resources[QUOTA_RESOURCES] = {
    [QUOTA_STORAGE] = "storage",
    [QUOTA_MESSAGES] = "messages",
    [QUOTA_MAILBOXES] = "mailboxes",
};

static enum status bad_word(const char *word, struct err *err)
{
    return err_set(err, ST_SYNTAX,
                   "'%.60s' is none of storage=, messages=, mailboxes= with a number (storage also with K, M, G, T), "
                   "'none' or 'default'",
                   word);
}

/* "storage=2G", "messages=none", "mailboxes=default" */
static enum status read_limit(const char *word, struct quota *q, struct err *err)
{
    struct span value = span_cstr(word), name;
    int i = 0;
    if (span_find_byte(value, '=', 0) == SPAN_NPOS || !span_cut(&value, '=', &name))
        return bad_word(word, err);
    while (i < QUOTA_RESOURCES && !span_eq(name, span_cstr(resources[i])))
        i++;
    if (i == QUOTA_RESOURCES)
        return bad_word(word, err);
    if (span_eq(value, SPAN("none")))
        q->of[i] = QUOTA_NONE;
    else if (span_eq(value, SPAN("default")))
        q->of[i] = QUOTA_DEFAULT;
    else if (i == QUOTA_STORAGE ? !config_parse_size(value, QUOTA_LIMIT_MAX, &q->of[i])
                                : !span_to_u64(value, QUOTA_LIMIT_MAX, &q->of[i]))
        return bad_word(word, err);
    return ST_OK;
}

static enum status look_up(struct cli *c, struct directory *d, struct span address, struct quota *own, struct err *err)
{
    struct address_entry entry;
    size_t at = span_rfind_byte(address, '@');
    TRY(directory_lookup(d, &c->config->arena, span_take(address, at), span_skip(address, at + 1), &entry, err));
    if (entry.kind != ADDRESS_ACCOUNT)
        return err_set(err, ST_NOTFOUND, "there is no account %.*s; see 'tassis account list'", SPAN_ARG(address));
    *own = entry.quota;
    return ST_OK;
}

/* Nothing where it has no file yet. */
static enum status look_at(struct cli *c, struct span address, struct quota *held, struct quota *limits,
                           struct err *err)
{
    AUTO(store) store = NULL;
    AUTO(account) a = NULL;
    const struct config_quota *q = &c->config->quota;
    const struct store_options options = {.data_dir = data_path(c->config, DATA_MAIL_FOLDER), .is_reader = true};
    *held = (struct quota){0};
    TRY(store_open(&options, &store, err));
    store_set_quota(store, &(struct quota){{q->storage, q->messages, q->mailboxes}});
    TRY(account_limits(store, address, limits, err));
    enum status st = account_open(store, address, &a, err);
    if (st == ST_NOTFOUND)
        return ST_OK;
    return st == ST_OK ? account_quota(a, held, limits, err) : st;
}

static json_t *number(uint64_t n)
{
    return n == QUOTA_NONE ? json_null() : json_integer((json_int_t)n);
}

static void print(const struct cli *c, const struct quota *held, const struct quota *limits, const struct quota *own)
{
    json_t *rows = json_array();
    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        bool is_own = own->of[i] != QUOTA_DEFAULT;
        json_array_append_new(rows,
                              json_pack("{s:s,s:o,s:o,s:b}", "resource", resources[i], "held", number(held->of[i]),
                                        "limit", number(limits->of[i]), "is_default", !is_own));
        if (c->is_json)
            continue;
        printf("%s\t%llu\t", resources[i], (unsigned long long)held->of[i]);
        if (limits->of[i] == QUOTA_NONE)
            printf("none");
        else
            printf("%llu", (unsigned long long)limits->of[i]);
        printf("%s\n", is_own ? "" : "\tdefault");
    }
    if (c->is_json)
        cli_print_list(c, rows, NULL);
    else
        json_decref(rows);
}

enum status account_quota_command(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span address;
    struct quota own, held, limits;
    TRY(cli_address(c, c->words[0], false, &address, err));
    TRY(cli_directory(c, &d, err));
    TRY(look_up(c, d, address, &own, err));
    for (size_t i = 1; i < c->word_count; i++)
        TRY(read_limit(c->words[i], &own, err));
    if (c->word_count > 1)
        return directory_quota_set(d, address, &own, err);
    TRY(look_at(c, address, &held, &limits, err));
    print(c, &held, &limits, &own);
    return ST_OK;
}
