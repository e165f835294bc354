/* cli_directory.c - tassis domain …, tassis alias …. */
#include "roles/cli.h"
#include "store/directory.h"
#include "base/banned.h"

static enum status domain_add(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span domain;
    TRY(cli_domain(c, c->words[0], &domain, err));
    TRY(cli_directory(c, &d, err));
    return directory_domain_add(d, domain, err);
}

static enum status domain_list(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span *list;
    size_t count;
    TRY(cli_directory(c, &d, err));
    TRY(directory_domain_list(d, &c->config->arena, &list, &count, err));
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, json_pack("{s:o}", "domain", cli_text(list[i])));
    cli_print_list(c, out, (const char *const[]){"domain", NULL});
    return ST_OK;
}

static enum status domain_remove(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span domain;
    TRY(cli_domain(c, c->words[0], &domain, err));
    TRY(cli_directory(c, &d, err));
    return directory_domain_remove(d, domain, err);
}

const struct cli_command domain_commands[] = {
    {"domain", "add", "DOMAIN", 1, 1, domain_add, "receive mail for a domain"},
    {"domain", "list", "", 0, 0, domain_list, "the domains"},
    {"domain", "remove", "DOMAIN", 1, 1, domain_remove, "forget a domain that has no accounts and aliases any more"},
    {0},
};

static enum status alias_add(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span from = SPAN_NONE, to[CLI_WORDS_MAX] = {0};
    TRY(cli_address(c, c->words[0], true, &from, err));
    for (size_t i = 1; i < c->word_count; i++) /* all are looked at before one is added */
        TRY(cli_address(c, c->words[i], false, &to[i], err));
    TRY(cli_directory(c, &d, err));
    for (size_t i = 1; i < c->word_count; i++)
        TRY(directory_alias_add(d, from, to[i], err));
    return ST_OK;
}

static enum status alias_list(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct directory_alias *list;
    size_t count;
    TRY(cli_directory(c, &d, err));
    TRY(directory_alias_list(d, &c->config->arena, &list, &count, err));
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, json_pack("{s:o,s:o}", "from", cli_text(list[i].from), "to", cli_text(list[i].to)));
    cli_print_list(c, out, (const char *const[]){"from", "to", NULL});
    return ST_OK;
}

static enum status alias_remove(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span from = SPAN_NONE, to[CLI_WORDS_MAX] = {0};
    TRY(cli_address(c, c->words[0], true, &from, err));
    for (size_t i = 1; i < c->word_count; i++)
        TRY(cli_address(c, c->words[i], false, &to[i], err));
    TRY(cli_directory(c, &d, err));
    if (c->word_count == 1)
        return directory_alias_remove(d, from, SPAN_NONE, err);
    for (size_t i = 1; i < c->word_count; i++)
        TRY(directory_alias_remove(d, from, to[i], err));
    return ST_OK;
}

const struct cli_command alias_commands[] = {
    {"alias", "add", "FROM TO...", 2, CLI_WORDS_MAX, alias_add, "FROM may be @DOMAIN: whatever has no other place"},
    {"alias", "list", "", 0, 0, alias_list, "the aliases"},
    {"alias", "remove", "FROM [TO...]", 1, CLI_WORDS_MAX, alias_remove, "without TO: all of them"},
    {0},
};
