/* LIST patterns: pattern and name, split at the first NUL, against the textbook matcher by rows. */
#include "fuzz.h"
#include "text/imap_pattern.h"

enum { NAME_MAX_HERE = 256 };

static bool matches(struct span p, struct span n)
{
    bool row[NAME_MAX_HERE + 1] = {true}; /* row[j]: the pattern so far matches n's first j bytes */
    for (size_t i = 0; i < p.len; i++) {
        bool is_star = p.p[i] == '*', is_percent = p.p[i] == '%', before = row[0];
        row[0] = row[0] && (is_star || is_percent);
        for (size_t j = 1; j <= n.len; j++) {
            bool diagonal = before;
            before = row[j];
            if (is_star || is_percent)
                row[j] = row[j] || (row[j - 1] && (is_star || n.p[j - 1] != '/'));
            else
                row[j] = diagonal && p.p[i] == n.p[j - 1];
        }
    }
    return row[n.len];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span name = span_of(data, size), text;
    struct imap_pattern *p;
    struct err err;
    span_cut(&name, '\0', &text);
    name = span_take(name, NAME_MAX_HERE);
    if (imap_pattern_compile(&a, text, &p, &err) == ST_OK && !span_eq(name, SPAN("INBOX")))
        CHECK(imap_pattern_match(p, name) == matches(text, name));
    return 0;
}
