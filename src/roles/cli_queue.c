/* cli_queue.c - tassis queue …. */
#include <stdio.h>
#include <unistd.h>
#include "queue/queue.h"
#include "roles/cli.h"
#include "base/banned.h"

static enum status open_queue(struct cli *c, struct queue **out, struct err *err)
{
    TRY(data_prepare(c->config, err));
    TRY(act_as(c->config, ROLE_RELAY, err));
    return queue_open(data_path(c->config, DATA_QUEUE), true, out, err);
}

static const char *state_name(enum queue_state s)
{
    return s == QUEUE_WAITING ? "waiting" : s == QUEUE_DELIVERED ? "delivered" : "failed";
}

static json_t *message_json(const struct queue_message *m)
{
    json_t *recipients = json_array();
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct queue_recipient *r = &m->recipients[i];
        json_array_append_new(recipients, json_pack("{s:o,s:s,s:I,s:o,s:o}", "address", cli_text(r->address), "state",
                                                    state_name(r->state), "attempts", (json_int_t)r->attempts, "next",
                                                    cli_time(r->next_attempt_at), "reply", cli_text(r->last_reply)));
    }
    struct span sender = m->sender.len ? m->sender : SPAN("<>");
    return json_pack("{s:I,s:o,s:o,s:I,s:o,s:I,s:o}", "id", (json_int_t)m->id, "queued", cli_time(m->queued_at),
                     "sender", cli_text(sender), "size", (json_int_t)m->size, "trace", cli_text(m->trace), "waiting",
                     (json_int_t)m->recipient_count, "recipients", recipients);
}

static enum status queue_list_all(struct cli *c, struct err *err)
{
    AUTO(queue) q = NULL;
    struct queue_message *list;
    size_t count;
    TRY(open_queue(c, &q, err));
    TRY(queue_list(q, &c->config->arena, &list, &count, err));
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, message_json(&list[i]));
    cli_print_list(c, out, (const char *const[]){"id", "queued", "sender", "size", "waiting", NULL});
    return ST_OK;
}

static enum status message_id(const struct cli *c, uint64_t *id, struct err *err)
{
    if (!span_to_u64(span_cstr(c->words[0]), INT64_MAX, id) || *id == 0)
        return err_set(err, ST_SYNTAX, "'%s' is not the number of a message; see 'tassis queue list'", c->words[0]);
    return ST_OK;
}

static void print_message(const json_t *m)
{
    static const char *const keys[] = {"id", "queued", "sender", "size", "trace"};
    size_t i;
    const json_t *r;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *v = json_object_get(m, keys[i]);
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

static enum status queue_retry(struct cli *c, struct err *err)
{
    AUTO(queue) q = NULL;
    uint64_t id = 0;
    if (strcmp(c->words[0], "all") != 0)
        TRY(message_id(c, &id, err));
    TRY(open_queue(c, &q, err));
    return queue_retry_now(q, id, err);
}

static enum status queue_drop_one(struct cli *c, struct err *err)
{
    AUTO(queue) q = NULL;
    uint64_t id;
    TRY(message_id(c, &id, err));
    TRY(open_queue(c, &q, err));
    return queue_drop(q, id, err);
}

const struct cli_command queue_commands[] = {
    {"queue", "list", "", 0, 0, queue_list_all, "what is waiting to go out"},
    {"queue", "show", "ID", 1, 1, queue_show, "one message, with its recipients and what was answered"},
    {"queue", "retry", "ID|all", 1, 1, queue_retry, "try again now"},
    {"queue", "drop", "ID", 1, 1, queue_drop_one, "remove it; nobody is told"},
    {0},
};
