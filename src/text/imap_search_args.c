/*
 * imap_search_args.c - see imap_search_args.h. A table of keys says what follows each; the few with structure (NOT, OR,
 * parentheses) call the reader of one key again, counted against SEARCH_DEPTH_MAX.
 */
#include "text/imap_search_args.h"
#include "text/charset.h"
#include "base/banned.h"

enum operand {
    OPERAND_NONE,
    OPERAND_TEXT,
    OPERAND_FIELD_TEXT,
    OPERAND_KEYWORD,
    OPERAND_DAY,
    OPERAND_NUMBER,
    OPERAND_INTERVAL,
    OPERAND_UIDS,
    OPERAND_MODSEQ,
    OPERAND_OBJECT_ID,
    OPERAND_UID_AFTER,
    OPERAND_UID_BEFORE
};

static const struct key_name {
    const char *name;
    enum search_kind kind;
    bool is_negated;
    enum operand operand;
    unsigned flag;
    const char *field; /* of those keys that are short for HEADER */
} key_names[] = {
    {"ALL", SEARCH_ALL, false, OPERAND_NONE, 0, NULL},
    {"ANSWERED", SEARCH_FLAGS, false, OPERAND_NONE, IMAP_FLAG_ANSWERED, NULL},
    {"BCC", SEARCH_HEADER, false, OPERAND_TEXT, 0, "Bcc"},
    {"BEFORE", SEARCH_BEFORE, false, OPERAND_DAY, 0, NULL},
    {"BODY", SEARCH_BODY, false, OPERAND_TEXT, 0, NULL},
    {"CC", SEARCH_HEADER, false, OPERAND_TEXT, 0, "Cc"},
    {"DELETED", SEARCH_FLAGS, false, OPERAND_NONE, IMAP_FLAG_DELETED, NULL},
    {"DRAFT", SEARCH_FLAGS, false, OPERAND_NONE, IMAP_FLAG_DRAFT, NULL},
    {"FLAGGED", SEARCH_FLAGS, false, OPERAND_NONE, IMAP_FLAG_FLAGGED, NULL},
    {"EMAILID", SEARCH_EMAILID, false, OPERAND_OBJECT_ID, 0, NULL},
    {"FROM", SEARCH_HEADER, false, OPERAND_TEXT, 0, "From"},
    {"HEADER", SEARCH_HEADER, false, OPERAND_FIELD_TEXT, 0, NULL},
    {"KEYWORD", SEARCH_KEYWORD, false, OPERAND_KEYWORD, 0, NULL},
    {"LARGER", SEARCH_LARGER, false, OPERAND_NUMBER, 0, NULL},
    {"MODSEQ", SEARCH_MODSEQ, false, OPERAND_MODSEQ, 0, NULL},
    {"OLDER", SEARCH_OLDER, false, OPERAND_INTERVAL, 0, NULL},
    {"OLD", SEARCH_RECENT, true, OPERAND_NONE, 0, NULL},
    {"ON", SEARCH_ON, false, OPERAND_DAY, 0, NULL},
    {"RECENT", SEARCH_RECENT, false, OPERAND_NONE, 0, NULL},
    {"SAVEDATESUPPORTED", SEARCH_ALL, false, OPERAND_NONE, 0, NULL}, /* RFC 8514 §4.3: by every mailbox */
    {"SAVEDBEFORE", SEARCH_SAVEDBEFORE, false, OPERAND_DAY, 0, NULL},
    {"SAVEDON", SEARCH_SAVEDON, false, OPERAND_DAY, 0, NULL},
    {"SAVEDSINCE", SEARCH_SAVEDSINCE, false, OPERAND_DAY, 0, NULL},
    {"SEEN", SEARCH_FLAGS, false, OPERAND_NONE, IMAP_FLAG_SEEN, NULL},
    {"SENTBEFORE", SEARCH_SENTBEFORE, false, OPERAND_DAY, 0, NULL},
    {"SENTON", SEARCH_SENTON, false, OPERAND_DAY, 0, NULL},
    {"SENTSINCE", SEARCH_SENTSINCE, false, OPERAND_DAY, 0, NULL},
    {"SINCE", SEARCH_SINCE, false, OPERAND_DAY, 0, NULL},
    {"SMALLER", SEARCH_SMALLER, false, OPERAND_NUMBER, 0, NULL},
    {"SUBJECT", SEARCH_HEADER, false, OPERAND_TEXT, 0, "Subject"},
    {"TEXT", SEARCH_TEXT, false, OPERAND_TEXT, 0, NULL},
    {"THREADID", SEARCH_THREADID, false, OPERAND_OBJECT_ID, 0, NULL},
    {"TO", SEARCH_HEADER, false, OPERAND_TEXT, 0, "To"},
    {"UID", SEARCH_UID, false, OPERAND_UIDS, 0, NULL},
    {"UIDAFTER", SEARCH_UID, false, OPERAND_UID_AFTER, 0, NULL}, /* RFC 9738 §3.2 */
    {"UIDBEFORE", SEARCH_UID, false, OPERAND_UID_BEFORE, 0, NULL},
    {"UNANSWERED", SEARCH_FLAGS, true, OPERAND_NONE, IMAP_FLAG_ANSWERED, NULL},
    {"UNDELETED", SEARCH_FLAGS, true, OPERAND_NONE, IMAP_FLAG_DELETED, NULL},
    {"UNDRAFT", SEARCH_FLAGS, true, OPERAND_NONE, IMAP_FLAG_DRAFT, NULL},
    {"UNFLAGGED", SEARCH_FLAGS, true, OPERAND_NONE, IMAP_FLAG_FLAGGED, NULL},
    {"UNKEYWORD", SEARCH_KEYWORD, true, OPERAND_KEYWORD, 0, NULL},
    {"UNSEEN", SEARCH_FLAGS, true, OPERAND_NONE, IMAP_FLAG_SEEN, NULL},
    {"YOUNGER", SEARCH_YOUNGER, false, OPERAND_INTERVAL, 0, NULL},
};

