/*
 * header.c - see header.h. Everything here makes one pass over its input; what looks ahead (an encoded-word's end, a
 * parameter's sections) stops at the next thing of its own kind, so that no text makes it quadratic.
 */
#include "text/header.h"
#include "text/charset.h"
#include "text/codec.h"
#include "text/lexical.h"
#include "base/banned.h"

enum {
    PARAM_SECTIONS_MAX = 128, /* parameters read before RFC 2231 sections are joined */
    SECTION_NUMBER_MAX = 999,
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- fields --- */

/* The line at `at` with its end. */
static struct span line_at(struct span s, size_t at)
{
    size_t lf = span_find_byte(s, '\n', at);
    return span_slice(s, at, lf == SPAN_NPOS ? s.len : lf + 1);
}

static bool is_empty_line(struct span line)
{
    return span_eq(line, SPAN("\r\n")) || span_eq(line, SPAN("\n"));
}

static struct span without_line_end(struct span s)
{
    if (s.len && s.p[s.len - 1] == '\n') {
        s.len--;
        if (s.len && s.p[s.len - 1] == '\r')
            s.len--;
    }
    return s;
}

size_t header_block_end(struct span message, bool *with_blank)
{
    size_t at = 0;
    bool is_found = false;
    while (at < message.len && !is_found) {
        struct span line = line_at(message, at);
        at += line.len;
        is_found = is_empty_line(line);
    }
    if (with_blank)
        *with_blank = is_found;
    return at;
}

/* Length of the field name that starts the line, *colon where its colon is; 0: the line is no field. RFC 5322 §2.2:
 * printable ASCII; §4.5 (obsolete) allows white space before the colon. */
static size_t name_length(struct span line, size_t *colon)
{
    size_t n = 0;
    while (n < line.len && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
        n++;
    size_t at = n;
    while (at < line.len && is_blank(line.p[at]))
        at++;
    if (at == line.len || line.p[at] != ':')
        return 0;
    *colon = at;
    return n;
}

bool header_next(struct span block, size_t *at, struct header_field *out)
{
    while (*at < block.len) {
        struct span line = line_at(block, *at);
        if (is_empty_line(line))
            return false;
        size_t start = *at, colon;
        *at += line.len;
        size_t name = name_length(line, &colon);
        if (name == 0)
            continue;
        while (*at < block.len && is_blank(block.p[*at]))
            *at += line_at(block, *at).len;
        out->whole = span_slice(block, start, *at);
        out->name = span_take(out->whole, name);
        out->value = without_line_end(span_skip(out->whole, colon + 1));
        return true;
    }
    return false;
}

bool header_find(struct span block, struct span name, struct header_field *out)
{
    for (size_t at = 0; header_next(block, &at, out);)
        if (span_ieq(out->name, name))
            return true;
    return false;
}

struct span header_unfold(struct arena *a, struct span value)
{
    value = span_trim(value);
    if (span_find_byte(value, '\n', 0) == SPAN_NPOS && span_find_byte(value, '\r', 0) == SPAN_NPOS)
        return value;
    char *to = arena_alloc(a, value.len);
    size_t n = 0;
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n')
            to[n++] = value.p[i];
    return span_of(to, n);
}

/* --- encoded-words (RFC 2047) --- */

struct encoded_word {
    struct span charset; /* without RFC 2231's language */
    bool is_base64;
    struct span text;
    size_t len; /* of all */
};

/* Reads the encoded-word that starts s. More is allowed than RFC 2047 §2 does, because it is sent: any length, spaces
 * and question marks in the text. */
static bool encoded_word_read(struct span s, struct encoded_word *out)
{
    size_t i = 2;
    while (i < s.len && s.p[i] != '?' && !is_blank(s.p[i]))
        i++;
    if (i == 2 || s.len - i < 3 || s.p[i] != '?' || s.p[i + 2] != '?')
        return false;
    char encoding = ascii_lower(s.p[i + 1]);
    if (encoding != 'b' && encoding != 'q')
        return false;
    struct span charset = span_slice(s, 2, i);
    out->charset = span_take(charset, span_find_byte(charset, '*', 0)); /* RFC 2231 §5 */
    out->is_base64 = encoding == 'b';
    size_t start = i + 3;
    for (i = start; i + 1 < s.len; i++) {
        if (s.p[i] == '?' && s.p[i + 1] == '=') {
            out->text = span_slice(s, start, i);
            out->len = i + 2;
            return true;
        }
        if (s.p[i] == '=' && s.p[i + 1] == '?' && (i + 2 == s.len || s.p[i + 2] != '='))
            return false; /* the next one begins before this one ends ("=?=" is padding and the end) */
    }
    return false;
}

/* Appends s with each `escape` HEX HEX resolved; a broken escape stays. */
static void unescape(struct span s, char escape, bool is_underscore_space, struct strbuf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == escape && s.len - i > 2) {
            int high = hex_value(s.p[i + 1]), low = hex_value(s.p[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        } else if (c == '_' && is_underscore_space) {
            c = ' ';
        }
        strbuf_add_char(out, c);
    }
}

/* Bytes of one or more adjacent encoded-words of one charset: senders cut characters in two between words. */
struct decoded_run {
    struct span charset;
    struct strbuf bytes;
};

static void run_flush(struct decoded_run *run, struct strbuf *out)
{
    size_t from = out->len;
    if (run->bytes.len)
        charset_to_utf8(run->charset, strbuf_span(&run->bytes), out);
    strbuf_clear(&run->bytes);
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] == '\r' || out->p[i] == '\n' || out->p[i] == '\0')
            out->p[i] = ' '; /* a header's value stays one line */
}

