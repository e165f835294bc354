/*
 * config.c - see config.h.
 *
 * A table of sections and keys; inih does the reading of lines, and a reader between it and the text counts them, so
 * that every complaint carries its line. A value that is a list may be continued on indented lines.
 */
#include "sys/config.h"
#include <arpa/inet.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "sys/config_internal.h"
#include "sys/file.h"
#include "text/address.h"
#include "text/charset.h"
#include "base/banned.h"

enum {
    CONFIG_SIZE_MAX = 1 << 20,
    LISTEN_MAX = 64,
    CERTIFICATES_MAX = 64,
    SESSIONS_LIMIT_MAX = 1000000,
    MESSAGES_LIMIT_LEAST = 1000,
};
static const uint64_t MESSAGE_SIZE_LEAST = 1u << 16, MESSAGE_SIZE_MOST = 1u << 30;

const char *const service_names[SERVICE_COUNT] = {"smtp",  "submission", "submissions", "imap",
                                                  "imaps", "pop3",       "pop3s",       "lmtp", "local"};

const char *config_keep(struct reader *r, const char *text)
{
    return arena_cstr(&r->c->arena, span_cstr(text));
}

const char *config_keep_path(struct reader *r, const char *path)
{
    if (path[0] == '/')
        return config_keep(r, path);
    return arena_printf(&r->c->arena, "%s/%s%c", r->base_dir, path, '\0').p;
}

static enum status read_comment(struct reader *r, const struct config_key *k, const char *value)
{
    if (!utf8_is_valid(span_cstr(value)))
        return err_set(r->err, ST_SYNTAX, "%s: this is not UTF-8", k->name);
    r->c->comment = config_keep(r, value);
    return ST_OK;
}

