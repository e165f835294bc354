/* role.c - see role.h. */
#include "roles/role.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/vault_client.h"
#include "base/mem.h"
#include "roles/probe.h"
#include "sys/file.h"
#include "base/banned.h"

const struct channel_ends channel_ends[CHANNEL_COUNT] = {
    [CHANNEL_GATE_VAULT] = {ROLE_GATE, ROLE_VAULT}, [CHANNEL_GATE_MAIL] = {ROLE_GATE, ROLE_MAIL},
    [CHANNEL_MX_VAULT] = {ROLE_MX, ROLE_VAULT},     [CHANNEL_MX_MAIL] = {ROLE_MX, ROLE_MAIL},
    [CHANNEL_MAIL_VAULT] = {ROLE_MAIL, ROLE_VAULT}, [CHANNEL_MAIL_RELAY] = {ROLE_MAIL, ROLE_RELAY},
    [CHANNEL_RELAY_MAIL] = {ROLE_RELAY, ROLE_MAIL}, [CHANNEL_RELAY_VAULT] = {ROLE_RELAY, ROLE_VAULT},
    [CHANNEL_MX_TRACE] = {ROLE_MX, ROLE_RELAY},     [CHANNEL_MAIL_TRACE] = {ROLE_MAIL, ROLE_RELAY},
    [CHANNEL_MX_MILTER] = {ROLE_MX, ROLE_RELAY},    [CHANNEL_MAIL_MILTER] = {ROLE_MAIL, ROLE_RELAY},
};

static const struct role_ops *const all_roles[ROLE_COUNT] = {&role_vault, &role_gate, &role_mx, &role_mail,
                                                             &role_relay};

enum role service_role(enum listen_service service)
{
    return service == SERVICE_SMTP                                  ? ROLE_MX
           : service == SERVICE_LMTP || service == SERVICE_LOCAL ? ROLE_MAIL
                                                                 : ROLE_GATE;
}

void role_tell_master(const char *word)
{
    struct err ignored; /* a master that is gone is seen by the loop */
    (void)channel_send(ROLE_FD_CONTROL, span_cstr(word), NULL, 0, &ignored);
}

/* ---- listeners -----------------------------------------------------------------------------------------------------
 */

enum status role_serve_channel(struct role_run *r, enum channel_id id, const struct protocol *p, void *app,
                               struct err *err)
{
    const struct listener l = {.fd = ROLE_FD_CHANNELS + (int)id, .kind = LISTEN_CHANNEL, .protocol = p, .app = app};
    return server_add_listener(r->server, &l, err);
}

enum status role_serve_ports(struct role_run *r, enum listen_service service, const struct protocol *p, void *app,
                             bool has_tls, bool is_implicit, struct err *err)
{
    for (size_t i = 0; i < r->config->listen_count; i++) {
        if (r->config->listen[i].service != service)
            continue;
        const struct listener l = {.fd = ROLE_FD_LISTEN + (int)i,
                                   .kind = LISTEN_SOCKET,
                                   .protocol = p,
                                   .app = app,
                                   .has_tls = has_tls,
                                   .is_implicit_tls = is_implicit};
        TRY(server_add_listener(r->server, &l, err));
    }
    return ST_OK;
}

/* ---- certificates
 * ---------------------------------------------------------------------------------------------------- */

enum status role_fetch_certificates_now(struct role_run *r, struct vault_client *vault, struct err *err)
{
    struct tls_context *tls = NULL;
    TRY(vault_tls_context(vault, &tls, err));
    server_set_tls(r->server, tls);
    return ST_OK;
}

struct fetch {
    struct role_run *run;
    struct vault_client *vault;
};

static void *fetch_thread(void *ctx)
{
    struct fetch *f = ctx;
    struct err err;
    if (role_fetch_certificates_now(f->run, f->vault, &err) == ST_OK) {
        log_text(LOG_INFO, "certificates", "new certificates are served from now on");
    } else {
        struct log_line l;
        log_begin(&l, LOG_ERROR, "certificates");
        log_err(&l, &err);
        log_end(&l);
    }
    free(f);
    return NULL;
}

void role_fetch_certificates(struct role_run *r, struct vault_client *vault)
{
    pthread_t thread;
    struct fetch *f = mem_alloc(sizeof *f);
    *f = (struct fetch){r, vault};
    if (pthread_create(&thread, NULL, fetch_thread, f) == 0) {
        pthread_detach(thread);
        return;
    }
    free(f);
    log_text(LOG_ERROR, "certificates", "no thread to fetch them");
}

/* ---- control
 * ----------------------------------------------------------------------------------------------------------- */

static void log_failure(const char *event, const struct err *err)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, event);
    log_err(&l, err);
    log_end(&l);
}

static enum status read_config(struct role_run *r, int fd, struct err *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    TRY(file_read_fd(fd, r->config_name, ROLE_CONFIG_MAX, &text, err));
    TRY(config_parse(strbuf_span(&text), r->config_name, r->base_dir, &r->config, err));
    r->config->data = arena_cstr(&r->config->arena, span_cstr(r->data));
    return ST_OK;
}