static void run_add(struct decoded_run *run, const struct encoded_word *word, struct strbuf *out)
{
    if (run->bytes.len && !span_ieq(run->charset, word->charset))
        run_flush(run, out);
    run->charset = word->charset;
    if (word->is_base64)
        base64_decode_body(word->text, &run->bytes);
    else
        unescape(word->text, '=', true, &run->bytes);
}

struct span header_decode(struct arena *a, struct span value)
{
    value = header_unfold(a, value);
    AUTO_STRBUF out = STRBUF_INIT;
    struct decoded_run run = {SPAN_NONE, STRBUF_INIT};
    size_t plain = 0; /* where the text that is not yet written starts */
    bool is_behind_word = false;
    for (size_t at = 0; (at = span_find(value, SPAN("=?"), at)) != SPAN_NPOS;) {
        struct encoded_word word;
        if (!encoded_word_read(span_skip(value, at), &word)) {
            at += 1;
            continue;
        }
        struct span between = span_slice(value, plain, at);
        /* RFC 2047 §6.2: white space between two encoded-words is not shown. */
        if (!is_behind_word || span_trim(between).len) {
            run_flush(&run, &out);
            charset_to_utf8(SPAN_NONE, between, &out);
        }
        run_add(&run, &word, &out);
        at += word.len;
        plain = at;
        is_behind_word = true;
    }
    run_flush(&run, &out);
    strbuf_free(&run.bytes);
    if (plain == 0 && utf8_is_valid(value))
        return value;
    charset_to_utf8(SPAN_NONE, span_skip(value, plain), &out);
    return arena_strbuf(a, &out);
}

/* --- structured values --- */

struct span header_strip_comments(struct arena *a, struct span value)
{
    if (span_find_byte(value, '(', 0) == SPAN_NPOS)
        return value;
    char *to = arena_alloc(a, value.len);
    size_t n = 0;
    while (value.len) {
        size_t len = 1;
        if (value.p[0] == '(') { /* a comment separates as white space does */
            len = comment_length(value);
            if (n && !is_space(to[n - 1]))
                to[n++] = ' ';
        } else {
            if (value.p[0] == '"')
                len = quoted_length(value);
            memcpy(to + n, value.p, len);
            n += len;
        }
        value = span_skip(value, len);
    }
    return span_of(to, n);
}

/* One parameter as it stands. */
struct raw_param {
    struct span name;  /* lower case, without RFC 2231's stars */
    struct span value; /* quotes resolved */
    int section;       /* RFC 2231 §3; -1: none */
    bool is_extended;  /* name ended in "*": percent-encoded (RFC 2231 §4) */
    bool is_joined;    /* already part of the result */
};

