/* imap.c - see imap.h. */
#include "imap.h"
#include <stdarg.h>
#include <stdio.h>
#include "bench.h"

/* ---- responses */

/* The size of the literal that a line ends with ("{12}", before CRLF), or -1. */
static int64_t literal_size(struct span line)
{
    uint64_t n;
    if (line.len < 3 || line.p[line.len - 1] != '}')
        return -1;
    size_t open = span_rfind_byte(line, '{');
    if (open == SPAN_NPOS || !span_to_u64(span_slice(line, open + 1, line.len - 1), UINT32_MAX, &n))
        return -1;
    return (int64_t)n;
}

struct span imap_response(struct imap *im)
{
    size_t line = 0, seen = 0;
    for (;;) {
        struct span all = conn_window(im->conn, seen + 1);
        size_t lf = span_find_byte(all, '\n', seen);
        if (lf == SPAN_NPOS) {
            seen = all.len;
            continue;
        }
        if (lf == line || all.p[lf - 1] != '\r')
            bench_fail("a line does not end with CRLF");
        int64_t literal = literal_size(span_slice(all, line, lf - 1));
        if (literal < 0) {
            conn_take(im->conn, lf + 1);
            return span_take(all, lf - 1);
        }
        line = seen = lf + 1 + (size_t)literal;
    }
}

bool imap_is_number(struct span untagged, struct span keyword, uint32_t *number)
{
    struct span digits, rest = untagged;
    uint64_t n;
    if (!span_cut(&rest, ' ', &digits) || !span_to_u64(digits, UINT32_MAX, &n) || !span_ieq(rest, keyword))
        return false;
    *number = (uint32_t)n;
    return true;
}

bool imap_is_fetch(struct span untagged, uint32_t *number, struct span *items)
{
    struct span digits, rest = untagged;
    uint64_t n;
    if (!span_cut(&rest, ' ', &digits) || !span_to_u64(digits, UINT32_MAX, &n) ||
        !span_istarts(rest, SPAN("FETCH (")) || rest.p[rest.len - 1] != ')')
        return false;
    *number = (uint32_t)n;
    *items = span_slice(rest, 7, rest.len - 1);
    return true;
}

/* The length of the quoted string, literal or list at the beginning of s, or of the atom (which may hold brackets with
 * spaces). */
static size_t value_length(struct span s, struct span *bare)
{
    size_t n = 0, depth = 0;
    bool is_quoted = false;
    if (s.len && s.p[0] == '{') {
        size_t lf = span_find_byte(s, '\n', 0);
        int64_t size = lf == SPAN_NPOS ? -1 : literal_size(span_take(s, lf - 1));
        if (size < 0 || (size_t)size > s.len - lf - 1)
            bench_fail("a literal is malformed");
        *bare = span_slice(s, lf + 1, lf + 1 + (size_t)size);
        return lf + 1 + (size_t)size;
    }
    for (; n < s.len; n++) {
        char c = s.p[n];
        if (is_quoted) {
            if (c == '\\')
                n++;
            else if (c == '"')
                is_quoted = false;
        } else if (c == '"') {
            is_quoted = true;
        } else if (c == '(' || c == '[') {
            depth++;
        } else if ((c == ')' || c == ']') && depth) {
            depth--;
        } else if (c == '{' && depth) { /* a literal within a list */
            struct span inner;
            n += value_length(span_skip(s, n), &inner) - 1;
        } else if (c == ' ' && depth == 0) {
            break;
        }
    }
    if (n > s.len)
        n = s.len;
    *bare = span_take(s, n);
    if (n >= 2 && s.p[0] == '"')
        *bare = span_slice(s, 1, n - 1);
    return n;
}

bool imap_next_item(struct span *items, struct span *name, struct span *value)
{
    if (items->len == 0)
        return false;
    struct span bare;
    size_t n = value_length(*items, &bare);
    *name = bare;
    *items = span_skip(*items, n + 1);
    n = value_length(*items, value);
    *items = span_skip(*items, n + 1);
    return true;
}

bool imap_item(struct span items, struct span name, struct span *value)
{
    struct span item;
    while (imap_next_item(&items, &item, value))
        if (span_ieq(item, name))
            return true;
    return false;
}

