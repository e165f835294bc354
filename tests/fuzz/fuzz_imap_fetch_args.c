/* FETCH items: what the answer's labels say, asked again, gives the same labels. */
#include "fuzz.h"
#include "text/imap_fetch_args.h"

static void add_labels(const struct fetch_args *f, struct strbuf *out)
{
    strbuf_add_char(out, '(');
    for (size_t i = 0; i < f->count; i++) {
        if (i)
            strbuf_add_char(out, ' ');
        strbuf_add(out, f->items[i].label);
        if (f->items[i].is_partial) { /* the label has no size */
            strbuf_truncate(out, out->len - 1);
            strbuf_add_cstr(out, ".1>");
        }
    }
    strbuf_add_char(out, ')');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF first = STRBUF_INIT;
    AUTO_STRBUF second = STRBUF_INIT;
    struct imap_args args;
    struct fetch_args f, again;
    struct err err;
    args_init(&args, &a, span_of(data, size));
    if (fetch_args_parse(&args, &f, &err) != ST_OK)
        return 0;
    CHECK(f.count > 0 && f.count <= FETCH_ITEMS_MAX);
    add_labels(&f, &first);
    args_init(&args, &a, strbuf_span(&first));
    CHECK(fetch_args_parse(&args, &again, &err) == ST_OK);
    CHECK(args_at_end(&args));
    add_labels(&again, &second);
    CHECK(span_eq(strbuf_span(&first), strbuf_span(&second)));
    return 0;
}
