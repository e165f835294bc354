/* client.c - see client.h. */
#include "milter/client.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "sys/channel.h"
#include "base/banned.h"

enum {
    OUT_HIGH = 2 * MILTER_CHUNK_MAX, /* events that are not answered are sent together, up to this */
    READ_BYTES = 4096,
    DOOR_REPLY_MAX = 200,
    DOOR_MARGIN_MS = 2000, /* relay's own deadline for connecting comes first */
};

struct milter {
    const struct config_milter *config;
    int fd, stop_fd;
    struct milter_options options; /* lists point into `lists` */
    struct strbuf lists, out, in;
    bool is_gone; /* nothing may be sent any more */
};

static const struct stage {
    char letter;
    uint32_t no, nr;
    const char *macros; /* where the filter names none; Sendmail's own choice */
} stages[MILTER_STAGE_COUNT] = {
    [MILTER_STAGE_CONNECT] =
        {'C', MILTER_NO_CONNECT, MILTER_NR_CONNECT,
         "j v _ {daemon_name} {daemon_port} {client_addr} {client_name} {client_ptr} {client_port}"},
    [MILTER_STAGE_HELO] = {'H', MILTER_NO_HELO, MILTER_NR_HELO, "{tls_version} {cipher} {cipher_bits}"},
    [MILTER_STAGE_MAIL] = {'M', MILTER_NO_MAIL, MILTER_NR_MAIL,
                           "i {auth_type} {auth_authen} {mail_addr} {mail_host} {mail_mailer}"},
    [MILTER_STAGE_RCPT] = {'R', MILTER_NO_RCPT, MILTER_NR_RCPT, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}"},
    [MILTER_STAGE_DATA] = {'T', MILTER_NO_DATA, MILTER_NR_DATA, "i"},
    [MILTER_STAGE_EOM] = {'E', 0, 0, "i"},
    [MILTER_STAGE_EOH] = {'N', MILTER_NO_EOH, MILTER_NR_EOH, "i"},
    [MILTER_STAGE_HEADER] = {'L', MILTER_NO_HEADERS, MILTER_NR_HEADER, NULL},
    [MILTER_STAGE_BODY] = {'B', MILTER_NO_BODY, MILTER_NR_BODY, NULL},
    [MILTER_STAGE_UNKNOWN] = {'U', MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN, NULL},
};

/* ---- octets ------------------------------------------------------------------------------------------------------ */

/* Until the filter's socket is ready for these events. */
static enum status await(int fd, int stop_fd, short events, int64_t deadline_ms, struct err *err)
{
    struct pollfd polled[2] = {{.fd = fd, .events = events}, {.fd = stop_fd, .events = POLLIN}};
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(err, ST_TEMPORARY, "it does not answer in time");
        int n = poll(polled, 2, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "poll");
        if (n > 0 && polled[1].revents)
            return err_set(err, ST_CLOSED, "the server stops");
        if (n > 0)
            return ST_OK;
    }
}

static enum status write_all(int fd, int stop_fd, struct span data, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    while (data.len) {
        ssize_t n = send(fd, data.p, data.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            data = span_skip(data, (size_t)n);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            TRY(await(fd, stop_fd, POLLOUT, deadline_ms, err));
        else if (errno == EPIPE || errno == ECONNRESET)
            return err_set(err, ST_CLOSED, "it closed the connection");
        else if (errno != EINTR)
            return err_errno(err, "send");
    }
    return ST_OK;
}

/* At most `size` octets, at least one. */
static enum status read_some(int fd, int stop_fd, char *bytes, size_t size, int64_t deadline_ms, size_t *got,
                             struct err *err)
{
    for (;;) {
        ssize_t n = recv(fd, bytes, size, MSG_DONTWAIT);
        if (n > 0) {
            *got = (size_t)n;
            return ST_OK;
        }
        if (n == 0 || errno == ECONNRESET)
            return err_set(err, ST_CLOSED, "it closed the connection");
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "recv");
        TRY(await(fd, stop_fd, POLLIN, deadline_ms, err));
    }
}

static enum status flush(struct milter *m, struct err *err)
{
    enum status st = write_all(m->fd, m->stop_fd, strbuf_span(&m->out), m->config->reply_ms, err);
    strbuf_clear(&m->out);
    m->is_gone = st != ST_OK;
    return st;
}