static void skip_space(struct span *s)
{
    for (;;) {
        if (s->len && is_space(s->p[0]))
            *s = span_skip(*s, 1);
        else if (s->len && s->p[0] == '(')
            *s = span_skip(*s, comment_length(*s));
        else
            return;
    }
}

/* Moves *s behind the next ";" that stands outside quotes and comments. */
static void skip_to_next(struct span *s)
{
    while (s->len) {
        char c = s->p[0];
        *s = span_skip(*s, c == '"' ? quoted_length(*s) : c == '(' ? comment_length(*s) : 1);
        if (c == ';')
            return;
    }
}

static struct span take_quoted(struct arena *a, struct span *s)
{
    struct span whole = span_take(*s, quoted_length(*s));
    *s = span_skip(*s, whole.len);
    struct span inner = quoted_content(whole);
    if (span_find_byte(inner, '\\', 0) == SPAN_NPOS)
        return inner;
    char *to = arena_alloc(a, inner.len);
    size_t n = 0;
    for (size_t i = 0; i < inner.len; i++) {
        if (inner.p[i] == '\\' && i + 1 < inner.len)
            i++;
        to[n++] = inner.p[i];
    }
    return span_of(to, n);
}

/* A value without quotes: a token by RFC 2045 §5.1; spaces and tspecials in it are taken as they are sent ("name=my
 * file (1).pdf"), but a comment behind white space at its end is not part of it. */
static struct span take_token(struct span *s)
{
    size_t n = 0, comment = 0;
    while (n < s->len && s->p[n] != ';') {
        if (s->p[n] == '(' && n && is_space(s->p[n - 1])) {
            comment = n;
            n += comment_length(span_skip(*s, n));
        } else {
            if (!is_space(s->p[n]))
                comment = 0;
            n++;
        }
    }
    struct span value = span_trim(span_take(*s, comment ? comment : n));
    *s = span_skip(*s, n);
    return value;
}

static bool is_name_end(char c)
{
    return is_space(c) || c == '=' || c == ';' || c == '(' || c == '"';
}

/* Cuts "*", "*3" and "*3*" off the name. False where what follows the star is neither. */
static bool split_name(struct raw_param *p)
{
    p->section = -1;
    if (p->name.len && p->name.p[p->name.len - 1] == '*') {
        p->is_extended = true;
        p->name.len--;
    }
    size_t star = span_find_byte(p->name, '*', 0);
    if (star == SPAN_NPOS)
        return p->name.len > 0;
    uint64_t section;
    if (star == 0 || !span_to_u64(span_skip(p->name, star + 1), SECTION_NUMBER_MAX, &section))
        return false;
    p->section = (int)section;
    p->name.len = star;
    return true;
}

/* Reads one parameter and moves behind its ";". False where it is broken. */
static bool read_param(struct arena *a, struct span *s, struct raw_param *p)
{
    skip_space(s);
    size_t n = 0;
    while (n < s->len && !is_name_end(s->p[n]))
        n++;
    struct span name = span_take(*s, n);
    *s = span_skip(*s, n);
    skip_space(s);
    if (n == 0 || !s->len || s->p[0] != '=') {
        skip_to_next(s);
        return false;
    }
    *s = span_skip(*s, 1);
    skip_space(s);
    char *lower = arena_alloc(a, name.len);
    for (size_t i = 0; i < name.len; i++)
        lower[i] = ascii_lower(name.p[i]);
    *p = (struct raw_param){.name = span_of(lower, name.len), .section = -1};
    p->value = s->len && s->p[0] == '"' ? take_quoted(a, s) : take_token(s);
    skip_to_next(s);
    return true;
}

/* The first section says the charset and the language: charset'language'text (RFC 2231 §4). */
static struct span cut_charset(struct span *text)
{
    size_t first = span_find_byte(*text, '\'', 0);
    size_t second = first == SPAN_NPOS ? SPAN_NPOS : span_find_byte(*text, '\'', first + 1);
    if (second == SPAN_NPOS)
        return SPAN_NONE;
    struct span charset = span_take(*text, first);
    *text = span_skip(*text, second + 1);
    return charset;
}

