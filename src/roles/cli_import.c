/*
 * cli_import.c - tassis account import: accounts with their verifiers from another server, however many.
 *
 * All lines are read and looked over before anything is written. Then the accounts are one transaction of the directory
 * and the verifiers one of the credentials, in this order for the reason told in cli_account.c. What exists stays and
 * gets the verifier, so an import can be repeated: after a crash between the two, and whenever the other server's
 * passwords have changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include "auth/credentials.h"
#include "base/mem.h"
#include "roles/cli.h"
#include "store/directory.h"
#include "base/banned.h"

struct import {
    struct arena *arena; /* the config's: what is read lives until the command has ended */
    struct credential *list;
    size_t count, cap;
    size_t *lines; /* of each entry, for what is said about it */
};

static void import_free(struct import *im)
{
    free(im->list);
    free(im->lines);
}
#define AUTO_IMPORT __attribute__((cleanup(import_free))) struct import

/* Says the line before what is wrong with it. */
static enum status at_line(size_t line, enum status st, struct err *err)
{
    struct err why = *err;
    return err_set(err, st, "line %zu: %s; nothing was imported", line, why.operator_text);
}

static void keep(struct import *im, struct span address, struct span verifier, size_t line)
{
    if (im->count == im->cap) {
        im->cap = im->cap ? im->cap * 2 : 1024;
        im->list = mem_resize(im->list, im->cap * sizeof *im->list);
        im->lines = mem_resize(im->lines, im->cap * sizeof *im->lines);
    }
    im->list[im->count] = (struct credential){address, arena_copy(im->arena, verifier)};
    im->lines[im->count++] = line;
}

/* "ADDRESS VERIFIER"; empty lines and those that begin with '#' are passed over. */
static enum status take_line(struct cli *c, struct import *im, struct span text, size_t line, struct err *err)
{
    struct span word, address;
    text = span_trim(text);
    if (text.len == 0 || text.p[0] == '#')
        return ST_OK;
    if (!span_cut(&text, ' ', &word))
        return err_set(err, ST_SYNTAX, "not \"ADDRESS VERIFIER\"");
    TRY(cli_address(c, arena_cstr(im->arena, word), false, &address, err));
    keep(im, address, span_trim(text), line);
    return ST_OK;
}

static enum status read_all(struct cli *c, struct import *im, struct err *err)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t len;
    enum status st = ST_OK;
    while (st == ST_OK && (len = getline(&line, &cap, stdin)) >= 0) {
        number++;
        st = take_line(c, im, (struct span){line, (size_t)len}, number, err);
    }
    if (line)
        mem_wipe(line, cap);
    free(line);
    if (st != ST_OK)
        return at_line(number, st, err);
    return im->count ? ST_OK : err_set(err, ST_SYNTAX, "there was no account on stdin");
}

static enum status add_accounts(struct cli *c, const struct import *im, size_t *added, struct err *err)
{
    AUTO(directory) d = NULL;
    size_t at = 0;
    struct span *addresses = arena_array(im->arena, im->count, sizeof *addresses);
    for (size_t i = 0; i < im->count; i++)
        addresses[i] = im->list[i].account;
    TRY(cli_directory(c, &d, err));
    enum status st = directory_account_add_all(d, addresses, im->count, added, &at, err);
    return st == ST_OK || at >= im->count ? st : at_line(im->lines[at], st, err);
}

static enum status check_verifiers(const struct import *im, struct err *err)
{
    size_t at = 0;
    enum status st = credentials_check_forms(im->list, im->count, &at, err);
    return st == ST_OK ? ST_OK : at_line(im->lines[at], st, err);
}

enum status account_import(struct cli *c, struct err *err)
{
    AUTO_IMPORT im = {.arena = &c->config->arena};
    AUTO(credentials) credentials = NULL;
    size_t added = 0;
    TRY(read_all(c, &im, err));
    TRY(check_verifiers(&im, err));
    TRY(add_accounts(c, &im, &added, err));
    TRY(cli_credentials(c, &credentials, err));
    TRY(credentials_set_verifiers(credentials, im.list, im.count, err));
    printf("%zu accounts, %zu of them new\n", im.count, added);
    return ST_OK;
}
