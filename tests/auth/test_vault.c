/*
 * The vault over real channels: a vault's server and clients in one process. Logins, tickets, signatures, certificates,
 * what each listener may ask, frames byte by byte and garbage, a vault that was restarted; and the hand-over behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "auth/handover.h"
#include "auth/preface.h"
#include "auth/vault_client.h"
#include "auth/vault_frame.h"
#include "auth/vault_service.h"
#include "net/server.h"
#include "sys/channel.h"

static struct err err;
#define ALICE "alice@example.test"

enum { GATE, MAIL, RELAY, HANDOVER, CHANNELS };

static struct world {
    char folder[64];
    int channels[CHANNELS][2];
    struct server *server;
    struct vault *vault;
    struct vault_listener listeners[3];
    struct handover_app handover;
    pthread_t thread;
    struct vault_client *gate, *mail;
} w;

/* ---- what stands for a protocol of `mail` */

static enum next echo_input(struct session *s)
{
    struct span in = session_input(s);
    strbuf_add(session_output(s), in);
    session_consume(s, in.len);
    return NEXT_AGAIN;
}

static void echo_free(struct session *s)
{
    (void)s;
}

static const struct protocol echo = {.name = "echo", .input = echo_input, .free = echo_free};

static enum next accept_client(struct session *s, const struct handover *h)
{
    strbuf_addf(session_output(s), "%.*s welcome %.*s from %s id %s\r\n", SPAN_ARG(h->tag), SPAN_ARG(h->account),
                session_peer(s)->address, session_id(s));
    session_set_protocol(s, &echo);
    return NEXT_AGAIN;
}

static void refuse_client(struct session *s, const struct handover *h, const struct err *why)
{
    strbuf_addf(session_output(s), "%.*s no: %s\r\n", SPAN_ARG(h->tag), status_name(why->status));
}

/* ---- the world */

static void *serve(void *ctx)
{
    struct err why;
    (void)server_run(ctx, &why);
    return NULL;
}

static void listen_on(int channel, const struct protocol *p, void *app)
{
    int fd = fcntl(w.channels[channel][1], F_DUPFD_CLOEXEC, 0);
    struct listener l = {.fd = fd, .kind = LISTEN_CHANNEL, .protocol = p, .app = app};
    assert_int_equal(server_add_listener(w.server, &l, &err), ST_OK);
}

static void start(void)
{
    char path[96];
    struct credentials *c = NULL;
    struct tls_keys *keys = tls_keys_new();
    struct server_options o = {.workers_max = VAULT_WORKERS};
    snprintf(path, sizeof path, "%s/credentials.db", w.folder);
    assert_int_equal(credentials_open(path, true, &c, &err), ST_OK);
    w.vault = vault_new(&c, 1);
    assert_int_equal(tls_keys_add_self_signed(keys, w.folder, "mx.example.test", &err), ST_OK);
    vault_set_keys(w.vault, &keys);
    w.listeners[GATE] = (struct vault_listener){w.vault, VAULT_VERBS_GATE};
    w.listeners[MAIL] = (struct vault_listener){w.vault, VAULT_VERBS_MAIL};
    w.listeners[RELAY] = (struct vault_listener){w.vault, VAULT_VERBS_RELAY};
    w.server = server_new(&o);
    for (int i = 0; i < HANDOVER; i++)
        listen_on(i, &vault_protocol, &w.listeners[i]);
    listen_on(HANDOVER, &handover_protocol_in, &w.handover);
    assert_int_equal(pthread_create(&w.thread, NULL, serve, w.server), 0);
}

static void stop(void)
{
    server_stop(w.server, 0);
    pthread_join(w.thread, NULL);
    server_free(&w.server);
    vault_free(&w.vault);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(w.folder, sizeof w.folder, "/tmp/tassis-vault-XXXXXX");
    if (!mkdtemp(w.folder))
        return -1;
    for (int i = 0; i < CHANNELS; i++)
        if (channel_new(&w.channels[i][0], &w.channels[i][1], &err) != ST_OK)
            return -1;
    char path[96];
    struct credentials *c = NULL;
    snprintf(path, sizeof path, "%s/credentials.db", w.folder);
    if (credentials_open(path, true, &c, &err) != ST_OK ||
        credentials_set_password(c, SPAN(ALICE), SPAN("secret"), &err) != ST_OK)
        return -1;
    credentials_free(&c);
    w.gate = vault_client_new(w.channels[GATE][0]);
    w.mail = vault_client_new(w.channels[MAIL][0]);
    w.handover = (struct handover_app){.vault = w.mail,
                                       .account_sessions = limiter_new(),
                                       .sessions_per_account = 2,
                                       .accept = accept_client,
                                       .refuse = refuse_client};
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    stop();
    vault_client_free(&w.gate);
    vault_client_free(&w.mail);
    limiter_free(&w.handover.account_sessions);
    for (int i = 0; i < CHANNELS; i++) {
        close(w.channels[i][0]);
        close(w.channels[i][1]);
    }
    snprintf(command, sizeof command, "rm -rf %s", w.folder);
    return system(command);
}

