/*
 * search_match.c - see search.h. One function for each kind of cost: the view, the header, the bodies.
 */
#include "imap/object_id.h"
#include "imap/place.h"
#include "imap/search.h"
#include "imap/search_index.h"
#include "text/charset.h"
#include "text/header.h"
#include "base/banned.h"

struct search_mailbox search_selected(struct imap *im)
{
    return (struct search_mailbox){
        .im = im, .owner = im->owner, .rights = im->rights, .view = im->view, .is_selected = true};
}

const struct view_message *search_message(const struct search_mailbox *in, uint32_t seq)
{
    return in->is_selected ? imap_told_message(in->im, seq) : view_message(in->view, seq);
}

enum status search_begin(const struct search_mailbox *in, struct txn **out, struct err *err)
{
    const struct imap_place place = {.account = in->owner, .rights = in->rights};
    return imap_place_begin(in->im, &place, TXN_READ, out, err);
}

void search_matcher_free(struct search_matcher *s)
{
    arena_free(&s->arena);
    index_answer_free(&s->index);
    stemmer_free(&s->stemmer);
    text_source_free(&s->source);
    strbuf_free(&s->header_text);
    strbuf_free(&s->text);
    strbuf_free(&s->scratch);
}

enum status search_prepare(struct txn *txn, struct search_key *key, struct err *err)
{
    for (; key; key = key->next) {
        TRY(search_prepare(txn, key->child, err));
        if (key->kind != SEARCH_KEYWORD)
            continue;
        enum status st = keyword_bit(txn, key->name, false, &key->number, err);
        if (st == ST_NOTFOUND)
            key->number = 0;
        else if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static void begin_message(struct search_matcher *s, uint32_t seq)
{
    s->seq = seq;
    s->message = search_message(&s->in, seq);
    if (!s->has_forms)
        return;
    s->has_forms = s->has_header = s->has_text = false;
    arena_free(&s->arena);
    text_source_clear(&s->source);
    strbuf_clear(&s->header_text);
    strbuf_clear(&s->text);
}

static enum status need_forms(struct search_matcher *s, struct err *err)
{
    if (s->has_forms)
        return ST_OK;
    TRY(content_load(s->txn, s->message->content, s->forms_wanted, &s->arena, &s->forms, err));
    s->source.txn = s->txn;
    s->source.content = s->message->content;
    s->source.size = s->forms.size;
    s->source.header_size = s->forms.header_size;
    s->source.parts = s->forms.parts;
    s->messages_read++;
    s->read_in_all++;
    s->has_forms = true;
    return ST_OK;
}

static enum status need_header(struct search_matcher *s, struct err *err)
{
    if (s->has_header)
        return ST_OK;
    TRY(need_forms(s, err));
    TRY(text_source_header(&s->source, &s->header, err));
    s->has_header = true;
    return ST_OK;
}

static enum status need_text(struct search_matcher *s, struct err *err)
{
    if (s->has_text)
        return ST_OK;
    TRY(need_forms(s, err));
    s->has_header = false; /* reading on may move the octets */
    TRY(text_add_bodies(&s->source, s->comparator, &s->text, err));
    s->has_text = true;
    return ST_OK;
}

/* ---- keys ---------------------------------------------------------------------------------------------------- */

/* RFC 3501 §6.4.4: internal dates compare "disregarding time and timezone". */
static int64_t internal_day(const struct view_message *m)
{
    return date_day(m->received_utc, m->received_zone);
}

static bool match_view(const struct search_matcher *s, const struct search_key *k)
{
    const struct view_message *m = s->message;
    switch (k->kind) {
    case SEARCH_SEQ:
        return seqset_has(k->set, s->seq);
    case SEARCH_UID:
        return seqset_has(k->set, m->uid);
    case SEARCH_FLAGS:
        return (m->flags & k->number) == k->number;
    case SEARCH_KEYWORD:
        return m->flags & k->number;
    case SEARCH_RECENT:
        return s->in.is_selected && imap_is_recent(s->in.im, m->uid);
    case SEARCH_LARGER:
        return m->size > k->number;
    case SEARCH_SMALLER:
        return m->size < k->number;
    case SEARCH_BEFORE:
        return internal_day(m) < k->day;
    case SEARCH_ON:
        return internal_day(m) == k->day;
    case SEARCH_SINCE:
        return internal_day(m) >= k->day;
    case SEARCH_MODSEQ:
        return m->modseq >= k->number;
    case SEARCH_SAVEDBEFORE:
        return date_day(m->saved_utc, 0) < k->day;
    case SEARCH_SAVEDON:
        return date_day(m->saved_utc, 0) == k->day;
    case SEARCH_SAVEDSINCE:
        return date_day(m->saved_utc, 0) >= k->day;
    case SEARCH_OLDER:
        return m->received_utc <= s->now - (int64_t)k->number;
    case SEARCH_YOUNGER:
        return m->received_utc >= s->now - (int64_t)k->number;
    default:
        return true; /* ALL */
    }
}

/* By the Date field; a message without a readable one is of no day. */
static bool match_sent(const struct search_matcher *s, const struct search_key *k)
{
    struct header_field f;
    struct mail_date date;
    if (!header_find(s->header, SPAN("Date"), &f) || !date_parse_rfc5322(f.value, &date))
        return false;
    int64_t day = date_day(date.utc, date.zone_minutes);
    if (k->kind == SEARCH_SENTBEFORE)
        return day < k->day;
    return k->kind == SEARCH_SENTON ? day == k->day : day >= k->day;
}

static bool has_text(const struct strbuf *in, struct span text)
{
    return !text.len || span_find(strbuf_span(in), text, 0) != SPAN_NPOS;
}

/* A field of that name that has the text; an empty text: the field is there (RFC 3501 §6.4.4). */
static bool has_field(struct search_matcher *s, const struct search_key *k)
{
    struct header_field f;
    if (!k->text.len)
        return header_find(s->header, k->name, &f);
    strbuf_clear(&s->scratch);
    text_add_fields(s->header, k->name, s->comparator, &s->scratch);
    struct span fields = strbuf_span(&s->scratch), line;
    while (span_cut(&fields, '\n', &line))
        if (span_find(line, k->needle, 0) != SPAN_NPOS)
            return true;
    return false;
}

static enum status match_text(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    if (k->kind == SEARCH_TEXT) {
        TRY(need_header(s, err));
        if (!s->header_text.len)
            text_add_header(s->header, s->comparator, &s->header_text);
        *out = has_text(&s->header_text, k->needle);
        if (*out)
            return ST_OK;
    }
    TRY(need_text(s, err));
    *out = has_text(&s->text, k->needle);
    return ST_OK;
}

/* ---- FUZZY (RFC 6203) ---------------------------------------------------------------------------------------------
 */

const struct fuzzy_query *search_fuzzy_query(struct search_matcher *s, const struct search_key *key)
{
    if (!key->is_fuzzy)
        return NULL;
    for (size_t i = 0; i < s->fuzzy_count; i++)
        if (s->fuzzy[i].key == key)
            return s->fuzzy[i].query;
    if (!s->stemmer)
        s->stemmer = stemmer_new();
    struct fuzzy_query *query = fuzzy_new(s->program_arena, s->stemmer, key->text);
    s->fuzzy[s->fuzzy_count++] = (struct search_fuzzy){key, query};
    return query;
}

static void grade_fields(struct search_matcher *s, const struct fuzzy_query *q, struct span name, unsigned weight,
                         uint8_t *grades)
{
    strbuf_clear(&s->scratch);
    text_add_fields(s->header, name, COMPARATOR_UNICODE_CASEMAP, &s->scratch);
    fuzzy_grade_text(q, strbuf_span(&s->scratch), weight, grades);
}

/* RFC 6203 §3: FUZZY has its own ways of comparing, whatever the comparator. The folded form is that of every other
 * form, too. */
static void grade_text(struct search_matcher *s, const struct fuzzy_query *q, const struct strbuf *text,
                       unsigned weight, uint8_t *grades)
{
    if (s->comparator != COMPARATOR_UNICODE_CASEMAP) {
        strbuf_clear(&s->scratch);
        text_fold(strbuf_span(text), &s->scratch);
        text = &s->scratch;
    }
    fuzzy_grade_text(q, strbuf_span(text), weight, grades);
}

/* Reads what the index would have known: the same fields, with the same weights. */
static enum status match_fuzzy(struct search_matcher *s, const struct search_key *k, const struct fuzzy_query *q,
                               bool *out, struct err *err)
{
    enum { TEXT_FIELDS = 1 << FIELD_BODY | 1 << FIELD_HEADER | 1 << FIELD_SUBJECT };
    uint8_t grades[FUZZY_PROBES_MAX] = {0};
    if (k->kind != SEARCH_BODY)
        TRY(need_header(s, err));
    if (k->kind == SEARCH_HEADER)
        grade_fields(s, q, k->name, 100, grades);
    if (k->kind == SEARCH_TEXT) {
        grade_fields(s, q, SPAN("Subject"), search_field_weight(TEXT_FIELDS, FIELD_SUBJECT), grades);
        if (!s->header_text.len)
            text_add_header(s->header, s->comparator, &s->header_text);
        grade_text(s, q, &s->header_text, search_field_weight(TEXT_FIELDS, FIELD_HEADER), grades);
    }
    if (k->kind != SEARCH_HEADER) {
        unsigned fields = k->kind == SEARCH_TEXT ? TEXT_FIELDS : 1 << FIELD_BODY;
        TRY(need_text(s, err));
        grade_text(s, q, &s->text, search_field_weight(fields, FIELD_BODY), grades);
    }
    s->score = fuzzy_score(q, grades);
    *out = s->score > 0;
    return ST_OK;
}

/* ---- programs ------------------------------------------------------------------------------------------------------
 */

static enum status match_key(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err);

/* AND until one is false, OR until one is true; but where there are scores, all that OR could match by. The score of
 * AND is the mean of its keys', that of OR the best. */
static enum status match_children(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    bool is_and = k->kind == SEARCH_AND;
    unsigned sum = 0, count = 0, best = 0;
    *out = is_and;
    for (const struct search_key *child = k->child; child; child = child->next) {
        bool is_match;
        TRY(match_key(s, child, &is_match, err));
        if (is_match != is_and)
            *out = is_match;
        if (is_match != is_and && (is_and || !s->is_scored))
            break;
        sum += s->score;
        count += s->score > 0;
        best = s->score > best ? s->score : best;
    }
    s->score = !*out ? 0 : !is_and ? best : count ? sum / count : 0;
    return ST_OK;
}

/* RFC 8474 §6 */
static enum status match_object_id(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    uint64_t thread;
    content_id content = s->message->content;
    strbuf_clear(&s->scratch);
    if (k->kind == SEARCH_EMAILID) {
        imap_write_email_id(s->object_name, content, &s->scratch);
    } else {
        TRY(need_forms(s, err));
        TRY(imap_thread_of(s->txn, content, &s->forms, &thread, err));
        imap_write_thread_id(s->object_name, thread, content, &s->scratch);
    }
    *out = span_eq(strbuf_span(&s->scratch), k->text);
    return ST_OK;
}

/* A key with a text: of the index if it knows, else of the message. */
static enum status match_by_text(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    enum index_verdict v = search_index_verdict(s, k);
    if (v == INDEX_YES || v == INDEX_NO) {
        *out = v == INDEX_YES;
        return ST_OK;
    }
    const struct fuzzy_query *fuzzy = k->text.len ? search_fuzzy_query(s, k) : NULL;
    if (fuzzy)
        return match_fuzzy(s, k, fuzzy, out, err);
    if (k->kind != SEARCH_HEADER)
        return match_text(s, k, out, err);
    TRY(need_header(s, err));
    *out = has_field(s, k);
    return ST_OK;
}

static enum status match_positive(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    switch (k->kind) {
    case SEARCH_AND:
    case SEARCH_OR:
        return match_children(s, k, out, err);
    case SEARCH_SENTBEFORE:
    case SEARCH_SENTON:
    case SEARCH_SENTSINCE:
        TRY(need_header(s, err));
        *out = match_sent(s, k);
        return ST_OK;
    case SEARCH_EMAILID:
    case SEARCH_THREADID:
        return match_object_id(s, k, out, err);
    case SEARCH_HEADER:
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return match_by_text(s, k, out, err);
    default:
        *out = match_view(s, k);
        return ST_OK;
    }
}

/* Recursion is as deep as the program, which SEARCH_DEPTH_MAX bounds. */
static enum status match_key(struct search_matcher *s, const struct search_key *k, bool *out, struct err *err)
{
    s->score = 0;
    TRY(match_positive(s, k, out, err));
    *out = *out != k->is_negated;
    if (k->is_negated) /* what is not wanted says nothing of relevancy */
        s->score = 0;
    return ST_OK;
}

enum status search_match(struct search_matcher *s, const struct search_key *root, uint32_t seq, bool *out,
                         struct err *err)
{
    begin_message(s, seq);
    return match_key(s, root, out, err);
}