struct reader {
    struct imap_args *args;
    struct search_last last;
    struct span charset;
    size_t keys, texts, fuzzy_texts;
    bool has_keywords, has_numbers, has_modseq, has_object_ids, has_fuzzy;
    unsigned fuzzy; /* FUZZYs that stand around what is read */
    unsigned depth;
    struct search_key *pending;            /* keys of a filter behind its first: they are read next */
    struct span open[SEARCH_FILTERS_DEEP]; /* names of the filters that are being read */
    unsigned open_count, filters;
};

static enum status key(struct reader *r, struct search_key **out, struct err *err);
static enum status keys(struct reader *r, struct search_key *parent, struct err *err);

static enum status new_key(struct reader *r, enum search_kind kind, struct search_key **out, struct err *err)
{
    if (++r->keys > SEARCH_KEYS_MAX) {
        err_set(err, ST_LIMIT, "more than %d search keys", SEARCH_KEYS_MAX);
        return ST_LIMIT;
    }
    *out = arena_alloc(r->args->arena, sizeof **out);
    (*out)->kind = kind;
    return ST_OK;
}

/* Behind all children that cost no more, so that their order otherwise stays the client's. */
static void add_child(struct search_key *parent, struct search_key *child)
{
    struct search_key **at = &parent->child;
    while (*at && (*at)->cost <= child->cost)
        at = &(*at)->next;
    child->next = *at;
    *at = child;
    if (child->cost > parent->cost)
        parent->cost = child->cost;
}

/* ---- operands ----------------------------------------------------------------------------------------------- */

static enum status text_operand(struct reader *r, struct search_key *k, struct err *err)
{
    struct span text;
    if (++r->texts > SEARCH_TEXTS_MAX)
        return err_set(err, ST_LIMIT, "more than %d texts in one SEARCH", SEARCH_TEXTS_MAX);
    if (r->fuzzy && ++r->fuzzy_texts > SEARCH_FUZZY_MAX)
        return err_set(err, ST_LIMIT, "more than %d texts with FUZZY in one SEARCH", SEARCH_FUZZY_MAX);
    TRY(args_astring(r->args, &text, err));
    AUTO_STRBUF utf8 = STRBUF_INIT;
    AUTO_STRBUF folded = STRBUF_INIT;
    charset_to_utf8(r->charset, text, &utf8);
    text_fold(strbuf_span(&utf8), &folded);
    k->is_fuzzy = r->fuzzy;
    k->text = k->needle = arena_strbuf(r->args->arena, &folded);
    if (r->last.comparator != COMPARATOR_UNICODE_CASEMAP) {
        strbuf_clear(&folded);
        comparator_fold(r->last.comparator, strbuf_span(&utf8), &folded);
        k->needle = arena_strbuf(r->args->arena, &folded);
    }
    return ST_OK;
}

/* [entry-name SP entry-type-req SP] mod-sequence-valzer. A message has one modseq for all its flags, which flag is
 * asked for is passed over (RFC 7162 §3.1.5). */
