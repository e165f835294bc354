/*
 * mail.c - the role mail: the accounts. Sessions after login from `gate`, LMTP from `mx` and `relay`; no network.
 */
#include <glob.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/mem.h"
#include "policy/rate.h"
#include "policy/srs.h"
#include "imap/imap.h"
#include "pop3/pop3.h"
#include "roles/role.h"
#include "roles/users.h"
#include "sys/file.h"
#include "sys/trace_buffer.h"
#include "smtp/milters.h"
#include "smtp/smtp.h"
#include "store/mail_app.h"
#include "store/quota.h"
#include "store/search_index.h"
#include "base/banned.h"

enum {
    MAIL_FILTERED_AT_ONCE = 96, /* submissions that wait for filters; a worker each */
    MAIL_WORKERS = 256,         /* many in fdatasync at once is how flushes get shared */
    TIDY_EVERY_MS = 30 * 1000,
    HANDLE_IDLE_MS = 60 * 1000,
};

static enum next accept_client(struct session *s, const struct handover *h)
{
    switch (h->protocol) {
    case HANDOVER_IMAP:
        return imap_accept(s, h);
    case HANDOVER_POP3:
        return pop3_accept(s, h);
    case HANDOVER_SUBMISSION:
        return submission_accept(s, h);
    }
    return NEXT_CLOSE;
}

static void refuse_client(struct session *s, const struct handover *h, const struct err *err)
{
    switch (h->protocol) {
    case HANDOVER_IMAP:
        imap_refuse(s, h, err);
        break;
    case HANDOVER_POP3:
        pop3_refuse(s, h, err);
        break;
    case HANDOVER_SUBMISSION:
        submission_refuse(s, h, err);
        break;
    }
}

/* Made at the first start. Who loses it loses the bounces that are on their way. */
static enum status load_srs_key(const char *path, uint8_t key[SRS_KEY_BYTES], struct err *err)
{
    AUTO_STRBUF bytes = STRBUF_INIT;
    enum status st = file_read(path, SRS_KEY_BYTES, &bytes, err);
    if (st == ST_OK && bytes.len != SRS_KEY_BYTES)
        return err_set(err, ST_SYNTAX, "%s does not hold %d octets", path, SRS_KEY_BYTES);
    if (st == ST_OK)
        memcpy(key, bytes.p, SRS_KEY_BYTES);
    if (st != ST_NOTFOUND)
        return st;
    if (getrandom(key, SRS_KEY_BYTES, 0) != SRS_KEY_BYTES)
        return err_errno(err, "getrandom");
    return file_write_atomic(path, 0600, span_of(key, SRS_KEY_BYTES), err);
}

/*
 * How many account files are open at once. One that is opened for each command costs a hundred times what an open one
 * does, so the bound is above the number of accounts that are usually at work together; it costs memory (up to a
 * quarter of a megabyte each, given back when they rest) and three descriptors each, of which sessions need most.
 */
static uint32_t handles_max(void)
{
    enum { HANDLES_LEAST = 256, HANDLES_MOST = 1500, DESCRIPTORS_PER_HANDLE = 16 };
    uint64_t n = open_files_raise() / DESCRIPTORS_PER_HANDLE;
    return n < HANDLES_LEAST ? HANDLES_LEAST : n > HANDLES_MOST ? HANDLES_MOST : (uint32_t)n;
}

static void apply_quota(struct mail_app *app, const struct config_quota *q)
{
    _Static_assert(CONFIG_NO_QUOTA == QUOTA_NONE, "the same word for no limit");
    app->quota = q;
    store_set_quota(app->store, &(struct quota){{q->storage, q->messages, q->mailboxes}});
}

static enum status prepare(struct role_run *r, struct err *err)
{
    struct config *c = r->config;
    const struct store_options options = {.data_dir = data_path(c, DATA_MAIL_FOLDER), .handles_max = handles_max()};
    struct mail_app *app = mem_alloc(sizeof *app);
    r->state = app;
    TRY(trace_buffer_start(c->trace.keep_seconds != 0, err));
    app->handover.vault = vault_client_new(ROLE_FD_CHANNELS + CHANNEL_MAIL_VAULT);
    app->handover.account_sessions = limiter_new();
    app->handover.sessions_per_account = c->sessions_per_account;
    app->handover.accept = accept_client;
    app->handover.refuse = refuse_client;
    app->hostname = c->hostname;
    app->local = &c->local;
    app->user_name = users_name;
    app->user_ctx = users_new();
    app->comment = c->comment;
    app->contact = c->contact;
    app->relay = smtp_pool_new(ROLE_FD_CHANNELS + CHANNEL_MAIL_RELAY, app->hostname, false);
    app->filters =
        milters_new(ROLE_FD_CHANNELS + CHANNEL_MAIL_MILTER, MILTER_DOOR_SUBMISSION, MAIL_FILTERED_AT_ONCE, &c->milters);
    app->subaddress_separator = c->subaddress_separator;
    app->message_size_max = c->message_size;
    app->settings = &c->smtp;
    app->messages_per_command = c->messages_per_command;
    app->messages_per_save = c->messages_per_save;
    TRY(store_open(&options, &app->store, err));
    app->directory = store_directory(app->store);
    app->sent = rate_new();
    app->rates = &c->rates;
    apply_quota(app, &c->quota);
    TRY(load_srs_key(data_path(c, DATA_SRS_KEY), app->srs_key, err));
    return ST_OK;
}