/* "OK [UIDNEXT 12] …" */
static bool code_number(struct span text, struct span code, uint64_t *n)
{
    if (!span_istarts(text, SPAN("OK [")))
        return false;
    text = span_skip(text, 4);
    if (!span_istarts(text, code))
        return false;
    size_t end = span_find_byte(text, ']', 0);
    return end != SPAN_NPOS && span_to_u64(span_slice(text, code.len, end), INT64_MAX, n);
}

static void note(struct imap *im, struct span text)
{
    uint64_t n;
    uint32_t number;
    if (imap_is_number(text, SPAN("EXISTS"), &number))
        im->exists = number;
    else if (imap_is_number(text, SPAN("EXPUNGE"), &number) && im->exists)
        im->exists--;
    else if (code_number(text, SPAN("UIDNEXT "), &n))
        im->uid_next = (uint32_t)n;
    else if (code_number(text, SPAN("UIDVALIDITY "), &n))
        im->uid_validity = (uint32_t)n;
    else if (code_number(text, SPAN("HIGHESTMODSEQ "), &n))
        im->highest_modseq = n;
    else if (span_istarts(text, SPAN("BYE")))
        bench_fail("the server ended the session: %.*s", SPAN_ARG(text));
}

bool imap_untagged(struct imap *im, struct span *text)
{
    struct span line = imap_response(im);
    if (span_starts(line, SPAN("* "))) {
        *text = span_skip(line, 2);
        note(im, *text);
        return true;
    }
    char tag[32];
    int n = snprintf(tag, sizeof tag, "b%llu ", (unsigned long long)++im->answered);
    struct span tail = span_skip(line, (size_t)n);
    bool is_ok = span_istarts(tail, SPAN("OK")) || (im->is_shared && span_istarts(tail, SPAN("NO [EXPUNGEISSUED]")));
    if (!span_starts(line, span_of(tag, (size_t)n)) || !is_ok)
        bench_fail("expected \"%sOK\", got \"%.*s\"", tag, SPAN_ARG(line));
    strbuf_clear(&im->ok);
    strbuf_add(&im->ok, tail);
    return false;
}

void imap_wait_ok(struct imap *im)
{
    struct span text;
    while (imap_untagged(im, &text))
        ;
}

void imap_continuation(struct imap *im)
{
    for (;;) {
        struct span line = imap_response(im);
        if (span_starts(line, SPAN("+")))
            return;
        if (!span_starts(line, SPAN("* ")))
            bench_fail("expected a continuation, got \"%.*s\"", SPAN_ARG(line));
        note(im, span_skip(line, 2));
    }
}

/* ---- commands */

void imap_tag(struct imap *im)
{
    conn_printf(im->conn, "b%llu ", (unsigned long long)++im->tag);
}

void imap_command(struct imap *im, const char *fmt, ...)
{
    AUTO_STRBUF text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&text, fmt, ap);
    va_end(ap);
    imap_tag(im);
    conn_write(im->conn, text.p, text.len);
    conn_write(im->conn, "\r\n", 2);
    imap_wait_ok(im);
}

void imap_open(struct imap *im)
{
    *im = (struct imap){.conn = conn_open(opt.port, opt.is_tls)};
    struct span greeting = imap_response(im);
    if (!span_istarts(greeting, SPAN("* OK")))
        bench_fail("expected a greeting, got \"%.*s\"", SPAN_ARG(greeting));
    if (!opt.is_starttls)
        return;
    imap_command(im, "STARTTLS");
    conn_start_tls(im->conn);
}

void imap_login(struct imap *im, const char *user)
{
    imap_command(im, "LOGIN \"%s\" \"%s\"", user, opt.password);
}

static bool has_word(struct span text, const char *word)
{
    struct span one;
    bool is_more;
    do {
        is_more = span_cut(&text, ' ', &one);
        if (span_ieq(one, span_cstr(word)))
            return true;
    } while (is_more);
    return false;
}

