/* cli_group.c - tassis group …: accounts with members in place of a password (store/sharing.h). */
#include "roles/cli.h"
#include "store/sharing.h"
#include "base/banned.h"

static enum status group_add(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span group;
    TRY(cli_address(c, c->words[0], false, &group, err));
    TRY(cli_directory(c, &d, err));
    return directory_group_add(d, group, err);
}

static enum status print_addresses(const struct cli *c, const char *key, const struct span *list, size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, json_pack("{s:o}", key, cli_text(list[i])));
    cli_print_list(c, out, (const char *const[]){key, NULL});
    return ST_OK;
}

static enum status group_list(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span *list;
    size_t count;
    TRY(cli_directory(c, &d, err));
    TRY(directory_group_list(d, &c->config->arena, &list, &count, err));
    return print_addresses(c, "group", list, count);
}

static enum status must_be_group(struct cli *c, struct directory *d, struct span group, struct err *err)
{
    struct span *list;
    size_t count;
    TRY(directory_group_list(d, &c->config->arena, &list, &count, err));
    for (size_t i = 0; i < count; i++)
        if (span_eq(list[i], group))
            return ST_OK;
    return err_set(err, ST_NOTFOUND, "there is no group %.*s; see 'tassis group list'", SPAN_ARG(group));
}

static enum status group_remove(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span group;
    TRY(cli_address(c, c->words[0], false, &group, err));
    TRY(cli_directory(c, &d, err));
    TRY(must_be_group(c, d, group, err));
    return directory_account_remove(d, group, err);
}

static enum status group_members(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span group, *list;
    size_t count;
    TRY(cli_address(c, c->words[0], false, &group, err));
    TRY(cli_directory(c, &d, err));
    TRY(must_be_group(c, d, group, err));
    TRY(directory_member_list(d, &c->config->arena, group, &list, &count, err));
    return print_addresses(c, "member", list, count);
}

/* "member GROUP add|remove ADDRESS" */
static enum status group_member(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct span group, address;
    bool is_add = strcmp(c->words[1], "add") == 0;
    if (!is_add && strcmp(c->words[1], "remove") != 0)
        return err_set(err, ST_SYNTAX, "usage: tassis group member GROUP add|remove ADDRESS -c FILE");
    TRY(cli_address(c, c->words[0], false, &group, err));
    TRY(cli_address(c, c->words[2], false, &address, err));
    TRY(cli_directory(c, &d, err));
    return is_add ? directory_member_add(d, group, address, err) : directory_member_remove(d, group, address, err);
}

const struct cli_command group_commands[] = {
    {"group", "add", "ADDRESS", 1, 1, group_add, "mailboxes that its members share, without a login"},
    {"group", "list", "", 0, 0, group_list, "the groups"},
    {"group", "members", "ADDRESS", 1, 1, group_members, "who is in a group"},
    {"group", "member", "ADDRESS add|remove MEMBER", 3, 3, group_member, "an account joins a group, or leaves it"},
    {"group", "remove", "ADDRESS", 1, 1, group_remove, "with all its mail"},
    {0},
};
