/* options.c - the command line as a table (bench.h). */
#include <stdio.h>
#include <stdlib.h>
#include "bench.h"

struct options opt = {
    .host = "127.0.0.1",
    .domain = "example.test",
    .user = "user%u@example.test",
    .password = "secret",
    .mailbox = "INBOX",
    .target = "Bench-target",
    .from = "sender@elsewhere.test",
    .what = "flags",
    .dir = ".",
    .connections = 1,
    .accounts = 1,
    .size = 10240,
    .repeat = 1,
    .pipeline = 1,
    .sessions = 100,
    .watchers = 100,
    .sample = 10,
    .files = 1,
    .timeout_s = 60,
};

enum kind { TEXT, SIZE, U64, PORT, REAL, SWITCH };
static const struct option {
    const char *name;
    enum kind kind;
    void *value;
    bool *given; /* set where not NULL */
    const char *what;
} options[] = {
    {"--host", TEXT, &opt.host, NULL, "numeric address (127.0.0.1)"},
    {"--port", PORT, &opt.port, NULL, "of the service"},
    {"--unix", TEXT, &opt.unix_path, NULL, "a socket's path instead of host and port"},
    {"--smtp-port", PORT, &opt.smtp_port, NULL, "notify: deliver there instead of by APPEND"},
    {"--lmtp", SWITCH, &opt.is_lmtp, NULL, "--smtp-port speaks LMTP"},
    {"--listen", PORT, &opt.listen, NULL, "sink: where to listen"},
    {"--tls", SWITCH, &opt.is_tls, NULL, "TLS from the first byte"},
    {"--starttls", SWITCH, &opt.is_starttls, NULL, "TLS by STARTTLS or STLS"},
    {"--resume", SWITCH, &opt.is_resumed, NULL, "resume TLS sessions by ticket"},
    {"--domain", TEXT, &opt.domain, NULL, "of --to and EHLO (example.test)"},
    {"--user", TEXT, &opt.user, NULL, "login name, %u is the account's number (user%u@example.test)"},
    {"--password", TEXT, &opt.password, NULL, "of all accounts (secret)"},
    {"--to", TEXT, &opt.to, NULL, "local part of the one recipient"},
    {"--rcpt", TEXT, &opt.rcpt, NULL, "recipients' template, as --user (which is the default)"},
    {"--from", TEXT, &opt.from, NULL, "envelope sender of inbound mail"},
    {"--mailbox", TEXT, &opt.mailbox, NULL, "as the server names it (INBOX)"},
    {"--target", TEXT, &opt.target, NULL, "where copy and move go; made where it is not there (Bench-target)"},
    {"--connections", SIZE, &opt.connections, NULL, "at the same time"},
    {"--accounts", SIZE, &opt.accounts, NULL, "user0 … userN-1"},
    {"--size", SIZE, &opt.size, &opt.has_size, "octets of a message (10240)"},
    {"--messages", SIZE, &opt.messages, NULL, "how many the mailbox has, or is to have"},
    {"--per-connection", SIZE, &opt.per_connection, NULL,
     "messages before QUIT and a new connection (0: all; submission: 1)"},
    {"--repeat", SIZE, &opt.repeat, NULL, "how often"},
    {"--pipeline", SIZE, &opt.pipeline, NULL, "append: commands under way at a time"},
    {"--sessions", SIZE, &opt.sessions, NULL, "idle: how many"},
    {"--watchers", SIZE, &opt.watchers, NULL, "notify: how many"},
    {"--sample", SIZE, &opt.sample, NULL, "verify: messages looked into for each account"},
    {"--changes", SIZE, &opt.changes, NULL, "resync: flag changes by another session"},
    {"--files", SIZE, &opt.files, NULL, "limit-flush: how many"},
    {"--wrap", SIZE, &opt.wrap, NULL, "limit-flush: write again into the same so many octets instead of appending"},
    {"--dir", TEXT, &opt.dir, NULL, "limit-flush: where"},
    {"--count", U64, &opt.count, NULL, "end after so many"},
    {"--seconds", REAL, &opt.seconds, NULL, "end after that time (5 where nothing is said)"},
    {"--expect", U64, &opt.expect, &opt.has_expect, "how many must be found"},
    {"--timeout", REAL, &opt.timeout_s, NULL, "seconds that a server may be silent (60)"},
    {"--what", TEXT, &opt.what, NULL, "fetch: flags, envelope, bodystructure, body"},
    {"--keys", TEXT, &opt.keys, NULL, "search: the keys"},
    {"--qresync", SWITCH, &opt.is_qresync, NULL, "resync by QRESYNC or CHANGEDSINCE where offered"},
};
enum { OPTIONS = sizeof options / sizeof *options };

void options_usage(void)
{
    for (size_t i = 0; i < OPTIONS; i++)
        fprintf(stderr, "  %-17s %s\n", options[i].name, options[i].what);
}

static void set(const struct option *o, const char *text)
{
    uint64_t n = 0;
    char *end = NULL;
    if (o->kind == SIZE || o->kind == U64 || o->kind == PORT) {
        uint64_t max = o->kind == PORT ? 65535 : UINT64_C(1) << 40;
        if (!span_to_u64(span_cstr(text), max, &n))
            bench_fail("%s: %s is no number, or too great", o->name, text);
    }
    switch (o->kind) {
    case TEXT:
        *(const char **)o->value = text;
        break;
    case SIZE:
        *(size_t *)o->value = n;
        break;
    case U64:
        *(uint64_t *)o->value = n;
        break;
    case PORT:
        *(uint16_t *)o->value = (uint16_t)n;
        break;
    case REAL:
        *(double *)o->value = strtod(text, &end);
        if (end == text || *end || *(double *)o->value < 0)
            bench_fail("%s: %s is no number", o->name, text);
        break;
    case SWITCH:
        *(bool *)o->value = true;
        break;
    }
    if (o->given)
        *o->given = true;
}

void options_parse(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const struct option *o = options;
        while (o < options + OPTIONS && strcmp(o->name, argv[i]) != 0)
            o++;
        if (o == options + OPTIONS)
            bench_fail("unknown option %s", argv[i]);
        if (o->kind == SWITCH)
            set(o, "");
        else if (++i < argc)
            set(o, argv[i]);
        else
            bench_fail("option %s has no value", o->name);
    }
    if (!opt.count && opt.seconds == 0)
        opt.seconds = 5;
    if (opt.connections == 0 || opt.accounts == 0)
        bench_fail("--connections and --accounts are at least 1");
}

void account_name(struct strbuf *out, const char *pattern, uint64_t number)
{
    const char *mark = strstr(pattern, "%u");
    if (!mark) {
        strbuf_add_cstr(out, pattern);
        return;
    }
    strbuf_add_bytes(out, pattern, (size_t)(mark - pattern));
    strbuf_add_u64(out, number);
    strbuf_add_cstr(out, mark + 2);
}

void recipient_name(struct strbuf *out, uint64_t number)
{
    if (opt.to)
        strbuf_addf(out, "%s@%s", opt.to, opt.domain);
    else
        account_name(out, opt.rcpt ? opt.rcpt : opt.user, number % opt.accounts);
}