/* ---- logins */

static enum sasl_result log_in_from(const char *address, struct span message, uint8_t ticket[VAULT_TICKET_BYTES])
{
    struct sasl_exchange *x;
    AUTO_STRBUF challenge = STRBUF_INIT;
    enum sasl_result r = vault_sasl_start(w.gate, SPAN("PLAIN"), message, address, SPAN_NONE, &x, &challenge, ticket, &err);
    sasl_exchange_free(&x);
    return r;
}

static enum sasl_result log_in(struct span message, uint8_t ticket[VAULT_TICKET_BYTES])
{
    return log_in_from("192.0.2.1", message, ticket);
}

static void test_plain_and_ticket(void **state)
{
    (void)state;
    uint8_t ticket[VAULT_TICKET_BYTES];
    AUTO_STRBUF account = STRBUF_INIT;
    assert_int_equal(log_in(SPAN("\0Alice@Example.TEST\0secret"), ticket), SASL_DONE);
    assert_int_equal(vault_redeem(w.mail, ticket, &account, &err), ST_OK);
    assert_true(span_eq(strbuf_span(&account), SPAN(ALICE)));
    assert_int_equal(vault_redeem(w.mail, ticket, &account, &err), ST_DENIED);
    assert_int_equal(log_in(SPAN("\0" ALICE "\0wrong"), ticket), SASL_FAILED);
    assert_int_equal(err.status, ST_DENIED);
    assert_int_equal(log_in(SPAN("\0nobody\0secret"), ticket), SASL_FAILED);
    assert_int_equal(log_in(SPAN("bob@example.test\0" ALICE "\0secret"), ticket), SASL_FAILED);
}

static void test_login_in_steps(void **state)
{
    (void)state;
    struct sasl_exchange *x;
    uint8_t ticket[VAULT_TICKET_BYTES];
    AUTO_STRBUF challenge = STRBUF_INIT;
    struct span none = SPAN_NONE;
    assert_int_equal(vault_sasl_start(w.gate, SPAN("LOGIN"), none, "", SPAN_NONE, &x, &challenge, ticket, &err), SASL_CONTINUE);
    assert_true(span_eq(strbuf_span(&challenge), SPAN("Username:")));
    assert_int_equal(vault_sasl_next(w.gate, &x, SPAN(ALICE), &challenge, ticket, &err), SASL_CONTINUE);
    assert_int_equal(vault_sasl_next(w.gate, &x, SPAN("secret"), &challenge, ticket, &err), SASL_DONE);
    assert_null(x);
    assert_int_equal(vault_sasl_start(w.gate, SPAN("LOGIN"), none, "", SPAN_NONE, &x, &challenge, ticket, &err), SASL_CONTINUE);
    sasl_exchange_free(&x); /* given up half way */
    assert_int_equal(vault_sasl_start(w.gate, SPAN("NTLM"), none, "", SPAN_NONE, &x, &challenge, ticket, &err), SASL_FAILED);
    assert_int_equal(err.status, ST_UNSUPPORTED);
    assert_null(x);
}

static void test_guessing_is_slowed(void **state)
{
    (void)state;
    uint8_t ticket[VAULT_TICKET_BYTES];
    assert_int_equal(log_in(SPAN("\0" ALICE "\0secret"), ticket), SASL_DONE);
    enum sasl_result r = SASL_FAILED;
    for (int i = 0; i < 25 && r == SASL_FAILED; i++)
        r = log_in(SPAN("\0" ALICE "\0guess"), ticket);
    assert_int_equal(r, SASL_UNAVAILABLE);
    assert_int_equal(log_in(SPAN("\0" ALICE "\0secret"), ticket), SASL_DONE); /* known to be right */
    /* Whose address alice has never come from cannot use what the vault remembers of her to try guesses for nothing. */
    for (int i = 0; i < 25; i++)
        (void)log_in_from("198.51.100.1", SPAN("\0" ALICE "\0guess"), ticket);
    assert_int_equal(log_in_from("198.51.100.1", SPAN("\0" ALICE "\0secret"), ticket), SASL_UNAVAILABLE);
}

/* ---- keys */

