/* cli_send.c - see cli_send.h. The command line is text/send_args.h, the message text/send_message.h. */
#include "roles/cli_send.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>
#include "roles/cli.h"
#include "smtp/client.h"
#include "text/local_text.h"
#include "text/send_args.h"
#include "text/send_message.h"
#include "base/banned.h"

enum { SEND_REPLY_MS = 5 * 60 * 1000, SEND_WRITE_MS = 60 * 1000, READ_STEP = 64 * 1024 };

struct sending {
    struct send_args args;
    struct config *config;
    const char *domain, *user, *full_name; /* user NULL: the caller has no name */
    struct arena arena;
    struct span sender;
    struct send_recipients recipients;
    struct strbuf text; /* as CRLF lines */
    struct strbuf added;
    struct send_parts parts;
    struct smtp_client *client;
    int exit_code;
    struct err err;
};

const char *cli_config_path(void)
{
    const char *said = getenv("TASSIS_CONFIG");
    return said && said[0] ? said : CLI_CONFIG_DEFAULT;
}

/* What the server said may hold what others said: control characters stay on this side of the terminal. */
static void say(const char *what, const char *more)
{
    fprintf(stderr, "tassis send: %s%s", what, more[0] ? ": " : "");
    for (const char *p = more; *p; p++)
        fputc((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p, stderr);
    fputc('\n', stderr);
}

static int fail(int code, const char *what, const char *more)
{
    say(what, more);
    return code;
}

/* ---- who and where ---------------------------------------------------------------------------------------------- */

static int find_config(struct sending *s)
{
    const char *path = s->args.config ? s->args.config : cli_config_path();
    if (config_load(path, &s->config, &s->err) != ST_OK)
        return fail(EX_CONFIG, "the config must be readable for local programs", s->err.operator_text);
    s->domain = s->config->local.domain ? s->config->local.domain : s->config->hostname;
    return EX_OK;
}

static void find_user(struct sending *s)
{
    const struct passwd *p = getpwuid(getuid());
    if (!p)
        return;
    s->user = arena_cstr(&s->arena, span_cstr(p->pw_name));
    struct span name = span_cstr(p->pw_gecos), whole = name;
    span_cut(&whole, ',', &name);
    s->full_name = arena_cstr(&s->arena, name);
}

static int connect_local(const struct sending *s, int *fd)
{
    const char *path = NULL;
    for (size_t i = 0; i < s->config->listen_count && !path; i++)
        if (s->config->listen[i].service == SERVICE_LOCAL)
            path = s->config->listen[i].unix_path;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path)
        return fail(EX_CONFIG, "no socket for local programs", "[listen] local is not set in the config");
    if (strlen(path) >= sizeof address.sun_path)
        return fail(EX_CONFIG, "the path of [listen] local is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return fail(EX_OSERR, "no socket", strerror(errno));
    if (connect(*fd, (struct sockaddr *)&address, sizeof address) == 0)
        return EX_OK;
    int why = errno;
    close(*fd);
    *fd = -1;
    say(path, strerror(why));
    return why == EACCES ? EX_NOPERM : EX_TEMPFAIL;
}

/* ---- the message ------------------------------------------------------------------------------------------------ */

static int read_text(struct sending *s)
{
    struct local_text t = {.is_dot_end = !s->args.is_dot_ordinary};
    char *piece = arena_alloc(&s->arena, READ_STEP);
    while (!t.is_ended) {
        ssize_t n = read(STDIN_FILENO, piece, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(EX_IOERR, "cannot read the message", strerror(errno));
        if (n == 0)
            break;
        local_text_feed(&t, span_of(piece, (size_t)n), &s->text);
        if (s->text.len > s->config->message_size)
            return fail(EX_UNAVAILABLE, "the message is larger than the server takes", "");
    }
    local_text_finish(&t, &s->text);
    return EX_OK;
}

static int read_sender(struct sending *s)
{
    const char *said = s->args.sender ? s->args.sender : s->user;
    if (!said)
        return fail(EX_NOUSER, "you have no name on this machine", "say a sender with -f");
    if (send_address(&s->arena, span_cstr(said), s->domain, &s->sender, &s->err) != ST_OK)
        return fail(EX_USAGE, "the sender", s->err.client);
    return EX_OK;
}

static int read_recipients(struct sending *s)
{
    for (size_t i = 0; i < s->args.recipient_count; i++)
        if (send_add_list(&s->arena, span_cstr(s->args.recipients[i]), s->domain, &s->recipients, &s->err) != ST_OK)
            return fail(s->err.status == ST_LIMIT ? EX_UNAVAILABLE : EX_USAGE, "recipients", s->err.client);
    if (s->args.is_from_header &&
        send_add_header(&s->arena, s->parts.header, s->domain, &s->recipients, &s->err) != ST_OK)
        return fail(s->err.status == ST_LIMIT ? EX_UNAVAILABLE : EX_DATAERR, "recipients", s->err.client);
    if (s->recipients.count == 0)
        return fail(EX_USAGE, "no recipients", s->args.is_from_header ? "To, Cc and Bcc name none" : "");
    return EX_OK;
}

/* What is put before the message as it was written. */
static void complete(struct sending *s)
{
    struct span address = s->sender;
    if (s->parts.has_from)
        return;
    if (address.len == 0) /* the null reverse-path is nobody's From */
        address = arena_printf(&s->arena, "%s@%s", s->user ? s->user : "MAILER-DAEMON", s->domain);
    send_write_from(s->args.full_name ? s->args.full_name : s->full_name, address, &s->added);
}

/* ---- the dialogue ----------------------------------------------------------------------------------------------- */

/* sysexits.h has fewer words than RFC 3463. */
static int code_of(const struct smtp_reply *r)
{
    struct span rest = span_cstr(r->enhanced), class_, subject;
    if (!smtp_reply_is_permanent(r))
        return EX_TEMPFAIL;
    span_cut(&rest, '.', &class_);
    span_cut(&rest, '.', &subject);
    if (span_eq(subject, SPAN("1")))
        return span_eq(rest, SPAN("2")) ? EX_NOHOST : EX_NOUSER;
    return span_eq(subject, SPAN("7")) ? EX_NOPERM : span_eq(subject, SPAN("6")) ? EX_DATAERR : EX_UNAVAILABLE;
}

static void refused(struct sending *s, const char *what, const struct smtp_reply *r)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "%u %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
    say(what, strbuf_cstr(&text));
    s->exit_code = code_of(r);
}

static bool has_8bit(struct span text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= (unsigned char)text.p[i];
    return all >= 0x80;
}

static void write_envelope(struct sending *s)
{
    AUTO_STRBUF envid = STRBUF_INIT;
    if (s->args.envid)
        xtext_encode(span_cstr(s->args.envid), &envid);
    smtp_client_mail(s->client, &(struct smtp_mail){.from = s->sender,
                                                    .size = s->text.len + s->added.len,
                                                    .is_8bit = has_8bit(strbuf_span(&s->text)),
                                                    .is_smtputf8 = s->recipients.is_utf8 || has_8bit(s->sender),
                                                    .ret = s->args.ret,
                                                    .envid = strbuf_span(&envid)});
    for (size_t i = 0; i < s->recipients.count; i++)
        smtp_client_rcpt(s->client, &(struct smtp_rcpt){.to = s->recipients.list[i], .notify = s->args.notify});
}

/* Recipients that are refused are said; the others get the message all the same. */
static enum status send_all(struct sending *s, struct err *err)
{
    struct smtp_reply r;
    size_t good = 0;
    TRY(smtp_client_greeting(s->client, SEND_REPLY_MS, &r, err));
    if (smtp_reply_is_good(&r))
        TRY(smtp_client_hello(s->client, "EHLO", s->config->hostname, SEND_REPLY_MS, &r, err));
    if (!smtp_reply_is_good(&r)) {
        refused(s, "the server", &r);
        return ST_OK;
    }
    write_envelope(s);
    TRY(smtp_client_reply(s->client, SEND_REPLY_MS, &r, err));
    bool is_sender_good = smtp_reply_is_good(&r);
    if (!is_sender_good)
        refused(s, arena_cstr(&s->arena, s->sender), &r);
    for (size_t i = 0; i < s->recipients.count; i++) {
        TRY(smtp_client_reply(s->client, SEND_REPLY_MS, &r, err));
        good += smtp_reply_is_good(&r);
        if (is_sender_good && !smtp_reply_is_good(&r))
            refused(s, arena_cstr(&s->arena, s->recipients.list[i]), &r);
    }
    if (!good)
        return ST_OK;
    struct span pieces[] = {strbuf_span(&s->added), s->parts.header, SPAN("\r\n"), s->parts.body};
    TRY(smtp_client_chunk(s->client, pieces, 4, err));
    TRY(smtp_client_reply(s->client, SEND_REPLY_MS, &r, err));
    if (!smtp_reply_is_good(&r))
        refused(s, "the message", &r);
    else if (s->args.is_verbose)
        printf("%u %s %s\n", r.code, r.enhanced, r.text);
    return ST_OK;
}

static int send_message(struct sending *s)
{
    int code, fd = -1;
    find_user(s);
    if ((code = read_sender(s)) != EX_OK || (code = read_text(s)) != EX_OK)
        return code;
    send_split(strbuf_span(&s->text), &s->parts);
    if ((code = read_recipients(s)) != EX_OK)
        return code;
    complete(s);
    if ((code = connect_local(s, &fd)) != EX_OK)
        return code;
    struct smtp_transport t = smtp_socket_transport(fd, SEND_WRITE_MS);
    s->client = smtp_client_new(&t);
    if (send_all(s, &s->err) != ST_OK)
        s->exit_code = fail(EX_TEMPFAIL, "the server", s->err.client);
    smtp_client_free(&s->client);
    return s->exit_code;
}

/* ---- -bs: SMTP on stdin ----------------------------------------------------------------------------------------- */

static bool write_whole(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

/* One piece from a to b; false at the end. */
static bool carry(int a, int b)
{
    char piece[16 * 1024];
    ssize_t n;
    do
        n = read(a, piece, sizeof piece);
    while (n < 0 && errno == EINTR);
    return n > 0 && write_whole(b, piece, (size_t)n);
}

static int talk_smtp(const struct sending *s)
{
    int fd = -1, code = connect_local(s, &fd);
    if (code != EX_OK)
        return code;
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (poll(p, 2, -1) >= 0 || errno == EINTR) {
        if (p[0].revents && !carry(fd, STDOUT_FILENO))
            break;
        if (p[1].revents && !carry(STDIN_FILENO, fd)) {
            (void)shutdown(fd, SHUT_WR); /* what the server still says comes through */
            p[1].fd = -1;
        }
    }
    close(fd);
    return EX_OK;
}

/* ---- all together ----------------------------------------------------------------------------------------------- */

static int show_queue(const struct sending *s)
{
    char tassis[] = "tassis", queue[] = "queue", list[] = "list", option[] = "-c";
    char path[4096];
    snprintf(path, sizeof path, "%s", s->args.config ? s->args.config : cli_config_path());
    char *argv[] = {tassis, queue, list, option, path, NULL};
    return cli_main(5, argv) == 0 ? EX_OK : EX_UNAVAILABLE;
}

static int run(struct sending *s)
{
    if (s->args.mode == SEND_NOTHING)
        return EX_OK;
    if (s->args.mode == SEND_QUEUE)
        return show_queue(s);
    int code = find_config(s);
    if (code != EX_OK)
        return code;
    return s->args.mode == SEND_SMTP ? talk_smtp(s) : send_message(s);
}

int send_main(int argc, char **argv)
{
    static struct sending s;
    signal(SIGPIPE, SIG_IGN);
    if (send_args_parse(argc, (const char *const *)argv, &s.args, &s.err) != ST_OK)
        return fail(EX_USAGE, s.err.client, "");
    int code = run(&s);
    config_free(&s.config);
    arena_free(&s.arena);
    strbuf_free(&s.text);
    strbuf_free(&s.added);
    return fflush(stdout) == 0 ? code : EX_IOERR;
}
