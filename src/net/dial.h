/*
 * dial.h - calling a peer: a TCP connection with deadlines, which may be turned into a TLS one. Blocking, for threads
 * that have nothing else to do; one thread at a time uses a connection.
 *
 * How much of a certificate is believed is the caller's to say, before the handshake: none of it (opportunistic TLS,
 * RFC 7435), PKIX with the names expected, or DANE (RFC 7671) with the TLSA records found. What went wrong is told in
 * the words of TLS-RPT (RFC 8460 §4.3).
 */
#pragma once
#include <sys/socket.h>
#include "base/arena.h"
#include "base/err.h"

/* Trust, settings and resumable sessions, shared by all connections. */
struct dial_tls;
/* ca_pem: certificates trusted for PKIX; empty: none, so that nothing can be verified that way. */
enum status dial_tls_new(struct span ca_pem, struct dial_tls **out, struct err *err);
void dial_tls_free(struct dial_tls **t);

enum { DIAL_SESSIONS_MAX = 2000, DIAL_TLSA_MAX = 20, DIAL_NAMES_MAX = 4 };

struct dial_tlsa {
    uint8_t usage, selector, matching; /* RFC 6698 §2.1 */
    struct span data;
};
enum dial_trust { DIAL_TRUST_ANY, DIAL_TRUST_PKIX, DIAL_TRUST_DANE };
struct dial_policy {
    enum dial_trust trust;
    const char *server_name;           /* SNI */
    const char *names[DIAL_NAMES_MAX]; /* the certificate must have one of these (PKIX, DANE-TA); NULL ends */
    bool is_lenient;                   /* PKIX: a bad certificate is told (facts.fault), and the session goes on */
    const struct dial_tlsa *tlsa;      /* DANE */
    size_t tlsa_count;
};

/* RFC 8460 §4.3; "" where it is none of them. */
enum dial_fault {
    DIAL_FAULT_NONE,
    DIAL_FAULT_HOST_MISMATCH,
    DIAL_FAULT_EXPIRED,
    DIAL_FAULT_NOT_TRUSTED,
    DIAL_FAULT_VALIDATION
};

struct dial;
struct dial_facts {
    bool is_tls, is_verified, is_resumed;
    enum dial_fault fault; /* of the certificate, where the policy is lenient */
    char version[12];      /* "TLSv1.3" */
    char cipher[40];
};

/* source may be NULL. ST_TEMPORARY: no connection in time, or refused; ST_IO: no socket. */
enum status dial_connect(const struct sockaddr *to, socklen_t to_length, const struct sockaddr *source,
                         socklen_t source_length, int64_t timeout_ms, struct dial **out, struct err *err);
/* Over a connected socket, which it owns. */
struct dial *dial_over(int fd);
/* The handshake. After a failure the connection is of no use. */
enum status dial_start_tls(struct dial *d, struct dial_tls *t, const struct dial_policy *p, int64_t timeout_ms,
                           enum dial_fault *fault, struct err *err);
const struct dial_facts *dial_facts(const struct dial *d);
int dial_fd(const struct dial *d);

/* At least one octet, within timeout_ms. ST_CLOSED, ST_TEMPORARY (time), ST_IO. */
enum status dial_read(struct dial *d, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err);
/* All of it; idle_ms: the longest time without any progress. */
enum status dial_write(struct dial *d, struct span bytes, int64_t idle_ms, struct err *err);
void dial_close(struct dial **d);
