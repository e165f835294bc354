/*
 * metadata.c - entries of a mailbox or of the server: reading, writing, setting. See metadata.h.
 */
#include "imap/metadata.h"
#include "imap/search_filter.h"
#include "base/map.h"
#include "imap/names.h"
#include "text/imap_structure.h"
#include "base/banned.h"

/* ---- rights ----------------------------------------------------------------------------------------------------- */

bool imap_metadata_may_read(acl_rights rights)
{
    return (rights & ACL_LOOKUP) && (rights & (ACL_READ | ACL_SEEN | ACL_WRITE | ACL_INSERT | ACL_POST));
}

bool imap_metadata_may_set(acl_rights rights, bool is_private)
{
    return imap_metadata_may_read(rights) && (is_private || (rights & ACL_WRITE));
}

/* ---- entries that are kept elsewhere ---------------------------------------------------------------------------- */

static bool set_text(const char *text, struct span *out)
{
    *out = span_cstr(text ? text : "");
    return out->len;
}

static bool comment(const struct imap *im, const struct metadata_target *of, struct arena *a, struct span *out)
{
    (void)of, (void)a;
    return set_text(imap_mail_app(im)->comment, out);
}

static bool admin(const struct imap *im, const struct metadata_target *of, struct arena *a, struct span *out)
{
    (void)of, (void)a;
    return set_text(imap_mail_app(im)->contact, out);
}

/* A special use is its owner's; to others the mailbox has none. */
static bool special_use(const struct imap *im, const struct metadata_target *of, struct arena *a, struct span *out)
{
    (void)im;
    const char *name = of->is_own ? imap_use_name(of->mailbox->use) : NULL;
    *out = name ? arena_printf(a, "\\%s", name) : SPAN_NONE;
    return name;
}

static const struct elsewhere {
    bool is_server, is_private;
    struct span path;
    /* Whether it has a value. */
    bool (*read)(const struct imap *im, const struct metadata_target *of, struct arena *a, struct span *out);
} elsewhere[] = {
    {true, false, SPAN_INIT("/comment"), comment}, /* RFC 5464 §3.2.1.1 */
    {true, false, SPAN_INIT("/admin"), admin},
    {false, true, SPAN_INIT("/specialuse"), special_use}, /* RFC 6154 §4 */
};
enum { ELSEWHERE_COUNT = sizeof elsewhere / sizeof *elsewhere };

static bool is_in_scope(const struct elsewhere *e, const struct metadata_target *of, bool is_private)
{
    return e->is_server == !of->mailbox && e->is_private == is_private;
}

static const struct elsewhere *find_elsewhere(const struct metadata_target *of, bool is_private, struct span path)
{
    for (size_t i = 0; i < ELSEWHERE_COUNT; i++)
        if (is_in_scope(&elsewhere[i], of, is_private) && span_eq(elsewhere[i].path, path))
            return &elsewhere[i];
    return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    struct imap *im;
    struct txn *txn;
    const struct metadata_target *of;
    const struct metadata_query *query;
    struct arena *a;
    struct map *seen; /* scope and path of those that have been answered */
    struct metadata_answers *out;
};

static void add(struct reading *r, struct span name, bool has_value, struct span value)
{
    struct metadata_answers *out = r->out;
    if (r->query->has_max && value.len > r->query->max_size) {
        out->longest = value.len > out->longest ? value.len : out->longest;
        return;
    }
    if (out->count == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 8;
        struct metadata_answer *more = arena_array(r->a, cap, sizeof *more);
        if (out->count)
            memcpy(more, out->items, out->count * sizeof *more);
        out->items = more;
        out->cap = cap;
    }
    out->items[out->count++] = (struct metadata_answer){name, has_value, value};
}

static struct span canonical(struct arena *a, bool is_private, struct span path)
{
    return arena_printf(a, "%s%.*s", is_private ? "/private" : "/shared", SPAN_ARG(path));
}

static enum status answer(struct reading *r, bool is_private, struct span path, struct span name, bool is_nil_told,
                          struct err *err)
{
    struct metadata_key key = {r->of->mailbox ? r->of->mailbox->id : 0, is_private, path};
    const struct elsewhere *e = find_elsewhere(r->of, is_private, path);
    struct span value = SPAN_NONE, full = canonical(r->a, is_private, path);
    bool has_value = false;
    if (map_put(r->seen, full, r))
        return ST_OK;
    if (e)
        has_value = e->read(r->im, r->of, r->a, &value);
    else
        TRY(metadata_get(r->txn, &key, r->a, &has_value, &value, err));
    if (has_value || is_nil_told)
        add(r, name.len ? name : full, has_value, value);
    return ST_OK;
}