/* Whatever has come, at least one octet. */
static enum status read_more(struct milter *m, int64_t deadline_ms, struct err *err)
{
    char bytes[READ_BYTES];
    size_t n = 0;
    TRY(read_some(m->fd, m->stop_fd, bytes, sizeof bytes, deadline_ms, &n, err));
    strbuf_add_bytes(&m->in, bytes, n);
    return ST_OK;
}

/* The next packet; *data is valid until consume(). */
static enum status read_packet(struct milter *m, int64_t deadline_ms, char *letter, struct span *data, size_t *size,
                               struct err *err)
{
    for (;;) {
        switch (milter_frame_next(strbuf_span(&m->in), letter, data, size)) {
        case MILTER_FRAME_WHOLE:
            return ST_OK;
        case MILTER_FRAME_BAD:
            return err_set(err, ST_SYNTAX, "a packet of its has a length that none may have");
        case MILTER_FRAME_PARTIAL:
            TRY(read_more(m, deadline_ms, err));
        }
    }
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static enum status settle_options(struct milter *m, struct err *err)
{
    char letter;
    struct span data;
    size_t size;
    milter_put_options(&m->out);
    TRY(flush(m, err));
    TRY(read_packet(m, clock_mono_ms() + m->config->reply_ms, &letter, &data, &size, err));
    if (letter != 'O')
        return err_set(err, ST_SYNTAX, "its first answer is not its options");
    strbuf_add(&m->lists, data);
    strbuf_consume(&m->in, size);
    TRY(milter_options_read(strbuf_span(&m->lists), &m->options, err));
    if (m->options.version < 3) /* libmilter before 8.14 does not know these events, and cannot say so */
        m->options.steps |= MILTER_NO_UNKNOWN;
    if (m->options.version < 4)
        m->options.steps |= MILTER_NO_DATA;
    return ST_OK;
}

enum status milter_over(int fd, const struct config_milter *config, int stop_fd, struct milter **out, struct err *err)
{
    AUTO(milter) m = mem_alloc(sizeof *m);
    m->config = config;
    m->fd = fd;
    m->stop_fd = stop_fd;
    enum status st = settle_options(m, err);
    m->is_gone = st != ST_OK;
    if (st == ST_OK) {
        *out = m;
        m = NULL;
    }
    return st;
}

/* What relay's door says: "+", or "-" and why, and a line end. One octet at a time: what follows is the filter's. */
static enum status read_door(int fd, int stop_fd, int64_t timeout_ms, struct err *err)
{
    char line[DOOR_REPLY_MAX];
    size_t n = 0, got;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    do
        TRY(read_some(fd, stop_fd, &line[n], 1, deadline_ms, &got, err));
    while (line[n] != '\n' && ++n < sizeof line);
    if (n > 0 && line[0] == '+')
        return ST_OK;
    return err_set_operator(err, ST_CLOSED, "not available", "%.*s", n > 1 ? (int)n - 1 : 0, line + 1);
}

enum status milter_open(int channel, const struct config_milter *config, int stop_fd, bool *has_connected,
                        struct milter **out, struct err *err)
{
    AUTO_FD int fd = -1;
    AUTO_STRBUF name = STRBUF_INIT;
    TRY(channel_connect(channel, true, &fd, err));
    strbuf_addf(&name, "%s\n", config->name);
    TRY(write_all(fd, stop_fd, strbuf_span(&name), config->connect_ms, err));
    TRY(read_door(fd, stop_fd, config->connect_ms + DOOR_MARGIN_MS, err));
    int connected = fd;
    fd = -1;
    *has_connected = true;
    return milter_over(connected, config, stop_fd, out, err);
}

void milter_free(struct milter **mp)
{
    struct milter *m = *mp;
    *mp = NULL;
    if (!m)
        return;
    if (!m->is_gone) {
        milter_put(&m->out, 'Q', SPAN_NONE);
        (void)!send(m->fd, m->out.p, m->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    close(m->fd);
    strbuf_free(&m->lists);
    strbuf_free(&m->out);
    strbuf_free(&m->in);
    free(m);
}

bool milter_keeps_space(const struct milter *m)
{
    return (m->options.steps & MILTER_HEADER_SPACE) != 0;
}

bool milter_wants_refused(const struct milter *m)
{
    return (m->options.steps & MILTER_RCPT_REJECTED) != 0;
}

bool milter_wants(const struct milter *m, enum milter_stage stage)
{
    return !(m->options.steps & stages[stage].no);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static enum status keep_change(struct milter *m, struct milter_changes *c, const struct milter_change *change,
                               struct err *err)
{
    if (!c || !(m->options.actions & milter_action_of(change->kind)))
        return err_set(err, ST_STATE, "it changes what it must not change now, or did not ask for");
    if (change->kind == MILTER_CHANGE_REPLACE_BODY) {
        if (change->value.len > c->body_max - c->body.len)
            return err_set(err, ST_LIMIT, "its new body is too large");
        strbuf_add(&c->body, change->value);
        c->has_body = true;
        return ST_OK;
    }
    c->bytes += change->name.len + change->value.len;
    if (c->count == MILTER_CHANGES_MAX || c->bytes > MILTER_CHANGES_BYTES_MAX)
        return err_set(err, ST_LIMIT, "it changes too much");
    if (c->count == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct milter_change *grown = arena_array(c->arena, cap, sizeof *grown);
        if (c->count)
            memcpy(grown, c->list, c->count * sizeof *grown);
        c->list = grown;
        c->cap = cap;
    }
    struct milter_change *kept = &c->list[c->count++];
    *kept = *change;
    kept->name = arena_copy(c->arena, change->name);
    kept->value = arena_copy(c->arena, change->value);
    return ST_OK;
}

static enum status read_answer(struct milter *m, int64_t wait_ms, struct milter_changes *changes,
                               struct milter_answer *answer, struct err *err)
{
    int64_t last_ms = clock_mono_ms() + (wait_ms > MILTER_PROGRESS_MAX_MS ? wait_ms : MILTER_PROGRESS_MAX_MS);
    for (unsigned progress = 0; progress < MILTER_PROGRESS_MAX; progress += answer->kind == MILTER_ANSWER_PROGRESS) {
        char letter;
        struct span data;
        size_t size;
        int64_t until = clock_mono_ms() + wait_ms;
        TRY(read_packet(m, until < last_ms ? until : last_ms, &letter, &data, &size, err));
        TRY(milter_answer_read(letter, data, answer, err));
        if (answer->kind == MILTER_ANSWER_CHANGE)
            TRY(keep_change(m, changes, &answer->change, err));
        strbuf_consume(&m->in, size);
        if (answer->kind != MILTER_ANSWER_CHANGE && answer->kind != MILTER_ANSWER_PROGRESS)
            return ST_OK;
        if (clock_mono_ms() >= last_ms)
            break;
    }
    return err_set(err, ST_TEMPORARY, "it does not come to an end");
}

static void put_event(struct milter *m, enum milter_stage stage, struct span data, const struct milter_macro *macros,
                      size_t count)
{
    const struct stage *s = &stages[stage];
    bool is_named = stage < MILTER_STAGES_WITH_MACROS && m->options.has_macros[stage];
    struct span wanted = is_named ? m->options.macros[stage] : span_cstr(s->macros);
    milter_put_macros(&m->out, s->letter, wanted, macros, count);
    milter_put(&m->out, s->letter, data);
}

enum status milter_tell(struct milter *m, enum milter_stage stage, struct span data, const struct milter_macro *macros,
                        size_t macro_count, struct milter_answer *answer, struct err *err)
{
    answer->kind = MILTER_ANSWER_CONTINUE;
    if (!milter_wants(m, stage))
        return ST_OK;
    put_event(m, stage, data, macros, macro_count);
    if (m->options.steps & stages[stage].nr)
        return m->out.len > OUT_HIGH ? flush(m, err) : ST_OK;
    TRY(flush(m, err));
    enum status st = read_answer(m, m->config->reply_ms, NULL, answer, err);
    m->is_gone = st != ST_OK;
    return st;
}

enum status milter_end(struct milter *m, const struct milter_macro *macros, size_t macro_count,
                       struct milter_changes *changes, struct milter_answer *answer, struct err *err)
{
    put_event(m, MILTER_STAGE_EOM, SPAN_NONE, macros, macro_count);
    TRY(flush(m, err));
    enum status st = read_answer(m, m->config->message_ms, changes, answer, err);
    m->is_gone = st != ST_OK;
    return st;
}

enum status milter_abort(struct milter *m, struct err *err)
{
    milter_put(&m->out, 'A', SPAN_NONE);
    return flush(m, err);
}
