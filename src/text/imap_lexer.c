/*
 * imap_lexer.c - see imap_lexer.h. Each reader looks at the first byte, takes what the grammar allows there, and either
 * moves on or says what it had expected; no reader looks back and none reads a byte twice but to unescape it.
 */
#include "text/imap_lexer.h"
#include "text/mutf7.h"
#include "text/charset.h"
#include "base/banned.h"

enum { FOUND_SHOWN_MAX = 24 }; /* octets of the client's own words in an error text */

void args_init(struct imap_args *args, struct arena *arena, struct span bytes)
{
    *args = (struct imap_args){.rest = bytes, .arena = arena};
}

/* ---- looking and taking ------------------------------------------------------------------------------------ */

bool args_at_end(const struct imap_args *args)
{
    return args->rest.len == 0;
}

bool args_next_is(const struct imap_args *args, char c)
{
    return args->rest.len && args->rest.p[0] == c;
}

static void advance(struct imap_args *args, size_t n)
{
    args->rest = span_skip(args->rest, n);
}

bool args_take(struct imap_args *args, char c)
{
    if (!args_next_is(args, c))
        return false;
    advance(args, 1);
    return true;
}

/* RFC 3501 §9: any CHAR but "(" ")" "{" SP CTL, list-wildcards, quoted-specials and resp-specials. */
static bool is_atom_char(char c)
{
    return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\]", c);
}

static bool is_astring_char(char c)
{
    return is_atom_char(c) || c == ']';
}

static bool is_list_char(char c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

static bool is_tag_char(char c)
{
    return is_astring_char(c) && c != '+';
}

bool args_take_word(struct imap_args *args, const char *word)
{
    struct span wanted = span_cstr(word);
    if (!span_istarts(args->rest, wanted) || (args->rest.len > wanted.len && is_atom_char(args->rest.p[wanted.len])))
        return false;
    advance(args, wanted.len);
    return true;
}

enum status args_expected(const struct imap_args *args, const char *what, struct err *err)
{
    if (args_at_end(args))
        return err_set(err, ST_SYNTAX, "expected %s, found the end of the command", what);
    char found[FOUND_SHOWN_MAX + 1];
    size_t n = 0;
    for (; n < FOUND_SHOWN_MAX && n < args->rest.len && args->rest.p[n] != '\r' && args->rest.p[n] != '\n'; n++) {
        found[n] = '?';
        if (args->rest.p[n] >= 0x20 && args->rest.p[n] < 0x7f)
            found[n] = args->rest.p[n];
    }
    found[n] = '\0';
    return err_set(err, ST_SYNTAX, "expected %s, found '%s%s'", what, found, n < args->rest.len ? "..." : "");
}

/* ---- values ------------------------------------------------------------------------------------------------- */

enum status args_char(struct imap_args *args, char c, struct err *err)
{
    char what[] = {'\'', c, '\'', '\0'};
    return args_take(args, c) ? ST_OK : args_expected(args, what, err);
}

enum status args_sp(struct imap_args *args, struct err *err)
{
    return args_take(args, ' ') ? ST_OK : args_expected(args, "a space", err);
}

enum status args_end(struct imap_args *args, struct err *err)
{
    return args_at_end(args) ? ST_OK : args_expected(args, "the end of the command", err);
}

static enum status take_while(struct imap_args *args, bool (*is_wanted)(char), const char *what, struct span *out,
                              struct err *err)
{
    size_t n = 0;
    while (n < args->rest.len && is_wanted(args->rest.p[n]))
        n++;
    if (n == 0)
        return args_expected(args, what, err);
    *out = span_take(args->rest, n);
    advance(args, n);
    return ST_OK;
}

enum status args_tag(struct imap_args *args, struct span *out, struct err *err)
{
    return take_while(args, is_tag_char, "a tag", out, err);
}

enum status args_atom(struct imap_args *args, struct span *out, struct err *err)
{
    return take_while(args, is_atom_char, "an atom", out, err);
}

/* The content of a quoted-string whose backslashes are known to stand before '"' or '\'. */
static struct span unescape(struct arena *a, struct span quoted)
{
    char *text = arena_alloc(a, quoted.len);
    size_t n = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        if (quoted.p[i] == '\\')
            i++;
        text[n++] = quoted.p[i];
    }
    return span_of(text, n);
}

