/*
 * address_list.c - the addresses of header fields, see address.h. Takes the words as they come and decides at each "<",
 * "@", ":", "," and ";" what they were: a name, a local part or a group's name. One pass, no failure.
 */
#include "text/address.h"
#include "text/header.h"
#include "text/lexical.h"
#include "base/banned.h"

struct reader {
    struct arena *a;
    struct span rest;
    struct header_address *list;
    size_t count, cap;
    bool is_in_group;

    /* Of the entry that is being read: */
    struct strbuf phrase; /* all words, quotes resolved, one space between */
    struct strbuf local;  /* the last words that hang together by dots, quotes kept */
    size_t phrase_before_local;
    struct span comment; /* the last one's content: "alice@example.test (Alice)" */
    bool is_space_pending, is_dot_last;
};

static void emit(struct reader *r, struct header_address entry)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 4;
        struct header_address *list = arena_array(r->a, cap, sizeof *list);
        if (r->count)
            memcpy(list, r->list, r->count * sizeof *list);
        r->list = list;
        r->cap = cap;
    }
    r->list[r->count++] = entry;
}

static void entry_reset(struct reader *r)
{
    strbuf_clear(&r->phrase);
    strbuf_clear(&r->local);
    r->phrase_before_local = 0;
    r->comment = SPAN_NONE;
    r->is_space_pending = r->is_dot_last = false;
}

static void skip_space(struct reader *r)
{
    while (r->rest.len) {
        size_t n = 1;
        if (r->rest.p[0] == '(') {
            n = comment_length(r->rest);
            bool is_closed = r->rest.p[n - 1] == ')';
            r->comment = span_trim(span_slice(r->rest, 1, n - is_closed));
        } else if (!is_space(r->rest.p[0])) {
            return;
        }
        r->rest = span_skip(r->rest, n);
        r->is_space_pending = true;
    }
}

static bool is_special(char c)
{
    return c == '<' || c == '>' || c == '@' || c == ',' || c == ';' || c == ':';
}

static bool is_atom(char c)
{
    return !is_special(c) && !is_space(c) && c != '(' && c != '"' && c != '.';
}

/* Cuts the word (atom, quoted-string or ".") that starts the rest. */
static struct span take_word(struct reader *r)
{
    size_t n = 1;
    if (r->rest.p[0] == '"')
        n = quoted_length(r->rest);
    else if (r->rest.p[0] != '.')
        while (n < r->rest.len && is_atom(r->rest.p[n]))
            n++;
    struct span word = span_take(r->rest, n);
    r->rest = span_skip(r->rest, n);
    return word;
}

static void add_unquoted(struct span quoted, struct strbuf *out)
{
    struct span inner = quoted_content(quoted);
    for (size_t i = 0; i < inner.len; i++) {
        if (inner.p[i] == '\\' && i + 1 < inner.len)
            i++;
        if (inner.p[i] != '\r' && inner.p[i] != '\n')
            strbuf_add_char(out, inner.p[i]);
    }
}

static void add_word(struct reader *r, struct span word)
{
    bool is_dot = word.p[0] == '.';
    if (r->is_space_pending && !r->is_dot_last && !is_dot) { /* does not hang together with what was before */
        strbuf_clear(&r->local);
        r->phrase_before_local = r->phrase.len;
    }
    if (r->is_space_pending && r->phrase.len)
        strbuf_add_char(&r->phrase, ' ');
    if (word.p[0] == '"')
        add_unquoted(word, &r->phrase);
    else
        strbuf_add(&r->phrase, word);
    strbuf_add(&r->local, word);
    r->is_space_pending = false;
    r->is_dot_last = is_dot;
}

/* Domain behind the "@": atoms and dots, or a literal; white space and comments around the dots are dropped. */
static struct span take_domain(struct reader *r)
{
    AUTO_STRBUF domain = STRBUF_INIT;
    bool is_dot_last = true;
    for (;;) {
        skip_space(r);
        if (!r->rest.len)
            break;
        char c = r->rest.p[0];
        bool is_dot = c == '.';
        if (is_special(c) || c == '"' || (!is_dot && !is_dot_last))
            break;
        size_t n = 1;
        if (c == '[') {
            n = span_find_byte(r->rest, ']', 0);
            n = n == SPAN_NPOS ? r->rest.len : n + 1;
        } else if (!is_dot) {
            while (n < r->rest.len && is_atom(r->rest.p[n]))
                n++;
        }
        strbuf_add(&domain, span_take(r->rest, n));
        r->rest = span_skip(r->rest, n);
        is_dot_last = is_dot;
    }
    return arena_strbuf(r->a, &domain);
}

