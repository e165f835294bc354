/*
 * probe.c - see probe.h.
 *
 * Each attempt is one that a captured role would make. The test reads the lines and knows which of them the table in
 * docs/architecture.md denies to which role. "missing" says that the attempt got as far as finding nothing there, which
 * is no denial.
 */
#ifdef TASSIS_PROBE
#include "roles/probe.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "auth/vault_frame.h"
#include "roles/role.h"
#include "base/banned.h"

enum { PROBE_PORT = 2500, VAULT_MS = 5000 };

static void report(const char *attempt, const char *result)
{
    struct log_line l;
    log_begin(&l, LOG_INFO, "probe");
    log_str(&l, "attempt", attempt);
    log_str(&l, "result", result);
    log_end(&l);
}

static const char *result_of(bool is_done)
{
    if (is_done)
        return "ALLOWED";
    return errno == EACCES || errno == EPERM || errno == ENOSYS ? "denied" : strerror(errno);
}

static void probe_file(const struct config *c, const char *attempt, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : c->data, name[0] == '/' ? "" : "/", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *result = errno == ENOENT && fd < 0 ? "missing" : result_of(fd >= 0);
    if (fd >= 0)
        close(fd);
    report(attempt, result);
}

static void probe_write(const struct config *c, const char *attempt, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", c->data, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    report(attempt, result_of(fd >= 0));
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
}

static void probe_tcp(const char *attempt, bool is_bind)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PROBE_PORT)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_done = fd >= 0 && (is_bind ? bind(fd, (struct sockaddr *)&a, sizeof a)
                                       : connect(fd, (struct sockaddr *)&a, sizeof a)) == 0;
    /* Refused by nobody listening: the attempt went out. */
    report(attempt, result_of(is_done || (fd >= 0 && !is_bind && errno == ECONNREFUSED)));
    if (fd >= 0)
        close(fd);
}

static void probe_exec(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        report("exec", result_of(false));
        return;
    }
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    report("exec", is_done ? "ALLOWED" : "denied");
}

/* ---- the vault
 * ------------------------------------------------------------------------------------------------------------ */

/* This role's channel to the vault; -1: none. */
static int vault_channel(const struct role_run *r)
{
    for (int i = 0; i < CHANNEL_COUNT; i++)
        if (channel_ends[i].service == ROLE_VAULT && strcmp(role_names[channel_ends[i].caller], r->ops->name) == 0)
            return ROLE_FD_CHANNELS + i;
    return -1;
}

/* One frame on a connection of its own; reports how the vault took it. A SASL answer other than DONE is a denial. */
static void ask(const struct role_run *r, const char *attempt, const struct strbuf *frame, bool is_sasl)
{
    uint32_t length;
    uint8_t reply[VAULT_FRAME_MAX];
    struct err err;
    AUTO_FD int fd = -1;
    int channel = vault_channel(r);
    if (channel < 0)
        return;
    enum status st = channel_connect(channel, false, &fd, &err);
    if (st == ST_OK)
        st = fd_write_all(fd, frame->p, frame->len, VAULT_MS, &err);
    if (st == ST_OK)
        st = fd_read_exact(fd, &length, sizeof length, VAULT_MS, &err);
    if (st == ST_OK && length <= sizeof reply)
        st = fd_read_exact(fd, reply, length, VAULT_MS, &err);
    if (st != ST_OK) {
        report(attempt, st == ST_CLOSED ? "denied" : err.operator_text);
        return;
    }
    /* status(1), then for SASL a field of one octet: length(2), result(1) */
    bool is_done = reply[0] == ST_OK && (!is_sasl || (length > 3 && reply[3] == VAULT_SASL_DONE));
    report(attempt, is_done ? "ALLOWED" : "denied");
}

static void probe_redeem(const struct role_run *r)
{
    static const char forged[VAULT_TICKET_BYTES] = "a ticket nobody has ever issued";
    AUTO_STRBUF frame = STRBUF_INIT;
    size_t start = vault_frame_begin(&frame, VAULT_REDEEM);
    vault_frame_field(&frame, span_of(forged, sizeof forged));
    vault_frame_end(&frame, start);
    ask(r, "redeem-forged-ticket", &frame, false);
}

static void probe_sasl(const struct role_run *r)
{
    AUTO_STRBUF frame = STRBUF_INIT;
    size_t start = vault_frame_begin(&frame, VAULT_SASL_START);
    vault_frame_field(&frame, SPAN("PLAIN"));
    vault_frame_field(&frame, SPAN("127.0.0.1"));
    vault_frame_u8(&frame, 1);
    vault_frame_field(&frame, SPAN("\0alice@example.test\0"));
    vault_frame_end(&frame, start);
    ask(r, "sasl-without-password", &frame, true);
}

static void probe_sign(const struct role_run *r)
{
    AUTO_STRBUF frame = STRBUF_INIT;
    size_t start = vault_frame_begin(&frame, VAULT_SIGN);
    vault_frame_u32(&frame, 0);
    vault_frame_u8(&frame, TLS_SIGN_ECDSA);
    vault_frame_field(&frame, SPAN("01234567890123456789012345678901"));
    vault_frame_end(&frame, start);
    ask(r, "sign", &frame, false);
}

static void probe_unknown_verb(const struct role_run *r)
{
    AUTO_STRBUF frame = STRBUF_INIT;
    vault_frame_end(&frame, vault_frame_begin(&frame, 99));
    ask(r, "unknown-verb", &frame, false);
}

void probe_run(struct role_run *r)
{
    const struct config *c = r->config;
    if (!getenv("TASSIS_PROBE"))
        return;
    probe_file(c, "account-file", "accounts/example.test/alice.db");
    probe_file(c, "directory-file", "directory.db");
    probe_file(c, "credentials-file", "vault/credentials.db");
    probe_file(c, "key-file", "vault/self-signed-key.pem");
    probe_file(c, "queue-file", "queue/queue.db");
    probe_file(c, "passwd", "/etc/passwd");
    probe_write(c, "write-data", "probe");
    probe_write(c, "write-accounts", "accounts/probe");
    probe_write(c, "write-vault", "vault/probe");
    probe_write(c, "write-queue", "queue/probe");
    probe_tcp("bind", true);
    probe_tcp("connect", false);
    probe_exec();
    probe_redeem(r);
    probe_sasl(r);
    probe_sign(r);
    probe_unknown_verb(r);
}
#else
typedef int probe_is_empty; /* ISO C wants one declaration in a file */
#endif