/* A scheme and something behind it (RFC 3986 §3). */
static enum status read_contact(struct reader *r, const struct config_key *k, const char *value)
{
    size_t scheme = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    for (const char *c = value; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            scheme = 0;
    if (!scheme || value[scheme] != ':' || !value[scheme + 1])
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a URI like mailto:postmaster@example.test", k->name, value);
    r->c->contact = config_keep(r, value);
    return ST_OK;
}

static enum status read_hostname(struct reader *r, const struct config_key *k, const char *value)
{
    struct arena *a = &r->c->arena;
    struct span lower;
    if (!domain_is_valid(span_cstr(value), false) || domain_to_ascii(a, span_cstr(value), &lower, r->err) != ST_OK)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a host name", k->name, value);
    r->c->hostname = arena_cstr(a, lower);
    return ST_OK;
}

static enum status read_data(struct reader *r, const struct config_key *k, const char *value)
{
    if (value[0] == '\0')
        return err_set(r->err, ST_SYNTAX, "%s: a folder is needed", k->name);
    r->c->data = config_keep_path(r, value);
    return ST_OK;
}

static enum status read_user(struct reader *r, const struct config_key *k, const char *value)
{
    if (value[0] == '\0' || strlen(value) > 24)
        return err_set(r->err, ST_SYNTAX, "%s: a user name of at most 24 characters is needed", k->name);
    r->c->user = config_keep(r, value);
    return ST_OK;
}

bool config_is_ip(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

bool config_split_address(struct arena *a, struct span text, const char **host, uint16_t *port)
{
    size_t colon = span_rfind_byte(text, ':');
    uint64_t number;
    if (colon == SPAN_NPOS || !span_to_u64(span_skip(text, colon + 1), 65535, &number) || number == 0)
        return false;
    struct span name = span_take(text, colon);
    bool is_bracketed = name.len > 2 && name.p[0] == '[' && name.p[name.len - 1] == ']';
    if (is_bracketed)
        name = span_slice(name, 1, name.len - 1);
    *host = arena_cstr(a, name);
    *port = (uint16_t)number;
    return config_is_ip(*host) && is_bracketed == (strchr(*host, ':') != NULL);
}

static enum status add_listen(struct reader *r, const struct config_key *k, struct span word)
{
    struct config *c = r->c;
    if (c->listen_count == LISTEN_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d addresses in [listen]", k->name, LISTEN_MAX);
    struct listen_address *l = &c->listen[c->listen_count];
    *l = (struct listen_address){.service = (enum listen_service)k->number, .text = arena_cstr(&c->arena, word)};
    bool may_be_path = l->service == SERVICE_LMTP || l->service == SERVICE_LOCAL;
    if (word.p[0] == '/' && may_be_path)
        l->unix_path = l->text;
    else if (l->service == SERVICE_LOCAL)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not the path of a socket", k->name, l->text);
    else if (!config_split_address(&c->arena, word, &l->host, &l->port))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not address:port (IPv6 as [address]:port)", k->name, l->text);
    for (size_t i = 0; i < c->listen_count; i++)
        if (strcmp(c->listen[i].text, l->text) == 0)
            return err_set(r->err, ST_SYNTAX, "%s: %s is already used by %s", k->name, l->text,
                           service_names[c->listen[i].service]);
    c->listen_count++;
    return ST_OK;
}

enum status config_each_word(struct reader *r, const struct config_key *k, const char *value,
                             enum status (*take)(struct reader *, const struct config_key *, struct span))
{
    struct span rest = span_trim(span_cstr(value));
    while (rest.len > 0) {
        size_t n = 0;
        while (n < rest.len && rest.p[n] != ' ' && rest.p[n] != '\t')
            n++;
        TRY(take(r, k, span_take(rest, n)));
        rest = span_trim(span_skip(rest, n));
    }
    return ST_OK;
}

static enum status read_listen(struct reader *r, const struct config_key *k, const char *value)
{
    return config_each_word(r, k, value, add_listen);
}

enum { LIST_CERTIFICATE, LIST_KEY };

static enum status add_tls_file(struct reader *r, const struct config_key *k, struct span word)
{
    const char **list = k->number == LIST_KEY ? r->c->keys : r->c->certificates;
    size_t n = 0;
    while (n < CERTIFICATES_MAX && list[n] != NULL)
        n++;
    if (n == CERTIFICATES_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d files", k->name, CERTIFICATES_MAX);
    list[n] = config_keep_path(r, arena_cstr(&r->c->arena, word));
    return ST_OK;
}

static enum status read_tls_files(struct reader *r, const struct config_key *k, const char *value)
{
    return config_each_word(r, k, value, add_tls_file);
}

static enum status read_resolver(struct reader *r, const struct config_key *k, const char *value)
{
    const char *host;
    uint16_t port;
    if (value[0] == '\0')
        return ST_OK;
    if (!config_split_address(&r->c->arena, span_cstr(value), &host, &port))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not address:port (IPv6 as [address]:port)", k->name, value);
    r->c->resolver = config_keep(r, value);
    return ST_OK;
}

static enum status read_trust_anchor(struct reader *r, const struct config_key *k, const char *value)
{
    (void)k;
    r->c->trust_anchor = value[0] ? config_keep_path(r, value) : NULL;
    return ST_OK;
}

static enum status read_plaintext(struct reader *r, const struct config_key *k, const char *value)
{
    if (strcmp(value, "never") != 0 && strcmp(value, "loopback") != 0)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is neither never nor loopback", k->name, value);
    r->c->is_loopback_plaintext_allowed = value[0] == 'l';
    return ST_OK;
}

static enum status read_scram(struct reader *r, const struct config_key *k, const char *value)
{
    bool is_off = strcmp(value, "off") == 0, is_bound = strcmp(value, "bound") == 0;
    if (!is_off && !is_bound && strcmp(value, "on") != 0)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is none of on, bound and off", k->name, value);
    r->c->is_scram_hidden = is_off;
    r->c->is_binding_offered = is_bound;
    return ST_OK;
}

static enum status read_message_size(struct reader *r, const struct config_key *k, const char *value)
{
    uint64_t n;
    if (!config_parse_size(span_cstr(value), MESSAGE_SIZE_MOST, &n) || n < MESSAGE_SIZE_LEAST)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a size from 64K to 1G", k->name, value);
    r->c->message_size = n;
    return ST_OK;
}

enum { LIMIT_ADDRESS, LIMIT_ACCOUNT };

static enum status read_sessions(struct reader *r, const struct config_key *k, const char *value)
{
    uint64_t n;
    if (!span_to_u64(span_cstr(value), SESSIONS_LIMIT_MAX, &n))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a number up to %d (0: no limit)", k->name, value,
                       SESSIONS_LIMIT_MAX);
    *(k->number == LIMIT_ADDRESS ? &r->c->sessions_per_address : &r->c->sessions_per_account) = (uint32_t)n;
    return ST_OK;
}

enum { LIMIT_COMMAND, LIMIT_SAVE };

/* RFC 9738 §3: a limit below 1000 should not be. */
static enum status read_messages(struct reader *r, const struct config_key *k, const char *value)
{
    uint64_t n;
    if (!span_to_u64(span_cstr(value), UINT32_MAX, &n) || (n > 0 && n < MESSAGES_LIMIT_LEAST))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a number from %d (0: no limit)", k->name, value,
                       MESSAGES_LIMIT_LEAST);
    *(k->number == LIMIT_COMMAND ? &r->c->messages_per_command : &r->c->messages_per_save) = (uint32_t)n;
    return ST_OK;
}

enum { SET_PROXIES, SET_XCLIENT };

static enum status add_network(struct reader *r, const struct config_key *k, struct span word)
{
    return ip_set_add(&r->c->arena, k->number == SET_PROXIES ? &r->c->proxies : &r->c->xclient, word, r->err);
}

static enum status read_networks(struct reader *r, const struct config_key *k, const char *value)
{
    return config_each_word(r, k, value, add_network);
}

static enum status read_separator(struct reader *r, const struct config_key *k, const char *value)
{
    for (const char *p = value; *p; p++)
        if (!strchr("+-_=#%~!", *p))
            return err_set(r->err, ST_SYNTAX, "%s: '%s' must be made of + - _ = # %% ~ !", k->name, value);
    r->c->subaddress_separator = config_keep(r, value);
    return ST_OK;
}

static const struct config_key keys[] = {
    {"server", "hostname", read_hostname, false, 0},
    {"server", "comment", read_comment, false, 0},
    {"server", "contact", read_contact, false, 0},
    {"server", "data", read_data, false, 0},
    {"server", "user", read_user, false, 0},
    {"listen", "smtp", read_listen, true, SERVICE_SMTP},
    {"listen", "submission", read_listen, true, SERVICE_SUBMISSION},
    {"listen", "submissions", read_listen, true, SERVICE_SUBMISSIONS},
    {"listen", "imap", read_listen, true, SERVICE_IMAP},
    {"listen", "imaps", read_listen, true, SERVICE_IMAPS},
    {"listen", "pop3", read_listen, true, SERVICE_POP3},
    {"listen", "pop3s", read_listen, true, SERVICE_POP3S},
    {"listen", "lmtp", read_listen, true, SERVICE_LMTP},
    {"listen", "local", read_listen, true, SERVICE_LOCAL},
    {"tls", "certificate", read_tls_files, true, LIST_CERTIFICATE},
    {"tls", "key", read_tls_files, true, LIST_KEY},
    {"dns", "resolver", read_resolver, false, 0},
    {"dns", "trust_anchor", read_trust_anchor, false, 0},
    {"auth", "plaintext", read_plaintext, false, 0},
    {"auth", "scram", read_scram, false, 0},
    {"limits", "message_size", read_message_size, false, 0},
    {"limits", "sessions_per_address", read_sessions, false, LIMIT_ADDRESS},
    {"limits", "sessions_per_account", read_sessions, false, LIMIT_ACCOUNT},
    {"limits", "messages_per_command", read_messages, false, LIMIT_COMMAND},
    {"limits", "messages_per_save", read_messages, false, LIMIT_SAVE},
    {"quota", "storage", config_quota_key, false, QUOTA_KEY_STORAGE},
    {"quota", "messages", config_quota_key, false, QUOTA_KEY_MESSAGES},
    {"quota", "mailboxes", config_quota_key, false, QUOTA_KEY_MAILBOXES},
    {"quota", "when_full", config_quota_key, false, QUOTA_KEY_WHEN_FULL},
    {"quota", "administrators", config_quota_key, true, QUOTA_KEY_ADMINISTRATORS},
    {"rates", "messages_per_account", config_rates_key, false, RATE_ACCOUNT_MESSAGES},
    {"rates", "recipients_per_account", config_rates_key, false, RATE_ACCOUNT_RECIPIENTS},
    {"rates", "connections_per_address", config_rates_key, false, RATE_ADDRESS_CONNECTIONS},
    {"rates", "messages_per_address", config_rates_key, false, RATE_ADDRESS_MESSAGES},
    {"rates", "recipients_per_address", config_rates_key, false, RATE_ADDRESS_RECIPIENTS},
    {"rates", "exempt", config_rates_key, true, RATES_EXEMPT},
    {"rates", "exempt_accounts", config_rates_key, true, RATES_EXEMPT_ACCOUNTS},
    {"proxy", "protocol", read_networks, true, SET_PROXIES},
    {"proxy", "xclient", read_networks, true, SET_XCLIENT},
    {"smtp", "subaddress_separator", read_separator, false, 0},
    {"smtp", "etrn", config_smtp_etrn, true, 0},
    {"smtp", "priority", config_smtp_priority, true, 0},
    {"local", "domain", config_local_key, false, LOCAL_DOMAIN},
    {"local", "trusted", config_local_key, true, LOCAL_TRUSTED},
    {"local", "senders", config_local_key, true, LOCAL_SENDERS},
    {"trace", "keep", config_trace_key, false, TRACE_KEEP},
    {"trace", "size", config_trace_key, false, TRACE_SIZE},
    {"relay", "port", config_relay_key, false, RELAY_PORT},
    {"relay", "https_port", config_relay_key, false, RELAY_HTTPS_PORT},
    {"relay", "hello", config_relay_key, false, RELAY_HELLO},
    {"relay", "source", config_relay_key, false, RELAY_SOURCE},
    {"relay", "source6", config_relay_key, false, RELAY_SOURCE6},
    {"relay", "connections", config_relay_key, false, RELAY_CONNECTIONS},
    {"relay", "per_destination", config_relay_key, false, RELAY_PER_DESTINATION},
    {"relay", "retry_first", config_relay_key, false, RELAY_RETRY_FIRST},
    {"relay", "retry_longest", config_relay_key, false, RELAY_RETRY_LONGEST},
    {"relay", "delay_warning", config_relay_key, false, RELAY_DELAY_WARNING},
    {"relay", "expiry", config_relay_key, false, RELAY_EXPIRY},
    {"relay", "connect_timeout", config_relay_key, false, RELAY_CONNECT_TIMEOUT},
    {"relay", "reply_timeout", config_relay_key, false, RELAY_REPLY_TIMEOUT},
    {"relay", "ca", config_relay_key, false, RELAY_CA},
    {"relay", "tls_reports", config_relay_key, false, RELAY_TLS_REPORTS},
    {"route", "recipients", config_route_key, true, ROUTE_RECIPIENTS},
    {"route", "senders", config_route_key, true, ROUTE_SENDERS},
    {"route", "host", config_route_key, false, ROUTE_HOST},
    {"route", "protocol", config_route_key, false, ROUTE_PROTOCOL},
    {"route", "tls", config_route_key, false, ROUTE_TLS},
    {"route", "user", config_route_key, false, ROUTE_USER},
    {"route", "password_file", config_route_key, false, ROUTE_PASSWORD_FILE},
    {"route", "source", config_route_key, false, ROUTE_SOURCE},
    {"route", "source6", config_route_key, false, ROUTE_SOURCE6},
    {"route", "hello", config_route_key, false, ROUTE_HELLO},
    {"milter", "address", config_milter_key, false, MILTER_ADDRESS},
    {"milter", "doors", config_milter_key, true, MILTER_DOORS},
    {"milter", "fail", config_milter_key, false, MILTER_FAIL},
    {"milter", "connect_timeout", config_milter_key, false, MILTER_CONNECT_TIMEOUT},
    {"milter", "reply_timeout", config_milter_key, false, MILTER_REPLY_TIMEOUT},
    {"milter", "message_timeout", config_milter_key, false, MILTER_MESSAGE_TIMEOUT},
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };
_Static_assert(KEY_COUNT <= sizeof((struct reader *)0)->seen, "a row of the table has no place in `seen`");

/* inih's reader: the next line with its line end, as fgets would. */
static char *next_line(char *buffer, int size, void *ctx)
{
    struct reader *r = ctx;
    if (r->rest.len == 0 || r->is_failed)
        return NULL;
    size_t lf = span_find_byte(r->rest, '\n', 0);
    size_t n = lf == SPAN_NPOS ? r->rest.len : lf + 1;
    r->line++;
    if (n >= (size_t)size || memchr(r->rest.p, '\0', n)) {
        r->is_failed = true;
        err_set(r->err, ST_SYNTAX,
                n >= (size_t)size ? "the line is too long (lists may go on in the next line, indented)"
                                  : "the line has a NUL byte");
        return NULL;
    }
    memcpy(buffer, r->rest.p, n);
    buffer[n] = '\0';
    r->is_continuation = buffer[0] == ' ' || buffer[0] == '\t';
    r->rest = span_skip(r->rest, n);
    return buffer;
}

static const struct config_key *find_key(const char *section, const char *name, bool *is_section_known)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0) {
            *is_section_known = true;
            if (strcmp(keys[i].name, name) == 0)
                return &keys[i];
        }
    return NULL;
}