static void reload(struct role_run *r, int fd)
{
    struct err err;
    struct server_options options = {0};
    if (read_config(r, fd, &err) != ST_OK) {
        log_failure("reload", &err);
        return;
    }
    r->ops->options(r, &options);
    server_set_options(r->server, &options);
    if (r->ops->reload)
        r->ops->reload(r);
}

static void stop(struct role_run *r, int64_t grace_ms)
{
    if (r->ops->stop)
        r->ops->stop(r);
    server_stop(r->server, grace_ms);
}

static void take_message(struct role_run *r, struct span message, const int *fds, size_t fd_count)
{
    struct span word, rest = message;
    uint64_t grace_ms;
    span_cut(&rest, ' ', &word);
    if (span_eq(word, SPAN(CONTROL_CONFIG)) && fd_count == 1) {
        reload(r, fds[0]);
        close(fds[0]);
    } else if (span_eq(word, SPAN(CONTROL_STOP)) && span_to_u64(rest, 60000, &grace_ms)) {
        stop(r, (int64_t)grace_ms);
    } else if (r->ops->control) {
        r->ops->control(r, message, fds, fd_count);
    } else {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
    }
}

static bool control_readable(void *ctx, int fd)
{
    struct role_run *r = ctx;
    char buffer[CHANNEL_MESSAGE_MAX];
    int fds[CHANNEL_FDS_MAX];
    size_t length, fd_count = CHANNEL_FDS_MAX;
    struct err err;
    switch (channel_receive(fd, buffer, sizeof buffer, &length, fds, &fd_count, &err)) {
    case ST_OK:
        take_message(r, span_of(buffer, length), fds, fd_count);
        return true;
    case ST_TEMPORARY:
        return true;
    default:
        log_text(LOG_WARN, "master-gone", "the master is gone, so this role stops");
        stop(r, ROLE_GRACE_MS);
        return false;
    }
}

/* ---- from start to end
 * ---------------------------------------------------------------------------------------------------- */

/* The master is who takes signals from outside; those for the whole process group (Ctrl-C) are not for a role. */
static void ignore_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* Libraries read their files now, while they still may. */
static enum status warm_up(struct err *err)
{
    unsigned char byte;
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1 || RAND_bytes(&byte, 1) != 1)
        return err_set(err, ST_IO, "OpenSSL cannot be set up");
    return ST_OK;
}

static enum status shut_in(struct role_run *r, struct err *err)
{
    struct sandbox_path paths[SANDBOX_PATHS_MAX];
    const struct sandbox box = {
        .groups = r->ops->sandbox_groups, .paths = paths, .path_count = r->ops->paths ? r->ops->paths(r, paths) : 0};
    return sandbox_enter(&box, err);
}

static enum status set_nonblocking(int fd, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return err_errno(err, "the control channel");
    return ST_OK;
}

static enum status serve(struct role_run *r, struct err *err)
{
    struct server_options options = {0};
    TRY(read_config(r, ROLE_FD_CONFIG, err));
    close(ROLE_FD_CONFIG);
    TRY(warm_up(err));
    TRY(r->ops->prepare(r, err));
    TRY(shut_in(r, err));
    probe_run(r);
    r->ops->options(r, &options);
    r->server = server_new(&options);
    TRY(r->ops->listen(r, err));
    TRY(set_nonblocking(ROLE_FD_CONTROL, err));
    TRY(server_watch(r->server, ROLE_FD_CONTROL, control_readable, r, err));
    role_tell_master(CONTROL_READY);
    TRY(server_run(r->server, err));
    if (r->ops->close)
        r->ops->close(r);
    return ST_OK;
}

static const struct role_ops *find_role(const char *name)
{
    for (int i = 0; i < ROLE_COUNT; i++)
        if (strcmp(all_roles[i]->name, name) == 0)
            return all_roles[i];
    return NULL;
}

int role_main(int argc, char **argv)
{
    struct err err;
    uint64_t uid, gid;
    struct stat control;
    /* argv: tassis role NAME UID GID BASE-DIR CONFIG-NAME DATA */
    const struct role_ops *ops = argc == 8 ? find_role(argv[2]) : NULL;
    if (!ops || !span_to_u64(span_cstr(argv[3]), UINT32_MAX, &uid) ||
        !span_to_u64(span_cstr(argv[4]), UINT32_MAX, &gid) || fstat(ROLE_FD_CONTROL, &control) != 0 ||
        !S_ISSOCK(control.st_mode)) {
        fprintf(stderr, "tassis: roles are started by 'tassis serve', not by hand\n");
        return 1;
    }
    log_set_role(ops->name);
    ignore_signals();
    umask(0077);
    (void)open_files_raise();
    struct role_run r = {.ops = ops, .base_dir = argv[5], .config_name = argv[6], .data = argv[7]};
    enum status st = identity_become((struct identity){(uid_t)uid, (gid_t)gid}, &err);
    if (st == ST_OK)
        st = serve(&r, &err);
    if (st == ST_OK)
        return 0;
    log_failure("role-failed", &err);
    return st == ST_SYNTAX ? ROLE_EXIT_CONFIG : 1;
}
