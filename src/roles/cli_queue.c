/* cli_queue.c - tassis queue …. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "queue/queue.h"
#include "roles/cli.h"
#include "base/banned.h"

static enum status open_queue(struct cli *c, struct queue **out, struct err *err)
{
    TRY(data_prepare(c->config, err));
    TRY(act_as(c->config, ROLE_RELAY, err));
    return queue_open(data_path(c->config, DATA_QUEUE), true, out, err);
}

static const char *state_name(const struct queue_message *m, enum queue_state s)
{
    static const char *const names[] = {
        [QUEUE_WAITING] = "waiting", [QUEUE_DELIVERED] = "delivered", [QUEUE_FAILED] = "failed", [QUEUE_HELD] = "held"};
    bool is_scheduled = s == QUEUE_WAITING && m->wishes.hold_until > clock_wall_ms() / 1000; /* by its sender */
    return is_scheduled ? "scheduled" : names[s];
}

static json_t *message_json(const struct queue_message *m)
{
    json_t *recipients = json_array();
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct queue_recipient *r = &m->recipients[i];
        json_array_append_new(recipients, json_pack("{s:o,s:s,s:I,s:o,s:o}", "address", cli_text(r->address), "state",
                                                    state_name(m, r->state), "attempts", (json_int_t)r->attempts,
                                                    "next", cli_time(r->next_attempt_at > 0 ? r->next_attempt_at : 0),
                                                    "reply", cli_text(r->last_reply)));
    }
    struct span sender = m->sender.len ? m->sender : SPAN("<>");
    const struct queue_wishes *w = &m->wishes;
    json_t *out = json_pack("{s:I,s:o,s:o,s:I,s:o,s:I,s:o}", "id", (json_int_t)m->id, "queued", cli_time(m->queued_at),
                            "sender", cli_text(sender), "size", (json_int_t)m->size, "trace", cli_text(m->trace),
                            "waiting", (json_int_t)m->recipient_count, "recipients", recipients);
    if (w->hold_until)
        json_object_set_new(out, "hold_until", cli_time(w->hold_until));
    if (w->by)
        json_object_set_new(out, w->by == QUEUE_BY_RETURN ? "return_at" : "notify_at", cli_time(w->deliver_by));
    if (w->priority)
        json_object_set_new(out, "priority", json_integer(w->priority));
    if (w->is_tls_required)
        json_object_set_new(out, "requiretls", json_true());
    return out;
}

static enum status message_id(const struct cli *c, uint64_t *id, struct err *err)
{
    if (!span_to_u64(span_cstr(c->words[0]), INT64_MAX, id) || *id == 0)
        return err_set(err, ST_SYNTAX, "'%s' is not the number of a message; see 'tassis queue list'", c->words[0]);
    return ST_OK;
}

/* Which messages are meant: a number, "all", or the options. needs_one: at least one of these must be said. */
static enum status read_filter(struct cli *c, bool needs_one, struct queue_filter *f, struct err *err)
{
    bool is_all = c->word_count && strcmp(c->words[0], "all") == 0;
    *f = (struct queue_filter){0};
    if (c->word_count && !is_all)
        TRY(message_id(c, &f->id, err));
    if (c->domain)
        TRY(cli_domain(c, c->domain, &f->domain, err));
    if (c->sender)
        f->sender = span_cstr(c->sender);
    if (c->older)
        TRY(cli_read_since("--older", c->older, &f->queued_before, err));
    if (needs_one && !c->word_count && !c->domain && !c->sender && !c->older)
        return err_set(err, ST_SYNTAX, "say which: a number, all, --domain, --sender or --older");
    return ST_OK;
}

struct printing {
    struct cli *cli;
    bool is_any;
};

static bool print_one(void *ctx, const struct queue_message *m)
{
    struct printing *p = ctx;
    json_t *out = message_json(m);
    if (p->cli->is_json) { /* piece by piece: a queue may be longer than memory */
        fputs(p->is_any ? ",\n " : "[", stdout);
        json_dumpf(out, stdout, 0);
    } else {
        printf("%lld\t%s\t%s\t%lld\t%lld\n", (long long)m->id, json_string_value(json_object_get(out, "queued")),
               json_string_value(json_object_get(out, "sender")), (long long)m->size, (long long)m->recipient_count);
    }
    json_decref(out);
    p->is_any = true;
    return true;
}

