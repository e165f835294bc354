/* mta_sts.c - see mta_sts.h. */
#include "policy/mta_sts.h"
#include "text/address.h"
#include "base/banned.h"

static bool is_alnum(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]))
            return false;
    return s.len > 0;
}

/* §3.1: "v=STSv1" first, then fields; id= once. */
static bool read_record(struct span text, struct span *id)
{
    struct span field;
    bool has_id = false;
    span_cut(&text, ';', &field);
    if (!span_eq(span_trim(field), SPAN("v=STSv1")))
        return false;
    while (text.len) {
        span_cut(&text, ';', &field);
        field = span_trim(field);
        if (!span_starts(field, SPAN("id=")))
            continue; /* extensions */
        if (has_id)
            return false;
        *id = span_skip(field, 3);
        has_id = is_alnum(*id) && id->len <= MTA_STS_ID_MAX;
        if (!has_id)
            return false;
    }
    return has_id;
}

bool mta_sts_record_read(const struct span *texts, size_t count, struct span *id)
{
    const struct span *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (span_starts(texts[i], SPAN("v=STSv1;")) || span_starts(texts[i], SPAN("v=STSv1 "))) {
            if (found) /* §3.1: more than one is none */
                return false;
            found = &texts[i];
        }
    return found && read_record(*found, id);
}

/* ---- the policy -----------------------------------------------------------------------------------------------------
 */

struct reading {
    struct arena *a;
    struct mta_sts_policy *out;
    bool has_version, has_mode, has_age;
};

static bool take_mode(struct span value, enum mta_sts_mode *mode)
{
    static const char *const names[] = {
        [MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq(value, span_cstr(names[i]))) {
            *mode = (enum mta_sts_mode)i;
            return true;
        }
    return false;
}

static enum status take_mx(struct reading *r, struct span value, struct err *err)
{
    struct span name = span_starts(value, SPAN("*.")) ? span_skip(value, 2) : value, lower;
    struct err ignored;
    if (!domain_is_valid(name, true) || domain_to_ascii(r->a, name, &lower, &ignored) != ST_OK)
        return err_set(err, ST_SYNTAX, "the policy has an mx that is no host name");
    if (r->out->mx_count == MTA_STS_MX_MAX)
        return err_set(err, ST_SYNTAX, "the policy has more than %d mx", MTA_STS_MX_MAX);
    if (!r->out->mx)
        r->out->mx = arena_array(r->a, MTA_STS_MX_MAX, sizeof *r->out->mx);
    r->out->mx[r->out->mx_count++] = arena_printf(r->a, "%s%.*s", name.len < value.len ? "*." : "", SPAN_ARG(lower));
    return ST_OK;
}

/* §3.2: of keys that may stand once, the first counts. */
static enum status take(struct reading *r, struct span key, struct span value, struct err *err)
{
    uint64_t n;
    if (span_eq(key, SPAN("version"))) {
        if (!r->has_version && !span_eq(value, SPAN("STSv1")))
            return err_set(err, ST_SYNTAX, "the policy is of an unknown version");
        r->has_version = true;
    } else if (span_eq(key, SPAN("mode")) && !r->has_mode) {
        if (!take_mode(value, &r->out->mode))
            return err_set(err, ST_SYNTAX, "the policy has an unknown mode");
        r->has_mode = true;
    } else if (span_eq(key, SPAN("max_age")) && !r->has_age) {
        if (value.len > 10 || !span_to_u64(value, 9999999999, &n))
            return err_set(err, ST_SYNTAX, "the policy's max_age is not a number");
        r->out->max_age = n > MTA_STS_AGE_MAX ? MTA_STS_AGE_MAX : (uint32_t)n;
        r->has_age = true;
    } else if (span_eq(key, SPAN("mx"))) {
        return take_mx(r, value, err);
    }
    return ST_OK;
}

enum status mta_sts_policy_read(struct arena *a, struct span text, struct mta_sts_policy *out, struct err *err)
{
    struct reading r = {.a = a, .out = out};
    *out = (struct mta_sts_policy){0};
    if (text.len > MTA_STS_POLICY_MAX)
        return err_set(err, ST_SYNTAX, "the policy is too long");
    while (text.len) {
        struct span line, key;
        span_cut(&text, '\n', &line); /* §3.2: LF or CRLF */
        line = span_trim(line);
        if (line.len == 0)
            continue;
        if (!span_cut(&line, ':', &key))
            return err_set(err, ST_SYNTAX, "the policy has a line that is no field");
        TRY(take(&r, span_trim(key), span_trim(line), err));
    }
    if (!r.has_version || !r.has_mode || !r.has_age)
        return err_set(err, ST_SYNTAX, "the policy lacks version, mode or max_age");
    if (out->mode != MTA_STS_NONE && out->mx_count == 0)
        return err_set(err, ST_SYNTAX, "the policy names no mx");
    return ST_OK;
}

/* §4.1, RFC 6125 §6.4: "*." stands for one label. */
bool mta_sts_host_matches(const struct mta_sts_policy *p, struct span host)
{
    for (size_t i = 0; i < p->mx_count; i++) {
        struct span pattern = p->mx[i];
        if (span_ieq(pattern, host))
            return true;
        size_t dot = span_find_byte(host, '.', 0);
        if (span_starts(pattern, SPAN("*.")) && dot != SPAN_NPOS && dot > 0 &&
            span_ieq(span_skip(pattern, 2), span_skip(host, dot + 1)))
            return true;
    }
    return false;
}
