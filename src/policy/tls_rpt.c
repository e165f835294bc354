/* tls_rpt.c - see tls_rpt.h. */
#include "policy/tls_rpt.h"
#include "base/banned.h"

/* Nothing that could be something else in a header, a command or a URL. */
static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("<>\"\\", s.p[i]))
            return false;
    return s.len > 0;
}

static void take_uri(struct span uri, struct tls_rpt_target out[TLS_RPT_ADDRESSES_MAX], size_t *count)
{
    bool is_mail = span_istarts(uri, SPAN("mailto:")), is_https = span_istarts(uri, SPAN("https://"));
    struct span rest = is_mail ? span_skip(uri, 7) : uri;
    rest = span_take(rest, is_mail ? span_find_byte(rest, '?', 0)
                                   : rest.len); /* RFC 6068: header fields are not ours to set */
    if (*count < TLS_RPT_ADDRESSES_MAX && (is_mail || is_https) && is_plain(rest) &&
        (is_https || span_find_byte(rest, '@', 1) != SPAN_NPOS))
        out[(*count)++] = (struct tls_rpt_target){is_https, rest};
}

/* §3: "v=TLSRPTv1;rua=uri[,uri]*" */
static bool read_record(struct span text, struct tls_rpt_target out[TLS_RPT_ADDRESSES_MAX], size_t *count)
{
    struct span field;
    span_cut(&text, ';', &field);
    *count = 0;
    while (text.len) {
        span_cut(&text, ';', &field);
        field = span_trim(field);
        if (!span_starts(field, SPAN("rua=")))
            continue;
        struct span uri, list = span_skip(field, 4);
        while (list.len) {
            span_cut(&list, ',', &uri);
            take_uri(span_trim(uri), out, count);
        }
    }
    return *count > 0;
}

bool tls_rpt_record_read(const struct span *texts, size_t count, struct tls_rpt_target out[TLS_RPT_ADDRESSES_MAX],
                         size_t *targets)
{
    const struct span *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (span_starts(texts[i], SPAN("v=TLSRPTv1"))) {
            if (found) /* §3: more than one is none */
                return false;
            found = &texts[i];
        }
    return found && read_record(*found, out, targets);
}
