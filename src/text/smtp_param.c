/*
 * smtp_param.c - see smtp_command.h: a table of parameters, each with the extension it belongs to and a function that
 * reads its value. What the door does not take is unknown there, as RFC 5321 §4.1.1.11 wants.
 */
#include "text/smtp_param.h"
#include <string.h>
#include "text/date.h"
#include "base/banned.h"

enum { HOLD_SECONDS_MAX = 999999999, HELD_MAX = 40, NOTIFY_WORDS_MAX = 4, PRIORITY_MOST = 9 };

enum smtp_fault smtp_fault_set(struct err *err, enum smtp_fault f, const char *text)
{
    err_set(err, f == SMTP_UNKNOWN_PARAMETER ? ST_UNSUPPORTED : ST_SYNTAX, "%s", text);
    return f;
}

static enum smtp_fault bad(struct err *err, const char *text)
{
    return smtp_fault_set(err, SMTP_BAD_SYNTAX, text);
}

static bool is_xtext(struct span text)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span ignored;
    return xtext_decode(&a, text, &ignored);
}

static bool is_unitext(struct span text)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span ignored;
    return unitext_decode(&a, text, &ignored);
}

/* ---- of MAIL -------------------------------------------------------------------------------------------------------
 */

/* RFC 1870 §4: 1*20DIGIT */
static enum smtp_fault read_size(struct span value, struct smtp_mail_args *out, struct err *err)
{
    out->has_size = value.len <= 20 && span_to_u64(value, UINT64_MAX, &out->size);
    return out->has_size ? SMTP_FINE : bad(err, "SIZE= is not a number");
}

static enum smtp_fault read_auth(struct span value, struct smtp_mail_args *out, struct err *err)
{
    (void)value;
    (void)out; /* RFC 4954 §5: taken, and as from an untrusted client not used */
    (void)err;
    return SMTP_FINE;
}

static enum smtp_fault read_utf8(struct span value, struct smtp_mail_args *out, struct err *err)
{
    (void)value;
    (void)err;
    out->is_smtputf8 = true;
    return SMTP_FINE;
}

static enum smtp_fault read_trace(struct span value, struct smtp_mail_args *out, struct err *err)
{
    out->trace = value;
    return smtp_trace_is_valid(value) ? SMTP_FINE : bad(err, "XTRACE= is no trace id");
}

static enum smtp_fault read_quarantine(struct span value, struct smtp_mail_args *out, struct err *err)
{
    (void)value;
    (void)err;
    out->is_quarantined = true;
    return SMTP_FINE;
}

static enum smtp_fault read_ret(struct span value, struct smtp_mail_args *out, struct err *err)
{
    out->ret = span_ieq(value, SPAN("FULL"))   ? SMTP_RET_FULL
               : span_ieq(value, SPAN("HDRS")) ? SMTP_RET_HDRS
                                               : SMTP_RET_NONE;
    return out->ret ? SMTP_FINE : bad(err, "RET= is neither FULL nor HDRS");
}

static enum smtp_fault read_envid(struct span value, struct smtp_mail_args *out, struct err *err)
{
    out->envid = value;
    return value.len <= SMTP_ENVID_MAX && is_xtext(value) ? SMTP_FINE : bad(err, "ENVID= is malformed");
}

static enum smtp_fault read_tls(struct span value, struct smtp_mail_args *out, struct err *err)
{
    (void)value;
    (void)err;
    out->is_tls_required = true;
    return SMTP_FINE;
}

static enum smtp_fault read_hold_for(struct span value, struct smtp_mail_args *out, struct err *err)
{
    uint64_t n;
    if (out->hold_until || value.len > 9 || !span_to_u64(value, HOLD_SECONDS_MAX, &n) || n == 0)
        return bad(err, "HOLDFOR= is not a number of seconds");
    out->hold_for = (int64_t)n;
    return SMTP_FINE;
}

static enum smtp_fault read_hold_until(struct span value, struct smtp_mail_args *out, struct err *err)
{
    if (out->hold_for || !date_parse_rfc3339(value, &out->hold_until) || out->hold_until <= 0)
        return bad(err, "HOLDUNTIL= is not a time like 2026-01-31T12:00:00Z");
    return SMTP_FINE;
}

