/*
 * config_internal.h - between config.c and the files that read one subject's keys.
 */
#pragma once
#include "sys/config.h"

struct reader {
    struct span rest;
    const char *base_dir;
    struct config *c;
    struct err *err;
    unsigned line;
    bool is_continuation; /* this line is indented */
    bool is_failed;
    const char *route;  /* the [route NAME] section we are in */
    const char *milter; /* the [milter NAME] section */
    uint8_t seen[128]; /* rows of the table that had their key, in this section where there may be several */
};

struct config_key;
typedef enum status (*key_fn)(struct reader *r, const struct config_key *k, const char *value);
struct config_key {
    const char *section, *name;
    key_fn read;
    bool is_list;
    int number; /* what `read` wants to know: a service */
};

const char *config_keep(struct reader *r, const char *text);
const char *config_keep_path(struct reader *r, const char *path);
/* "127.0.0.1:25" or "[::1]:25". */
bool config_split_address(struct arena *a, struct span text, const char **host, uint16_t *port);
bool config_is_ip(const char *host);
/* Calls take() for each blank-separated word. */
enum status config_each_word(struct reader *r, const struct config_key *k, const char *value,
                             enum status (*take)(struct reader *, const struct config_key *, struct span));

/* config_local.c */
void config_local_defaults(struct config *c);
enum status config_local_key(struct reader *r, const struct config_key *k, const char *value);
enum local_key { LOCAL_DOMAIN, LOCAL_TRUSTED, LOCAL_SENDERS };
/* config_rates.c */
void config_rates_defaults(struct config *c);
enum status config_rates_key(struct reader *r, const struct config_key *k, const char *value);
enum rates_key { RATES_EXEMPT = RATE_COUNT, RATES_EXEMPT_ACCOUNTS }; /* the others are enum config_rate */

/* config_quota.c */
/* The canonical form of an account's address. */
enum status config_account_address(struct reader *r, const struct config_key *k, struct span word, struct span *out);
void config_quota_defaults(struct config *c);
enum status config_quota_key(struct reader *r, const struct config_key *k, const char *value);
enum quota_key {
    QUOTA_KEY_STORAGE,
    QUOTA_KEY_MESSAGES,
    QUOTA_KEY_MAILBOXES,
    QUOTA_KEY_WHEN_FULL,
    QUOTA_KEY_ADMINISTRATORS
};
/* config_smtp.c */
enum status config_smtp_etrn(struct reader *r, const struct config_key *k, const char *value);
enum status config_smtp_priority(struct reader *r, const struct config_key *k, const char *value);

/* config_trace.c */
void config_trace_defaults(struct config *c);
enum status config_trace_key(struct reader *r, const struct config_key *k, const char *value);
enum trace_key { TRACE_KEEP, TRACE_SIZE };

/* "90s", "5m", "4h", "5d", "0". */
enum status config_duration(struct reader *r, const struct config_key *k, const char *value, int64_t *seconds);

/* config_relay.c */
void config_relay_defaults(struct config *c);
enum status config_relay_check(struct config *c, struct err *err);
/* "route NAME": begins the section; other names: nothing. Returns the section's name in the table. */
const char *config_relay_section(struct reader *r, const char *section, enum status *st);
enum status config_relay_key(struct reader *r, const struct config_key *k, const char *value);
enum status config_route_key(struct reader *r, const struct config_key *k, const char *value);
enum relay_key {
    RELAY_PORT,
    RELAY_HTTPS_PORT,
    RELAY_HELLO,
    RELAY_SOURCE,
    RELAY_SOURCE6,
    RELAY_CONNECTIONS,
    RELAY_PER_DESTINATION,
    RELAY_RETRY_FIRST,
    RELAY_RETRY_LONGEST,
    RELAY_DELAY_WARNING,
    RELAY_EXPIRY,
    RELAY_CONNECT_TIMEOUT,
    RELAY_REPLY_TIMEOUT,
    RELAY_CA,
    RELAY_TLS_REPORTS
};
enum route_key {
    ROUTE_RECIPIENTS,
    ROUTE_SENDERS,
    ROUTE_HOST,
    ROUTE_PROTOCOL,
    ROUTE_TLS,
    ROUTE_USER,
    ROUTE_PASSWORD_FILE,
    ROUTE_SOURCE,
    ROUTE_SOURCE6,
    ROUTE_HELLO
};

/* Above 0: "90s", "5m", "4h", "5d". */
enum status config_positive_duration(struct reader *r, const struct config_key *k, const char *value, int64_t *seconds);

/* config_milter.c, as config_relay.c */
void config_milter_defaults(struct config *c);
enum status config_milter_check(struct config *c, struct err *err);
const char *config_milter_section(struct reader *r, const char *section, enum status *st);
enum status config_milter_key(struct reader *r, const struct config_key *k, const char *value);
enum milter_key {
    MILTER_ADDRESS,
    MILTER_DOORS,
    MILTER_FAIL,
    MILTER_CONNECT_TIMEOUT,
    MILTER_REPLY_TIMEOUT,
    MILTER_MESSAGE_TIMEOUT
};
