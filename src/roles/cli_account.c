/*
 * cli_account.c - tassis account ….
 *
 * An account is two rows, one in the directory (mail's) and one in the credentials (vault's). They are written in the
 * order in which a crash between them does the least harm: an account without a password can be given one; a password
 * without an account opens nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "auth/credentials.h"
#include "base/mem.h"
#include "roles/cli.h"
#include "store/directory.h"
#include "base/banned.h"

enum { SECRET_LINE_MAX = 1024 };

struct secret {
    char line[SECRET_LINE_MAX];
    struct span text;
};
static void secret_wipe(struct secret *s)
{
    mem_wipe(s, sizeof *s);
}
#define AUTO_SECRET __attribute__((cleanup(secret_wipe))) struct secret

/* One line, without its line end. */
static enum status read_line(FILE *in, struct secret *s, struct err *err)
{
    if (!fgets(s->line, sizeof s->line, in))
        return err_set(err, ST_SYNTAX, "nothing was given on stdin");
    s->text = span_cstr(s->line);
    if (!span_ends(s->text, SPAN("\n")) && s->text.len + 1 >= sizeof s->line)
        return err_set(err, ST_LIMIT, "the line on stdin is too long");
    if (span_ends(s->text, SPAN("\n")))
        s->text = span_take(s->text, s->text.len - 1);
    if (span_ends(s->text, SPAN("\r")))
        s->text = span_take(s->text, s->text.len - 1);
    return ST_OK;
}

/* At the terminal, without echo. */
static enum status ask(const char *question, struct secret *s, struct err *err)
{
    struct termios before, silent;
    FILE *terminal = fopen("/dev/tty", "r+");
    if (!terminal || tcgetattr(fileno(terminal), &before) != 0) {
        if (terminal)
            fclose(terminal);
        return err_set(err, ST_STATE, "there is no terminal to ask for the password; use --password-stdin");
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
    fprintf(terminal, "%s: ", question);
    fflush(terminal);
    enum status st = read_line(terminal, s, err);
    tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    fprintf(terminal, "\n");
    fclose(terminal);
    return st;
}

static enum status get_secret(const struct cli *c, struct secret *s, struct err *err)
{
    if (c->has_password_stdin || c->has_verifier_stdin)
        return read_line(stdin, s, err);
    AUTO_SECRET again;
    TRY(ask("Password", s, err));
    TRY(ask("Password again", &again, err));
    if (!span_eq(s->text, again.text))
        return err_set(err, ST_SYNTAX, "the two passwords are not the same; nothing was changed");
    return ST_OK;
}

enum status cli_credentials(struct cli *c, struct credentials **out, struct err *err)
{
    TRY(act_as(c->config, ROLE_VAULT, err));
    return credentials_open(data_path(c->config, DATA_CREDENTIALS), true, out, err);
}

static enum status set_secret(struct cli *c, struct span address, const struct secret *s, struct err *err)
{
    AUTO(credentials) credentials = NULL;
    TRY(cli_credentials(c, &credentials, err));
    return c->has_verifier_stdin ? credentials_set_verifier(credentials, address, s->text, err)
                                 : credentials_set_password(credentials, address, s->text, err);
}

static enum status check_secret(const struct cli *c, const struct secret *s, struct err *err)
{
    if (s->text.len == 0 || (!c->has_verifier_stdin && s->text.len > PASSWORD_MAX))
        return err_set(err, ST_SYNTAX, "a password has 1 to %d octets", PASSWORD_MAX);
    return ST_OK;
}

static enum status account_add(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    AUTO_SECRET secret;
    struct span address;
    TRY(cli_address(c, c->words[0], false, &address, err));
    TRY(get_secret(c, &secret, err));
    TRY(check_secret(c, &secret, err));
    TRY(cli_directory(c, &d, err));
    TRY(directory_account_add(d, address, err));
    enum status st = set_secret(c, address, &secret, err);
    if (st != ST_OK) { /* as if nothing had been */
        struct err ignored;
        if (act_as(c->config, ROLE_MAIL, &ignored) == ST_OK)
            (void)directory_account_remove(d, address, &ignored);
    }
    return st;
}

static enum status must_exist(struct cli *c, struct span address, struct directory_account *out, struct err *err)
{
    AUTO(directory) d = NULL;
    struct directory_account *list;
    size_t count;
    TRY(cli_directory(c, &d, err));
    struct span domain = span_skip(address, span_rfind_byte(address, '@') + 1);
    TRY(directory_account_list(d, &c->config->arena, domain, &list, &count, err));
    for (size_t i = 0; i < count; i++)
        if (span_eq(list[i].address, address)) {
            *out = list[i];
            return ST_OK;
        }
    return err_set(err, ST_NOTFOUND, "there is no account %.*s; see 'tassis account list'", SPAN_ARG(address));
}

static enum status account_passwd(struct cli *c, struct err *err)
{
    AUTO_SECRET secret;
    struct directory_account account;
    struct span address;
    TRY(cli_address(c, c->words[0], false, &address, err));
    TRY(must_exist(c, address, &account, err));
    TRY(get_secret(c, &secret, err));
    TRY(check_secret(c, &secret, err));
    return set_secret(c, address, &secret, err);
}

static enum status account_remove(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    AUTO(credentials) credentials = NULL;
    struct directory_account account;
    struct span address;
    struct err missing;
    TRY(cli_address(c, c->words[0], false, &address, err));
    TRY(must_exist(c, address, &account, err));
    TRY(cli_credentials(c, &credentials, err));
    enum status st = credentials_remove(credentials, address, &missing);
    if (st != ST_OK && st != ST_NOTFOUND) {
        *err = missing;
        return st;
    }
    TRY(cli_directory(c, &d, err));
    return directory_account_remove(d, address, err);
}

static json_t *account_json(const struct directory_account *a)
{
    return json_pack("{s:o,s:I,s:o}", "address", cli_text(a->address), "id", (json_int_t)a->id, "created",
                     cli_time(a->created_at));
}

static enum status account_list(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct directory_account *list;
    struct span domain = SPAN_NONE;
    size_t count;
    if (c->word_count > 0)
        TRY(cli_domain(c, c->words[0], &domain, err));
    TRY(cli_directory(c, &d, err));
    TRY(directory_account_list(d, &c->config->arena, domain, &list, &count, err));
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, account_json(&list[i]));
    cli_print_list(c, out, (const char *const[]){"address", NULL});
    return ST_OK;
}

