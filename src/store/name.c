/*
 * name.c - what a mailbox may be called: UTF-8, levels divided by '/', none of them empty, no control characters and
 * none of the wildcards of LIST ('%', '*'; RFC 3501 §6.3.8).
 */
#include "store/account.h"
#include "text/utf8.h"
#include "base/banned.h"

static enum status check_characters(struct span name, struct err *err)
{
    for (struct span s = name; s.len;) {
        size_t bad, n = utf8_sequence_length(s, &bad);
        unsigned char c = (unsigned char)s.p[0];
        bool is_c1 = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0;
        if (n == 0)
            return err_set(err, ST_SYNTAX, "mailbox name is not UTF-8");
        if (c < 0x20 || c == 0x7f || c == '%' || c == '*' || is_c1)
            return err_set(err, ST_SYNTAX, "mailbox name has a forbidden character");
        s = span_skip(s, n);
    }
    return ST_OK;
}

enum status mailbox_name_check(struct span name, struct arena *a, struct span *out, struct err *err)
{
    if (name.len == 0)
        return err_set(err, ST_SYNTAX, "mailbox name is empty");
    if (name.len > MAILBOX_NAME_MAX)
        return err_set(err, ST_LIMIT, "mailbox name is longer than %d octets", MAILBOX_NAME_MAX);
    TRY(check_characters(name, err));
    size_t levels = 1;
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] != '/')
            continue;
        levels++;
        if (i == 0 || i + 1 == name.len || name.p[i - 1] == '/')
            return err_set(err, ST_SYNTAX, "mailbox name has an empty level");
    }
    if (levels > MAILBOX_DEPTH_MAX)
        return err_set(err, ST_LIMIT, "mailbox name has more than %d levels", MAILBOX_DEPTH_MAX);

    *out = arena_copy(a, name);
    struct span first = span_take(name, 5);
    if (span_ieq(first, SPAN("INBOX")) && (name.len == 5 || name.p[5] == '/'))
        memcpy((char *)(uintptr_t)out->p, "INBOX", 5); /* the copy is ours */
    return ST_OK;
}

enum status mailbox_name_lookup(struct span name, struct arena *a, struct span *out, struct err *err)
{
    struct err ignored;
    if (mailbox_name_check(name, a, out, &ignored) != ST_OK)
        return err_set(err, ST_NOTFOUND, "no such mailbox");
    return ST_OK;
}

/* '/' before every other byte keeps children with their parent ("a", "a/b", "a-c"). */
static int rank(char c)
{
    return c == '/' ? 0 : (unsigned char)c + 1;
}

static bool is_inbox_tree(struct span s)
{
    return span_starts(s, SPAN("INBOX")) && (s.len == 5 || s.p[5] == '/');
}

int mailbox_name_cmp(struct span a, struct span b)
{
    if (is_inbox_tree(a) != is_inbox_tree(b))
        return is_inbox_tree(a) ? -1 : 1;
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++)
        if (a.p[i] != b.p[i])
            return rank(a.p[i]) - rank(b.p[i]);
    return a.len < b.len ? -1 : a.len > b.len;
}