static enum status queue_list(struct cli *c, struct err *err)
{
    AUTO(queue) q = NULL;
    struct queue_filter f;
    struct printing p = {.cli = c};
    TRY(read_filter(c, false, &f, err));
    TRY(open_queue(c, &q, err));
    TRY(queue_each(q, &f, print_one, &p, err));
    if (c->is_json)
        puts(p.is_any ? "]" : "[]");
    return ST_OK;
}

static void print_message(const json_t *m)
{
    static const char *const keys[] = {"id",         "queued",    "sender",    "size",    "trace",
                                       "hold_until", "return_at", "notify_at", "priority"};
    size_t i;
    const json_t *r;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *v = json_object_get(m, keys[i]);
        if (!v)
            continue;
        if (json_is_integer(v))
            printf("%s\t%lld\n", keys[i], (long long)json_integer_value(v));
        else
            printf("%s\t%s\n", keys[i], json_string_value(v));
    }
    json_array_foreach(json_object_get(m, "recipients"), i, r) printf(
        "to\t%s\t%s\tattempts %lld\tnext %s\t%s\n", json_string_value(json_object_get(r, "address")),
        json_string_value(json_object_get(r, "state")), (long long)json_integer_value(json_object_get(r, "attempts")),
        json_string_value(json_object_get(r, "next")), json_string_value(json_object_get(r, "reply")));
}

static enum status queue_show(struct cli *c, struct err *err)
{
    AUTO(queue) q = NULL;
    struct queue_message m;
    uint64_t id;
    TRY(message_id(c, &id, err));
    TRY(open_queue(c, &q, err));
    TRY(queue_get(q, &c->config->arena, id, &m, err));
    json_t *out = message_json(&m);
    if (c->is_json) {
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_message(out);
    }
    json_decref(out);
    return ST_OK;
}

/* The relay looks when something comes out of this. */
static void wake_relay(struct cli *c)
{
    int fd = open(data_path(c->config, DATA_QUEUE_WAKE), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) /* no relay runs: it looks when it starts */
        return;
    ssize_t ignored = write(fd, "q", 1);
    (void)ignored;
    close(fd);
}

static enum status act(struct cli *c, enum queue_action action, struct err *err)
{
    AUTO(queue) q = NULL;
    struct queue_filter f;
    size_t count = 0;
    TRY(read_filter(c, true, &f, err));
    TRY(open_queue(c, &q, err));
    TRY(queue_act(q, &f, action, &count, err));
    if (c->is_json)
        printf("{\"messages\": %zu}\n", count);
    else if (!f.id)
        printf("%zu messages\n", count);
    wake_relay(c);
    return ST_OK;
}

static enum status queue_retry(struct cli *c, struct err *err)
{
    return act(c, QUEUE_RETRY, err);
}

static enum status queue_hold(struct cli *c, struct err *err)
{
    return act(c, QUEUE_HOLD, err);
}

static enum status queue_release(struct cli *c, struct err *err)
{
    return act(c, QUEUE_RELEASE, err);
}

static enum status queue_drop(struct cli *c, struct err *err)
{
    return act(c, QUEUE_DROP, err);
}

#define WHICH "[ID|all] [--domain D] [--sender S] [--older TIME]"

const struct cli_command queue_commands[] = {
    {"queue", "list", "[--domain D] [--sender S] [--older TIME]", 0, 0, queue_list, "what is waiting to go out"},
    {"queue", "show", "ID", 1, 1, queue_show, "one message, with its recipients and what was answered"},
    {"queue", "retry", WHICH, 0, 1, queue_retry, "try again now"},
    {"queue", "hold", WHICH, 0, 1, queue_hold, "do not try until it is released"},
    {"queue", "release", WHICH, 0, 1, queue_release, "what was held, here or by its sender, is tried now"},
    {"queue", "drop", WHICH, 0, 1, queue_drop, "remove it; nobody is told"},
    {0},
};