static void test_certificate_and_signature(void **state)
{
    (void)state;
    struct tls_keys *keys = tls_keys_new();
    assert_int_equal(tls_keys_add_self_signed(keys, w.folder, "mx.example.test", &err), ST_OK);
    struct span pem = tls_keys_chain(keys, 0);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_int_equal(X509_check_host(x, "mx.example.test", 0, 0, NULL), 1);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    int days, seconds;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
    assert_in_range(days, 3649, 3650);

    static const unsigned char digest[32] = {1, 2, 3};
    AUTO_STRBUF signature = STRBUF_INIT;
    uint32_t id = tls_keys_id(keys, 0);
    assert_int_equal(vault_sign(w.gate, id, TLS_SIGN_ECDSA, span_of(digest, 32), &signature, &err), ST_OK);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(X509_get0_pubkey(x), NULL);
    EVP_PKEY_verify_init(ctx);
    assert_int_equal(EVP_PKEY_verify(ctx, (unsigned char *)signature.p, signature.len, digest, 32), 1);
    EVP_PKEY_CTX_free(ctx);
    X509_free(x);
    assert_int_equal(vault_sign(w.gate, id + 1, TLS_SIGN_ECDSA, span_of(digest, 32), &signature, &err), ST_NOTFOUND);
    assert_int_equal(vault_sign(w.gate, id, TLS_SIGN_RSA_RAW, span_of(digest, 32), &signature, &err), ST_SYNTAX);
    assert_int_equal(vault_sign(w.gate, id, TLS_SIGN_ECDSA, span_of(digest, 3), &signature, &err), ST_SYNTAX);

    struct tls_context *tls = NULL;
    assert_int_equal(vault_tls_context(w.gate, &tls, &err), ST_OK);
    tls_context_free(&tls);
    /* Made anew for another name; the old key stays good for those who still have the old certificate. */
    struct tls_keys *other = tls_keys_new();
    assert_int_equal(tls_keys_add_self_signed(other, w.folder, "other.example.test", &err), ST_OK);
    assert_false(tls_keys_has(other, id));
    vault_set_keys(w.vault, &other);
    assert_int_equal(vault_sign(w.gate, id, TLS_SIGN_ECDSA, span_of(digest, 32), &signature, &err), ST_OK);
    tls_keys_free(&keys);
}

/* ---- what a listener allows, and bytes that are no frames */

/* Sends the bytes in pieces of `step` on a connection of its own; returns the reply's status, or -1 where it was closed
 * without. */
static int ask_raw(int channel, struct span bytes, size_t step)
{
    int fd;
    uint32_t length;
    uint8_t reply[VAULT_FRAME_MAX];
    assert_int_equal(channel_connect(w.channels[channel][0], false, &fd, &err), ST_OK);
    while (bytes.len > 0) {
        struct span piece = span_take(bytes, step);
        if (fd_write_all(fd, piece.p, piece.len, 5000, &err) != ST_OK)
            break;
        bytes = span_skip(bytes, piece.len);
    }
    int st = -1;
    if (fd_read_exact(fd, &length, sizeof length, 5000, &err) == ST_OK && length <= sizeof reply &&
        fd_read_exact(fd, reply, length, 5000, &err) == ST_OK)
        st = reply[0];
    close(fd);
    return st;
}

static void frame(struct strbuf *b, uint8_t verb)
{
    strbuf_clear(b);
    size_t at = vault_frame_begin(b, verb);
    if (verb == VAULT_REDEEM)
        vault_frame_field(b, SPAN("01234567890123456789012345678901"));
    if (verb == VAULT_SASL_START) {
        vault_frame_field(b, SPAN("PLAIN"));
        vault_frame_field(b, SPAN("::1"));
        vault_frame_field(b, SPAN_NONE);
        vault_frame_u8(b, 1);
        vault_frame_field(b, SPAN("\0" ALICE "\0secret"));
    }
    vault_frame_end(b, at);
}