static enum status account_show(struct cli *c, struct err *err)
{
    AUTO(directory) d = NULL;
    struct directory_account account;
    struct span address, *aliases;
    size_t count;
    TRY(cli_address(c, c->words[0], false, &address, err));
    TRY(must_exist(c, address, &account, err));
    TRY(cli_directory(c, &d, err));
    TRY(directory_aliases_of(d, &c->config->arena, address, &aliases, &count, err));
    json_t *out = account_json(&account), *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, cli_text(aliases[i]));
    if (c->is_json) {
        json_object_set(out, "aliases", list);
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        printf("address\t%.*s\nid\t%llu\ncreated\t%s\n", SPAN_ARG(address), (unsigned long long)account.id,
               json_string_value(json_object_get(out, "created")));
        for (size_t i = 0; i < count; i++)
            printf("alias\t%.*s\n", SPAN_ARG(aliases[i]));
    }
    json_decref(list);
    json_decref(out);
    return ST_OK;
}

const struct cli_command account_commands[] = {
    {"account", "add", "ADDRESS", 1, 1, account_add, "make an account"},
    {"account", "import", "", 0, 0, account_import, "many accounts: \"ADDRESS VERIFIER\" lines on stdin"},
    {"account", "list", "[DOMAIN]", 0, 1, account_list, "the accounts"},
    {"account", "show", "ADDRESS", 1, 1, account_show, "one account, with the aliases that lead to it"},
    {"account", "quota", "ADDRESS [RESOURCE=LIMIT…]", 1, 1 + 3, account_quota_command,
     "what it holds and may hold; storage=2G messages=none mailboxes=default"},
    {"account", "passwd", "ADDRESS", 1, 1, account_passwd, "another password"},
    {"account", "remove", "ADDRESS", 1, 1, account_remove, "with all its mail"},
    {0},
};
