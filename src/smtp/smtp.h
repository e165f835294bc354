/*
 * smtp.h - the doors that speak SMTP and LMTP, for the roles to open. One command table and one session code serve all
 * of them (smtp/session.h); a door is a mode: which rows of the table it runs, and what becomes of the mail.
 *
 *   smtp_mx_protocol          role mx, port 25        anonymous; asks and delivers to `mail` over LMTP
 *   submission_gate_protocol  role gate, 465/587      up to AUTH, then hands the client over to `mail`
 *   submission_accept         role mail               the same session after login
 *   local_protocol            role mail, Unix path    local programs; the kernel says who they are
 *   lmtp_protocol             role mail, channels     one reply per recipient (RFC 2033); local delivery
 *   queue_in_protocol         role relay, channels    into the durable queue; accepts anything, its only callers are
 * our own
 *
 * Between our own roles (peers that came through a channel) XTRACE=<id> of MAIL hands on the message's trace id, so
 * that one id names the message in the log lines of every role.
 */
#pragma once
#include "auth/handover.h"
#include "net/session.h"
#include "queue/queue.h"
#include "store/mail_app.h"
#include "sys/config_rates.h"
#include "sys/config_smtp.h"
#include "text/ip_set.h"

struct milters;
struct rate;
struct smtp_pool;

/* Role mx: session_app(). */
struct mx_app {
    const char *hostname;
    struct smtp_pool *mail; /* smtp_pool_new(channel to mail's LMTP, hostname, true) */
    struct milters *filters; /* smtp/filter.h; NULL: none */
    _Atomic uint64_t message_size_max;
    _Atomic(const struct ip_set *) xclient; /* who may say XCLIENT; NULL: nobody */
    struct rate *came;                      /* policy/rate.h: what addresses have had */
    _Atomic(const struct config_rates *) rates; /* NULL: no limits */
    _Atomic(const struct config_smtp *) settings;
};
extern const struct protocol smtp_mx_protocol;

/* Role gate: session_app() is struct gate_app (auth/handover.h). */
extern const struct protocol submission_gate_protocol;

/* Role mail: for handover_app's accept and refuse, when protocol is HANDOVER_SUBMISSION. accept answers 235. */
enum next submission_accept(struct session *s, const struct handover *h);
void submission_refuse(struct session *s, const struct handover *h, const struct err *err);

/* Role mail: session_app() is struct mail_app (store/mail_app.h). */
extern const struct protocol lmtp_protocol, local_protocol;

/* Role relay: session_app(). wake is called after each message that came into the queue; any thread. */
struct relay_app {
    struct queue *queue;
    void (*wake)(void *ctx);
    void *wake_ctx;
    const char *hostname;
    _Atomic(const struct config_relay *) settings;
    _Atomic uint64_t message_size_max;
};
extern const struct protocol queue_in_protocol;

/* Connections to one LMTP or SMTP service behind a channel, kept and used again. Thread-safe. The channel and the
 * hostname are borrowed. All leases must have been given back before smtp_pool_free(). */
struct smtp_pool *smtp_pool_new(int channel, const char *hostname, bool is_lmtp);
void smtp_pool_free(struct smtp_pool **p);
