/*
 * sort.c - see sort.h. The envelope is read as it is stored, in IMAP's own words.
 */
#include "imap/sort.h"
#include "text/base_subject.h"
#include "text/charset.h"
#include "text/header.h"
#include "base/banned.h"

enum { HEADER_BYTES_MAX = 256 * 1024 }; /* read for References */

struct first_address {
    struct span name, mailbox, host;
    bool has_name, has_mailbox, has_host;
};
struct envelope {
    struct span date, subject;
    struct first_address from, to, cc;
};

/* ---- the envelope -------------------------------------------------------------------------------------------------
 */

static enum status address(struct imap_args *args, struct first_address *out, struct err *err)
{
    struct span route;
    bool has_route;
    TRY(args_list_open(args, err));
    TRY(args_nstring(args, &out->has_name, &out->name, err));
    TRY(args_sp(args, err));
    TRY(args_nstring(args, &has_route, &route, err));
    TRY(args_sp(args, err));
    TRY(args_nstring(args, &out->has_mailbox, &out->mailbox, err));
    TRY(args_sp(args, err));
    TRY(args_nstring(args, &out->has_host, &out->host, err));
    return args_list_close(args, err);
}

/* NIL or a list of addresses, of which the first is kept. */
static enum status addresses(struct imap_args *args, struct first_address *first, struct err *err)
{
    struct first_address other;
    TRY(args_sp(args, err));
    if (args_take_word(args, "NIL"))
        return ST_OK;
    TRY(args_list_open(args, err));
    for (bool is_first = true; !args_next_is(args, ')'); is_first = false)
        TRY(address(args, is_first && first ? first : &other, err));
    return args_list_close(args, err);
}

static enum status envelope_read(struct arena *a, struct span stored, struct envelope *out, struct err *err)
{
    struct imap_args args;
    bool has;
    *out = (struct envelope){.date = SPAN_NONE};
    args_init(&args, a, stored);
    TRY(args_list_open(&args, err));
    TRY(args_nstring(&args, &has, &out->date, err));
    TRY(args_sp(&args, err));
    TRY(args_nstring(&args, &has, &out->subject, err));
    TRY(addresses(&args, &out->from, err));
    TRY(addresses(&args, NULL, err)); /* sender */
    TRY(addresses(&args, NULL, err)); /* reply-to */
    TRY(addresses(&args, &out->to, err));
    return addresses(&args, &out->cc, err);
}

/* ---- values -------------------------------------------------------------------------------------------------------
 */

static struct span folded(struct arena *a, enum comparator form, struct span text)
{
    AUTO_STRBUF out = STRBUF_INIT;
    comparator_fold(form, text, &out);
    return arena_strbuf(a, &out);
}

/* RFC 5957 §3 */
static struct span display(struct arena *a, enum comparator form, const struct first_address *x)
{
    struct span name = x->has_name ? header_decode(a, x->name) : SPAN_NONE;
    if (name.len)
        return folded(a, form, name);
    if (x->has_mailbox && x->has_host)
        return folded(a, form, arena_printf(a, "%.*s@%.*s", SPAN_ARG(x->mailbox), SPAN_ARG(x->host)));
    return folded(a, form, x->mailbox);
}

/* RFC 5256 §2.2: where the Date field says nothing, when it came. */
static int64_t sent_date(struct span date, const struct view_message *m)
{
    struct mail_date sent;
    return date_parse_rfc5322(date, &sent) ? sent.utc : m->received_utc;
}

static struct span base_of(struct arena *a, enum comparator form, struct span subject, bool *is_reply)
{
    AUTO_STRBUF base = STRBUF_INIT;
    *is_reply = base_subject(header_decode(a, subject), &base);
    return folded(a, form, strbuf_span(&base));
}

