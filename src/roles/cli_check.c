/* cli_check.c - tassis check: the config (read by now), files, ports, DNS, and on request every account. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "roles/cli_check.h"
#include "roles/ports.h"
#include "store/directory.h"
#include "store/store.h"
#include "base/banned.h"

static const char *const finding_names[] = {"ok", "warning", "error"};

void finding(struct findings *f, enum finding kind, const char *what, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (kind == FINDING_ERROR)
        f->cli->is_failed = true;
    if (f->cli->is_json)
        json_array_append_new(f->list, json_pack("{s:s,s:s,s:o}", "result", finding_names[kind], "check", what, "text",
                                                 cli_text(span_cstr(text))));
    else
        printf("%-8s %-12s %s\n", finding_names[kind], what, text);
}

/* ---- files
 * ------------------------------------------------------------------------------------------------------------- */

static void check_folder(struct findings *f, enum data_file folder, enum role owner)
{
    const struct config *c = f->cli->config;
    const char *path = data_path(f->cli->config, folder);
    struct identity id = role_identity(owner, c);
    struct stat st;
    if (stat(path, &st) != 0)
        finding(f, errno == ENOENT ? FINDING_WARNING : FINDING_ERROR, "permissions",
                errno == ENOENT ? "%s is not there yet; 'tassis serve' makes it" : "%s cannot be looked at", path);
    else if (st.st_uid != id.uid)
        finding(f, FINDING_ERROR, "permissions", "%s belongs to user %u, but must belong to %u: chown it", path,
                (unsigned)st.st_uid, (unsigned)id.uid);
    else if (st.st_mode & 077)
        finding(f, FINDING_ERROR, "permissions", "%s is open to others: chmod 700 it", path);
    else
        finding(f, FINDING_OK, "permissions", "%s", path);
}

static void check_tls_file(struct findings *f, const char *path, bool is_secret)
{
    struct stat st;
    if (access(path, R_OK) != 0 || stat(path, &st) != 0)
        finding(f, FINDING_ERROR, "tls", "%s cannot be read by this user", path);
    else if (is_secret && st.st_mode & 077)
        finding(f, FINDING_WARNING, "tls", "%s is a private key that others may read: chmod 600 it", path);
    else
        finding(f, FINDING_OK, "tls", "%s", path);
}

static void check_files(struct findings *f)
{
    const struct config *c = f->cli->config;
    check_folder(f, DATA_VAULT_FOLDER, ROLE_VAULT);
    check_folder(f, DATA_MAIL_FOLDER, ROLE_MAIL);
    check_folder(f, DATA_QUEUE_FOLDER, ROLE_RELAY);
    for (size_t i = 0; i < c->certificate_count; i++) {
        check_tls_file(f, c->certificates[i], false);
        check_tls_file(f, c->keys[i], true);
    }
    if (c->certificate_count == 0)
        finding(f, FINDING_WARNING, "tls",
                "no certificate is configured: clients will be asked about a self-signed one");
}

/* ---- ports
 * --------------------------------------------------------------------------------------------------------------- */

static void check_ports(struct findings *f)
{
    const struct config *c = f->cli->config;
    struct err err;
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct listen_address *l = &c->listen[i];
        int fd;
        if (port_answers(l)) {
            finding(f, FINDING_OK, "port", "%s %s answers", service_names[l->service], l->text);
        } else if (port_open(l, &fd, &err) == ST_OK) {
            close(fd);
            port_remove(l);
            finding(f, FINDING_OK, "port", "%s %s is free", service_names[l->service], l->text);
        } else {
            finding(f, FINDING_ERROR, "port", "%s", err.operator_text);
        }
    }
    if (c->listen_count == 0)
        finding(f, FINDING_WARNING, "port", "nothing is listened on: [listen] is empty");
}

/* ---- accounts
 * -------------------------------------------------------------------------------------------------------------- */

static void check_account(struct findings *f, struct store *store, struct span address)
{
    AUTO(account) account = NULL;
    AUTO_STRBUF report = STRBUF_INIT;
    struct err err;
    uint32_t count = 0;
    if (account_open(store, address, &account, &err) != ST_OK ||
        account_check(account, &report, &count, &err) != ST_OK) {
        finding(f, err.status == ST_NOTFOUND ? FINDING_OK : FINDING_ERROR, "account", "%.*s: %s", SPAN_ARG(address),
                err.status == ST_NOTFOUND ? "has no mail yet" : err.operator_text);
        return;
    }
    if (count == 0)
        finding(f, FINDING_OK, "account", "%.*s", SPAN_ARG(address));
    struct span rest = strbuf_span(&report), line;
    for (; count > 0 && rest.len > 0; count--) {
        span_cut(&rest, '\n', &line);
        finding(f, FINDING_ERROR, "account", "%.*s: %.*s", SPAN_ARG(address), SPAN_ARG(line));
    }
}

static enum status check_accounts(struct findings *f, struct err *err)
{
    struct cli *c = f->cli;
    const struct store_options options = {.data_dir = data_path(c->config, DATA_MAIL_FOLDER), .is_reader = true};
    AUTO(store) store = NULL;
    struct directory_account *list;
    size_t count;
    TRY(act_as(c->config, ROLE_MAIL, err));
    TRY(store_open(&options, &store, err));
    TRY(directory_account_list(store_directory(store), &c->config->arena, SPAN_NONE, &list, &count, err));
    for (size_t i = 0; i < count; i++)
        check_account(f, store, list[i].address);
    return ST_OK;
}

static enum status check(struct cli *c, struct err *err)
{
    TRY(data_prepare(c->config, err));
    struct findings f = {.cli = c, .list = json_array()};
    finding(&f, FINDING_OK, "config", "%s", c->config_path);
    check_files(&f);
    check_ports(&f);
    enum status st = c->has_accounts ? check_accounts(&f, err) : check_dns(&f, err);
    if (c->is_json) {
        json_dumpf(f.list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(f.list);
    return st;
}

const struct cli_command check_commands[] = {
    {"check", "", "[--accounts]", 0, 0, check, "config, files, ports, DNS; or every account's file"},
    {0},
};
