/*
 * config.h - the one config file (INI), read by the master and the tools, and handed to the roles as text.
 *
 * Unknown sections, unknown keys and bad values are errors with file and line. All strings belong to the struct.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "sys/config_local.h"
#include "sys/config_milter.h"
#include "sys/config_quota.h"
#include "sys/config_rates.h"
#include "sys/config_relay.h"
#include "sys/config_trace.h"
#include "sys/config_smtp.h"
#include "text/ip_set.h"

enum listen_service {
    SERVICE_SMTP,
    SERVICE_SUBMISSION,
    SERVICE_SUBMISSIONS,
    SERVICE_IMAP,
    SERVICE_IMAPS,
    SERVICE_POP3,
    SERVICE_POP3S,
    SERVICE_LMTP,
    SERVICE_LOCAL,
    SERVICE_COUNT
};
extern const char *const service_names[SERVICE_COUNT]; /* "smtp", "submission", … as in [listen] */

struct listen_address {
    enum listen_service service;
    const char *text; /* as written: "127.0.0.1:2525", "[::1]:25", "/run/lmtp.sock" */
    const char *host; /* NULL for a Unix path */
    uint16_t port;
    const char *unix_path; /* NULL for TCP */
};

struct config {
    struct arena arena;
    /* [server] */
    const char *hostname;
    const char *comment; /* what IMAP says of the server; NULL: nothing */
    const char *contact; /* a URI: mailto:, tel:, https:; NULL: nothing */
    const char *data;    /* absolute */
    const char *user;    /* default "tassis" */
    /* [listen] */
    struct listen_address *listen;
    size_t listen_count;
    /* [tls] certificate and key take lists, pairwise, for several names (SNI). Empty: self-signed. */
    const char **certificates, **keys;
    size_t certificate_count;
    /* [dns] */
    const char *resolver, *trust_anchor; /* NULL: the system's, the built-in */
    /* [auth] */
    bool is_loopback_plaintext_allowed; /* plaintext = loopback */
    bool is_scram_hidden;               /* scram = off */
    bool is_binding_offered;            /* scram = bound */
    /* [limits] */
    uint64_t message_size;         /* octets, default 50M */
    uint32_t sessions_per_address; /* default 100 */
    uint32_t sessions_per_account; /* default 100 */
    uint32_t messages_per_command; /* of IMAP; default 0, no limit */
    uint32_t messages_per_save;    /* of IMAP's COPY and APPEND; default 0, no limit */
    /* [quota] */
    struct config_quota quota;
    /* [rates] */
    struct config_rates rates;
    /* [proxy] */
    struct ip_set proxies; /* protocol: whose connections begin with a PROXY header */
    struct ip_set xclient; /* who may say XCLIENT on port 25 */
    /* [smtp] */
    const char *subaddress_separator; /* default "+"; empty: off */
    struct config_smtp smtp;
    /* [local] */
    struct config_local local;
    /* [trace] */
    struct config_trace trace;
    /* [relay], [route NAME] */
    struct config_relay relay;
    /* [milter NAME] */
    struct config_milters milters;
};

/* name is for messages ("tassis.conf"). base_dir: what relative paths are relative to (the config file's folder). */
enum status config_parse(struct span text, const char *name, const char *base_dir, struct config **out,
                         struct err *err);
enum status config_load(const char *path, struct config **out, struct err *err);
void config_free(struct config **c);
AUTO_DEFINE(config)
/* True where the address is 127.0.0.0/8 or ::1 (textual). */
bool address_is_loopback(const char *address);