static enum status quoted(struct imap_args *args, struct span *out, struct err *err)
{
    struct span s = args->rest;
    bool has_escapes = false;
    for (size_t i = 1; i < s.len && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0'; i++) {
        if (s.p[i] == '"') {
            *out = span_slice(s, 1, i);
            if (has_escapes)
                *out = unescape(args->arena, *out);
            advance(args, i + 1);
            return ST_OK;
        }
        if (s.p[i] == '\\') {
            i++;
            if (i == s.len || (s.p[i] != '"' && s.p[i] != '\\'))
                return err_set(err, ST_SYNTAX, "in a quoted string a backslash may only stand before \" or \\");
            has_escapes = true;
        }
    }
    return err_set(err, ST_SYNTAX, "quoted string is not closed");
}

static enum status literal_octets(struct imap_args *args, struct span *out, struct err *err)
{
    struct span s = args->rest, digits;
    size_t brace = span_find_byte(span_take(s, 24), '}', 0);
    uint64_t size;
    if (brace == SPAN_NPOS)
        return args_expected(args, "a literal", err);
    digits = span_slice(s, 1, brace);
    if (span_ends(digits, SPAN("+")))
        digits.len--;
    if (!span_to_u64(digits, UINT32_MAX, &size) || !span_starts(span_skip(s, brace + 1), SPAN("\r\n")))
        return args_expected(args, "a literal", err);
    struct span content = span_skip(s, brace + 3);
    if (content.len < size)
        return err_set(err, ST_SYNTAX, "literal is shorter than announced");
    *out = span_take(content, (size_t)size);
    args->rest = span_skip(content, (size_t)size);
    return ST_OK;
}

static enum status literal(struct imap_args *args, struct span *out, struct err *err)
{
    TRY(literal_octets(args, out, err));
    if (span_find_byte(*out, '\0', 0) != SPAN_NPOS)
        return err_set(err, ST_SYNTAX, "NUL is not allowed in a literal");
    return ST_OK;
}

enum status args_literal8(struct imap_args *args, struct span *out, struct err *err)
{
    if (!span_starts(args->rest, SPAN("~{")))
        return args_expected(args, "a literal8", err);
    advance(args, 1);
    return literal_octets(args, out, err);
}

enum status args_string(struct imap_args *args, struct span *out, struct err *err)
{
    if (args_next_is(args, '"'))
        return quoted(args, out, err);
    if (args_next_is(args, '{'))
        return literal(args, out, err);
    return args_expected(args, "a string", err);
}

enum status args_astring(struct imap_args *args, struct span *out, struct err *err)
{
    if (args_next_is(args, '"') || args_next_is(args, '{'))
        return args_string(args, out, err);
    return take_while(args, is_astring_char, "a string", out, err);
}

enum status args_nstring(struct imap_args *args, bool *has, struct span *out, struct err *err)
{
    *has = !args_take_word(args, "NIL");
    *out = SPAN_NONE;
    return *has ? args_string(args, out, err) : ST_OK;
}

static bool is_digit(char c)
{
    return ascii_is_digit(c);
}

static enum status number(struct imap_args *args, uint64_t max, uint64_t *out, struct err *err)
{
    struct span digits = SPAN_NONE;
    TRY(take_while(args, is_digit, "a number", &digits, err));
    if (!span_to_u64(digits, max, out))
        return err_set(err, ST_SYNTAX, "number is too large");
    return ST_OK;
}

