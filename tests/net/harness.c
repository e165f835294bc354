/* harness.c - see harness.h. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "sys/channel.h"
#include "harness.h"

enum { WATCHERS_MAX = 4096, PRODUCE_STEP = 32 * 1024 };

struct line_state {
    uint64_t to_produce, to_think, body_left, body_got;
    bool is_watched;
};

/* The hub of these tests: sessions to poke. */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static struct session *watchers[WATCHERS_MAX];
static size_t watcher_count;

static void watch(struct session *s)
{
    pthread_mutex_lock(&watch_lock);
    assert(watcher_count < WATCHERS_MAX);
    watchers[watcher_count++] = s;
    pthread_mutex_unlock(&watch_lock);
}

static void unwatch(struct session *s)
{
    pthread_mutex_lock(&watch_lock);
    for (size_t i = 0; i < watcher_count; i++)
        if (watchers[i] == s) {
            watchers[i] = watchers[--watcher_count];
            break;
        }
    pthread_mutex_unlock(&watch_lock);
}

void harness_poke_all(void)
{
    pthread_mutex_lock(&watch_lock);
    for (size_t i = 0; i < watcher_count; i++)
        session_poke(watchers[i]);
    pthread_mutex_unlock(&watch_lock);
}

size_t harness_watchers(void)
{
    pthread_mutex_lock(&watch_lock);
    size_t n = watcher_count;
    pthread_mutex_unlock(&watch_lock);
    return n;
}

static void sleep_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0)
        ;
}

static enum next line_start(struct session *s)
{
    struct harness *h = session_app(s);
    atomic_fetch_add(&h->starts, 1);
    session_set_state(s, mem_alloc(sizeof(struct line_state)));
    if (h->idle_ms)
        session_set_timeouts(s, h->idle_ms, h->command_ms);
    if (h->input_max)
        session_set_input_max(s, h->input_max);
    strbuf_addf(session_output(s), "hello %s\r\n", session_is_tls(s) ? "tls" : "plain");
    return NEXT_INPUT;
}

static uint64_t number(struct span line, size_t skip)
{
    uint64_t n = 0;
    bool is_number = span_to_u64(span_skip(line, skip), UINT64_MAX, &n);
    assert(is_number);
    return n;
}

static enum next take_body(struct session *s, struct line_state *st)
{
    size_t n = session_input(s).len < st->body_left ? session_input(s).len : (size_t)st->body_left;
    session_consume(s, n);
    st->body_left -= n;
    atomic_fetch_add(&((struct harness *)session_app(s))->body_bytes, n);
    if (st->body_left)
        return NEXT_INPUT;
    session_set_in_body(s, false);
    strbuf_addf(session_output(s), "got %llu\r\n", (unsigned long long)st->body_got);
    return NEXT_AGAIN;
}