static enum status modseq_operand(struct reader *r, struct search_key *k, struct err *err)
{
    struct span entry;
    r->has_modseq = true;
    if (args_next_is(r->args, '"')) {
        TRY(args_string(r->args, &entry, err));
        if (!span_istarts(entry, SPAN("/flags/")))
            return err_set(err, ST_SYNTAX, "an entry of MODSEQ begins with /flags/");
        TRY(args_sp(r->args, err));
        if (!args_take_word(r->args, "priv") && !args_take_word(r->args, "shared") && !args_take_word(r->args, "all"))
            return args_expected(r->args, "priv, shared or all", err);
        TRY(args_sp(r->args, err));
    }
    return args_number64(r->args, &k->number, err);
}

/* objectid of RFC 8474 §7. */
static enum status object_id_operand(struct reader *r, struct search_key *k, struct err *err)
{
    r->has_object_ids = true;
    TRY(args_atom(r->args, &k->text, err));
    for (size_t i = 0; i < k->text.len; i++) {
        char c = k->text.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '_' && c != '-')
            return err_set(err, ST_SYNTAX, "this is not an object id");
    }
    return k->text.len <= 255 ? ST_OK : err_set(err, ST_SYNTAX, "an object id has at most 255 characters");
}

static enum status operand(struct reader *r, enum operand what, struct search_key *k, struct err *err)
{
    uint32_t number;
    if (what == OPERAND_NONE)
        return ST_OK;
    TRY(args_sp(r->args, err));
    switch (what) {
    case OPERAND_FIELD_TEXT:
        TRY(args_astring(r->args, &k->name, err));
        TRY(args_sp(r->args, err));
        return text_operand(r, k, err);
    case OPERAND_TEXT:
        return text_operand(r, k, err);
    case OPERAND_KEYWORD:
        r->has_keywords = true;
        return args_atom(r->args, &k->name, err);
    case OPERAND_DAY:
        return args_date(r->args, &k->day, err);
    case OPERAND_NUMBER:
        TRY(args_number(r->args, &number, err));
        k->number = number;
        return ST_OK;
    case OPERAND_INTERVAL:
        TRY(args_nz_number(r->args, &number, err));
        k->number = number;
        return ST_OK;
    case OPERAND_UIDS: {
        struct span before = r->args->rest;
        TRY(args_seqset(r->args, r->last.uid, &k->set, err));
        k->is_open = span_find_byte(span_take(before, before.len - r->args->rest.len), '*', 0) != SPAN_NPOS;
        return ST_OK;
    }
    case OPERAND_UID_AFTER:
    case OPERAND_UID_BEFORE:
        TRY(args_nz_number(r->args, &number, err));
        k->set = seqset_new(r->args->arena);
        if (what == OPERAND_UID_AFTER && number < UINT32_MAX)
            seqset_add(r->args->arena, k->set, number + 1, UINT32_MAX);
        if (what == OPERAND_UID_BEFORE && number > 1)
            seqset_add(r->args->arena, k->set, 1, number - 1);
        return ST_OK;
    case OPERAND_OBJECT_ID:
        return object_id_operand(r, k, err);
    case OPERAND_MODSEQ:
        return modseq_operand(r, k, err);
    case OPERAND_NONE:
        break;
    }
    return ST_OK;
}

static enum search_cost cost_of(enum search_kind kind)
{
    if (kind == SEARCH_BODY || kind == SEARCH_TEXT)
        return SEARCH_COST_BODY;
    return kind >= SEARCH_SENTBEFORE ? SEARCH_COST_HEADER : SEARCH_COST_VIEW;
}

static enum status named_key(struct reader *r, const struct key_name *name, struct search_key **out, struct err *err)
{
    TRY(new_key(r, name->kind, out, err));
    struct search_key *k = *out;
    k->is_negated = name->is_negated;
    k->number = name->flag;
    k->cost = cost_of(k->kind);
    if (name->field)
        k->name = span_cstr(name->field);
    return operand(r, name->operand, k, err);
}

/* ---- structure ---------------------------------------------------------------------------------------------- */

static struct search_key *take_pending(struct reader *r)
{
    struct search_key *k = r->pending;
    if (k)
        r->pending = k->next;
    return k;
}

/* key *(SP key) */
static enum status keys(struct reader *r, struct search_key *parent, struct err *err)
{
    do {
        struct search_key *child;
        TRY(key(r, &child, err));
        do
            add_child(parent, child);
        while ((child = take_pending(r)) != NULL);
    } while (args_take(r->args, ' '));
    return ST_OK;
}

