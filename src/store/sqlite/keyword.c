/*
 * keyword.c - an account's keywords: name number k is bit FLAG_KEYWORD_SHIFT + k of a message's flags, for ever.
 *
 * The list only grows and is short, so it is read once per open account and kept as an immutable, counted array. A
 * writer that adds a name works on a copy, which becomes the account's when it commits.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

void keywords_free(struct keywords **kp)
{
    struct keywords *k = *kp;
    *kp = NULL;
    if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < k->count; i++)
        free((char *)(uintptr_t)k->names[i].p);
    free(k);
}

static struct keywords *keywords_new(void)
{
    struct keywords *k = mem_alloc(sizeof *k);
    atomic_init(&k->refs, 1);
    return k;
}

static void add_name(struct keywords *k, struct span name)
{
    if (k->count < KEYWORDS_MAX)
        k->names[k->count++] = span_of(mem_cstr(name.p, name.len), name.len);
}

/* The list as this transaction sees it, a new reference. It may be newer than a reader's snapshot: that does no harm,
 * as names are never taken away. */
static enum status current(struct txn *t, struct keywords **out, struct err *err)
{
    struct account *a = t->account;
    pthread_mutex_lock(&a->keywords_lock);
    struct keywords *k = t->keywords ? t->keywords : a->keywords;
    if (k)
        atomic_fetch_add(&k->refs, 1);
    pthread_mutex_unlock(&a->keywords_lock);
    *out = k;
    if (k)
        return ST_OK;

    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "SELECT name FROM keyword ORDER BY number", NULL, 0));
    k = keywords_new();
    enum status st;
    while (db_row(t->db, s, &st, err))
        add_name(k, column_span(s, 0));
    if (st != ST_OK) {
        keywords_free(&k);
        return st;
    }
    pthread_mutex_lock(&a->keywords_lock);
    if (!a->keywords) { /* else a commit or another reader was faster; ours is as good for this snapshot */
        a->keywords = k;
        atomic_fetch_add(&k->refs, 1);
    }
    pthread_mutex_unlock(&a->keywords_lock);
    *out = k;
    return ST_OK;
}

/* An atom (RFC 3501 §9), as flag-keyword is. */
static enum status check_name(struct span name, struct err *err)
{
    if (name.len == 0 || name.len > KEYWORD_NAME_MAX)
        return err_set(err, ST_SYNTAX, "a keyword has 1 to %d characters", KEYWORD_NAME_MAX);
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || strchr("(){%*\"\\]", name.p[i]))
            return err_set(err, ST_SYNTAX, "a keyword has a forbidden character");
    return ST_OK;
}

static enum status make(struct txn *t, struct span name, const struct keywords *old, uint64_t *bit, struct err *err)
{
    TRY(txn_need(t, false, err));
    if (old->count == KEYWORDS_MAX)
        return err_set(err, ST_LIMIT, "an account has at most %d keywords", KEYWORDS_MAX);
    TRY_WRITE(t, db_run(t->db, err, "INSERT INTO keyword(number, name) VALUES(?, ?)", INT(old->count), TEXT(name)));
    struct keywords *k = keywords_new();
    for (uint32_t i = 0; i < old->count; i++)
        add_name(k, old->names[i]);
    add_name(k, name);
    *bit = (uint64_t)1 << (FLAG_KEYWORD_SHIFT + k->count - 1);
    keywords_free(&t->keywords);
    t->keywords = k;
    return ST_OK;
}

enum status keyword_bit(struct txn *t, struct span name, bool may_create, uint64_t *bit, struct err *err)
{
    TRY(check_name(name, err));
    struct keywords *k;
    TRY(current(t, &k, err));
    enum status st = ST_NOTFOUND;
    for (uint32_t i = 0; i < k->count && st != ST_OK; i++) {
        if (span_ieq(k->names[i], name)) {
            *bit = (uint64_t)1 << (FLAG_KEYWORD_SHIFT + i);
            st = ST_OK;
        }
    }
    if (st != ST_OK)
        st = may_create ? make(t, name, k, bit, err) : err_set(err, ST_NOTFOUND, "no such keyword");
    keywords_free(&k);
    return st;
}

static void copy_names(const struct keywords *k, struct arena *a, struct span **names, size_t *count)
{
    *count = k->count;
    *names = arena_array(a, k->count, sizeof **names);
    for (uint32_t i = 0; i < k->count; i++)
        (*names)[i] = arena_copy(a, k->names[i]);
}

enum status keyword_names(struct txn *t, struct arena *a, struct span **names, size_t *count, struct err *err)
{
    struct keywords *k;
    TRY(current(t, &k, err));
    copy_names(k, a, names, count);
    keywords_free(&k);
    return ST_OK;
}

bool keyword_names_known(struct account *a, struct arena *arena, struct span **names, size_t *count)
{
    pthread_mutex_lock(&a->keywords_lock);
    if (a->keywords)
        copy_names(a->keywords, arena, names, count);
    bool are_known = a->keywords;
    pthread_mutex_unlock(&a->keywords_lock);
    return are_known;
}