/* Puts down a mailbox. Where no name stood before it, a comment is the name, as in the oldest form of addresses. */
static void emit_mailbox(struct reader *r, struct span name, struct header_address entry)
{
    entry.kind = ADDRESS_MAILBOX;
    entry.name = name.len ? arena_copy(r->a, name) : header_unfold(r->a, r->comment);
    entry.has_name = entry.name.len > 0;
    if (entry.has_name || entry.local_part.len || entry.domain.len)
        emit(r, entry);
}

/* Passes over what is left of an entry, up to its "," or ";" or, inside brackets, their ">". */
static void skip_entry(struct reader *r, bool is_in_brackets)
{
    for (;;) {
        skip_space(r);
        if (!r->rest.len)
            return;
        char c = r->rest.p[0];
        if (c == ',' || c == ';' || (is_in_brackets && c == '>'))
            return;
        r->rest = span_skip(r->rest, c == '"' ? quoted_length(r->rest) : 1);
    }
}

/* RFC 5322 §4.4 obs-route: "@one,@two:" behind the "<". */
static void take_route(struct reader *r, struct header_address *entry)
{
    size_t n = 0;
    while (n < r->rest.len && r->rest.p[n] != ':' && r->rest.p[n] != '<' && r->rest.p[n] != '>')
        n++;
    if (n == r->rest.len || r->rest.p[n] != ':')
        return;
    entry->route = header_unfold(r->a, span_take(r->rest, n));
    entry->has_route = true;
    r->rest = span_skip(r->rest, n + 1);
}

/* Behind "<": route, local part, domain, ">". */
static void take_brackets(struct reader *r)
{
    struct header_address entry = {0};
    AUTO_STRBUF name = STRBUF_INIT;
    strbuf_add(&name, strbuf_span(&r->phrase));
    strbuf_clear(&r->phrase);
    strbuf_clear(&r->local);
    skip_space(r);
    if (r->rest.len && r->rest.p[0] == '@')
        take_route(r, &entry);
    skip_space(r);
    while (r->rest.len && !is_special(r->rest.p[0])) {
        struct span word = take_word(r);
        strbuf_add(&r->local, word);
        skip_space(r);
    }
    entry.local_part = arena_strbuf(r->a, &r->local);
    if (r->rest.len && r->rest.p[0] == '@') {
        r->rest = span_skip(r->rest, 1);
        entry.domain = take_domain(r);
    }
    skip_entry(r, true);
    skip_entry(r, false);
    emit_mailbox(r, strbuf_span(&name), entry);
    entry_reset(r);
}

/* At the "@" of an address without brackets: the words that hang together before it are its local part. */
static void take_bare(struct reader *r)
{
    struct header_address entry = {.local_part = arena_strbuf(r->a, &r->local)};
    struct span name = span_trim(span_take(strbuf_span(&r->phrase), r->phrase_before_local));
    r->rest = span_skip(r->rest, 1);
    entry.domain = take_domain(r);
    skip_entry(r, false);
    emit_mailbox(r, name, entry);
    entry_reset(r);
}

/* Words with no "@" and no "<": one is a local part without domain, several or a quoted one are a name without address. */
static void take_lone_words(struct reader *r)
{
    if (r->phrase.len || r->local.len) {
        bool is_name = r->phrase_before_local > 0 || r->local.p[0] == '"';
        struct header_address entry = {.local_part = is_name ? SPAN_NONE : arena_strbuf(r->a, &r->local)};
        emit_mailbox(r, is_name ? strbuf_span(&r->phrase) : SPAN_NONE, entry);
    }
    entry_reset(r);
}

static void group_end(struct reader *r)
{
    if (r->is_in_group)
        emit(r, (struct header_address){.kind = ADDRESS_GROUP_END});
    r->is_in_group = false;
}

static void take_special(struct reader *r)
{
    char c = r->rest.p[0];
    if (c == '@') {
        take_bare(r);
        return;
    }
    r->rest = span_skip(r->rest, 1);
    if (c == '<') {
        take_brackets(r);
    } else if (c == ',' || c == ';') {
        take_lone_words(r);
        if (c == ';')
            group_end(r);
    } else if (c == ':' && r->phrase.len && !r->is_in_group) {
        emit(r, (struct header_address){.kind = ADDRESS_GROUP_START, .local_part = arena_strbuf(r->a, &r->phrase)});
        r->is_in_group = true;
        entry_reset(r);
    }
}

void header_addresses(struct arena *a, struct span value, struct header_address **list, size_t *count)
{
    struct reader r = {.a = a, .rest = value};
    while (r.count < HEADER_ADDRESSES_MAX) {
        skip_space(&r);
        if (!r.rest.len)
            break;
        if (is_special(r.rest.p[0]))
            take_special(&r);
        else
            add_word(&r, take_word(&r));
    }
    take_lone_words(&r);
    group_end(&r);
    strbuf_free(&r.phrase);
    strbuf_free(&r.local);
    *list = r.list;
    *count = r.count;
}