void imap_capability(struct imap *im)
{
    struct span text;
    bool is_told = false;
    imap_tag(im);
    conn_printf(im->conn, "CAPABILITY\r\n");
    while (imap_untagged(im, &text)) {
        if (!span_istarts(text, SPAN("CAPABILITY ")))
            continue;
        is_told = true;
        im->has_literal_plus = has_word(text, "LITERAL+");
        im->has_multiappend = has_word(text, "MULTIAPPEND");
        im->has_move = has_word(text, "MOVE");
        im->has_unselect = has_word(text, "UNSELECT");
        im->has_uidplus = has_word(text, "UIDPLUS");
        im->has_qresync = has_word(text, "QRESYNC");
        im->has_condstore = has_word(text, "CONDSTORE") || im->has_qresync;
        im->has_esearch = has_word(text, "ESEARCH");
    }
    if (!is_told)
        bench_fail("CAPABILITY tells nothing");
}

void imap_open_account(struct imap *im, uint64_t number)
{
    AUTO_STRBUF user = STRBUF_INIT;
    account_name(&user, opt.user, number);
    imap_open(im);
    imap_login(im, user.p);
}

void imap_logout(struct imap *im)
{
    bool is_bye = false;
    imap_tag(im);
    conn_printf(im->conn, "LOGOUT\r\n");
    for (;;) {
        struct span line = imap_response(im);
        if (span_istarts(line, SPAN("* BYE")))
            is_bye = true;
        if (!span_starts(line, SPAN("* ")))
            break;
    }
    if (!is_bye)
        bench_fail("LOGOUT without BYE");
    imap_close(im);
}

void imap_close(struct imap *im)
{
    conn_close(im->conn);
    strbuf_free(&im->ok);
    im->conn = NULL;
}

void imap_select(struct imap *im, const char *mailbox, bool is_read_only)
{
    im->exists = UINT32_MAX;
    imap_command(im, "%s \"%s\"", is_read_only ? "EXAMINE" : "SELECT", mailbox);
    if (im->exists == UINT32_MAX)
        bench_fail("SELECT of %s told no EXISTS", mailbox);
}

void imap_create(struct imap *im, const char *mailbox)
{
    if (span_ieq(span_cstr(mailbox), SPAN("INBOX")))
        return;
    bool is_there = false;
    struct span text;
    imap_tag(im);
    conn_printf(im->conn, "LIST \"\" \"%s\"\r\n", mailbox);
    while (imap_untagged(im, &text))
        is_there |= span_istarts(text, SPAN("LIST "));
    if (!is_there)
        imap_command(im, "CREATE \"%s\"", mailbox);
}

uint32_t imap_status_messages(struct imap *im, const char *mailbox)
{
    struct span text;
    uint64_t n = UINT64_MAX;
    imap_tag(im);
    conn_printf(im->conn, "STATUS \"%s\" (MESSAGES)\r\n", mailbox);
    while (imap_untagged(im, &text)) {
        size_t at = span_find(text, SPAN("(MESSAGES "), 0);
        if (span_istarts(text, SPAN("STATUS ")) && at != SPAN_NPOS &&
            !span_to_u64(span_slice(text, at + 10, text.len - 1), UINT32_MAX, &n))
            bench_fail("STATUS is malformed: %.*s", SPAN_ARG(text));
    }
    if (n == UINT64_MAX)
        bench_fail("STATUS of %s told nothing", mailbox);
    return (uint32_t)n;
}

void imap_append(struct imap *im, const char *mailbox, struct span text)
{
    imap_tag(im);
    conn_printf(im->conn, "APPEND \"%s\" (\\Seen) {%zu%s}\r\n", mailbox, text.len, im->has_literal_plus ? "+" : "");
    if (!im->has_literal_plus)
        imap_continuation(im);
    conn_write(im->conn, text.p, text.len);
    conn_write(im->conn, "\r\n", 2);
}

void imap_append_answer(struct imap *im)
{
    uint64_t validity;
    imap_wait_ok(im);
    if (!im->has_uidplus)
        return;
    struct span ok = strbuf_span(&im->ok), code = SPAN("OK [APPENDUID "), number;
    struct span rest = span_skip(ok, code.len);
    if (!span_istarts(ok, code) || !span_cut(&rest, ' ', &number) || !span_to_u64(number, UINT32_MAX, &validity) ||
        rest.len == 0 || !ascii_is_digit(rest.p[0]))
        bench_fail("APPEND without APPENDUID: %.*s", SPAN_ARG(ok));
}
