/*
 * base_subject.c - see base_subject.h. The steps are those of RFC 5256 §2.1, the names its grammar's (§5).
 */
#include "text/base_subject.h"
#include "base/banned.h"

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

/* Step 1, as far as decoding has not done it: tabs and runs of spaces are one space. */
static void squeeze(struct span s, struct strbuf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool is_space = is_wsp(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n';
        if (!is_space)
            strbuf_add_char(out, s.p[i]);
        else if (!out->len || out->p[out->len - 1] != ' ')
            strbuf_add_char(out, ' ');
    }
}

static bool ends_with_any_case(struct span s, struct span end)
{
    return s.len >= end.len && span_ieq(span_skip(s, s.len - end.len), end);
}

/* Step 2: *subj-trailer = "(fwd)" / WSP */
static struct span without_trailers(struct span s, bool *is_reply)
{
    for (;;) {
        if (s.len && is_wsp(s.p[s.len - 1])) {
            s = span_take(s, s.len - 1);
        } else if (ends_with_any_case(s, SPAN("(fwd)"))) {
            s = span_take(s, s.len - 5);
            *is_reply = true;
        } else {
            return s;
        }
    }
}

static size_t wsp_length(struct span s)
{
    size_t n = 0;
    while (n < s.len && is_wsp(s.p[n]))
        n++;
    return n;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP; its length, 0: none. */
static size_t blob_length(struct span s)
{
    if (!s.len || s.p[0] != '[')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '[')
            return 0;
        if (s.p[i] == ']')
            return i + 1 + wsp_length(span_skip(s, i + 1));
    }
    return 0;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static size_t refwd_length(struct span s)
{
    size_t n;
    if (span_istarts(s, SPAN("re")))
        n = 2;
    else if (span_istarts(s, SPAN("fwd")))
        n = 3;
    else if (span_istarts(s, SPAN("fw")))
        n = 2;
    else
        return 0;
    n += wsp_length(span_skip(s, n));
    n += blob_length(span_skip(s, n));
    return n < s.len && s.p[n] == ':' ? n + 1 : 0;
}

/* subj-leader = (*subj-blob subj-refwd) / WSP */
static size_t leader_length(struct span s, bool *is_reply)
{
    size_t n = 0;
    if (s.len && is_wsp(s.p[0]))
        return 1;
    for (size_t blob; (blob = blob_length(span_skip(s, n)));)
        n += blob;
    size_t refwd = refwd_length(span_skip(s, n));
    *is_reply |= refwd != 0;
    return refwd ? n + refwd : 0;
}

/* Steps 3 to 5. */
static struct span without_leaders(struct span s, bool *is_reply)
{
    for (;;) {
        size_t n = leader_length(s, is_reply);
        if (!n) {
            n = blob_length(s);
            if (n == s.len) /* removing it would leave nothing */
                return s;
        }
        if (!n)
            return s;
        s = span_skip(s, n);
    }
}

bool base_subject(struct span subject, struct strbuf *out)
{
    AUTO_STRBUF text = STRBUF_INIT;
    bool is_reply = false;
    squeeze(subject, &text);
    struct span s = strbuf_span(&text);
    for (;;) {
        s = without_leaders(without_trailers(s, &is_reply), &is_reply);
        if (!span_istarts(s, SPAN("[fwd:")) || !span_ends(s, SPAN("]")))
            break;
        s = span_slice(s, 5, s.len - 1); /* step 6 */
        is_reply = true;
    }
    strbuf_add(out, s);
    return is_reply;
}