static void test_verbs_by_listener(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    static const struct {
        int channel;
        uint8_t verb;
        int status;
    } cases[] = {
        {GATE, VAULT_CERTIFICATES, ST_OK},
        {GATE, VAULT_SASL_START, ST_OK},
        {GATE, VAULT_REDEEM, ST_DENIED},
        {MAIL, VAULT_REDEEM, ST_DENIED}, /* allowed, but forged */
        {MAIL, VAULT_SASL_START, ST_DENIED},
        {MAIL, VAULT_SIGN, ST_DENIED},
        {MAIL, VAULT_CERTIFICATES, ST_DENIED},
        {RELAY, VAULT_CERTIFICATES, ST_DENIED},
        {RELAY, VAULT_SIGN, ST_DENIED},
        {RELAY, VAULT_REDEEM, ST_DENIED},
        {GATE, 0, ST_DENIED},
        {GATE, 99, ST_DENIED},
        {GATE, 255, ST_DENIED},
        {GATE, VAULT_SASL_NEXT, ST_SYNTAX}, /* no fields */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        frame(&b, cases[i].verb);
        assert_int_equal(ask_raw(cases[i].channel, strbuf_span(&b), b.len), cases[i].status);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    frame(&b, VAULT_SASL_START);
    assert_int_equal(ask_raw(GATE, strbuf_span(&b), 1), ST_OK);
    assert_int_equal(ask_raw(GATE, strbuf_span(&b), 7), ST_OK);
}

static void test_garbage(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    assert_int_equal(ask_raw(GATE, SPAN("\0\0\0\0"), 4), -1);             /* a frame of nothing */
    assert_int_equal(ask_raw(GATE, SPAN("\xff\xff\xff\xff\x01"), 5), -1); /* longer than any */
    assert_int_equal(ask_raw(GATE, SPAN("GET / HTTP/1.0\r\n\r\n"), 18), -1);
    frame(&b, VAULT_SASL_START);
    for (size_t i = 5; i < b.len;
         i++) { /* each byte behind the head is wrong once: an answer or an end, and the vault lives */
        b.p[i] = (char)~b.p[i];
        (void)ask_raw(GATE, strbuf_span(&b), b.len);
        b.p[i] = (char)~b.p[i];
    }
    strbuf_add_cstr(&b, "x"); /* a byte too much belongs to the next frame */
    assert_int_equal(ask_raw(GATE, strbuf_span(&b), b.len), ST_OK);
    uint32_t longer = (uint32_t)b.len - 4;
    memcpy(b.p, &longer, 4); /* or, counted in, makes the fields wrong */
    assert_int_equal(ask_raw(GATE, strbuf_span(&b), b.len), ST_SYNTAX);
}

static void test_restarted_vault(void **state)
{
    (void)state;
    uint8_t ticket[VAULT_TICKET_BYTES];
    assert_int_equal(log_in(SPAN("\0" ALICE "\0secret"), ticket), SASL_DONE); /* leaves a connection in the pool */
    stop();
    start();
    assert_int_equal(log_in(SPAN("\0" ALICE "\0secret"), ticket), SASL_DONE);
}

/* ---- the hand-over */

/* What mail says first to a client with this ticket. The connection stays open in *fd. */
static void hand_over(const uint8_t *ticket, char *line, size_t size, int *fd)
{
    struct preface p = {.protocol = HANDOVER_IMAP, .id = "abc123", .tag = SPAN("a1"), .peer = {.address = "192.0.2.7"}};
    AUTO_STRBUF bytes = STRBUF_INIT;
    memcpy(p.ticket, ticket, sizeof p.ticket);
    preface_write(&p, &bytes);
    strbuf_add_cstr(&bytes, "early");
    assert_int_equal(channel_connect(w.channels[HANDOVER][0], false, fd, &err), ST_OK);
    for (size_t i = 0; i < bytes.len; i++) /* byte by byte */
        assert_int_equal(fd_write_all(*fd, bytes.p + i, 1, 5000, &err), ST_OK);
    size_t n = 0;
    while (n + 1 < size && fd_read_exact(*fd, line + n, 1, 5000, &err) == ST_OK && line[n] != '\n')
        n++;
    line[n] = '\0';
}

static void test_hand_over(void **state)
{
    (void)state;
    uint8_t ticket[VAULT_TICKET_BYTES];
    char line[200], early[5];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_in(SPAN("\0" ALICE "\0secret"), ticket), SASL_DONE);
        hand_over(ticket, line, sizeof line, &fds[i]);
        /* two at once is this account's limit */
        assert_string_equal(line, i < 2 ? "a1 welcome " ALICE " from 192.0.2.7 id abc123\r" : "a1 no: limit\r");
        if (i < 2) {
            assert_int_equal(fd_read_exact(fds[i], early, 5, 5000, &err), ST_OK);
            assert_memory_equal(early, "early", 5); /* what came behind the preface is the client's */
        }
    }
    close(fds[0]);
    close(fds[2]);
    for (int i = 0; limiter_count(w.handover.account_sessions, SPAN(ALICE)) > 1 && i < 500; i++)
        usleep(10000);
    assert_int_equal(limiter_count(w.handover.account_sessions, SPAN(ALICE)), 1);
    close(fds[1]);
    hand_over(ticket, line, sizeof line, &fds[0]); /* used already */
    assert_string_equal(line, "a1 no: denied\r");
    close(fds[0]);
}

static void test_hand_over_garbage(void **state)
{
    (void)state;
    int fd;
    char c;
    assert_int_equal(channel_connect(w.channels[HANDOVER][0], false, &fd, &err), ST_OK);
    assert_int_equal(fd_write_all(fd, "EHLO x\r\n", 8, 5000, &err), ST_OK);
    assert_int_equal(fd_read_exact(fd, &c, 1, 5000, &err), ST_CLOSED);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_and_ticket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_login_in_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_guessing_is_slowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certificate_and_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verbs_by_listener, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restarted_vault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hand_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hand_over_garbage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
