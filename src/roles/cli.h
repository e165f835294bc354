/*
 * cli.h - the command line: a table of verbs, each with its own function. It works on the data folder directly, also
 * while the server runs: the databases are made for several processes, and the roles see what has changed at their next
 * look.
 *
 * Results go to stdout (a line each, or JSON), errors to stderr in one line that says what to do. Exit code 0 or 1.
 */
#pragma once
#include <jansson.h>
#include "roles/data.h"
#include "base/err.h"

enum { CLI_WORDS_MAX = 1002 };

struct cli {
    struct config *config;
    const char *config_path;
    const char *words[CLI_WORDS_MAX]; /* what is left of the arguments after verb and options */
    size_t word_count;
    const char *since, *limit;           /* --since, --limit of trace; likewise */
    const char *domain, *sender, *older; /* --domain, --sender, --older of queue; NULL: not said */
    bool is_json, has_password_stdin, has_verifier_stdin, has_accounts;
    bool is_failed; /* of check: something was wrong, and said */
};

struct cli_command {
    const char *noun, *verb, *words; /* for help: "ADDRESS" */
    size_t words_min, words_max;
    enum status (*run)(struct cli *c, struct err *err);
    const char *help;
};
/* Ends with a row of NULLs. */
extern const struct cli_command trace_commands[];
extern const struct cli_command domain_commands[], account_commands[], alias_commands[], group_commands[],
    queue_commands[], index_commands[], check_commands[];

/* "tassis NOUN VERB …": returns the exit code. */
int cli_main(int argc, char **argv);
void cli_help(void);

/* The canonical form of an address or domain argument, in the config's arena. An address without local part
 * ("@example.test") is taken where is_catch_all_allowed. */
enum status cli_address(struct cli *c, const char *word, bool is_catch_all_allowed, struct span *out, struct err *err);
enum status cli_domain(struct cli *c, const char *word, struct span *out, struct err *err);
struct directory;
enum status cli_directory(struct cli *c, struct directory **out, struct err *err);
struct credentials;
enum status cli_credentials(struct cli *c, struct credentials **out, struct err *err); /* as the role vault from here */
enum status account_import(struct cli *c, struct err *err);                            /* cli_import.c */
enum status account_quota_command(struct cli *c, struct err *err);                     /* cli_quota.c */

/* Prints a list: JSON as it is, else each object's values in the order of `keys`, separated by tabs. Takes the
 * reference. */
void cli_print_list(const struct cli *c, json_t *list, const char *const *keys);
json_t *cli_text(struct span s);
/* "30s", "5m", "4h", "5d" ago, or a time like 2026-01-31T12:00:00Z, in Unix seconds. option: for the complaint. */
enum status cli_read_since(const char *option, const char *text, int64_t *at, struct err *err);
json_t *cli_time(int64_t unix_seconds);
