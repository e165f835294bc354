/*
 * cmd_lsub.c - LSUB (RFC 3501 §6.3.9): the subscribed names. What of them exists is not looked at.
 */
#include "base/map.h"
#include "imap/commands.h"
#include "imap/names.h"
#include "text/imap_pattern.h"
#include "base/banned.h"

struct line {
    struct span name;
    bool is_noselect;
};

struct lines {
    struct line *items; /* room for all that can be told */
    size_t count;
    size_t written;
};

static enum status write_lines(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct lines *lines = call->work;
    struct strbuf *out = imap_out(im);
    (void)err;
    while (lines->written < lines->count && out->len < SESSION_OUT_HIGH) {
        const struct line *line = &lines->items[lines->written++];
        strbuf_addf(out, "* LSUB (%s) \"/\" ", line->is_noselect ? "\\Noselect" : "");
        imap_write_name(im, line->name, out);
        strbuf_add_cstr(out, "\r\n");
    }
    *is_done = lines->written == lines->count;
    return ST_OK;
}

/* "foo/bar" is subscribed and "foo" is not: LSUB "%" answers "foo" as \Noselect. */
static void add_parents(const struct imap_pattern *pattern, struct span name, struct map *seen, struct lines *lines)
{
    for (size_t at = span_find_byte(name, '/', 0); at != SPAN_NPOS; at = span_find_byte(name, '/', at + 1)) {
        struct span parent = span_take(name, at);
        if (!imap_pattern_match(pattern, parent) || map_get(seen, parent))
            continue;
        lines->items[lines->count++] = (struct line){parent, true};
        map_put(seen, parent, lines);
    }
}

static size_t levels(struct span name)
{
    size_t n = 1;
    for (size_t i = 0; i < name.len; i++)
        n += name.p[i] == '/';
    return n;
}

/* A parent comes before its children: what is subscribed is seen before it is wanted as a parent. */
static void collect(struct arena *a, const struct imap_pattern *pattern, bool has_percent, const struct span *names,
                    size_t count, struct lines *lines)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += has_percent ? levels(names[i]) : 1;
    lines->items = arena_array(a, room, sizeof *lines->items);
    struct map *seen = map_new();
    for (size_t i = 0; i < count; i++) {
        if (imap_pattern_match(pattern, names[i])) {
            lines->items[lines->count++] = (struct line){names[i], false};
            map_put(seen, names[i], lines);
        } else if (has_percent) {
            add_parents(pattern, names[i], seen, lines);
        }
    }
    map_free(&seen);
}

enum status cmd_lsub(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span reference, text, *names;
    struct imap_pattern *pattern;
    size_t count;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &reference, err));
    TRY(args_sp(&call->args, err));
    TRY(args_list_mailbox(&call->args, &text, err));
    TRY(args_end(&call->args, err));
    if (!text.len) {
        imap_untagged(im, "LSUB (\\Noselect) \"/\" \"\"");
        return ST_OK;
    }
    struct span canonical = arena_printf(&call->arena, "%.*s%.*s", SPAN_ARG(reference), SPAN_ARG(text));
    TRY(imap_pattern_compile(&call->arena, canonical, &pattern, err));
    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(subscription_list(txn, &call->arena, &names, &count, err));
    txn_free(&txn);

    struct lines *lines = arena_alloc(&call->arena, sizeof *lines);
    collect(&call->arena, pattern, span_find_byte(canonical, '%', 0) != SPAN_NPOS, names, count, lines);
    call->work = lines;
    call->produce = write_lines;
    return ST_OK;
}
