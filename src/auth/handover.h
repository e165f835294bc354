/*
 * handover.h - login in `gate`, and giving the logged-in client to `mail`.
 *
 * The gate passes SASL steps to the vault; a good last one yields a ticket. gate_hand_over() connects to `mail`, sends
 * a preface (protocol, ticket, peer facts, session id, the command's tag that is still to be answered, the bytes
 * already read), and makes the session a pipe. `mail` reads the preface, redeems the ticket at the vault and so learns
 * the account, and answers the client's login command itself.
 */
#pragma once
#include "auth/vault_client.h"
#include "net/limiter.h"
#include "net/session.h"

enum handover_protocol { HANDOVER_IMAP = 1, HANDOVER_POP3 = 2, HANDOVER_SUBMISSION = 3 };
enum { HANDOVER_TAG_MAX = 256, HANDOVER_BYTES_MAX = 65536 };
enum {
    GATE_UNAVAILABLE_PAUSE_MS = 1000
}; /* behind "try again later": a session that is told so does not ask at once */

/* What the role gate gives to the protocols as session_app(). */
struct gate_app {
    const char *hostname;
    _Atomic bool is_loopback_plaintext_allowed;
    _Atomic bool is_scram_hidden, is_binding_offered; /* SCRAM is not in the lists; with channel binding, too */
    struct vault_client *vault;
    int mail_channel; /* to mail's hand-over service */
    _Atomic uint64_t message_size_max;
};

/* Whether this session may be offered mechanisms that show the password: TLS, or loopback where the config allows it.
 */
bool gate_may_login(const struct session *s);

/* What the client's connection is bound by (RFC 9266); false: it is not, or binding is not on offer. */
static inline bool gate_binding(const struct session *s, uint8_t binding[SESSION_EXPORTER_BYTES])
{
    const struct gate_app *app = session_app(s);
    return app->is_binding_offered && session_tls_exporter(s, binding);
}

/* " AUTH=PLAIN AUTH=LOGIN …": all mechanisms on offer, `before` in front of each. */
static inline void gate_write_mechanisms(const struct session *s, const char *before, struct strbuf *out)
{
    static const char *const names[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
    const struct gate_app *app = session_app(s);
    uint8_t binding[SESSION_EXPORTER_BYTES];
    size_t count = app->is_scram_hidden ? 2 : gate_binding(s, binding) ? 4 : 3;
    for (size_t i = 0; i < count; i++)
        strbuf_addf(out, "%s%s", before, names[i]);
}

/* vault_sasl_start() with what the vault must know of this session. The mechanism becomes one of the peer's facts. */
static inline enum sasl_result gate_sasl_start(struct session *s, struct vault_client *vault, struct span mechanism,
                                               struct span initial, struct sasl_exchange **x, struct strbuf *challenge,
                                               uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    uint8_t binding[SESSION_EXPORTER_BYTES];
    bool has = gate_binding(s, binding);
    struct peer peer = *session_peer(s);
    size_t n = 0;
    for (; n < mechanism.len && n + 1 < sizeof peer.auth_mechanism; n++) /* RFC 4422 §3.1: in upper case */
        peer.auth_mechanism[n] = ascii_upper(mechanism.p[n]);
    peer.auth_mechanism[n] = '\0';
    session_set_peer(s, &peer);
    return vault_sasl_start(vault, mechanism, initial, session_peer(s)->address,
                            span_of(binding, has ? sizeof binding : 0), x, challenge, ticket, err);
}

/* tag: the IMAP tag, or for SMTP the EHLO name the client gave; empty for POP3. Unread session_input() goes along.
 * After ST_OK the protocol returns NEXT_CARRY with nothing of its own in the output. ST_TEMPORARY: mail is not there;
 * answer so. */
enum status gate_hand_over(struct session *s, enum handover_protocol protocol, const uint8_t ticket[VAULT_TICKET_BYTES],
                           struct span tag, struct err *err);

/* After a failed login: counts, logs (never the password) and slows the session down (session_pause). Returns false
 * when the session has failed too often and must be closed. */
bool gate_login_failed(struct session *s, unsigned *failures, const struct err *err);

/* In `mail`: the protocol of hand-over channels. It reads the preface, redeems, counts the account's sessions, sets id
 * and peer, and calls accept(), which sets the session's protocol and state (session_set_protocol/_state), answers the
 * login command and says what is next. mail's session_app() begins with a struct handover_app. */
struct handover {
    enum handover_protocol protocol;
    struct span account; /* canonical address; valid during the call */
    struct span tag;     /* likewise */
};
struct handover_app {
    struct vault_client *vault;
    struct limiter *account_sessions;
    _Atomic uint32_t sessions_per_account;
    enum next (*accept)(struct session *s, const struct handover *h);
    /* Too many sessions of this account, or the ticket is bad: writes the protocol's refusal. */
    void (*refuse)(struct session *s, const struct handover *h, const struct err *err);
};
extern const struct protocol handover_protocol_in;