/* iconv's tables are shared objects, opened when a message first needs them. */
static size_t charset_paths(struct role_run *r, struct sandbox_path *list, size_t room)
{
    glob_t found;
    size_t n = 0;
    if (glob("/usr/lib*/*/gconv", GLOB_ONLYDIR, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && n < room; i++)
            list[n++] = (struct sandbox_path){arena_cstr(&r->config->arena, span_cstr(found.gl_pathv[i])), false};
    globfree(&found);
    if (n < room)
        list[n++] = (struct sandbox_path){"/usr/lib64/gconv", false};
    return n;
}

static size_t paths(struct role_run *r, struct sandbox_path *list)
{
    list[0] = (struct sandbox_path){data_path(r->config, DATA_MAIL_FOLDER), true};
    return 1 + charset_paths(r, list + 1, SANDBOX_PATHS_MAX - 1);
}

static void options(const struct role_run *r, struct server_options *o)
{
    (void)r; /* the limit per address is gate's: here all come from channels */
    o->workers_max = MAIL_WORKERS;
}

static void tidy(void *ctx)
{
    struct mail_app *app = ctx;
    struct err err;
    store_tidy(app->store, HANDLE_IDLE_MS);
    if (store_sweep(app->store, &err) != ST_OK) {
        struct log_line l;
        log_begin(&l, LOG_WARN, "sweep");
        log_err(&l, &err);
        log_end(&l);
    }
}

static enum status listen(struct role_run *r, struct err *err)
{
    struct mail_app *app = r->state;
    TRY(role_serve_channel(r, CHANNEL_GATE_MAIL, &handover_protocol_in, app, err));
    TRY(role_serve_channel(r, CHANNEL_MX_MAIL, &lmtp_protocol, app, err));
    TRY(role_serve_channel(r, CHANNEL_RELAY_MAIL, &lmtp_protocol, app, err));
    TRY(role_serve_ports(r, SERVICE_LMTP, &lmtp_protocol, app, false, false, err));
    TRY(role_serve_ports(r, SERVICE_LOCAL, &local_protocol, app, false, false, err));
    server_every(r->server, TIDY_EVERY_MS, tidy, app);
    trace_sender_start(ROLE_FD_CHANNELS + CHANNEL_MAIL_TRACE);
    index_worker_start(app->store); /* confined, as the other threads are */
    return ST_OK;
}

static void reload(struct role_run *r)
{
    struct mail_app *app = r->state;
    app->local = &r->config->local;
    trace_buffer_set(r->config->trace.keep_seconds != 0);
    app->comment = r->config->comment;
    app->contact = r->config->contact;
    app->filters->config = &r->config->milters;
    app->message_size_max = r->config->message_size;
    app->settings = &r->config->smtp;
    app->messages_per_command = r->config->messages_per_command;
    app->messages_per_save = r->config->messages_per_save;
    app->handover.sessions_per_account = r->config->sessions_per_account;
    apply_quota(app, &r->config->quota);
    app->rates = &r->config->rates;
}

static void control(struct role_run *r, struct span message, const int *fds, size_t fd_count)
{
    struct mail_app *app = r->state;
    struct span word;
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    span_cut(&message, ' ', &word);
    if (span_eq(word, SPAN(CONTROL_USER)))
        users_answer(app->user_ctx, message);
}

static void stop(struct role_run *r)
{
    struct mail_app *app = r->state;
    milters_stop(app->filters);
}

static void close_role(struct role_run *r)
{
    struct mail_app *app = r->state;
    server_free(&r->server);
    trace_sender_stop();
    smtp_pool_free(&app->relay);
    store_free(&app->store); /* checkpoints: each account is whole in its one file */
}

const struct role_ops role_mail = {
    .name = "mail",
    .sandbox_groups = SANDBOX_FILES,
    .prepare = prepare,
    .paths = paths,
    .options = options,
    .listen = listen,
    .reload = reload,
    .control = control,
    .stop = stop,
    .close = close_role,
};