/* The keys of a section that may be there several times. */
static void forget_seen(struct reader *r, const char *section)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0)
            r->seen[i] = 0;
}

/* inih's handler: 0 says that the line is bad. */
static int take_key(void *ctx, const char *section, const char *name, const char *value)
{
    struct reader *r = ctx;
    if (r->is_failed)
        return 0;
    bool is_section_known = false;
    enum status st;
    const char *route = r->route, *kind = config_relay_section(r, section, &st);
    if (r->route != route)
        forget_seen(r, "route");
    const char *milter = r->milter;
    if (st == ST_OK)
        kind = config_milter_section(r, kind, &st);
    if (r->milter != milter)
        forget_seen(r, "milter");
    const struct config_key *k = find_key(kind, name, &is_section_known);
    if (st != ST_OK)
        k = NULL;
    else if (!k && !is_section_known)
        st = err_set(r->err, ST_SYNTAX, "unknown section [%s]", section);
    else if (!k)
        st = err_set(r->err, ST_SYNTAX, "unknown key '%s' in [%s]", name, section);
    else if (r->is_continuation ? !k->is_list : r->seen[k - keys] != 0)
        st = err_set(r->err, ST_SYNTAX, "%s has a value already", name);
    else
        st = k->read(r, k, value);
    if (k)
        r->seen[k - keys] = 1;
    r->is_failed = st != ST_OK;
    return st == ST_OK;
}