static void add_section(struct strbuf *bytes, const struct raw_param *p, struct span text)
{
    if (p->is_extended)
        unescape(text, '%', false, bytes);
    else
        strbuf_add(bytes, text);
}

static const struct raw_param *find_section(const struct raw_param *list, size_t count, struct span name, int section,
                                            bool is_extended_wanted)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].section == section && (!is_extended_wanted || list[i].is_extended) && span_eq(list[i].name, name))
            return &list[i];
    return NULL;
}

/* The parameter of that name, made of all that belongs to it. "name*" and "name*0" go before a plain "name", which is
 * sent beside them for old readers (RFC 6266 §4.3 says so for HTTP, mail programs do it). */
static bool join(struct arena *a, const struct raw_param *list, size_t count, struct span name, struct span *value)
{
    const struct raw_param *first = find_section(list, count, name, -1, true);
    bool is_whole = first != NULL;
    if (!first)
        first = find_section(list, count, name, 0, false);
    if (!first) {
        first = find_section(list, count, name, -1, false);
        if (first)
            *value = first->value;
        return first != NULL;
    }
    struct span text = first->value, charset = SPAN_NONE;
    if (first->is_extended)
        charset = cut_charset(&text);
    AUTO_STRBUF bytes = STRBUF_INIT;
    add_section(&bytes, first, text);
    for (int n = 1; !is_whole && (first = find_section(list, count, name, n, false)); n++)
        add_section(&bytes, first, first->value);
    AUTO_STRBUF utf8 = STRBUF_INIT;
    if (charset.len)
        charset_to_utf8(charset, strbuf_span(&bytes), &utf8);
    *value = arena_strbuf(a, charset.len ? &utf8 : &bytes);
    return true;
}

/* What stands before the first ";", and *value behind it. */
static struct span take_main_token(struct arena *a, struct span *value)
{
    struct span rest = *value;
    skip_to_next(&rest);
    struct span head = span_take(*value, value->len - rest.len);
    *value = rest;
    if (head.len && head.p[head.len - 1] == ';')
        head.len--;
    return span_trim(header_strip_comments(a, head));
}

static size_t read_params(struct arena *a, struct span value, struct raw_param *list, size_t max)
{
    size_t count = 0;
    while (value.len && count < max)
        count += read_param(a, &value, &list[count]);
    return count;
}

void header_params_as_sent(struct arena *a, struct span value, struct span *token, struct mime_params *out)
{
    struct raw_param raw[MIME_PARAMS_MAX];
    value = header_unfold(a, value);
    *token = take_main_token(a, &value);
    out->count = read_params(a, value, raw, MIME_PARAMS_MAX);
    out->list = arena_array(a, out->count, sizeof *out->list);
    for (size_t i = 0; i < out->count; i++)
        out->list[i] = (struct mime_param){raw[i].name, raw[i].value};
}

void header_params(struct arena *a, struct span value, struct span *token, struct mime_params *out)
{
    struct raw_param raw[PARAM_SECTIONS_MAX];
    value = header_unfold(a, value);
    *token = take_main_token(a, &value);
    size_t count = read_params(a, value, raw, PARAM_SECTIONS_MAX);
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        raw[good] = raw[i];
        good += split_name(&raw[good]);
    }
    *out = (struct mime_params){arena_array(a, good < MIME_PARAMS_MAX ? good : MIME_PARAMS_MAX, sizeof *out->list), 0};
    for (size_t i = 0; i < good && out->count < MIME_PARAMS_MAX; i++) {
        if (raw[i].is_joined)
            continue;
        for (size_t j = i; j < good; j++)
            if (span_eq(raw[j].name, raw[i].name))
                raw[j].is_joined = true;
        struct mime_param *to = &out->list[out->count];
        to->name = raw[i].name;
        out->count += join(a, raw + i, good - i, raw[i].name, &to->value);
    }
}

bool mime_param_find(const struct mime_params *ps, struct span name, struct span *value)
{
    for (size_t i = 0; i < ps->count; i++)
        if (span_ieq(ps->list[i].name, name)) {
            *value = ps->list[i].value;
            return true;
        }
    return false;
}
