/*
 * imap_fetch_args.c - see imap_fetch_args.h. The table says which items there are; only sections have a grammar of
 * their own.
 */
#include "text/imap_fetch_args.h"
#include "text/header.h"
#include "text/imap_structure.h"
#include "base/banned.h"

static const struct item_name {
    const char *name;
    enum fetch_kind kind;
    enum mime_section section;
    bool sets_seen;
    bool has_section_form; /* with "[" behind it, it is another item */
} item_names[] = {
    {"FLAGS", FETCH_FLAGS, 0, false, false},
    {"UID", FETCH_UID, 0, false, false},
    {"INTERNALDATE", FETCH_INTERNALDATE, 0, false, false},
    {"EMAILID", FETCH_EMAILID, 0, false, false},
    {"THREADID", FETCH_THREADID, 0, false, false},
    {"PREVIEW", FETCH_PREVIEW, 0, false, false},
    {"SAVEDATE", FETCH_SAVEDATE, 0, false, false},
    {"MODSEQ", FETCH_MODSEQ, 0, false, false},
    {"ENVELOPE", FETCH_ENVELOPE, 0, false, false},
    {"BODYSTRUCTURE", FETCH_BODYSTRUCTURE, 0, false, false},
    {"BODY", FETCH_BODY, 0, true, true},
    {"BODY.PEEK", FETCH_SECTION, 0, false, true},
    {"BINARY", FETCH_BINARY, 0, true, true},
    {"BINARY.PEEK", FETCH_BINARY, 0, false, true},
    {"BINARY.SIZE", FETCH_BINARY_SIZE, 0, false, true},
    {"RFC822", FETCH_SECTION, MIME_SECTION_WHOLE, true, false},
    {"RFC822.SIZE", FETCH_SIZE, 0, false, false},
    {"RFC822.HEADER", FETCH_SECTION, MIME_SECTION_HEADER, false, false},
    {"RFC822.TEXT", FETCH_SECTION, MIME_SECTION_TEXT, true, false},
};

/* RFC 3501 §6.4.5: each macro stands for the items up to here. */
static const enum fetch_kind macro_items[] = {FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY};
static const struct {
    const char *name;
    size_t count;
} macros[] = {{"FAST", 3}, {"ALL", 4}, {"FULL", 5}};

struct reader {
    struct imap_args *args;
    struct fetch_args *out;
    size_t cap;
    size_t fields; /* names read so far */
};

static enum status add_item(struct reader *r, struct fetch_item **item, struct err *err)
{
    struct fetch_args *f = r->out;
    if (f->count == FETCH_ITEMS_MAX)
        return err_set(err, ST_LIMIT, "more than %d items in one FETCH", FETCH_ITEMS_MAX);
    if (f->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 8;
        struct fetch_item *items = arena_array(r->args->arena, r->cap, sizeof *items);
        if (f->count)
            memcpy(items, f->items, f->count * sizeof *items);
        f->items = items;
    }
    *item = &f->items[f->count++];
    return ST_OK;
}

/* header-list of RFC 3501 §9: "(" header-fld-name *(SP header-fld-name) ")". */
static enum status field_names(struct reader *r, struct fetch_item *item, struct err *err)
{
    struct imap_args *args = r->args;
    size_t cap = 0;
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        if (n == 0 && args_next_is(args, ')'))
            return args_expected(args, "the name of a header field", err);
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        if (++r->fields > FETCH_FIELDS_MAX)
            return err_set(err, ST_LIMIT, "more than %d header fields in one FETCH", FETCH_FIELDS_MAX);
        if (n == cap) {
            cap = cap ? cap * 2 : 8;
            struct span *fields = arena_array(args->arena, cap, sizeof *fields);
            if (n)
                memcpy(fields, item->fields, n * sizeof *fields);
            item->fields = fields;
        }
        TRY(args_astring(args, &item->fields[n], err));
        item->field_count = n + 1;
    }
}

/* The numbers of section-part; a dot behind the last one leads to a word. */
static enum status section_numbers(struct imap_args *args, struct fetch_item *item, bool *is_word_next, struct err *err)
{
    uint32_t numbers[FETCH_SECTION_DEPTH_MAX];
    *is_word_next = !args_next_is(args, ']');
    while (*is_word_next && args->rest.len && ascii_is_digit(args->rest.p[0])) {
        if (item->depth == FETCH_SECTION_DEPTH_MAX)
            return err_set(err, ST_LIMIT, "section is deeper than %d levels", FETCH_SECTION_DEPTH_MAX);
        TRY(args_nz_number(args, &numbers[item->depth++], err));
        *is_word_next = args_take(args, '.');
    }
    item->numbers = arena_array(args->arena, item->depth + 1, sizeof *numbers);
    memcpy(item->numbers, numbers, item->depth * sizeof *numbers);
    return ST_OK;
}

