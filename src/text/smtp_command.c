/*
 * smtp_command.c - see smtp_command.h. A line is cut once from left to right; parameters go to a small table and are
 * then read by name, so that order does not matter and a parameter given twice is seen.
 */
#include "text/smtp_command.h"
#include "text/charset.h"
#include "text/smtp_param.h"
#include "base/banned.h"

struct params {
    struct smtp_parameter list[SMTP_PARAMS_MAX];
    size_t count;
};

static struct span skip_spaces(struct span s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_skip(s, 1);
    return s;
}

bool smtp_command_split(struct span line, struct span *verb, struct span *args)
{
    if (line.len == 0 || memchr(line.p, '\r', line.len) || memchr(line.p, '\n', line.len) ||
        memchr(line.p, '\0', line.len))
        return false;
    size_t n = 0;
    while (n < line.len && ascii_is_alpha(line.p[n]))
        n++;
    if (n == 0 || (n < line.len && line.p[n] != ' ' && line.p[n] != '\t'))
        return false;
    *verb = span_take(line, n);
    *args = span_trim(span_skip(line, n)); /* RFC 5321 §4.1.1: trailing white space is tolerated */
    return true;
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool keyword_is_valid(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && (i == 0 || s.p[i] != '-'))
            return false;
    return s.len > 0;
}

/* esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii), RFC 6531 §3.3 */
static bool value_is_valid(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '=' || c == 0x7f)
            return false;
    }
    return s.len > 0 && utf8_is_valid(s);
}

static enum smtp_fault params_add(struct params *ps, struct span word, struct err *err)
{
    struct smtp_parameter p = {0};
    p.has_value = span_cut(&word, '=', &p.name);
    p.value = word;
    if (!keyword_is_valid(p.name) || (p.has_value && !value_is_valid(p.value)))
        return smtp_fault_set(err, SMTP_BAD_SYNTAX, "malformed parameter");
    for (size_t i = 0; i < ps->count; i++)
        if (span_ieq(ps->list[i].name, p.name))
            return smtp_fault_set(err, SMTP_BAD_SYNTAX, "parameter given twice");
    if (ps->count == SMTP_PARAMS_MAX)
        return smtp_fault_set(err, SMTP_BAD_SYNTAX, "too many parameters");
    ps->list[ps->count++] = p;
    return SMTP_FINE;
}

/* What follows the path: *(SP parameter). */
static enum smtp_fault params_parse(struct span rest, struct params *ps, struct err *err)
{
    ps->count = 0;
    while (rest.len) {
        if (rest.p[0] != ' ' && rest.p[0] != '\t')
            return smtp_fault_set(err, SMTP_BAD_SYNTAX, "a space must stand before a parameter");
        rest = skip_spaces(rest);
        size_t n = 0;
        while (n < rest.len && rest.p[n] != ' ' && rest.p[n] != '\t')
            n++;
        if (n) {
            enum smtp_fault f = params_add(ps, span_take(rest, n), err);
            if (f != SMTP_FINE)
                return f;
        }
        rest = span_skip(rest, n);
    }
    return SMTP_FINE;
}

/* "FROM:" and the path. RFC 5321 §3.3 allows no space behind the colon; so many clients send one that it is read over.
 */
static enum smtp_fault prefixed_path(struct arena *a, struct span *args, struct span prefix, bool is_reverse,
                                     struct mailbox_address *out, struct err *err)
{
    if (!span_istarts(*args, prefix)) {
        err_set(err, ST_SYNTAX, "%.*s<address> expected", SPAN_ARG(prefix));
        return SMTP_BAD_SYNTAX;
    }
    *args = skip_spaces(span_skip(*args, prefix.len));
    if (args->len == 0 || args->p[0] != '<')
        return smtp_fault_set(err, SMTP_BAD_SYNTAX, "an address in angle brackets expected");
    return path_parse(a, args, true, is_reverse, !is_reverse, out, err) == ST_OK ? SMTP_FINE : SMTP_BAD_ADDRESS;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static enum smtp_fault check_utf8(const struct mailbox_address *m, bool is_smtputf8, struct err *err)
{
    if (is_smtputf8 || (is_ascii(m->local_part) && is_ascii(m->domain)))
        return SMTP_FINE;
    return smtp_fault_set(err, SMTP_NEEDS_SMTPUTF8, "an address beyond ASCII needs SMTPUTF8");
}

enum smtp_fault smtp_mail_parse(struct arena *a, struct span args, unsigned params, struct smtp_mail_args *out,
                                struct err *err)
{
    *out = (struct smtp_mail_args){0};
    enum smtp_fault f = prefixed_path(a, &args, SPAN("FROM:"), true, &out->from, err);
    struct params ps;
    if (f == SMTP_FINE)
        f = params_parse(args, &ps, err);
    for (size_t i = 0; f == SMTP_FINE && i < ps.count; i++)
        f = smtp_mail_param(&ps.list[i], params, out, err);
    return f == SMTP_FINE ? check_utf8(&out->from, out->is_smtputf8, err) : f;
}

enum smtp_fault smtp_rcpt_parse(struct arena *a, struct span args, unsigned params, bool is_smtputf8,
                                struct smtp_rcpt_args *out, struct err *err)
{
    *out = (struct smtp_rcpt_args){0};
    enum smtp_fault f = prefixed_path(a, &args, SPAN("TO:"), false, &out->to, err);
    struct params ps;
    if (f == SMTP_FINE)
        f = params_parse(args, &ps, err);
    for (size_t i = 0; f == SMTP_FINE && i < ps.count; i++)
        f = smtp_rcpt_param(&ps.list[i], params, out, err);
    return f == SMTP_FINE ? check_utf8(&out->to, is_smtputf8, err) : f;
}

bool smtp_trace_is_valid(struct span trace)
{
    for (size_t i = 0; i < trace.len; i++)
        if (!ascii_is_alpha(trace.p[i]) && !ascii_is_digit(trace.p[i]))
            return false;
    return trace.len >= 1 && trace.len <= SMTP_TRACE_MAX;
}

bool smtp_hello_is_valid(struct span name)
{
    if (name.len == 0 || name.len > DOMAIN_MAX || !utf8_is_valid(name))
        return false;
    struct span inner = name;
    if (name.len > 2 && name.p[0] == '[' && name.p[name.len - 1] == ']')
        inner = span_slice(name, 1, name.len - 1);
    for (size_t i = 0; i < inner.len; i++) {
        unsigned char c = (unsigned char)inner.p[i];
        if (c <= ' ' || c == 0x7f || strchr("()<>[]\\\",;@", c))
            return false;
    }
    return true;
}
