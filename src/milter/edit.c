/* edit.c - see edit.h. The header is a list of fields and of lines that are none; what is not changed is copied as it
 * stands. */
#include "milter/edit.h"
#include "text/header.h"
#include "base/banned.h"

struct field {
    struct span name;  /* empty: lines that are no field */
    struct span whole; /* with its line end; empty: deleted */
};
struct list {
    struct arena *arena;
    struct field *items;
    size_t count, cap;
};

bool milter_edits(const struct milter_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        if (changes->list[i].kind <= MILTER_CHANGE_HEADER)
            return true;
    return changes->has_body;
}

static void insert(struct list *l, size_t at, struct field f)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct field *grown = arena_array(l->arena, cap, sizeof *grown);
        if (l->count)
            memcpy(grown, l->items, l->count * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof *l->items);
    l->items[at] = f;
    l->count++;
}

/* Every octet of the block is in the list. */
static void read_block(struct list *l, struct span block)
{
    struct header_field f;
    size_t done = 0;
    for (size_t at = 0; header_next(block, &at, &f);) {
        size_t start = (size_t)(f.whole.p - block.p);
        if (start > done)
            insert(l, l->count, (struct field){SPAN_NONE, span_slice(block, done, start)});
        insert(l, l->count, (struct field){f.name, f.whole});
        done = start + f.whole.len;
    }
    if (done < block.len)
        insert(l, l->count, (struct field){SPAN_NONE, span_skip(block, done)});
}

/* RFC 5322 §2.2: printable ASCII without the colon. */
static bool name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] == 0x7f || name.p[i] == ':')
            return false;
    return name.len > 0;
}

static struct field make(struct arena *a, struct span name, struct span value, bool is_space_given)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add(&text, name);
    strbuf_add_char(&text, ':');
    if (!is_space_given && value.len)
        strbuf_add_char(&text, ' ');
    while (value.len && (value.p[value.len - 1] == '\n' || value.p[value.len - 1] == '\r'))
        value.len--;
    struct span line;
    for (bool is_first = true; value.len; is_first = false) {
        span_cut(&value, '\n', &line);
        if (span_trim(line).len == 0 && !is_first)
            continue; /* an empty line would end the header */
        if (!is_first)
            strbuf_add_cstr(&text, line.p[0] == ' ' || line.p[0] == '\t' ? "\r\n" : "\r\n\t");
        for (size_t i = 0; i < line.len; i++)
            if (line.p[i] != '\r')
                strbuf_add_char(&text, line.p[i]);
    }
    strbuf_add(&text, SPAN("\r\n"));
    return (struct field){name, arena_strbuf(a, &text)};
}

/* Where the n-th field stands; the end where there are fewer. */
static size_t position(const struct list *l, uint32_t n)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].name.len && l->items[i].whole.len && (n <= 1 || --n == 0))
            return i;
    return l->count;
}

static size_t occurrence(const struct list *l, struct span name, uint32_t n)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].whole.len && span_ieq(l->items[i].name, name) && (n <= 1 || --n == 0))
            return i;
    return SPAN_NPOS;
}

static enum status apply(struct list *l, const struct milter_change *c, bool is_space_given, struct err *err)
{
    if (c->kind > MILTER_CHANGE_HEADER)
        return ST_OK;
    if (!name_is_valid(c->name))
        return err_set(err, ST_SYNTAX, "it names a header field that cannot be");
    struct field f = make(l->arena, c->name, c->value, is_space_given);
    size_t at = l->count;
    if (c->kind == MILTER_CHANGE_INSERT_HEADER)
        at = c->index <= 1 ? 0 : position(l, c->index);
    if (c->kind == MILTER_CHANGE_HEADER) {
        size_t there = occurrence(l, c->name, c->index);
        bool is_deleted = span_trim(c->value).len == 0;
        if (there != SPAN_NPOS)
            l->items[there] = is_deleted ? (struct field){0} : f;
        if (there != SPAN_NPOS || is_deleted)
            return ST_OK;
    }
    insert(l, at, f);
    return ST_OK;
}

/* RFC 5321 §2.3.8: CRLF and nothing else, and no NUL. */
static void put_body(struct span body, struct strbuf *out)
{
    for (size_t i = 0; i < body.len; i++) {
        char c = body.p[i];
        bool is_pair = c == '\r' && i + 1 < body.len && body.p[i + 1] == '\n';
        if (c == '\r' || c == '\n') {
            strbuf_add(out, SPAN("\r\n"));
            i += is_pair;
        } else if (c != '\0') {
            strbuf_add_char(out, c);
        }
    }
    if (body.len && !span_ends(strbuf_span(out), SPAN("\r\n")))
        strbuf_add(out, SPAN("\r\n"));
}

enum status milter_edit(struct arena *a, struct span message, const struct milter_changes *changes, bool is_space_given,
                        struct strbuf *out, struct err *err)
{
    bool has_blank;
    struct list l = {.arena = a};
    size_t end = header_block_end(message, &has_blank);
    read_block(&l, span_take(message, end - (has_blank ? 2 : 0)));
    for (size_t i = 0; i < changes->count; i++)
        TRY(apply(&l, &changes->list[i], is_space_given, err));
    strbuf_reserve(out, message.len + changes->bytes);
    for (size_t i = 0; i < l.count; i++) {
        strbuf_add(out, l.items[i].whole);
        if (l.items[i].whole.len && !span_ends(l.items[i].whole, SPAN("\r\n"))) /* the message had no line end */
            strbuf_add(out, SPAN("\r\n"));
    }
    if (has_blank || changes->has_body)
        strbuf_add(out, SPAN("\r\n"));
    if (changes->has_body)
        put_body(strbuf_span(&changes->body), out);
    else
        strbuf_add(out, span_skip(message, end));
    return ST_OK;
}