static struct sort_value value_of(struct arena *a, enum comparator form, enum sort_by by, const struct envelope *e,
                                  const struct view_message *m, unsigned score)
{
    bool is_reply;
    switch (by) {
    case SORT_ARRIVAL:
        return (struct sort_value){.number = m->received_utc};
    case SORT_SIZE:
        return (struct sort_value){.number = m->size};
    case SORT_RELEVANCY: /* the highest first (RFC 6203 §6) */
        return (struct sort_value){.number = -(int64_t)score};
    case SORT_DATE:
        return (struct sort_value){.number = sent_date(e->date, m)};
    case SORT_SUBJECT:
        return (struct sort_value){.text = base_of(a, form, e->subject, &is_reply)};
    case SORT_FROM:
        return (struct sort_value){.text = folded(a, form, e->from.mailbox)};
    case SORT_TO:
        return (struct sort_value){.text = folded(a, form, e->to.mailbox)};
    case SORT_CC:
        return (struct sort_value){.text = folded(a, form, e->cc.mailbox)};
    case SORT_DISPLAYFROM:
        return (struct sort_value){.text = display(a, form, &e->from)};
    case SORT_DISPLAYTO:
        break;
    }
    return (struct sort_value){.text = display(a, form, &e->to)};
}

bool sort_is_view_enough(const struct sort_args *args)
{
    for (size_t i = 0; i < args->count; i++)
        if (args->keys[i].by != SORT_ARRIVAL && args->keys[i].by != SORT_SIZE && args->keys[i].by != SORT_RELEVANCY)
            return false;
    return true;
}

enum status sort_values(struct txn *txn, const struct view_message *m, const struct sort_args *args, unsigned score,
                        struct arena *a, struct sort_value *out, struct err *err)
{
    AUTO_ARENA scratch = ARENA_INIT;
    struct envelope e = {.date = SPAN_NONE};
    if (txn && !sort_is_view_enough(args)) {
        struct content_forms forms;
        TRY(content_load(txn, m->content, CONTENT_ENVELOPE, &scratch, &forms, err));
        TRY(envelope_read(&scratch, forms.envelope, &e, err));
    }
    for (size_t i = 0; i < args->count; i++) {
        out[i] = value_of(&scratch, args->comparator, args->keys[i].by, &e, m, score);
        out[i].text = arena_copy(a, out[i].text);
    }
    return ST_OK;
}

int sort_compare(const struct sort_args *args, const struct sort_value *x, const struct sort_value *y)
{
    for (size_t i = 0; i < args->count; i++) {
        int c = x[i].number < y[i].number ? -1 : x[i].number > y[i].number;
        if (!c)
            c = span_cmp(x[i].text, y[i].text);
        if (c)
            return args->keys[i].is_reverse ? -c : c;
    }
    return 0;
}

/* ---- threads -------------------------------------------------------------------------------------------------------
 */

static struct span field_of(struct span header, const char *name)
{
    struct header_field f;
    return header_find(header, span_cstr(name), &f) ? f.value : SPAN_NONE;
}

static void read_references(struct arena *a, struct span header, struct thread_message *out)
{
    struct span ids[THREAD_REFERENCES_MAX];
    if (thread_ids(a, field_of(header, "Message-ID"), ids, 1))
        out->id = ids[0];
    size_t n = thread_ids(a, field_of(header, "References"), ids, THREAD_REFERENCES_MAX);
    if (!n) { /* only the first of In-Reply-To: what follows it may be anything */
        n = thread_ids(a, field_of(header, "In-Reply-To"), ids, THREAD_REFERENCES_MAX);
        n = n ? 1 : 0;
    }
    out->reference_count = n;
    out->references = arena_array(a, n, sizeof *out->references);
    for (size_t i = 0; i < n; i++)
        out->references[i] = ids[i];
}

enum status thread_read(struct txn *txn, const struct view_message *m, bool has_references, enum comparator form,
                        struct arena *a, struct thread_message *out, struct err *err)
{
    AUTO_ARENA scratch = ARENA_INIT;
    AUTO_STRBUF header = STRBUF_INIT;
    struct content_forms forms;
    struct envelope e;
    TRY(content_load(txn, m->content, CONTENT_ENVELOPE, &scratch, &forms, err));
    TRY(envelope_read(&scratch, forms.envelope, &e, err));
    out->date = sent_date(e.date, m);
    out->subject = arena_copy(a, base_of(&scratch, form, e.subject, &out->is_reply));
    if (!has_references)
        return ST_OK;
    uint64_t size = forms.header_size < HEADER_BYTES_MAX ? forms.header_size : HEADER_BYTES_MAX;
    TRY(content_read(txn, m->content, 0, size, &header, err));
    read_references(a, strbuf_span(&header), out);
    return ST_OK;
}