static size_t list_length(const char **list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

static enum status check_whole(struct config *c, struct err *err)
{
    if (!c->hostname)
        return err_set(err, ST_SYNTAX, "hostname is missing in [server]");
    if (!c->data)
        return err_set(err, ST_SYNTAX, "data is missing in [server]");
    c->certificate_count = list_length(c->certificates);
    if (c->certificate_count != list_length(c->keys))
        return err_set(err, ST_SYNTAX, "[tls] needs as many keys as certificates");
    TRY(config_relay_check(c, err));
    return config_milter_check(c, err);
}

static struct config *config_new(void)
{
    struct config *c = mem_alloc(sizeof *c);
    c->listen = arena_array(&c->arena, LISTEN_MAX, sizeof *c->listen);
    c->certificates = arena_array(&c->arena, CERTIFICATES_MAX + 1, sizeof *c->certificates);
    c->keys = arena_array(&c->arena, CERTIFICATES_MAX + 1, sizeof *c->keys);
    c->user = "tassis";
    c->message_size = 50u << 20;
    c->sessions_per_address = 100;
    c->sessions_per_account = 100;
    c->subaddress_separator = "+";
    config_local_defaults(c);
    config_quota_defaults(c);
    config_trace_defaults(c);
    config_rates_defaults(c);
    config_relay_defaults(c);
    config_milter_defaults(c);
    return c;
}

enum status config_parse(struct span text, const char *name, const char *base_dir, struct config **out, struct err *err)
{
    AUTO(config) c = config_new();
    struct err why;
    struct reader r = {.rest = text, .base_dir = base_dir, .c = c, .err = &why};
    if (text.len > CONFIG_SIZE_MAX)
        return err_set(err, ST_LIMIT, "%s is larger than %d octets", name, CONFIG_SIZE_MAX);
    int bad_line = ini_parse_stream(next_line, &r, take_key, &r);
    if (r.is_failed && (bad_line == 0 || (unsigned)bad_line >= r.line))
        return err_set(err, ST_SYNTAX, "%s:%u: %s", name, r.line, why.client);
    if (bad_line != 0)
        return err_set(err, ST_SYNTAX, "%s:%d: neither a [section] nor key = value", name, bad_line);
    if (check_whole(c, &why) != ST_OK)
        return err_set(err, ST_SYNTAX, "%s: %s", name, why.client);
    *out = c;
    c = NULL;
    return ST_OK;
}

enum status config_load(const char *path, struct config **out, struct err *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    TRY(file_read(path, CONFIG_SIZE_MAX, &text, err));
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return err_errno(err, "cannot find %s", path);
    char *slash = strrchr(absolute, '/');
    *(slash == absolute ? slash + 1 : slash) = '\0';
    enum status st = config_parse(strbuf_span(&text), path, absolute, out, err);
    free(absolute);
    return st;
}

void config_free(struct config **c)
{
    if (!*c)
        return;
    struct arena a = (*c)->arena;
    arena_free(&a);
    free(*c);
    *c = NULL;
}

bool address_is_loopback(const char *address)
{
    unsigned char bytes[16];
    if (inet_pton(AF_INET, address, bytes) == 1)
        return bytes[0] == 127;
    return inet_pton(AF_INET6, address, bytes) == 1 && memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0;
}
