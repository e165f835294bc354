/* cli.c - see cli.h. */
#include "roles/cli.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/directory.h"
#include "text/address.h"
#include "text/date.h"
#include "base/banned.h"

static const struct cli_command *const groups[] = {domain_commands, account_commands, alias_commands, group_commands,
                                                   queue_commands,  trace_commands,  index_commands,   check_commands};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

void cli_help(void)
{
    printf("tassis " TASSIS_VERSION " - a mail server: SMTP, IMAP, POP3\n\n"
           "  tassis serve -c FILE                    run in the foreground until SIGTERM; SIGHUP reloads\n"
           "  tassis send [-t] [-i] [-f SENDER] [ADDRESS...] a message from stdin, as sendmail(8) takes it\n");
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (const struct cli_command *k = groups[g]; k->noun; k++) {
            char usage[128];
            snprintf(usage, sizeof usage, "tassis %s%s%s %s", k->noun, k->verb[0] ? " " : "", k->verb, k->words);
            printf("  %-39s %s\n", usage, k->help);
        }
    printf("  tassis help | version\n\n"
           "All take -c FILE (the config). What lists takes --json. Passwords are asked for at a terminal, or read\n"
           "from the first line of stdin with --password-stdin; --verifier-stdin takes a crypt(5) string as other\n"
           "servers keep it, e.g. {BLF-CRYPT}$2y$...\n");
}

/* ---- arguments
 * --------------------------------------------------------------------------------------------------------- */

static enum status take_option(struct cli *c, int argc, char **argv, int *i, struct err *err)
{
    const char *word = argv[*i];
    if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0) {
        if (++*i >= argc)
            return err_set(err, ST_SYNTAX, "%s needs a file", word);
        c->config_path = argv[*i];
    } else if (strcmp(word, "--json") == 0) {
        c->is_json = true;
    } else if (strcmp(word, "--password-stdin") == 0) {
        c->has_password_stdin = true;
    } else if (strcmp(word, "--verifier-stdin") == 0) {
        c->has_verifier_stdin = true;
    } else if (strcmp(word, "--accounts") == 0) {
        c->has_accounts = true;
    } else if (strcmp(word, "--since") == 0 || strcmp(word, "--limit") == 0) {
        if (++*i >= argc)
            return err_set(err, ST_SYNTAX, "%s needs a value", word);
        *(word[2] == 's' ? &c->since : &c->limit) = argv[*i];
    } else if (strcmp(word, "--domain") == 0 || strcmp(word, "--sender") == 0 || strcmp(word, "--older") == 0) {
        if (++*i >= argc)
            return err_set(err, ST_SYNTAX, "%s needs a value", word);
        *(word[2] == 'd' ? &c->domain : word[2] == 's' ? &c->sender : &c->older) = argv[*i];
    } else {
        return err_set(err, ST_SYNTAX, "unknown option %s; see 'tassis help'", word);
    }
    return ST_OK;
}

static enum status take_arguments(struct cli *c, int argc, char **argv, struct err *err)
{
    bool is_rest = false; /* after "--" nothing is an option */
    for (int i = 1; i < argc; i++) {
        if (!is_rest && strcmp(argv[i], "--") == 0) {
            is_rest = true;
        } else if (!is_rest && argv[i][0] == '-' && argv[i][1]) {
            TRY(take_option(c, argc, argv, &i, err));
        } else if (c->word_count < CLI_WORDS_MAX) {
            c->words[c->word_count++] = argv[i];
        } else {
            return err_set(err, ST_LIMIT, "too many arguments");
        }
    }
    return ST_OK;
}

static void drop_words(struct cli *c, size_t n)
{
    memmove(c->words, c->words + n, (c->word_count - n) * sizeof *c->words);
    c->word_count -= n;
}

static const struct cli_command *find_command(struct cli *c)
{
    const char *noun = c->word_count > 0 ? c->words[0] : "", *verb = c->word_count > 1 ? c->words[1] : "";
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (const struct cli_command *k = groups[g]; k->noun; k++)
            if (strcmp(k->noun, noun) == 0 && (!k->verb[0] || strcmp(k->verb, verb) == 0)) {
                drop_words(c, k->verb[0] ? 2 : 1);
                return k;
            }
    return NULL;
}

