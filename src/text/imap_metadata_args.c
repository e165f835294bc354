/*
 * imap_metadata_args.c - see imap_metadata_args.h.
 */
#include "text/imap_metadata_args.h"
#include "base/banned.h"

/* ---- names ------------------------------------------------------------------------------------------------------ */

static enum status bad_name(struct err *err, const char *why)
{
    return err_set(err, ST_SYNTAX, "not the name of an entry: %s", why);
}

/* §3.2: no "*", no "%", ASCII without control characters; levels that are not empty. */
static enum status check_name(struct span name, struct err *err)
{
    if (name.len > METADATA_NAME_MAX)
        return err_set(err, ST_SYNTAX, "the name of an entry has at most %d octets", METADATA_NAME_MAX);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c >= 0x7f || c == '*' || c == '%')
            return bad_name(err, "a character that may not be in it");
        if (c == '/' && (i + 1 == name.len || name.p[i + 1] == '/'))
            return bad_name(err, "a level is empty");
    }
    return ST_OK;
}

static bool has_prefix(struct span lower, struct span prefix)
{
    return span_starts(lower, prefix) && (lower.len == prefix.len || lower.p[prefix.len] == '/');
}

static size_t levels(struct span path)
{
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++)
        n += path.p[i] == '/';
    return n;
}

static enum status read_name(struct imap_args *args, struct metadata_entry *out, struct err *err)
{
    static const struct span shared = SPAN_INIT("/shared"), private = SPAN_INIT("/private");
    *out = (struct metadata_entry){0};
    TRY(args_astring(args, &out->name, err));
    TRY(check_name(out->name, err));
    char *lower = arena_alloc(args->arena, out->name.len + 1);
    for (size_t i = 0; i < out->name.len; i++)
        lower[i] = ascii_lower(out->name.p[i]);
    struct span name = span_of(lower, out->name.len);
    out->is_private = has_prefix(name, private);
    if (!out->is_private && !has_prefix(name, shared))
        return bad_name(err, "it begins with /private or /shared");
    out->path = span_skip(name, out->is_private ? private.len : shared.len);
    return ST_OK;
}

/* §3.2: what can have a value has a level below its scope, and two below "/vendor". */
static enum status check_settable(const struct metadata_entry *e, struct err *err)
{
    if (!e->path.len)
        return bad_name(err, "there is nothing behind its scope");
    if (has_prefix(e->path, SPAN("/vendor")) && levels(e->path) < 3)
        return bad_name(err, "a vendor's entry is /vendor/NAME/…");
    return ST_OK;
}

bool metadata_is_within(struct span path, struct span base, unsigned depth)
{
    if (span_eq(path, base))
        return true;
    if (!has_prefix(path, base))
        return false;
    return depth == METADATA_DEPTH_ALL || levels(span_skip(path, base.len)) <= depth;
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static enum status next_entry(struct imap_args *args, struct metadata_entries *out, struct metadata_entry **entry,
                              struct err *err)
{
    if (!out->items)
        out->items = arena_array(args->arena, METADATA_COMMAND_ENTRIES_MAX, sizeof *out->items);
    if (out->count == METADATA_COMMAND_ENTRIES_MAX)
        return err_set(err, ST_LIMIT, "a command has at most %d entries", METADATA_COMMAND_ENTRIES_MAX);
    *entry = &out->items[out->count++];
    return read_name(args, *entry, err);
}

enum status metadata_entries_parse(struct imap_args *args, struct metadata_entries *out, struct err *err)
{
    struct metadata_entry *entry;
    *out = (struct metadata_entries){0};
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return n ? ST_OK : err_set(err, ST_SYNTAX, "expected an entry");
        TRY(next_entry(args, out, &entry, err));
    }
}

/* entries = entry / "(" entry *(SP entry) ")" */
static enum status read_entries(struct imap_args *args, struct metadata_entries *out, struct err *err)
{
    struct metadata_entry *entry;
    if (args_next_is(args, '('))
        return metadata_entries_parse(args, out, err);
    return next_entry(args, out, &entry, err);
}

/* ---- GETMETADATA ------------------------------------------------------------------------------------------------ */

static enum status read_depth(struct imap_args *args, unsigned *out, struct err *err)
{
    static const char *const words[] = {"0", "1", "infinity"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (args_take_word(args, words[i])) {
            *out = i;
            return ST_OK;
        }
    return args_expected(args, "0, 1 or infinity", err);
}

static enum status read_option(struct imap_args *args, struct metadata_query *out, struct err *err)
{
    if (args_take_word(args, "MAXSIZE")) {
        out->has_max = true;
        TRY(args_sp(args, err));
        return args_number(args, &out->max_size, err);
    }
    if (!args_take_word(args, "DEPTH"))
        return args_expected(args, "MAXSIZE or DEPTH", err);
    TRY(args_sp(args, err));
    return read_depth(args, &out->depth, err);
}

static enum status read_options(struct imap_args *args, struct metadata_query *out, struct err *err)
{
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return n ? args_sp(args, err) : err_set(err, ST_SYNTAX, "expected MAXSIZE or DEPTH");
        TRY(read_option(args, out, err));
    }
}

/* Behind the mailbox a list is one of options or of entries; entries begin with a slash. */
static bool are_options_next(const struct imap_args *args)
{
    struct imap_args ahead = *args;
    return args_take(&ahead, '(') && (args_take_word(&ahead, "MAXSIZE") || args_take_word(&ahead, "DEPTH"));
}

enum status metadata_query_parse(struct imap_args *args, struct metadata_query *out, struct err *err)
{
    *out = (struct metadata_query){0};
    TRY(args_sp(args, err));
    bool are_first = args_next_is(args, '(');
    if (are_first)
        TRY(read_options(args, out, err));
    TRY(args_mailbox(args, &out->mailbox, err));
    TRY(args_sp(args, err));
    if (!are_first && are_options_next(args))
        TRY(read_options(args, out, err));
    TRY(read_entries(args, &out->entries, err));
    return args_end(args, err);
}

/* ---- SETMETADATA ------------------------------------------------------------------------------------------------ */

/* value = nstring / literal8 */
static enum status read_value(struct imap_args *args, struct metadata_entry *e, struct err *err)
{
    e->has_value = true;
    if (args_next_is(args, '~'))
        return args_literal8(args, &e->value, err);
    return args_nstring(args, &e->has_value, &e->value, err);
}

enum status metadata_change_parse(struct imap_args *args, struct span *mailbox, struct metadata_entries *out,
                                  struct err *err)
{
    *out = (struct metadata_entries){0};
    TRY(args_sp(args, err));
    TRY(args_mailbox(args, mailbox, err));
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        struct metadata_entry *entry;
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return n ? args_end(args, err) : err_set(err, ST_SYNTAX, "expected an entry");
        TRY(next_entry(args, out, &entry, err));
        TRY(check_settable(entry, err));
        TRY(args_sp(args, err));
        TRY(read_value(args, entry, err));
    }
}