/* As RFC 4865 §5 writes it in reports: "for;" or "until;", and a number or a date. */
static enum smtp_fault read_held(struct span value, struct smtp_mail_args *out, struct err *err)
{
    bool is_good = value.len <= HELD_MAX && (span_starts(value, SPAN("for;")) || span_starts(value, SPAN("until;")));
    for (size_t i = 0; is_good && i < value.len; i++)
        is_good = ascii_is_alpha(value.p[i]) || ascii_is_digit(value.p[i]) || strchr(";:-+.", value.p[i]);
    out->hold_request = value;
    return is_good ? SMTP_FINE : bad(err, "XHELD= is malformed");
}

/* RFC 2852 §4: [-+]1*9DIGIT ";" ("N" / "R") ["T"] */
static enum smtp_fault read_by(struct span value, struct smtp_mail_args *out, struct err *err)
{
    struct span time;
    uint64_t n;
    bool has_mode = span_cut(&value, ';', &time);
    bool is_negative = span_starts(time, SPAN("-"));
    if (is_negative || span_starts(time, SPAN("+")))
        time = span_skip(time, 1);
    if (!has_mode || time.len > 9 || !span_to_u64(time, SMTP_BY_SECONDS_MAX, &n) || value.len < 1 || value.len > 2)
        return bad(err, "BY= is malformed");
    char mode = ascii_upper(value.p[0]);
    out->by = mode == 'N' ? SMTP_BY_NOTIFY : mode == 'R' ? SMTP_BY_RETURN : SMTP_BY_NONE;
    out->is_by_traced = value.len == 2 && ascii_upper(value.p[1]) == 'T';
    out->by_seconds = is_negative ? -(int64_t)n : (int64_t)n;
    if (out->by == SMTP_BY_NONE || (value.len == 2 && !out->is_by_traced))
        return bad(err, "BY= is malformed");
    return out->by == SMTP_BY_RETURN && out->by_seconds <= 0 ? bad(err, "BY= with R needs a time to come") : SMTP_FINE;
}

/* RFC 6710 §7: ["-"] NZDIGIT / "0" */
static enum smtp_fault read_priority(struct span value, struct smtp_mail_args *out, struct err *err)
{
    uint64_t n;
    bool is_negative = span_starts(value, SPAN("-"));
    struct span digit = span_skip(value, is_negative);
    if (digit.len != 1 || !span_to_u64(digit, PRIORITY_MOST, &n) || (is_negative && n == 0))
        return bad(err, "MT-PRIORITY= is not a number from -9 to 9");
    out->priority = is_negative ? -(int)n : (int)n;
    return SMTP_FINE;
}

enum value_rule { VALUE_NONE, VALUE_NEEDED };
static const struct mail_param {
    const char *name;
    unsigned extension; /* enum smtp_param; 0: always taken */
    enum value_rule rule;
    enum smtp_fault (*read)(struct span value, struct smtp_mail_args *out, struct err *err);
} mail_params[] = {
    {"SIZE", 0, VALUE_NEEDED, read_size},
    {"SMTPUTF8", 0, VALUE_NONE, read_utf8},
    {"AUTH", 0, VALUE_NEEDED, read_auth},
    {"XTRACE", SMTP_PARAM_XTRACE, VALUE_NEEDED, read_trace},
    {"XQUARANTINE", SMTP_PARAM_XTRACE, VALUE_NONE, read_quarantine},
    {"XHELD", SMTP_PARAM_XTRACE, VALUE_NEEDED, read_held},
    {"RET", SMTP_PARAM_DSN, VALUE_NEEDED, read_ret},
    {"ENVID", SMTP_PARAM_DSN, VALUE_NEEDED, read_envid},
    {"REQUIRETLS", SMTP_PARAM_REQUIRETLS, VALUE_NONE, read_tls},
    {"HOLDFOR", SMTP_PARAM_HOLD, VALUE_NEEDED, read_hold_for},
    {"HOLDUNTIL", SMTP_PARAM_HOLD, VALUE_NEEDED, read_hold_until},
    {"BY", SMTP_PARAM_BY, VALUE_NEEDED, read_by},
    {"MT-PRIORITY", SMTP_PARAM_PRIORITY, VALUE_NEEDED, read_priority},
};