enum status args_number(struct imap_args *args, uint32_t *out, struct err *err)
{
    uint64_t value;
    TRY(number(args, UINT32_MAX, &value, err));
    *out = (uint32_t)value;
    return ST_OK;
}

enum status args_nz_number(struct imap_args *args, uint32_t *out, struct err *err)
{
    if (args_next_is(args, '0'))
        return args_expected(args, "a number from 1", err);
    return args_number(args, out, err);
}

enum status args_number64(struct imap_args *args, uint64_t *out, struct err *err)
{
    return number(args, INT64_MAX, out, err);
}

enum status args_modseq(struct imap_args *args, uint64_t *out, struct err *err)
{
    TRY(args_number64(args, out, err));
    return *out ? ST_OK : err_set(err, ST_SYNTAX, "a modseq is greater than 0");
}

static bool is_seqset_char(char c)
{
    return ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

enum status args_seqset(struct imap_args *args, uint32_t last, struct seqset **out, struct err *err)
{
    struct span text = SPAN_NONE;
    if (args_take(args, '$')) {
        *out = seqset_new(args->arena);
        for (size_t i = 0; args->saved && i < args->saved->count; i++)
            seqset_add(args->arena, *out, args->saved->ranges[i].first, args->saved->ranges[i].last);
        return ST_OK;
    }
    TRY(take_while(args, is_seqset_char, "a sequence set", &text, err));
    return seqset_parse(args->arena, text, last, out, err);
}

enum status args_known_seqset(struct imap_args *args, struct seqset **out, struct err *err)
{
    struct span before = args->rest;
    if (args_next_is(args, '$'))
        return args_expected(args, "a sequence set", err);
    TRY(args_seqset(args, 0, out, err));
    if (span_find_byte(span_take(before, before.len - args->rest.len), '*', 0) != SPAN_NPOS)
        return err_set(err, ST_SYNTAX, "\"*\" is not allowed here");
    return ST_OK;
}

/* ---- mailbox names ------------------------------------------------------------------------------------------ */

static enum status mailbox_name(struct imap_args *args, struct span wire, struct span *out, struct err *err)
{
    if (args->is_utf8) {
        if (!utf8_is_valid(wire))
            return err_set(err, ST_SYNTAX, "mailbox name is not valid UTF-8");
        *out = wire;
    } else {
        AUTO_STRBUF name = STRBUF_INIT;
        if (!mutf7_decode(wire, &name))
            return err_set(err, ST_SYNTAX, "mailbox name is not modified UTF-7");
        *out = arena_strbuf(args->arena, &name);
    }
    args->as_sent = *out;
    if (span_ieq(*out, SPAN("INBOX")))
        *out = SPAN("INBOX");
    return ST_OK;
}

enum status args_mailbox(struct imap_args *args, struct span *out, struct err *err)
{
    struct span wire = SPAN_NONE;
    if (args_at_end(args))
        return args_expected(args, "a mailbox name", err);
    TRY(args_astring(args, &wire, err));
    return mailbox_name(args, wire, out, err);
}

enum status args_list_mailbox(struct imap_args *args, struct span *out, struct err *err)
{
    struct span wire = SPAN_NONE;
    if (args_next_is(args, '"') || args_next_is(args, '{'))
        TRY(args_string(args, &wire, err));
    else
        TRY(take_while(args, is_list_char, "a mailbox name or pattern", &wire, err));
    return mailbox_name(args, wire, out, err);
}

/* ---- dates -------------------------------------------------------------------------------------------------- */

enum status args_date(struct imap_args *args, int64_t *day, struct err *err)
{
    struct span text = SPAN_NONE;
    if (args_next_is(args, '"'))
        TRY(quoted(args, &text, err));
    else
        TRY(take_while(args, is_atom_char, "a date", &text, err));
    if (!date_parse_imap_day(text, day))
        return err_set(err, ST_SYNTAX, "expected a date like 31-Jan-2026");
    return ST_OK;
}

enum status args_date_time(struct imap_args *args, struct mail_date *out, struct err *err)
{
    struct span text = SPAN_NONE;
    if (!args_next_is(args, '"'))
        return args_expected(args, "a date and time in quotes", err);
    TRY(quoted(args, &text, err));
    if (!date_parse_imap(text, out))
        return err_set(err, ST_SYNTAX, "expected a date and time like \"31-Jan-2026 12:00:00 +0100\"");
    return ST_OK;
}

/* ---- lists -------------------------------------------------------------------------------------------------- */

enum status args_list_open(struct imap_args *args, struct err *err)
{
    TRY(args_char(args, '(', err));
    if (++args->depth > IMAP_NESTING_MAX)
        return err_set(err, ST_LIMIT, "parentheses are nested too deep");
    return ST_OK;
}

enum status args_list_close(struct imap_args *args, struct err *err)
{
    TRY(args_char(args, ')', err));
    if (args->depth)
        args->depth--;
    return ST_OK;
}

enum status args_list_next(struct imap_args *args, size_t n, bool *is_more, struct err *err)
{
    *is_more = !args_next_is(args, ')');
    if (!*is_more)
        return args_list_close(args, err);
    if (n >= IMAP_LIST_ITEMS_MAX)
        return err_set(err, ST_LIMIT, "list has too many items");
    if (n && !args_take(args, ' '))
        return args_expected(args, "a space or ')'", err);
    return ST_OK;
}

/* ---- flags -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned flag;
} system_flags[] = {
    {"Seen", IMAP_FLAG_SEEN},       {"Answered", IMAP_FLAG_ANSWERED}, {"Flagged", IMAP_FLAG_FLAGGED},
    {"Deleted", IMAP_FLAG_DELETED}, {"Draft", IMAP_FLAG_DRAFT},
};

struct flag_reader {
    struct imap_flags *out;
    size_t cap;
};

static void add_keyword(struct arena *a, struct flag_reader *r, struct span keyword)
{
    struct imap_flags *f = r->out;
    if (f->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 8;
        struct span *keywords = arena_array(a, r->cap, sizeof *keywords);
        if (f->count)
            memcpy(keywords, f->keywords, f->count * sizeof *keywords);
        f->keywords = keywords;
    }
    f->keywords[f->count++] = keyword;
}

static enum status flag(struct imap_args *args, struct flag_reader *r, struct err *err)
{
    struct span name = SPAN_NONE;
    if (!args_take(args, '\\')) {
        TRY(take_while(args, is_atom_char, "a flag", &name, err));
        add_keyword(args->arena, r, name);
        return ST_OK;
    }
    TRY(take_while(args, is_atom_char, "the name of a flag", &name, err));
    for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++)
        if (span_ieq(name, span_cstr(system_flags[i].name))) {
            r->out->system |= system_flags[i].flag;
            return ST_OK;
        }
    if (span_ieq(name, SPAN("Recent")))
        return err_set(err, ST_SYNTAX, "\\Recent cannot be set by a client");
    return err_set(err, ST_SYNTAX,
                   "unknown system flag; the known ones are \\Seen \\Answered \\Flagged \\Deleted \\Draft");
}

enum status args_flags(struct imap_args *args, bool is_bare_allowed, struct imap_flags *out, struct err *err)
{
    struct flag_reader r = {.out = out};
    *out = (struct imap_flags){0};
    if (is_bare_allowed && !args_next_is(args, '(')) {
        for (size_t n = 0; n == 0 || args_take(args, ' '); n++) {
            if (n >= IMAP_LIST_ITEMS_MAX)
                return err_set(err, ST_LIMIT, "list has too many items");
            TRY(flag(args, &r, err));
        }
        return ST_OK;
    }
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        TRY(flag(args, &r, err));
    }
}
