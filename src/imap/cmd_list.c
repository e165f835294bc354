/*
 * cmd_list.c - LIST (RFC 3501 §6.3.8, RFC 3348, RFC 6154) and LSUB (§6.3.9).
 *
 * Both first collect the lines they will write, in one transaction, then write them as the client takes them.
 */
#include "base/map.h"
#include "imap/commands.h"
#include "imap/names.h"
#include "imap/place.h"
#include "text/imap_pattern.h"
#include "base/banned.h"

struct line {
    struct span name;
    bool is_noselect;
    bool has_children;
    enum special_use use;
};

struct lines {
    bool is_lsub;
    struct line *items;
    size_t count, cap;
    size_t written;
};

struct list_args {
    struct span pattern; /* with the reference before it */
    struct imap_pattern *compiled;
    bool is_empty; /* LIST "" "" asks for the separator */
    bool only_special;
};

static struct line *add_line(struct arena *a, struct lines *lines, struct span name)
{
    if (lines->count == lines->cap) {
        size_t cap = lines->cap ? lines->cap * 2 : 32;
        struct line *more = arena_array(a, cap, sizeof *more);
        if (lines->count)
            memcpy(more, lines->items, lines->count * sizeof *more);
        lines->items = more;
        lines->cap = cap;
    }
    struct line *line = &lines->items[lines->count++];
    *line = (struct line){.name = name};
    return line;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static void write_line(const struct imap *im, const struct lines *lines, const struct line *line, struct strbuf *out)
{
    strbuf_addf(out, "* %s (", lines->is_lsub ? "LSUB" : "LIST");
    if (line->is_noselect)
        strbuf_add_cstr(out, lines->is_lsub ? "\\Noselect" : "\\Noselect ");
    if (!lines->is_lsub)
        strbuf_add_cstr(out, line->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (!lines->is_lsub && imap_use_name(line->use))
        strbuf_addf(out, " \\%s", imap_use_name(line->use));
    strbuf_add_cstr(out, ") \"/\" ");
    imap_write_name(im, line->name, out);
    strbuf_add_cstr(out, "\r\n");
}

static enum status write_lines(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct lines *lines = call->work;
    struct strbuf *out = imap_out(im);
    (void)err;
    while (lines->written < lines->count && out->len < SESSION_OUT_HIGH)
        write_line(im, lines, &lines->items[lines->written++], out);
    *is_done = lines->written == lines->count;
    return ST_OK;
}

static void write_later(struct imap_call *call, struct lines *lines)
{
    call->work = lines;
    call->produce = write_lines;
}

/* ---- arguments ------------------------------------------------------------------------------------------------ */

/* "(SPECIAL-USE)": the only selection there is. */
static enum status read_selection(struct imap_args *args, bool *only_special, struct err *err)
{
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        if (!args_take_word(args, "SPECIAL-USE"))
            return args_expected(args, "SPECIAL-USE", err);
        *only_special = true;
    }
    return args_sp(args, err);
}

/* "RETURN (SPECIAL-USE CHILDREN)": told anyway. */
static enum status read_return(struct imap_args *args, struct err *err)
{
    if (args_at_end(args))
        return ST_OK;
    TRY(args_sp(args, err));
    if (!args_take_word(args, "RETURN"))
        return args_expected(args, "RETURN", err);
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        if (!args_take_word(args, "SPECIAL-USE") && !args_take_word(args, "CHILDREN"))
            return args_expected(args, "a return option", err);
    }
}

static enum status read_args(struct imap_call *call, bool is_lsub, struct list_args *out, struct err *err)
{
    struct imap_args *args = &call->args;
    struct span reference, pattern;
    *out = (struct list_args){0};
    TRY(args_sp(args, err));
    if (!is_lsub && args_next_is(args, '('))
        TRY(read_selection(args, &out->only_special, err));
    TRY(args_mailbox(args, &reference, err));
    TRY(args_sp(args, err));
    TRY(args_list_mailbox(args, &pattern, err));
    if (!is_lsub)
        TRY(read_return(args, err));
    TRY(args_end(args, err));
    out->is_empty = pattern.len == 0;
    out->pattern = arena_printf(&call->arena, "%.*s%.*s", SPAN_ARG(reference), SPAN_ARG(pattern));
    return imap_pattern_compile(&call->arena, out->pattern, &out->compiled, err);
}

/* ---- what others share ------------------------------------------------------------------------------------------ */

/* Levels above a mailbox, which stand for nothing themselves ("Other Users/bob@example.test"), once each. */
static void add_levels(struct arena *a, const struct list_args *wanted, struct span name, struct map *seen,
                       struct lines *lines)
{
    for (size_t at = span_find_byte(name, '/', 0); at != SPAN_NPOS; at = span_find_byte(name, '/', at + 1)) {
        struct span level = span_take(name, at);
        if (map_get(seen, level))
            continue;
        map_put(seen, level, lines);
        if (!imap_pattern_match(wanted->compiled, level))
            continue;
        struct line *line = add_line(a, lines, level);
        line->is_noselect = line->has_children = true;
    }
}