/* "(" key *(SP key) ")" */
static enum status group(struct reader *r, struct search_key **out, struct err *err)
{
    TRY(args_char(r->args, '(', err));
    TRY(new_key(r, SEARCH_AND, out, err));
    TRY(keys(r, *out, err));
    return args_char(r->args, ')', err);
}

static enum status or_key(struct reader *r, struct search_key **out, struct err *err)
{
    TRY(new_key(r, SEARCH_OR, out, err));
    for (int i = 0; i < 2; i++) {
        struct search_key *child = take_pending(r);
        if (!child) {
            TRY(args_sp(r->args, err));
            TRY(key(r, &child, err));
        }
        add_child(*out, child);
    }
    return ST_OK;
}

static enum status not_key(struct reader *r, struct search_key **out, struct err *err)
{
    TRY(args_sp(r->args, err));
    TRY(key(r, out, err));
    (*out)->is_negated = !(*out)->is_negated;
    return ST_OK;
}

/* RFC 3501 §6.4.4: NEW is (RECENT UNSEEN). */
static enum status new_messages_key(struct reader *r, struct search_key **out, struct err *err)
{
    struct search_key *recent, *unseen;
    TRY(new_key(r, SEARCH_AND, out, err));
    TRY(new_key(r, SEARCH_RECENT, &recent, err));
    TRY(new_key(r, SEARCH_FLAGS, &unseen, err));
    unseen->number = IMAP_FLAG_SEEN;
    unseen->is_negated = true;
    add_child(*out, recent);
    add_child(*out, unseen);
    return ST_OK;
}

/* RFC 6203 §6: FUZZY is about the one key behind it, with all that the key has in it. */
static enum status fuzzy_key(struct reader *r, struct search_key **out, struct err *err)
{
    TRY(args_sp(r->args, err));
    r->has_fuzzy = true;
    r->fuzzy++;
    TRY(key(r, out, err));
    r->fuzzy--;
    return ST_OK;
}

/* ---- filters (RFC 5466) ---------------------------------------------------------------------------------------- */

static enum status undefined(struct reader *r, struct span name, const char *why, struct err *err)
{
    if (r->last.filters)
        r->last.filters->undefined = arena_copy(r->args->arena, name);
    return err_set(err, ST_NOTFOUND, "%s", why);
}

static bool is_open(const struct reader *r, struct span name)
{
    for (unsigned i = 0; i < r->open_count; i++)
        if (span_ieq(r->open[i], name))
            return true;
    return false;
}

/* filter-name: an atom without "/". */
static enum status filter_name(struct reader *r, struct span *out, struct err *err)
{
    TRY(args_sp(r->args, err));
    TRY(args_atom(r->args, out, err));
    if (span_find_byte(*out, '/', 0) != SPAN_NPOS)
        return err_set(err, ST_SYNTAX, "a filter's name has no \"/\" in it");
    if (r->charset.len && !span_ieq(r->charset, SPAN("UTF-8")) && !span_ieq(r->charset, SPAN("US-ASCII"))) {
        if (r->last.filters)
            r->last.filters->is_charset_refused = true;
        return err_set(err, ST_SYNTAX, "a filter is UTF-8 (RFC 5466), so must be the search");
    }
    return ST_OK;
}

/* All keys of a filter's value, in their order: a whole program, so that it cannot take what stands behind FILTER. */
static enum status filter_keys(struct reader *r, struct span value, struct search_key **first, struct err *err)
{
    struct imap_args *outer = r->args, args;
    struct span charset = r->charset;
    struct search_key **end = first;
    args_init(&args, outer->arena, value);
    args.saved = outer->saved;
    args.is_utf8 = true;
    r->args = &args;
    r->charset = SPAN("UTF-8");
    do {
        TRY(key(r, end, err));
        end = &(*end)->next;
        *end = r->pending; /* of a filter within this one */
        r->pending = NULL;
        while (*end)
            end = &(*end)->next;
    } while (args_take(&args, ' '));
    TRY(args_end(&args, err));
    r->args = outer;
    r->charset = charset;
    return ST_OK;
}

