/*
 * cli_trace.c - tassis trace: the story of a message, or of an address's messages (queue/trace_store.h).
 *
 * Much of it is what strangers said. It is printed with everything escaped that a terminal could take for a command:
 * control characters of ASCII and of Unicode, and what is not UTF-8.
 */
#include <stdio.h>
#include "queue/trace_store.h"
#include "roles/cli.h"
#include "base/banned.h"

enum { MESSAGES_USUAL = 20 };

static enum status open_trace(struct cli *c, struct trace_store **out, struct err *err)
{
    TRY(data_prepare(c->config, err));
    TRY(act_as(c->config, ROLE_RELAY, err));
    enum status st = trace_store_open(data_path(c->config, DATA_TRACE), false, out, err);
    if (st == ST_NOTFOUND)
        return err_set(err, ST_NOTFOUND, "there is no trace yet: the server makes it when it starts");
    return st;
}

/* Octets of the UTF-8 sequence at s[0], or 0 where there is none that may be printed. */
static size_t printable(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (n == 0 || n > s.len || c < ' ' || c == 0x7f)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
    unsigned char d = n > 1 ? (unsigned char)s.p[1] : 0, e = n > 2 ? (unsigned char)s.p[2] : 0;
    bool is_c1 = c == 0xc2 && d < 0xa0;
    bool is_long = (c == 0xe0 && d < 0xa0) || (c == 0xf0 && d < 0x90);
    bool is_beyond = (c == 0xed && d >= 0xa0) || (c == 0xf4 && d >= 0x90);
    /* U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F: invisible, or they turn the writing round */
    bool is_hidden = c == 0xe2 && ((d == 0x80 && ((e >= 0x8b && e <= 0x8f) || (e >= 0xa8 && e <= 0xae))) ||
                                   (d == 0x81 && e >= 0xa0 && e <= 0xaf));
    return is_c1 || is_long || is_beyond || is_hidden ? 0 : n;
}

static void escape(struct span s, struct strbuf *out)
{
    while (s.len) {
        size_t n = printable(s);
        if (n)
            strbuf_add(out, span_take(s, n));
        else
            strbuf_addf(out, "\\x%02x", (unsigned char)s.p[0]);
        s = span_skip(s, n ? n : 1);
    }
}

static void print_escaped(struct span s)
{
    AUTO_STRBUF text = STRBUF_INIT;
    escape(s, &text);
    fwrite(text.p ? text.p : "", 1, text.len, stdout);
}

/* Without what the whole story shares. */
static void print_line(struct arena *a, const struct trace_line *line)
{
    struct span fields = line->record.fields, key, value;
    printf("  ");
    print_escaped(line->record.time);
    printf("  %-5.*s  %.*s", SPAN_ARG(line->record.role), SPAN_ARG(line->record.event));
    while (fields.len && log_field_next(&fields, a, &key, &value)) {
        if (span_eq(key, SPAN("trace")))
            continue;
        printf(" %.*s=", SPAN_ARG(key));
        bool is_quoted = span_find_byte(value, ' ', 0) != SPAN_NPOS || value.len == 0;
        fputs(is_quoted ? "\"" : "", stdout);
        print_escaped(value);
        fputs(is_quoted ? "\"" : "", stdout);
    }
    putchar('\n');
}

static json_t *escaped_json(struct span s)
{
    AUTO_STRBUF text = STRBUF_INIT;
    escape(s, &text);
    return cli_text(strbuf_span(&text));
}

static json_t *line_json(struct arena *a, const struct trace_line *line)
{
    struct span fields = line->record.fields, key, value;
    json_t *pairs = json_object(), *out;
    while (fields.len && log_field_next(&fields, a, &key, &value))
        if (!span_eq(key, SPAN("trace")))
            json_object_set_new_nocheck(pairs, arena_cstr(a, key), escaped_json(value));
    out = json_pack("{s:o,s:o,s:o,s:o,s:o}", "time", escaped_json(line->record.time), "role",
                    escaped_json(line->record.role), "level", escaped_json(line->record.level), "event",
                    escaped_json(line->record.event), "fields", pairs);
    return out;
}

static void print_json(struct arena *a, const struct trace_answer *found)
{
    json_t *list = json_array(), *events = NULL;
    struct span message = SPAN_NONE;
    for (size_t i = 0; i < found->count; i++) {
        const struct trace_line *line = &found->lines[i];
        if (!events || !span_eq(line->trace, message)) {
            message = line->trace;
            events = json_array();
            json_array_append_new(list, json_pack("{s:o,s:o}", "trace", escaped_json(message), "events", events));
        }
        json_array_append_new(events, line_json(a, line));
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

static void print_text(struct arena *a, const struct trace_answer *found)
{
    struct span message = SPAN_NONE;
    for (size_t i = 0; i < found->count; i++) {
        const struct trace_line *line = &found->lines[i];
        if (i == 0 || !span_eq(line->trace, message)) {
            message = line->trace;
            fputs(i ? "\n" : "", stdout);
            print_escaped(message);
            putchar('\n');
        }
        print_line(a, line);
    }
}

/* A Message-ID is kept without its brackets. */
static struct span word_of(const char *text)
{
    struct span word = span_cstr(text);
    bool is_bracketed = word.len > 2 && word.p[0] == '<' && word.p[word.len - 1] == '>';
    return is_bracketed ? span_slice(word, 1, word.len - 1) : word;
}

static enum status read_query(const struct cli *c, struct trace_query *q, struct err *err)
{
    int64_t since = 0;
    uint64_t limit = MESSAGES_USUAL;
    *q = (struct trace_query){.word = word_of(c->words[0])};
    if (q->word.len == 0)
        return err_set(err, ST_SYNTAX, "say the id of a message, or an address");
    if (c->since)
        TRY(cli_read_since("--since", c->since, &since, err));
    if (c->limit && (!span_to_u64(span_cstr(c->limit), TRACE_LIMIT_MAX, &limit) || limit == 0))
        return err_set(err, ST_SYNTAX, "--limit %s: a number from 1 to %d is needed", c->limit, TRACE_LIMIT_MAX);
    q->since_ms = since * 1000;
    q->limit = (size_t)limit;
    return ST_OK;
}

static enum status trace_show(struct cli *c, struct err *err)
{
    AUTO(trace_store) t = NULL;
    struct arena *a = &c->config->arena;
    struct trace_query q;
    struct trace_answer found;
    TRY(read_query(c, &q, err));
    TRY(open_trace(c, &t, err));
    TRY(trace_store_find(t, a, &q, &found, err));
    if (c->is_json)
        print_json(a, &found);
    else
        print_text(a, &found);
    if (found.is_cut)
        fprintf(stderr, "tassis: only the newest %zu messages are shown; --limit shows more\n", found.messages);
    if (found.dropped)
        fprintf(stderr, "tassis: %llu lines of the trace were dropped in this time, so something may be missing\n",
                (unsigned long long)found.dropped);
    if (found.count == 0 && !c->is_json)
        return err_set(err, ST_NOTFOUND, "nothing is known of %.200s", c->words[0]);
    return ST_OK;
}

const struct cli_command trace_commands[] = {
    {"trace", "", "ID|ADDRESS [--since TIME] [--limit N]", 1, 1, trace_show,
     "what happened to a message, or to an address's"},
    {0},
};
