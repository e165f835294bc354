/*
 * search_index.c - see search_index.h.
 */
#include "imap/search_index.h"
#include "base/banned.h"

enum { MESSAGES_READ_FIRST = 64 }; /* reading so many costs about what asking does */

/* Fields that the index has by themselves. */
static const struct {
    const char *name;
    enum search_field field;
} fields[] = {
    {"Subject", FIELD_SUBJECT}, {"From", FIELD_FROM}, {"To", FIELD_TO}, {"Cc", FIELD_CC}, {"Bcc", FIELD_BCC},
};

static bool has_question(const struct search_key *k)
{
    return (k->kind == SEARCH_HEADER || k->kind == SEARCH_BODY || k->kind == SEARCH_TEXT) && k->text.len;
}

static struct index_question question_of(struct search_matcher *s, const struct search_key *k)
{
    struct index_question q = {.fields = 1U << FIELD_BODY, .text = k->text, .fuzzy = search_fuzzy_query(s, k)};
    if (k->kind == SEARCH_TEXT)
        q.fields |= 1U << FIELD_HEADER;
    if (k->kind == SEARCH_TEXT && q.fuzzy) /* which counts more */
        q.fields |= 1U << FIELD_SUBJECT;
    if (k->kind != SEARCH_HEADER)
        return q;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (span_ieq(k->name, span_cstr(fields[i].name))) {
            q.fields = 1U << fields[i].field;
            return q;
        }
    q.fields = 1U << FIELD_HEADER; /* with all other fields */
    q.is_hint = true;
    return q;
}

/* Numbers the keys that have a question from 1, in the order of the tree. */
static void collect(struct search_matcher *s, struct search_key *k, struct index_question *list, size_t *count)
{
    for (; k; k = k->next) {
        collect(s, k->child, list, count);
        if (!has_question(k))
            continue;
        list[(*count)++] = question_of(s, k);
        k->question = *count;
    }
}

static void ask(struct search_matcher *s)
{
    struct index_question *list = arena_array(s->program_arena, SEARCH_TEXTS_MAX, sizeof *list);
    size_t count = 0;
    struct err err;
    s->was_asked = true;
    collect(s, s->root, list, &count);
    if (!count || index_ask(s->txn, list, count, &s->index, &err) == ST_OK)
        return;
    struct log_line l; /* the index may fail, the search may not */
    session_log_begin(s->in.im->session, &l, LOG_WARN, "index-failed");
    log_err(&l, &err);
    log_end(&l);
}

enum index_verdict search_index_verdict(struct search_matcher *s, const struct search_key *key)
{
    if (!has_question(key))
        return INDEX_UNKNOWN;
    if (!s->was_asked && s->read_in_all >= MESSAGES_READ_FIRST)
        ask(s);
    enum index_verdict v = INDEX_UNKNOWN;
    if (s->index)
        v = index_verdict(s->index, key->question - 1, s->message->content);
    bool is_fuzzy = search_fuzzy_query(s, key) != NULL;
    if (v == INDEX_YES && !is_fuzzy && s->comparator != COMPARATOR_UNICODE_CASEMAP)
        v = INDEX_MAYBE; /* it is there but for case, or its accents are written otherwise (text/comparator.h) */
    if (v == INDEX_YES && is_fuzzy)
        s->score = index_score(s->index, key->question - 1, s->message->content);
    s->unknown += v == INDEX_UNKNOWN;
    return v;
}

/* ---- several mailboxes ---------------------------------------------------------------------------------------------
 */

void search_index_remember(struct search_matcher *s, struct search_index_memory *m)
{
    search_index_memory_free(m);
    *m = (struct search_index_memory){s->in.owner, s->index, s->read_in_all};
    s->index = NULL;
}

void search_index_recall(struct search_matcher *s, struct search_index_memory *m)
{
    if (m->owner != s->in.owner)
        return;
    s->read_in_all = m->read_in_all; /* many small mailboxes are worth asking, too */
    s->index = m->answer;
    m->answer = NULL;
    if (!s->index)
        return;
    struct index_question *list = arena_array(s->program_arena, SEARCH_TEXTS_MAX, sizeof *list);
    size_t count = 0;
    s->was_asked = true;
    collect(s, s->root, list, &count); /* the same program: the same numbers */
}

void search_index_memory_free(struct search_index_memory *m)
{
    index_answer_free(&m->answer);
    m->owner = NULL;
}