/* §3.1: the value is "inserted verbatim": "OR FILTER x" with two keys in x has both that OR wants. */
static enum status filter_key(struct reader *r, struct search_key **out, struct err *err)
{
    struct span name, value;
    TRY(filter_name(r, &name, err));
    if (is_open(r, name) || r->open_count == SEARCH_FILTERS_DEEP || ++r->filters > SEARCH_FILTERS_MAX)
        return undefined(r, name, "filters refer to themselves, or too deep", err);
    enum status st = r->last.filters ? r->last.filters->find(r->last.filters->context, name, &value, err) : ST_NOTFOUND;
    if (st == ST_NOTFOUND)
        return undefined(r, name, "there is no such filter", err);
    TRY(st);
    r->open[r->open_count++] = name;
    st = filter_keys(r, value, out, err);
    r->open_count--;
    if (st == ST_SYNTAX)
        return undefined(r, name, "this filter is not a search program", err);
    TRY(st);
    r->pending = (*out)->next;
    (*out)->next = NULL;
    return ST_OK;
}

/* RFC 5182 §2.1: the saved result is of messages, whether numbers or uids are asked for. */
static enum status saved_key(struct reader *r, struct search_key **out, struct err *err)
{
    TRY(new_key(r, SEARCH_UID, out, err));
    return args_seqset(r->args, r->last.uid, &(*out)->set, err);
}

static enum status key_by_first_byte(struct reader *r, struct search_key **out, struct err *err)
{
    struct imap_args *args = r->args;
    if (args_next_is(args, '('))
        return group(r, out, err);
    if (args_next_is(args, '$'))
        return saved_key(r, out, err);
    if (args_next_is(args, '*') || (args->rest.len && ascii_is_digit(args->rest.p[0]))) {
        r->has_numbers = true;
        TRY(new_key(r, SEARCH_SEQ, out, err));
        return args_seqset(args, r->last.seq, &(*out)->set, err);
    }
    if (args_take_word(args, "NOT"))
        return not_key(r, out, err);
    if (args_take_word(args, "OR"))
        return or_key(r, out, err);
    if (args_take_word(args, "FUZZY"))
        return fuzzy_key(r, out, err);
    if (args_take_word(args, "FILTER"))
        return filter_key(r, out, err);
    if (args_take_word(args, "NEW"))
        return new_messages_key(r, out, err);
    for (size_t i = 0; i < sizeof key_names / sizeof *key_names; i++)
        if (args_take_word(args, key_names[i].name))
            return named_key(r, &key_names[i], out, err);
    args_expected(args, "a search key", err);
    return ST_SYNTAX;
}

static enum status key(struct reader *r, struct search_key **out, struct err *err)
{
    if (++r->depth > SEARCH_DEPTH_MAX) {
        err_set(err, ST_LIMIT, "search keys are nested too deep");
        return ST_LIMIT;
    }
    TRY(key_by_first_byte(r, out, err));
    r->depth--;
    return ST_OK;
}

static enum status program(struct reader *r, struct search_args *out, struct err *err)
{
    TRY(new_key(r, SEARCH_AND, &out->root, err));
    TRY(keys(r, out->root, err));
    out->comparator = r->last.comparator;
    out->keys = r->keys;
    out->has_keywords = r->has_keywords;
    out->has_numbers = r->has_numbers;
    out->has_modseq = r->has_modseq;
    out->has_object_ids = r->has_object_ids;
    out->has_fuzzy = r->has_fuzzy;
    if ((out->returns.what & SEARCH_RETURN_RELEVANCY) && !r->has_fuzzy) /* RFC 6203 §4 */
        return err_set(err, ST_SYNTAX, "RELEVANCY is of searches that are FUZZY");
    return args_end(r->args, err);
}

/* astring SP */
static enum status charset(struct reader *r, struct err *err)
{
    TRY(args_astring(r->args, &r->charset, err));
    if (!charset_is_known(r->charset))
        return err_set(err, ST_UNSUPPORTED, "this charset is not known");
    return args_sp(r->args, err);
}

enum status search_args_parse(struct imap_args *args, struct search_last last, unsigned allowed,
                              struct search_args *out, struct err *err)
{
    struct reader r = {.args = args, .last = last};
    TRY(search_return_parse(args, allowed, &out->returns, err));
    if (args_take_word(args, "CHARSET")) {
        TRY(args_sp(args, err));
        TRY(charset(&r, err));
    }
    return program(&r, out, err);
}

enum status search_criteria_parse(struct imap_args *args, struct search_last last, struct search_args *out,
                                  struct err *err)
{
    struct reader r = {.args = args, .last = last, .charset = SPAN("UTF-8")};
    out->returns = (struct search_return){0};
    return program(&r, out, err);
}

enum status search_program_parse(struct imap_args *args, struct search_last last, struct search_args *out,
                                 struct err *err)
{
    struct reader r = {.args = args, .last = last};
    TRY(charset(&r, err));
    return program(&r, out, err);
}