/* What lies below an entry (§4.2.2). */
static enum status answer_below(struct reading *r, const struct metadata_entry *e, struct err *err)
{
    struct metadata_key key = {r->of->mailbox ? r->of->mailbox->id : 0, e->is_private, SPAN_NONE};
    struct span *paths;
    size_t count;
    TRY(metadata_list(r->txn, &key, r->a, &paths, &count, err));
    for (size_t i = 0; i < count; i++)
        if (metadata_is_within(paths[i], e->path, r->query->depth))
            TRY(answer(r, e->is_private, paths[i], SPAN_NONE, false, err));
    for (size_t i = 0; i < ELSEWHERE_COUNT; i++)
        if (is_in_scope(&elsewhere[i], r->of, e->is_private) &&
            metadata_is_within(elsewhere[i].path, e->path, r->query->depth))
            TRY(answer(r, e->is_private, elsewhere[i].path, SPAN_NONE, false, err));
    return ST_OK;
}

static enum status answer_all(struct reading *r, struct err *err)
{
    unsigned depth = r->query->depth;
    for (size_t i = 0; i < r->query->entries.count; i++) {
        const struct metadata_entry *e = &r->query->entries.items[i];
        TRY(answer(r, e->is_private, e->path, e->name, depth == 0, err));
        if (depth)
            TRY(answer_below(r, e, err));
    }
    return ST_OK;
}

enum status imap_metadata_read(struct imap *im, struct txn *txn, const struct metadata_target *of,
                               const struct metadata_query *query, struct arena *a, struct metadata_answers *out,
                               struct err *err)
{
    struct reading r = {im, txn, of, query, a, map_new(), out};
    *out = (struct metadata_answers){0};
    enum status st = answer_all(&r, err);
    map_free(&r.seen);
    return st;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* value = nstring / literal8 (§5): a string has no NUL. */
static void write_value(const struct metadata_answer *v, struct strbuf *out)
{
    if (v->has_value && span_find_byte(v->value, '\0', 0) != SPAN_NPOS) {
        strbuf_addf(out, "~{%zu}\r\n", v->value.len);
        strbuf_add(out, v->value);
    } else {
        imap_nstring_write(v->has_value, v->value, out);
    }
}

/* As much as fits into one response, at least one entry. */
static void write_response(struct imap *im, struct span path, struct metadata_answers *answers)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* METADATA ");
    imap_write_name(im, path, out);
    const char *before = " (";
    do {
        const struct metadata_answer *v = &answers->items[answers->written++];
        strbuf_add_cstr(out, before);
        imap_string_write(v->name, out);
        strbuf_add_char(out, ' ');
        write_value(v, out);
        before = " ";
    } while (answers->written < answers->count && out->len < SESSION_OUT_HIGH);
    strbuf_add_cstr(out, ")\r\n");
}

bool imap_metadata_write(struct imap *im, struct span path, struct metadata_answers *answers)
{
    while (answers->written < answers->count) {
        if (imap_out(im)->len >= SESSION_OUT_HIGH)
            return false;
        write_response(im, path, answers);
    }
    return true;
}

/* ---- setting ---------------------------------------------------------------------------------------------------- */

const char imap_metadata_maxsize[] = "METADATA MAXSIZE 16384";
_Static_assert(METADATA_VALUE_MAX == 16384, "the response code names it");

/* RFC 6154 §4: as CREATE does it. */
static enum status set_special_use(struct imap_call *call, struct txn *txn, const struct metadata_target *on,
                                   const struct metadata_key *key, const struct metadata_entry *e, struct err *err)
{
    enum special_use use = USE_NONE;
    if (e->has_value && e->value.len) {
        use = e->value.p[0] == '\\' ? imap_use_named(span_skip(e->value, 1)) : USE_NONE;
        if (!on->is_own || !imap_use_is_given(use)) {
            call->no_code = "USEATTR";
            return err_set(err, ST_UNSUPPORTED, "this special use cannot be given to the mailbox");
        }
    }
    if (!on->is_own || use == on->mailbox->use)
        return ST_OK;
    TRY(mailbox_set_use(txn, on->mailbox->id, use, err));
    return metadata_touch(txn, key, err);
}

enum status imap_metadata_set(struct imap *im, struct imap_call *call, struct txn *txn,
                              const struct metadata_target *on, const struct metadata_entry *e, struct err *err)
{
    struct metadata_key key = {on->mailbox ? on->mailbox->id : 0, e->is_private, e->path};
    bool is_too_many;
    (void)im;
    if (e->has_value && e->value.len > METADATA_VALUE_MAX) {
        call->no_code = imap_metadata_maxsize;
        return err_set(err, ST_LIMIT, "a value has at most %d octets", METADATA_VALUE_MAX);
    }
    if (!on->mailbox && !e->is_private)
        return err_set(err, ST_DENIED, "shared entries of the server are set by its administrator");
    if (on->mailbox && find_elsewhere(on, e->is_private, e->path))
        return set_special_use(call, txn, on, &key, e, err);
    if (!on->mailbox && e->has_value)
        TRY(search_filter_check(e->path, e->value, err));
    enum status st = metadata_set(txn, &key, e->has_value ? &e->value : NULL, &is_too_many, err);
    if (is_too_many)
        call->no_code = "METADATA TOOMANY";
    return st;
}