/* section-text; the longer words first, because args_take_word() stops at a dot no more than the grammar does. */
static enum status section_word(struct reader *r, struct fetch_item *item, struct err *err)
{
    struct imap_args *args = r->args;
    if (args_take_word(args, "HEADER.FIELDS.NOT"))
        item->fields_mode = FETCH_FIELDS_NOT;
    else if (args_take_word(args, "HEADER.FIELDS"))
        item->fields_mode = FETCH_FIELDS_ONLY;
    else if (args_take_word(args, "TEXT"))
        item->section = MIME_SECTION_TEXT;
    else if (args_take_word(args, "HEADER"))
        item->section = MIME_SECTION_HEADER;
    else if (item->depth && args_take_word(args, "MIME"))
        item->section = MIME_SECTION_MIME;
    else
        return args_expected(args, "a section such as HEADER, TEXT or 1.2", err);
    if (item->fields_mode == FETCH_FIELDS_ALL)
        return ST_OK;
    item->section = MIME_SECTION_HEADER;
    return field_names(r, item, err);
}

/* "<" number "." nz-number ">" */
static enum status partial(struct imap_args *args, struct fetch_item *item, struct err *err)
{
    if (!args_take(args, '<'))
        return ST_OK;
    item->is_partial = true;
    TRY(args_number64(args, &item->offset, err));
    TRY(args_char(args, '.', err));
    TRY(args_number64(args, &item->size, err));
    if (item->size == 0)
        return err_set(err, ST_SYNTAX, "a partial fetch asks for at least one octet");
    return args_char(args, '>', err);
}

static const char *const section_words[] = {[MIME_SECTION_WHOLE] = "",
                                            [MIME_SECTION_HEADER] = "HEADER",
                                            [MIME_SECTION_TEXT] = "TEXT",
                                            [MIME_SECTION_MIME] = "MIME"};

static bool is_token(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
            return false;
    return name.len > 0;
}

/* RFC 3501 §7.4.2: the answer repeats the section, and the origin of a partial. */
static struct span section_label(struct arena *a, const struct fetch_item *item)
{
    AUTO_STRBUF label = STRBUF_INIT;
    strbuf_add_cstr(&label, item->kind == FETCH_SECTION  ? "BODY["
                            : item->kind == FETCH_BINARY ? "BINARY["
                                                         : "BINARY.SIZE[");
    for (size_t i = 0; i < item->depth; i++) {
        if (i)
            strbuf_add_char(&label, '.');
        strbuf_add_u64(&label, item->numbers[i]);
    }
    if (item->depth && item->section != MIME_SECTION_WHOLE)
        strbuf_add_char(&label, '.');
    strbuf_add_cstr(&label, section_words[item->section]);
    if (item->fields_mode != FETCH_FIELDS_ALL) {
        strbuf_add_cstr(&label, item->fields_mode == FETCH_FIELDS_ONLY ? ".FIELDS (" : ".FIELDS.NOT (");
        for (size_t i = 0; i < item->field_count; i++) {
            if (i)
                strbuf_add_char(&label, ' ');
            if (is_token(item->fields[i]))
                strbuf_add(&label, item->fields[i]);
            else
                imap_string_write(item->fields[i], &label);
        }
        strbuf_add_char(&label, ')');
    }
    strbuf_add_char(&label, ']');
    if (item->is_partial) {
        strbuf_add_char(&label, '<');
        strbuf_add_u64(&label, item->offset);
        strbuf_add_char(&label, '>');
    }
    return arena_strbuf(a, &label);
}

/* section or section-binary, and partial; the "[" is next. */
static enum status section(struct reader *r, struct fetch_item *item, struct err *err)
{
    struct imap_args *args = r->args;
    bool is_word_next;
    item->section = MIME_SECTION_WHOLE;
    TRY(args_char(args, '[', err));
    TRY(section_numbers(args, item, &is_word_next, err));
    if (is_word_next && item->kind != FETCH_SECTION)
        return args_expected(args, "numbers of a part, such as 1.2", err);
    if (is_word_next)
        TRY(section_word(r, item, err));
    TRY(args_char(args, ']', err));
    if (item->kind != FETCH_BINARY_SIZE)
        TRY(partial(args, item, err));
    item->label = section_label(args->arena, item);
    return ST_OK;
}

/* The letters, digits and dots an item's name is made of. */
static struct span peek_name(const struct imap_args *args)
{
    size_t n = 0;
    while (n < args->rest.len &&
           (ascii_is_alpha(args->rest.p[n]) || ascii_is_digit(args->rest.p[n]) || args->rest.p[n] == '.'))
        n++;
    return span_take(args->rest, n);
}

/* "(LAZY)" (RFC 8970 §6) */
static enum status preview_modifiers(struct imap_args *args, struct fetch_item *it, struct err *err)
{
    if (!span_starts(args->rest, SPAN(" (")))
        return ST_OK;
    struct imap_args ahead = *args; /* "(LAZY" or, behind a single item, the modifiers of the FETCH */
    TRY(args_sp(&ahead, err));
    TRY(args_list_open(&ahead, err));
    if (!args_take_word(&ahead, "LAZY"))
        return ST_OK;
    *args = ahead;
    it->is_lazy = true;
    while (args_take(args, ' '))
        if (!args_take_word(args, "LAZY"))
            return args_expected(args, "LAZY", err);
    return args_list_close(args, err);
}

