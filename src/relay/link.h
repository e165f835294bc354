/*
 * link.h - one SMTP or LMTP connection to a destination's host, ready for messages: connected, greeted, TLS as the
 * destination's policy wants it, logged in where the route says so. Blocking; one thread at a time.
 */
#pragma once
#include "net/dial.h"
#include "net/dns.h"
#include "relay/self.h"
#include "relay/tls_policy.h"
#include "smtp/client.h"
#include "sys/config_relay.h"

/* What links are made with; shared, read only. */
struct link_maker {
    struct dns *dns;
    struct dial_tls *tls;
    const char *hostname;
    const struct config_relay *settings;
    struct hosts_self self;
    struct tls_policies *policies; /* relay/tls_policy.h */
};

enum {
    LINK_HOSTS_TRIED_MAX = 6, /* addresses of one attempt */
    LINK_QUIT_MS = 2000,
    LINK_MESSAGES_MAX = 1000, /* over one connection */
    LINK_DOMAINS_MAX = 16     /* told apart on a connection whose peer counts them; more are another's */
};

struct link {
    struct smtp_client *client;
    struct dial *dial;
    char host[256];
    char address[48];
    bool is_lmtp;
    bool is_tls, is_authentic; /* the latter: DANE, or PKIX with a policy that named the host */
    bool is_waived;            /* made without looking at what the destination wants: only for messages that say so */
    unsigned messages;         /* sent over it */
    char *domains[LINK_DOMAINS_MAX]; /* that recipients had, where the peer counts them (RFC 9422) */
    size_t domain_count;
    int64_t idle_since_ms; /* when it was last put aside; 0: never */
};

/* Why no link came to be: what is told to the sender, in the shape of a reply. */
struct link_failure {
    bool is_permanent; /* for this domain, not for the moment */
    bool is_host;      /* hosts do not answer: the destination should rest */
    char host[256];    /* empty: none was reached */
    char reply[500];   /* "550 5.1.2 …", "451 4.4.1 …" */
};
/* domain: whose mail; route: NULL or as outbound_parse() says. */
enum status link_open(const struct link_maker *m, struct span domain, const struct config_route *route,
                      enum tls_wish wish, struct link **out, struct link_failure *why);
/* RFC 9422: what the peer's LIMITS leave. Messages over this connection; recipients of one of them (0: any number); and
 * whether a recipient of this domain may still come, which then counts. */
unsigned link_messages_max(const struct link *l);
size_t link_recipients_max(const struct link *l);
bool link_takes_domain(struct link *l, struct span domain);
/* Says QUIT where the connection is still good. */
void link_close(struct link **l, bool is_good);