static enum next run_line(struct session *s, struct line_state *st, struct span line)
{
    struct harness *h = session_app(s);
    struct strbuf *out = session_output(s);
    if (span_eq(line, SPAN("QUIT"))) {
        strbuf_add(out, SPAN("bye\r\n"));
        return NEXT_CLOSE;
    }
    if (span_starts(line, SPAN("SLEEP "))) {
        sleep_ms((long)number(line, 6));
    } else if (span_starts(line, SPAN("PAUSE "))) {
        session_pause(s, (int64_t)number(line, 6));
    } else if (span_starts(line, SPAN("BIG "))) {
        st->to_produce = number(line, 4);
        return NEXT_PRODUCE;
    } else if (span_starts(line, SPAN("THINK "))) {
        st->to_think = number(line, 6);
        return NEXT_PRODUCE;
    } else if (span_starts(line, SPAN("BODY "))) {
        st->body_left = st->body_got = number(line, 5);
        session_set_in_body(s, true);
        strbuf_add(out, SPAN("go on\r\n"));
        return NEXT_AGAIN;
    } else if (span_eq(line, SPAN("WATCH")) && !st->is_watched) {
        st->is_watched = true;
        watch(s);
    } else if (span_eq(line, SPAN("STARTTLS"))) {
        strbuf_add(out, session_can_tls(s) ? SPAN("begin\r\n") : SPAN("no\r\n"));
        return session_can_tls(s) ? NEXT_STARTTLS : NEXT_AGAIN;
    } else if (span_eq(line, SPAN("PEER"))) {
        strbuf_addf(out, "%s %d\r\n", session_peer(s)->address, session_peer(s)->local_port);
        return NEXT_AGAIN;
    } else if (span_eq(line, SPAN("CARRY"))) {
        struct err err;
        int fd;
        enum status status = channel_connect(h->far_channel, true, &fd, &err);
        assert(status == ST_OK);
        session_set_carry(s, fd);
        return NEXT_CARRY;
    } else if (span_eq(line, SPAN("COMPRESS"))) {
        strbuf_add_cstr(out, "compressing\r\n");
        return NEXT_COMPRESS;
    } else if (span_eq(line, SPAN("BACK"))) {
        strbuf_add_cstr(out, "going\r\n");
        return NEXT_RETURN;
    }
    strbuf_add(out, line);
    strbuf_add(out, SPAN("\r\n"));
    return NEXT_AGAIN;
}

static enum next line_input(struct session *s)
{
    struct harness *h = session_app(s);
    struct line_state *st = session_state(s);
    atomic_fetch_add(&h->inputs, 1);
    struct span in = session_input(s);
    assert(in.len > 0);
    if (st->body_left)
        return take_body(s, st);
    size_t end = span_find(in, SPAN("\r\n"), 0);
    if (end == SPAN_NPOS)
        return NEXT_INPUT;
    if (span_eq(span_take(in, end), SPAN("STUCK")))
        return NEXT_AGAIN; /* a protocol with a mistake */
    enum next next = run_line(s, st, span_take(in, end));
    session_consume(s, end + 2);
    return next;
}

static enum next line_produce(struct session *s)
{
    struct harness *h = session_app(s);
    struct line_state *st = session_state(s);
    struct strbuf *out = session_output(s);
    assert(out->len <= SESSION_OUT_HIGH);
    if (st->to_think) {
        st->to_think--;
        session_got_on(s);
        return NEXT_PRODUCE;
    }
    size_t n = st->to_produce < PRODUCE_STEP ? (size_t)st->to_produce : PRODUCE_STEP;
    memset(strbuf_extend(out, n), 'x', n);
    st->to_produce -= n;
    atomic_fetch_add(&h->produces, 1);
    atomic_fetch_add(&h->produced, n);
    if (st->to_produce)
        return NEXT_PRODUCE;
    strbuf_add(out, SPAN("\r\ndone\r\n"));
    return NEXT_AGAIN;
}

static enum next line_poke(struct session *s)
{
    struct harness *h = session_app(s);
    struct line_state *st = session_state(s);
    assert(session_output(s)->len == 0 && st->to_produce == 0 && st->body_left == 0);
    atomic_fetch_add(&h->pokes, 1);
    strbuf_add(session_output(s), SPAN("* poked\r\n"));
    return NEXT_INPUT;
}

static enum next line_secured(struct session *s)
{
    assert(session_is_tls(s) && !session_can_tls(s) && session_input(s).len == 0);
    return NEXT_INPUT;
}

static enum next line_returned(struct session *s)
{
    strbuf_add_cstr(session_output(s), "back\r\n");
    return NEXT_AGAIN;
}

static void line_goodbye(struct session *s, enum bye why)
{
    static const char *const words[] = {"timeout", "shutdown", "limit", "too long"};
    struct harness *h = session_app(s);
    atomic_fetch_add(&h->goodbyes, 1);
    assert(why == BYE_LIMIT || session_state(s));
    strbuf_addf(session_output(s), "goodbye %s\r\n", words[why]);
}

static void line_free(struct session *s)
{
    struct harness *h = session_app(s);
    struct line_state *st = session_state(s);
    if (st && st->is_watched)
        unwatch(s);
    free(st);
    atomic_fetch_add(&h->frees, 1);
}