static enum status item(struct reader *r, struct err *err)
{
    struct span name = peek_name(r->args);
    const struct item_name *found = NULL;
    for (size_t i = 0; i < sizeof item_names / sizeof *item_names; i++)
        if (span_ieq(name, span_cstr(item_names[i].name)))
            found = &item_names[i];
    if (!found)
        return args_expected(r->args, "a FETCH item", err);
    struct fetch_item *it = NULL;
    TRY(add_item(r, &it, err));
    r->args->rest = span_skip(r->args->rest, name.len);
    it->kind = found->kind;
    it->section = found->section;
    it->label = span_cstr(found->name);
    if (found->kind == FETCH_BODY && args_next_is(r->args, '['))
        it->kind = FETCH_SECTION;
    if (found->has_section_form && it->kind != FETCH_BODY)
        TRY(section(r, it, err));
    if (it->kind == FETCH_PREVIEW)
        TRY(preview_modifiers(r->args, it, err));
    if (found->sets_seen && it->kind != FETCH_BODY)
        r->out->sets_seen = true;
    return ST_OK;
}

static const struct item_name *item_name_of(enum fetch_kind kind)
{
    size_t i = 0;
    while (item_names[i].kind != kind)
        i++;
    return &item_names[i];
}

static bool macro(struct reader *r)
{
    struct span name = peek_name(r->args);
    for (size_t m = 0; m < sizeof macros / sizeof *macros; m++) {
        if (!span_ieq(name, span_cstr(macros[m].name)))
            continue;
        r->args->rest = span_skip(r->args->rest, name.len);
        r->out->count = macros[m].count;
        r->out->items = arena_array(r->args->arena, r->out->count, sizeof *r->out->items);
        for (size_t i = 0; i < r->out->count; i++)
            r->out->items[i] =
                (struct fetch_item){.kind = macro_items[i], .label = span_cstr(item_name_of(macro_items[i])->name)};
        return true;
    }
    return false;
}

enum status fetch_args_parse(struct imap_args *args, struct fetch_args *out, struct err *err)
{
    struct reader r = {.args = args, .out = out};
    *out = (struct fetch_args){0};
    if (macro(&r))
        return ST_OK;
    if (!args_next_is(args, '('))
        return item(&r, err);
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        if (n == 0 && args_next_is(args, ')'))
            return args_expected(args, "a FETCH item", err);
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        TRY(item(&r, err));
    }
}

bool fetch_args_has(const struct fetch_args *f, enum fetch_kind kind)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->items[i].kind == kind)
            return true;
    return false;
}

void fetch_args_add(struct arena *a, struct fetch_args *f, enum fetch_kind kind)
{
    if (fetch_args_has(f, kind))
        return;
    struct fetch_item *items = arena_array(a, f->count + 1, sizeof *items);
    if (f->count)
        memcpy(items, f->items, f->count * sizeof *items);
    items[f->count++] = (struct fetch_item){.kind = kind, .label = span_cstr(item_name_of(kind)->name)};
    f->items = items;
}

static enum status modifier(struct imap_args *args, struct fetch_modifiers *out, struct err *err)
{
    if (args_take_word(args, "CHANGEDSINCE")) {
        out->has_changed_since = true;
        TRY(args_sp(args, err));
        return args_modseq(args, &out->changed_since, err);
    }
    if (args_take_word(args, "PARTIAL")) {
        if (out->has_partial)
            return err_set(err, ST_SYNTAX, "PARTIAL is said once");
        out->has_partial = true;
        return search_partial_parse(args, &out->partial, err);
    }
    if (args_take_word(args, "VANISHED")) {
        out->is_vanished_wanted = true;
        return ST_OK;
    }
    return args_expected(args, "a FETCH modifier", err);
}

enum status fetch_modifiers_parse(struct imap_args *args, struct fetch_modifiers *out, struct err *err)
{
    *out = (struct fetch_modifiers){0};
    if (args_at_end(args))
        return ST_OK;
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        if (n == 0 && args_next_is(args, ')'))
            return args_expected(args, "a FETCH modifier", err);
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(modifier(args, out, err));
    }
    if (out->is_vanished_wanted && !out->has_changed_since)
        return err_set(err, ST_SYNTAX, "VANISHED needs CHANGEDSINCE");
    return ST_OK;
}

static bool is_named(const struct fetch_item *item, struct span name)
{
    for (size_t i = 0; i < item->field_count; i++)
        if (span_ieq(item->fields[i], name))
            return true;
    return false;
}

void fetch_select_fields(const struct fetch_item *item, struct span block, struct strbuf *out)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (is_named(item, f.name) != (item->fields_mode == FETCH_FIELDS_ONLY))
            continue;
        strbuf_add(out, f.whole);
        if (!span_ends(f.whole, SPAN("\n")))
            strbuf_add_cstr(out, "\r\n");
    }
    strbuf_add_cstr(out, "\r\n");
}
