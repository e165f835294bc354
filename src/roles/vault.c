/*
 * vault.c - the role vault: verifiers, tickets and private keys, for the other roles' connections alone.
 *
 * The keys come from the master as open files, since they may be readable by root only; without any, a self-signed one
 * is made in vault/. Which verbs a role may use is decided here, by the channel it comes through.
 */
#include <stdlib.h>
#include <unistd.h>
#include "auth/vault_service.h"
#include "base/mem.h"
#include "roles/role.h"
#include "base/banned.h"

enum { KEYS_WAIT_MS = 10 * 1000 };

struct vault_role {
    struct vault *vault;
    struct vault_listener gate, mx, mail, relay;
    struct tls_keys *coming; /* between the first and the last CERTIFICATE of a set */
    bool is_coming_bad;
};

static unsigned hashers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 2 ? (unsigned)processors / 2 : 1;
}

static enum status prepare(struct role_run *r, struct err *err)
{
    struct credentials *credentials = NULL;
    struct vault_role *v = mem_alloc(sizeof *v);
    r->state = v;
    TRY(credentials_open(data_path(r->config, DATA_CREDENTIALS), true, &credentials, err));
    v->vault = vault_new(&credentials, hashers());
    v->gate = (struct vault_listener){v->vault, VAULT_VERBS_GATE};
    v->mx = (struct vault_listener){v->vault, VAULT_VERBS_MX};
    v->mail = (struct vault_listener){v->vault, VAULT_VERBS_MAIL};
    v->relay = (struct vault_listener){v->vault, VAULT_VERBS_RELAY};
    return ST_OK;
}

static size_t paths(struct role_run *r, struct sandbox_path *list)
{
    list[0] = (struct sandbox_path){data_path(r->config, DATA_VAULT_FOLDER), true};
    return 1;
}

static void options(const struct role_run *r, struct server_options *o)
{
    (void)r;
    o->workers_max = VAULT_WORKERS;
}

static enum status use_self_signed(struct role_run *r, struct err *err)
{
    struct vault_role *v = r->state;
    AUTO(tls_keys) keys = tls_keys_new();
    TRY(tls_keys_add_self_signed(keys, data_path(r->config, DATA_VAULT_FOLDER), r->config->hostname, err));
    vault_set_keys(v->vault, &keys);
    return ST_OK;
}

static void log_bad(const struct role_run *r, uint64_t index, const struct err *err)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, "certificate-bad");
    log_str(&l, "file", index < r->config->certificate_count ? r->config->certificates[index] : NULL);
    log_err(&l, err);
    log_end(&l);
}

/* "certificate i n" with two files. *is_whole: that was the last of a set, and the set is in use. */
static enum status take_certificate(struct role_run *r, struct span message, const int *fds, size_t fd_count,
                                    bool *is_whole, struct err *err)
{
    struct vault_role *v = r->state;
    struct span word, index_text, count_text = message;
    uint64_t index, count;
    *is_whole = false;
    span_cut(&count_text, ' ', &word);
    span_cut(&count_text, ' ', &index_text);
    if (!span_eq(word, SPAN(CONTROL_CERTIFICATE)) || !span_to_u64(index_text, TLS_CHAINS_MAX, &index) ||
        !span_to_u64(count_text, TLS_CHAINS_MAX, &count) || fd_count != 2)
        return err_set(err, ST_BUG, "an unknown word from the master");
    if (index == 0) {
        tls_keys_free(&v->coming);
        v->coming = tls_keys_new();
        v->is_coming_bad = false;
    }
    enum status st = v->coming ? tls_keys_add(v->coming, fds[0], fds[1], err) : err_set(err, ST_BUG, "not in order");
    if (st != ST_OK) {
        v->is_coming_bad = true;
        log_bad(r, index, err);
    }
    if (index + 1 == count && !v->is_coming_bad) {
        vault_set_keys(v->vault, &v->coming);
        *is_whole = true;
    }
    return st;
}

/* At the start: nothing is served before all certificates are there. */
static enum status wait_for_certificates(struct role_run *r, struct err *err)
{
    for (bool is_whole = false; !is_whole;) {
        char buffer[CHANNEL_MESSAGE_MAX];
        int fds[CHANNEL_FDS_MAX];
        size_t length, fd_count = CHANNEL_FDS_MAX;
        TRY(channel_receive(ROLE_FD_CONTROL, buffer, sizeof buffer, &length, fds, &fd_count, err));
        enum status st = take_certificate(r, span_of(buffer, length), fds, fd_count, &is_whole, err);
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        TRY(st);
    }
    return ST_OK;
}

static enum status listen(struct role_run *r, struct err *err)
{
    struct vault_role *v = r->state;
    TRY(r->config->certificate_count > 0 ? wait_for_certificates(r, err) : use_self_signed(r, err));
    TRY(role_serve_channel(r, CHANNEL_GATE_VAULT, &vault_protocol, &v->gate, err));
    TRY(role_serve_channel(r, CHANNEL_MX_VAULT, &vault_protocol, &v->mx, err));
    TRY(role_serve_channel(r, CHANNEL_MAIL_VAULT, &vault_protocol, &v->mail, err));
    return role_serve_channel(r, CHANNEL_RELAY_VAULT, &vault_protocol, &v->relay, err);
}

static void reload(struct role_run *r)
{
    struct err err;
    if (r->config->certificate_count > 0)
        return; /* the master sends them next */
    if (use_self_signed(r, &err) == ST_OK)
        role_tell_master(CONTROL_KEYS);
    else
        log_bad(r, 0, &err);
}

static void control(struct role_run *r, struct span message, const int *fds, size_t fd_count)
{
    bool is_whole;
    struct err err;
    (void)take_certificate(r, message, fds, fd_count, &is_whole, &err); /* has logged it; the old ones stay */
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    if (is_whole)
        role_tell_master(CONTROL_KEYS);
}

static void close_role(struct role_run *r)
{
    struct vault_role *v = r->state;
    server_free(&r->server);
    tls_keys_free(&v->coming);
    vault_free(&v->vault);
    free(v);
}

const struct role_ops role_vault = {
    .name = "vault",
    .sandbox_groups = SANDBOX_FILES,
    .prepare = prepare,
    .paths = paths,
    .options = options,
    .listen = listen,
    .reload = reload,
    .control = control,
    .close = close_role,
};
