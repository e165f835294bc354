/* local_text.c - see local_text.h. */
#include "text/local_text.h"
#include "base/banned.h"

/* What was held back is part of the line after all. */
static void release(struct local_text *t, struct strbuf *out)
{
    if (t->has_dot)
        strbuf_add_char(out, '.');
    if (t->has_cr)
        strbuf_add_char(out, '\r');
    t->is_in_line |= t->has_dot || t->has_cr;
    t->has_dot = t->has_cr = false;
}

static void end_line(struct local_text *t, struct strbuf *out)
{
    t->has_cr = false;
    if (t->has_dot && t->is_dot_end) {
        t->is_ended = true;
        return;
    }
    release(t, out);
    strbuf_add(out, SPAN("\r\n"));
    t->is_in_line = false;
}

static size_t plain_run(struct span s)
{
    size_t n = 0;
    while (n < s.len && s.p[n] != '\n' && s.p[n] != '\r')
        n++;
    return n;
}

void local_text_feed(struct local_text *t, struct span in, struct strbuf *out)
{
    while (in.len && !t->is_ended) {
        char c = in.p[0];
        if (c == '\n') {
            end_line(t, out);
            in = span_skip(in, 1);
        } else if (c == '\r') {
            if (t->has_cr)
                release(t, out);
            t->has_cr = true;
            in = span_skip(in, 1);
        } else if (c == '.' && !t->is_in_line && !t->has_dot && !t->has_cr) {
            t->has_dot = true;
            in = span_skip(in, 1);
        } else {
            size_t n = plain_run(in);
            release(t, out);
            strbuf_add(out, span_take(in, n));
            t->is_in_line = true;
            in = span_skip(in, n);
        }
    }
}

void local_text_finish(struct local_text *t, struct strbuf *out)
{
    if (!t->is_ended && (t->is_in_line || t->has_dot || t->has_cr))
        end_line(t, out);
}