/* Mailboxes of one owner that this user may see (RFC 4314 §4: without "l" as if they did not exist). */
static enum status add_owner(struct imap *im, struct arena *a, const struct principal *who,
                             const struct sharing_owner *owner, const struct list_args *wanted, struct map *seen,
                             struct lines *lines, struct err *err)
{
    struct span prefix = imap_owner_prefix(a, owner);
    if (!imap_pattern_may_match_below(wanted->compiled, prefix) &&
        !imap_pattern_match(wanted->compiled, span_take(prefix, prefix.len - 1)) &&
        !imap_pattern_match(wanted->compiled, span_take(prefix, span_find_byte(prefix, '/', 0))))
        return ST_OK;
    AUTO(account) account = NULL;
    AUTO(txn) txn = NULL;
    struct mailbox *all;
    acl_rights *rights;
    size_t count, n = 0;
    TRY(account_open(imap_mail_app(im)->store, owner->address, &account, err));
    TRY(store_begin(account, TXN_READ, &txn, err));
    TRY(acl_mailboxes(txn, who, a, &all, &rights, &count, err));
    for (size_t i = 0; i < count; i++)
        if (rights[i] & ACL_LOOKUP)
            all[n++] = all[i];
    for (size_t i = 0; i < n; i++) {
        struct span name = arena_printf(a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(all[i].name));
        add_levels(a, wanted, name, seen, lines);
        map_put(seen, name, lines);
        if (!imap_pattern_match(wanted->compiled, name))
            continue;
        struct line *line = add_line(a, lines, name);
        line->is_noselect = all[i].is_noselect;
        line->has_children = i + 1 < n && span_starts(all[i + 1].name, all[i].name) &&
                             all[i + 1].name.len > all[i].name.len && all[i + 1].name.p[all[i].name.len] == '/';
    }
    return ST_OK;
}

/* An owner whose account cannot be opened is passed over: the others' mailboxes are not to vanish with it. */
static enum status add_shared(struct imap *im, struct arena *a, const struct list_args *wanted, struct lines *lines,
                              struct err *err)
{
    struct principal who;
    struct sharing_owner *owners;
    size_t count;
    TRY(imap_principal(im, a, &who, err));
    TRY(directory_owners_for(store_directory(imap_mail_app(im)->store), a, &who, &owners, &count, err));
    struct map *seen = map_new();
    for (size_t i = 0; i < count; i++) {
        struct err failed;
        if (add_owner(im, a, &who, &owners[i], wanted, seen, lines, &failed) == ST_OK)
            continue;
        struct log_line l;
        session_log_begin(im->session, &l, LOG_ERROR, "share-failed");
        log_span(&l, "owner", owners[i].address);
        log_err(&l, &failed);
        log_end(&l);
    }
    map_free(&seen);
    return ST_OK;
}

/* ---- LIST ----------------------------------------------------------------------------------------------------- */

enum status cmd_list(struct imap *im, struct imap_call *call, struct err *err)
{
    struct list_args wanted;
    TRY(read_args(call, false, &wanted, err));
    if (wanted.is_empty) {
        imap_untagged(im, "LIST (\\Noselect) \"/\" \"\"");
        return ST_OK;
    }
    struct mailbox *all;
    size_t count;
    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(mailbox_list(txn, &call->arena, &all, &count, err));
    txn_free(&txn);

    struct lines *lines = arena_alloc(&call->arena, sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        const struct mailbox *m = &all[i];
        if ((wanted.only_special && m->use == USE_NONE) || !imap_pattern_match(wanted.compiled, m->name))
            continue;
        struct line *line = add_line(&call->arena, lines, m->name);
        line->is_noselect = m->is_noselect;
        line->has_children = m->has_children;
        line->use = m->use;
    }
    if (!wanted.only_special)
        TRY(add_shared(im, &call->arena, &wanted, lines, err));
    write_later(call, lines);
    return ST_OK;
}

/* ---- LSUB ----------------------------------------------------------------------------------------------------- */

/* RFC 3501 §6.3.9: "foo/bar" is subscribed and "foo" is not: LSUB "%" answers "foo" as \Noselect. */
static void add_parents(struct arena *a, const struct imap_pattern *pattern, struct span name, struct map *seen,
                        struct lines *lines)
{
    for (size_t at = span_find_byte(name, '/', 0); at != SPAN_NPOS; at = span_find_byte(name, '/', at + 1)) {
        struct span parent = span_take(name, at);
        if (imap_pattern_match(pattern, parent) && !map_get(seen, parent)) {
            add_line(a, lines, parent)->is_noselect = true;
            map_put(seen, parent, lines);
        }
    }
}

enum status cmd_lsub(struct imap *im, struct imap_call *call, struct err *err)
{
    struct list_args wanted;
    TRY(read_args(call, true, &wanted, err));
    if (wanted.is_empty) {
        imap_untagged(im, "LSUB (\\Noselect) \"/\" \"\"");
        return ST_OK;
    }
    struct span *names;
    size_t count;
    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(subscription_list(txn, &call->arena, &names, &count, err));
    txn_free(&txn);

    struct lines *lines = arena_alloc(&call->arena, sizeof *lines);
    /* A parent comes before its children: what is subscribed is seen before it is wanted as a parent. */
    struct map *seen = map_new();
    lines->is_lsub = true;
    bool has_percent = span_find_byte(wanted.pattern, '%', 0) != SPAN_NPOS;
    for (size_t i = 0; i < count; i++) {
        if (imap_pattern_match(wanted.compiled, names[i])) {
            add_line(&call->arena, lines, names[i]);
            map_put(seen, names[i], lines);
        } else if (has_percent) {
            add_parents(&call->arena, wanted.compiled, names[i], seen, lines);
        }
    }
    map_free(&seen);
    write_later(call, lines);
    return ST_OK;
}
