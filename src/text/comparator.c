/*
 * comparator.c - see comparator.h.
 */
#include "text/comparator.h"
#include "text/charset.h"
#include "base/banned.h"

static const char *const names[COMPARATORS] = {
    [COMPARATOR_UNICODE_CASEMAP] = "i;unicode-casemap",
    [COMPARATOR_ASCII_CASEMAP] = "i;ascii-casemap",
    [COMPARATOR_OCTET] = "i;octet",
};

const char *comparator_name(enum comparator c)
{
    return names[c];
}

/* collation-char of RFC 4790 §3.1 */
static bool is_name_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == ';' || c == '=' || c == '.';
}

static struct span without_sign(struct span order)
{
    bool has_sign = order.len && (order.p[0] == '+' || order.p[0] == '-');
    return has_sign ? span_skip(order, 1) : order;
}

bool comparator_order_is_valid(struct span order)
{
    struct span wild = without_sign(order);
    if (!wild.len || wild.len > COMPARATOR_NAME_MAX || (!ascii_is_alpha(wild.p[0]) && wild.p[0] != '*'))
        return false;
    for (size_t i = 0; i < wild.len; i++) {
        if (!is_name_char(wild.p[i]) && wild.p[i] != '*')
            return false;
        if (i && wild.p[i] == '*' && wild.p[i - 1] == '*')
            return false;
    }
    return true;
}

/* "*" is any run of characters. Where the rest fails, the last "*" takes one more. */
static bool matches(struct span pattern, struct span name)
{
    size_t at = 0, star = SPAN_NPOS, taken = 0, in_name = 0;
    while (in_name < name.len) {
        if (at < pattern.len && pattern.p[at] == '*') {
            star = at++;
            taken = in_name;
        } else if (at < pattern.len && ascii_lower(pattern.p[at]) == ascii_lower(name.p[in_name])) {
            at++;
            in_name++;
        } else if (star != SPAN_NPOS) {
            at = star + 1;
            in_name = ++taken;
        } else {
            return false;
        }
    }
    while (at < pattern.len && pattern.p[at] == '*')
        at++;
    return at == pattern.len;
}

bool comparator_is_meant(enum comparator c, struct span order)
{
    if (span_ieq(order, SPAN("default")))
        return c == COMPARATOR_UNICODE_CASEMAP;
    if (order.len && order.p[0] == '-')
        return false;
    return matches(without_sign(order), span_cstr(names[c]));
}

/* RFC 4790 §9.2: a to z are A to Z */
static void fold_ascii(struct span utf8, struct strbuf *out)
{
    char *to = strbuf_extend(out, utf8.len);
    for (size_t i = 0; i < utf8.len; i++) {
        unsigned char c = (unsigned char)utf8.p[i];
        to[i] = (char)(c & ~(((unsigned)(c - 'a') < 26U) << 5));
    }
}

void comparator_fold(enum comparator c, struct span utf8, struct strbuf *out)
{
    switch (c) {
    case COMPARATOR_ASCII_CASEMAP:
        fold_ascii(utf8, out);
        return;
    case COMPARATOR_OCTET:
        strbuf_add(out, utf8);
        return;
    case COMPARATOR_UNICODE_CASEMAP:
    case COMPARATORS:
        text_fold(utf8, out);
    }
}