const struct protocol line_protocol = {
    "line", line_start, line_input, line_produce, line_poke, line_secured, line_returned, line_goodbye, line_free,
};

static int listen_loopback(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int failed =
        bind(fd, (struct sockaddr *)&a, len) || listen(fd, 1024) || getsockname(fd, (struct sockaddr *)&a, &len);
    assert(!failed);
    *port = ntohs(a.sin_port);
    return fd;
}

static void *run(void *arg)
{
    struct harness *h = arg;
    struct err err;
    enum status st = server_run(h->server, &err);
    assert(st == ST_OK);
    (void)st;
    return NULL;
}

static void add(struct harness *h, struct listener l)
{
    struct err err;
    l.protocol = &line_protocol;
    l.app = h;
    enum status st = server_add_listener(h->server, &l, &err);
    assert(st == ST_OK);
}

void harness_start(struct harness *h, const struct server_options *o)
{
    static const struct server_options none;
    struct err err;
    int service;
    h->server = server_new(o ? o : &none);
    add(h, (struct listener){.fd = listen_loopback(&h->port), .kind = LISTEN_SOCKET, .has_tls = true});
    add(h, (struct listener){
               .fd = listen_loopback(&h->tls_port), .kind = LISTEN_SOCKET, .has_tls = true, .is_implicit_tls = true});
    enum status st = channel_new(&h->channel, &service, &err);
    assert(st == ST_OK);
    add(h, (struct listener){.fd = service, .kind = LISTEN_CHANNEL});
    int failed = pthread_create(&h->thread, NULL, run, h);
    assert(!failed);
}

void harness_stop(struct harness *h, int64_t grace_ms)
{
    server_stop(h->server, grace_ms);
    pthread_join(h->thread, NULL);
    server_free(&h->server);
    close(h->channel);
    if (h->starts != h->frees)
        fprintf(stderr, "started %u, freed %u\n", h->starts, h->frees);
    assert(h->starts == h->frees);
}

void client_connect(struct client *c, int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int failed = connect(c->fd, (struct sockaddr *)&a, sizeof a);
    assert(!failed);
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct client client_open(int port)
{
    struct client c = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL};
    client_connect(&c, port);
    return c;
}

void client_starttls(struct client *c)
{
    static SSL_CTX *ctx;
    if (!ctx)
        ctx = SSL_CTX_new(TLS_client_method());
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    int r = SSL_connect(c->ssl);
    assert(r == 1);
    (void)r;
}

bool client_send(struct client *c, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = c->ssl ? SSL_write(c->ssl, (const char *)p + done, (int)(n - done))
                           : send(c->fd, (const char *)p + done, n - done, MSG_NOSIGNAL);
        if (r <= 0)
            return false;
        done += (size_t)r;
    }
    return true;
}

bool client_say(struct client *c, const char *line)
{
    AUTO_STRBUF b = STRBUF_INIT;
    strbuf_addf(&b, "%s\r\n", line);
    return client_send(c, b.p, b.len);
}

size_t client_read(struct client *c, char *p, size_t size)
{
    ssize_t r = c->ssl ? SSL_read(c->ssl, p, (int)size) : recv(c->fd, p, size, 0);
    return r > 0 ? (size_t)r : 0;
}

bool client_line(struct client *c, char *line, size_t size)
{
    for (size_t n = 0; n + 1 < size; n++) {
        if (client_read(c, line + n, 1) != 1)
            return false;
        if (line[n] == '\n') {
            line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
            return true;
        }
    }
    return false;
}

void client_expect(struct client *c, const char *line)
{
    char got[512] = "";
    bool has_line = client_line(c, got, sizeof got);
    if (!has_line || strcmp(got, line) != 0) {
        fprintf(stderr, "expected \"%s\", got \"%s\"%s\n", line, got, has_line ? "" : " (end)");
        abort();
    }
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    *c = (struct client){-1, NULL};
}