static enum smtp_fault read_body(struct span value, unsigned params, struct smtp_mail_args *out, struct err *err)
{
    out->is_binary = (params & SMTP_PARAM_BINARYMIME) && span_ieq(value, SPAN("BINARYMIME"));
    out->is_8bit = out->is_binary || span_ieq(value, SPAN("8BITMIME"));
    bool is_known = out->is_8bit || span_ieq(value, SPAN("7BIT"));
    return is_known ? SMTP_FINE : bad(err, "BODY= is neither 7BIT nor 8BITMIME");
}

enum smtp_fault smtp_mail_param(const struct smtp_parameter *p, unsigned params, struct smtp_mail_args *out,
                                struct err *err)
{
    if (span_ieq(p->name, SPAN("BODY")))
        return read_body(p->value, params, out, err);
    for (size_t i = 0; i < sizeof mail_params / sizeof mail_params[0]; i++) {
        const struct mail_param *known = &mail_params[i];
        if (!span_ieq(p->name, span_cstr(known->name)) || (known->extension && !(params & known->extension)))
            continue;
        if (p->has_value != (known->rule == VALUE_NEEDED))
            return bad(err, p->has_value ? "a parameter has a value that takes none" : "a parameter needs a value");
        return known->read(p->value, out, err);
    }
    return smtp_fault_set(err, SMTP_UNKNOWN_PARAMETER, "parameter of MAIL not known");
}

/* ---- of RCPT -------------------------------------------------------------------------------------------------------
 */

/* RFC 3461 §4.1: NEVER alone, or a list of the others. */
static enum smtp_fault read_notify(struct span value, struct smtp_rcpt_args *out, struct err *err)
{
    static const struct {
        struct span word;
        unsigned bit;
    } words[NOTIFY_WORDS_MAX] = {{SPAN_INIT("NEVER"), SMTP_NOTIFY_NEVER},
                                 {SPAN_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
                                 {SPAN_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
                                 {SPAN_INIT("DELAY"), SMTP_NOTIFY_DELAY}};
    struct span word;
    for (bool more = true; more;) {
        unsigned bit = 0;
        more = span_cut(&value, ',', &word);
        for (size_t i = 0; i < NOTIFY_WORDS_MAX; i++)
            if (span_ieq(word, words[i].word))
                bit = words[i].bit;
        if (!bit || (out->notify & bit))
            return bad(err, "NOTIFY= is malformed");
        out->notify |= bit;
    }
    bool is_alone = out->notify == SMTP_NOTIFY_NEVER || !(out->notify & SMTP_NOTIFY_NEVER);
    return is_alone ? SMTP_FINE : bad(err, "NOTIFY=NEVER stands alone");
}

/* RFC 3461 §4.2: address-type ";" xtext. RFC 6533 §3: the type utf-8 brings its own encoding, or UTF-8 itself. */
static enum smtp_fault read_orcpt(struct span value, struct smtp_rcpt_args *out, struct err *err)
{
    struct span type, address = value;
    bool is_good = span_cut(&address, ';', &type) && type.len > 0 && address.len > 0 && value.len <= SMTP_ORCPT_MAX;
    for (size_t i = 0; is_good && i < type.len; i++)
        is_good = ascii_is_alpha(type.p[i]) || ascii_is_digit(type.p[i]) || type.p[i] == '-';
    if (is_good)
        is_good = span_ieq(type, SPAN("utf-8")) ? is_unitext(address) : is_xtext(address);
    out->orcpt = value;
    return is_good ? SMTP_FINE : bad(err, "ORCPT= is malformed");
}

enum smtp_fault smtp_rcpt_param(const struct smtp_parameter *p, unsigned params, struct smtp_rcpt_args *out,
                                struct err *err)
{
    bool is_notify = span_ieq(p->name, SPAN("NOTIFY")), is_orcpt = span_ieq(p->name, SPAN("ORCPT"));
    if (!(params & SMTP_PARAM_DSN) || (!is_notify && !is_orcpt))
        return smtp_fault_set(err, SMTP_UNKNOWN_PARAMETER, "parameter of RCPT not known");
    if (!p->has_value)
        return bad(err, "a parameter needs a value");
    return is_notify ? read_notify(p->value, out, err) : read_orcpt(p->value, out, err);
}