static enum status run(struct cli *c, int argc, char **argv, struct err *err)
{
    TRY(take_arguments(c, argc, argv, err));
    const struct cli_command *k = find_command(c);
    if (!k)
        return err_set(err, ST_SYNTAX, "unknown command; see 'tassis help'");
    if (c->word_count < k->words_min || c->word_count > k->words_max)
        return err_set(err, ST_SYNTAX, "usage: tassis %s%s%s %s -c FILE", k->noun, k->verb[0] ? " " : "", k->verb,
                       k->words);
    if (!c->config_path)
        return err_set(err, ST_SYNTAX, "say which config with -c FILE");
    TRY(config_load(c->config_path, &c->config, err));
    return k->run(c, err);
}

int cli_main(int argc, char **argv)
{
    struct cli *c = mem_alloc(sizeof *c);
    struct err err;
    enum status st = run(c, argc, argv, &err);
    if (st != ST_OK)
        fprintf(stderr, "tassis: %s\n", err.operator_text);
    if (fflush(stdout) != 0 && st == ST_OK) {
        fprintf(stderr, "tassis: cannot write to stdout\n");
        st = ST_IO;
    }
    bool is_good = st == ST_OK && !c->is_failed;
    config_free(&c->config);
    free(c);
    return is_good ? 0 : 1;
}

/* ---- what the commands share
 * ------------------------------------------------------------------------------------------- */

enum status cli_domain(struct cli *c, const char *word, struct span *out, struct err *err)
{
    struct err why;
    if (!domain_is_valid(span_cstr(word), true) ||
        domain_to_ascii(&c->config->arena, span_cstr(word), out, &why) != ST_OK)
        return err_set(err, ST_SYNTAX, "'%s' is not a domain", word);
    return ST_OK;
}

enum status cli_address(struct cli *c, const char *word, bool is_catch_all_allowed, struct span *out, struct err *err)
{
    struct arena *a = &c->config->arena;
    struct mailbox_address m = {0};
    struct span domain = SPAN_NONE;
    struct err why;
    if (is_catch_all_allowed && word[0] == '@') {
        TRY(cli_domain(c, word + 1, &domain, err));
        *out = arena_printf(a, "@%.*s", SPAN_ARG(domain));
        return ST_OK;
    }
    if (address_parse(a, span_cstr(word), true, &m, &why) != ST_OK)
        return err_set(err, ST_SYNTAX, "'%s' is not an address: %s", word, why.client);
    if (domain_to_ascii(a, m.domain, &domain, &why) != ST_OK || domain.len == 0 || domain.p[0] == '[')
        return err_set(err, ST_SYNTAX, "'%s' is not an address with a domain", word);
    char *local = arena_cstr(a, m.local_part);
    for (char *p = local; *p; p++)
        *p = ascii_lower(*p);
    *out = arena_printf(a, "%s@%.*s", local, SPAN_ARG(domain));
    return ST_OK;
}

enum status cli_directory(struct cli *c, struct directory **out, struct err *err)
{
    act_as_root(); /* it may have been another before */
    TRY(data_prepare(c->config, err));
    TRY(act_as(c->config, ROLE_MAIL, err));
    return directory_open(data_path(c->config, DATA_DIRECTORY), true, out, err);
}

json_t *cli_text(struct span s)
{
    json_t *text = json_stringn(s.p ? s.p : "", s.len);
    return text ? text : json_string("(not UTF-8)");
}

enum status cli_read_since(const char *option, const char *text, int64_t *at, struct err *err)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    struct span s = span_cstr(text);
    const char *unit = s.len > 1 ? strchr(units, s.p[s.len - 1]) : NULL;
    uint64_t n;
    if (date_parse_rfc3339(s, at))
        return ST_OK;
    if (!unit || !*unit || !span_to_u64(span_take(s, s.len - 1), 1000000, &n))
        return err_set(err, ST_SYNTAX, "%s %s: a time like 30s, 5m, 4h, 5d or 2026-01-31T12:00:00Z is needed", option,
                       text);
    *at = clock_wall_ms() / 1000 - (int64_t)n * seconds[unit - units];
    return ST_OK;
}

json_t *cli_time(int64_t unix_seconds)
{
    char text[32];
    time_t t = (time_t)unix_seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static void print_value(const json_t *v)
{
    if (json_is_string(v))
        fputs(json_string_value(v), stdout);
    else if (json_is_integer(v))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
}

void cli_print_list(const struct cli *c, json_t *list, const char *const *keys)
{
    if (c->is_json) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    for (size_t i = 0; !c->is_json && i < json_array_size(list); i++) {
        for (const char *const *k = keys; *k; k++) {
            if (k != keys)
                putchar('\t');
            print_value(json_object_get(json_array_get(list, i), *k));
        }
        putchar('\n');
    }
    json_decref(list);
}
