/*
 * imap_pattern.c - see imap_pattern.h. The pattern is a row of tokens, and bit i of a state means "the tokens before i
 * have matched so far". All states step together, a word of 64 at a time, so that no pattern can make us backtrack.
 */
#include "text/imap_pattern.h"
#include "base/banned.h"

enum { WORDS_MAX = IMAP_PATTERN_MAX / 64 + 1 };

struct imap_pattern {
    size_t tokens;               /* the state with this bit is a match */
    size_t words;                /* of a state */
    uint64_t star[WORDS_MAX];    /* tokens that are "*" */
    uint64_t percent[WORDS_MAX]; /* tokens that are "%" */
    uint64_t (*bytes)[256];      /* [word][byte]: tokens that are this byte */
};

static void set_bit(uint64_t *set, size_t bit)
{
    set[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static bool has_bit(const uint64_t *set, size_t bit)
{
    return set[bit / 64] >> (bit % 64) & 1;
}

enum status imap_pattern_compile(struct arena *a, struct span text, struct imap_pattern **out, struct err *err)
{
    if (text.len > IMAP_PATTERN_MAX)
        return err_set(err, ST_LIMIT, "pattern is longer than %d octets", IMAP_PATTERN_MAX);
    struct imap_pattern *p = arena_alloc(a, sizeof *p);
    p->words = text.len / 64 + 1;
    p->bytes = arena_array(a, p->words, sizeof *p->bytes);
    for (size_t i = 0; i < text.len;) {
        if (text.p[i] != '*' && text.p[i] != '%') {
            p->bytes[p->tokens / 64][(unsigned char)text.p[i++]] |= (uint64_t)1 << (p->tokens % 64);
            p->tokens++;
            continue;
        }
        /* Of wildcards in a row one is enough, and "*" is the stronger. So a skipped wildcard never leads to another.
         */
        bool is_star = false;
        for (; i < text.len && (text.p[i] == '*' || text.p[i] == '%'); i++)
            is_star = is_star || text.p[i] == '*';
        set_bit(is_star ? p->star : p->percent, p->tokens++);
    }
    *out = p;
    return ST_OK;
}

/* A wildcard may also stand for nothing. */
static void skip_wildcards(const struct imap_pattern *p, uint64_t *state)
{
    uint64_t carry = 0;
    for (size_t w = 0; w < p->words; w++) {
        uint64_t at_wildcard = state[w] & (p->star[w] | p->percent[w]);
        state[w] |= at_wildcard << 1 | carry;
        carry = at_wildcard >> 63;
    }
}

/* False where no state is left. */
static bool step(const struct imap_pattern *p, uint64_t *state, unsigned char c, bool is_case_ignored)
{
    uint64_t carry = 0, any = 0;
    unsigned char lower = (unsigned char)ascii_lower((char)c);
    for (size_t w = 0; w < p->words; w++) {
        uint64_t matching = p->bytes[w][c];
        if (is_case_ignored)
            matching |= p->bytes[w][lower];
        uint64_t stay = state[w] & (c == '/' ? p->star[w] : p->star[w] | p->percent[w]);
        uint64_t move = state[w] & matching;
        state[w] = stay | move << 1 | carry;
        carry = move >> 63;
        any |= state[w];
    }
    skip_wildcards(p, state);
    return any != 0;
}

bool imap_pattern_match(const struct imap_pattern *p, struct span name)
{
    uint64_t state[WORDS_MAX] = {1};
    bool is_inbox = span_eq(name, SPAN("INBOX"));
    skip_wildcards(p, state);
    for (size_t i = 0; i < name.len; i++)
        if (!step(p, state, (unsigned char)name.p[i], is_inbox))
            return false;
    return has_bit(state, p->tokens);
}

bool imap_pattern_may_match_below(const struct imap_pattern *p, struct span beginning)
{
    uint64_t state[WORDS_MAX] = {1};
    skip_wildcards(p, state);
    for (size_t i = 0; i < beginning.len; i++)
        if (!step(p, state, (unsigned char)beginning.p[i], false))
            return false;
    return true;
}
