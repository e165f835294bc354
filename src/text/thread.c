/*
 * thread.c - see thread.h. The steps (1) to (6) are those of RFC 5256, REFERENCES.
 *
 * A node is a message or a dummy. While links are made and broken there are only parents; lists of children are made
 * from them by arrange(), sorted, when the algorithm needs them. Nothing recurses: a thread may be as deep as the
 * mailbox is large.
 */
#include "text/thread.h"
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "base/banned.h"

struct node {
    const struct thread_message *message; /* NULL: a dummy */
    struct node *parent;
    uint32_t children;   /* how many have it as parent */
    struct node **child; /* arrange(): sorted by date */
    bool is_gone;
    size_t order; /* of the message in the mailbox */
};

struct forest {
    struct arena *arena;
    struct node **all;
    size_t count, cap;
    struct map *ids, *subjects;
    struct node **roots;
    size_t root_count;
};

static struct node *node_new(struct forest *f, const struct thread_message *m, size_t order)
{
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 256;
        f->all = mem_resize(f->all, f->cap * sizeof(struct node *));
    }
    struct node *n = arena_alloc(f->arena, sizeof *n);
    n->message = m;
    n->order = order;
    f->all[f->count++] = n;
    return n;
}

static void forest_free(struct forest *f)
{
    free(f->all);
    free(f->roots);
    map_free(&f->ids);
    map_free(&f->subjects);
}

/* ---- message ids --------------------------------------------------------------------------------------------------
 */

static struct span normal_id(struct arena *a, struct span raw)
{
    AUTO_STRBUF out = STRBUF_INIT;
    bool has_at = false;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.p[i];
        if (c == '"' || c == '\\' || c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        has_at |= c == '@' && out.len;
        strbuf_add_char(&out, c);
    }
    return has_at ? arena_strbuf(a, &out) : SPAN_NONE;
}

size_t thread_ids(struct arena *a, struct span value, struct span *list, size_t max)
{
    size_t count = 0, open;
    while (max && (open = span_find_byte(value, '<', 0)) != SPAN_NPOS) {
        value = span_skip(value, open + 1);
        size_t close = span_find_byte(value, '>', 0);
        if (close == SPAN_NPOS)
            break;
        struct span raw = span_take(value, close);
        size_t again = span_rfind_byte(raw, '<');
        struct span id = normal_id(a, again == SPAN_NPOS ? raw : span_skip(raw, again + 1));
        value = span_skip(value, close + 1);
        if (!id.len)
            continue;
        if (count == max)
            memmove(list, list + 1, --count * sizeof *list);
        list[count++] = id;
    }
    return count;
}

/* ---- children -----------------------------------------------------------------------------------------------------
 */

/* The message by which a node is sorted: of a dummy, its first child's. */
static const struct node *face(const struct node *n)
{
    return !n->message && n->children ? n->child[0] : n;
}

static int compare_dates(const void *a, const void *b)
{
    const struct node *x = face(*(struct node *const *)a), *y = face(*(struct node *const *)b);
    int64_t dx = x->message ? x->message->date : 0, dy = y->message ? y->message->date : 0;
    if (dx != dy)
        return dx < dy ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_children(struct node *n)
{
    if (n->children > 1)
        qsort(n->child, n->children, sizeof(struct node *), compare_dates);
}

/* Lists of children from the parents, and the roots; all sorted by date. Only roots may be dummies. */
static void arrange(struct forest *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->all[i]->children = 0;
    for (size_t i = 0; i < f->count; i++)
        if (!f->all[i]->is_gone && f->all[i]->parent)
            f->all[i]->parent->children++;
    for (size_t i = 0; i < f->count; i++) {
        f->all[i]->child = arena_array(f->arena, f->all[i]->children, sizeof(struct node *));
        f->all[i]->children = 0;
    }
    f->roots = mem_resize(f->roots, (f->count + 1) * sizeof(struct node *));
    f->root_count = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct node *n = f->all[i];
        if (n->is_gone)
            continue;
        if (n->parent)
            n->parent->child[n->parent->children++] = n;
        else
            f->roots[f->root_count++] = n;
    }
    for (size_t i = 0; i < f->count; i++)
        sort_children(f->all[i]);
    if (f->root_count > 1)
        qsort(f->roots, f->root_count, sizeof(struct node *), compare_dates);
}

/* ---- writing ------------------------------------------------------------------------------------------------------
 */

struct frame {
    const struct node *node;
    uint32_t next;
};

/* "(" and the members of a thread down to where it branches. True: it branches at *n. */
static bool write_head(const struct node **n, struct strbuf *out)
{
    const struct node *at = *n;
    strbuf_add_char(out, '(');
    if (at->message)
        strbuf_add_u64(out, at->message->number);
    for (; at->children == 1; at = at->child[0]) {
        if (at->message)
            strbuf_add_char(out, ' ');
        strbuf_add_u64(out, at->child[0]->message->number);
    }
    if (at->children && at->message)
        strbuf_add_char(out, ' ');
    if (!at->children)
        strbuf_add_char(out, ')');
    *n = at;
    return at->children;
}

static void write_forest(const struct forest *f, struct strbuf *out)
{
    struct frame *stack = mem_array(f->count + 1, sizeof *stack);
    for (size_t i = 0; i < f->root_count; i++) {
        size_t depth = 0;
        const struct node *n = f->roots[i];
        if (write_head(&n, out))
            stack[depth++] = (struct frame){n, 0};
        while (depth) {
            struct frame *top = &stack[depth - 1];
            if (top->next == top->node->children) {
                strbuf_add_char(out, ')');
                depth--;
                continue;
            }
            n = top->node->child[top->next++];
            if (write_head(&n, out))
                stack[depth++] = (struct frame){n, 0};
        }
    }
    free(stack);
}

/* ---- ORDEREDSUBJECT ------------------------------------------------------------------------------------------------
 */

static int compare_subjects(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    int c = span_cmp(x->message->subject, y->message->subject);
    return c ? c : compare_dates(a, b);
}

void thread_by_subject(struct arena *a, const struct thread_message *list, size_t count, struct strbuf *out)
{
    struct forest f = {.arena = a};
    for (size_t i = 0; i < count; i++)
        node_new(&f, &list[i], i);
    if (count > 1)
        qsort(f.all, f.count, sizeof(struct node *), compare_subjects);
    struct node *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (first && span_eq(first->message->subject, f.all[i]->message->subject))
            f.all[i]->parent = first;
        else
            first = f.all[i];
    }
    arrange(&f);
    write_forest(&f, out);
    forest_free(&f);
}

/* ---- REFERENCES ----------------------------------------------------------------------------------------------------
 */

static void set_parent(struct node *child, struct node *parent)
{
    if (child->parent)
        child->parent->children--;
    child->parent = parent;
    if (parent)
        parent->children++;
}

/* Whether making `parent` the parent of `child` would close a loop. */
static bool is_loop(const struct node *child, const struct node *parent)
{
    if (child == parent)
        return true;
    if (!child->children)
        return false;
    for (; parent; parent = parent->parent)
        if (parent == child)
            return true;
    return false;
}

static struct node *node_of(struct forest *f, struct span id)
{
    struct node *n = map_get(f->ids, id);
    if (!n) {
        n = node_new(f, NULL, 0);
        map_put(f->ids, id, n);
    }
    return n;
}

/* Of several messages with one id the first has it (1.A); this is done before any link, as numbers decide. */
static struct node **own_nodes(struct forest *f, const struct thread_message *list, size_t count)
{
    struct node **own = mem_array(count + 1, sizeof(struct node *));
    f->ids = map_new();
    for (size_t i = 0; i < count; i++) {
        own[i] = node_new(f, &list[i], i);
        if (list[i].id.len && !map_get(f->ids, list[i].id))
            map_put(f->ids, list[i].id, own[i]);
    }
    return own;
}

static void link_references(struct forest *f, struct node *n)
{
    struct node *last = NULL;
    const struct thread_message *m = n->message;
    for (size_t i = 0; i < m->reference_count; i++) {
        struct node *next = node_of(f, m->references[i]);
        if (last && !next->parent && !is_loop(next, last))
            set_parent(next, last);
        last = next;
    }
    set_parent(n, NULL); /* 1.B */
    if (last && !is_loop(n, last))
        set_parent(n, last);
}

/* Step 3: the parent a message keeps is the nearest that is none of the dummies, or the topmost dummy. */
static void prune(struct forest *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct node *n = f->all[i];
        if (!n->message)
            continue;
        struct node *p = n->parent;
        while (p && !p->message && p->parent)
            p = p->parent;
        n->parent = p;
    }
    for (size_t i = 0; i < f->count; i++)
        f->all[i]->children = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->all[i]->message && f->all[i]->parent)
            f->all[i]->parent->children++;
    for (size_t i = 0; i < f->count; i++) { /* a dummy is left only at the root, over several */
        struct node *n = f->all[i];
        if (n->message && n->parent && !n->parent->message && n->parent->children == 1)
            n->parent = NULL;
    }
    for (size_t i = 0; i < f->count; i++) {
        struct node *n = f->all[i];
        n->is_gone = !n->message && (n->parent || n->children < 2);
    }
}

static struct span subject_of(const struct node *n)
{
    return face(n)->message->subject;
}

static bool is_reply(const struct node *n)
{
    return n->message && n->message->is_reply;
}

/* Step 5.B */
static void fill_subjects(struct forest *f)
{
    f->subjects = map_new();
    for (size_t i = 0; i < f->root_count; i++) {
        struct node *n = f->roots[i];
        struct span subject = subject_of(n);
        if (!subject.len)
            continue;
        const struct node *known = map_get(f->subjects, subject);
        if (!known || (known->message && (!n->message || (is_reply(known) && !is_reply(n)))))
            map_put(f->subjects, subject, n);
    }
}

static void merge_roots(struct forest *f, struct node *known, struct node *n, struct span subject)
{
    if (!known->message && !n->message) {
        for (uint32_t i = 0; i < n->children; i++)
            n->child[i]->parent = known;
        n->is_gone = true;
    } else if (!known->message || (is_reply(n) && !is_reply(known))) {
        n->parent = known;
    } else {
        struct node *dummy = node_new(f, NULL, 0);
        n->parent = known->parent = dummy;
        map_put(f->subjects, subject, dummy);
    }
}

/* Step 5.C */
static void merge_subjects(struct forest *f)
{
    for (size_t i = 0; i < f->root_count; i++) {
        struct node *n = f->roots[i];
        struct span subject = subject_of(n);
        if (!subject.len)
            continue;
        struct node *known = map_get(f->subjects, subject);
        if (known != n && n->parent == NULL)
            merge_roots(f, known, n, subject);
    }
}

void thread_by_references(struct arena *a, const struct thread_message *list, size_t count, struct strbuf *out)
{
    struct forest f = {.arena = a};
    struct node **own = own_nodes(&f, list, count);
    for (size_t i = 0; i < count; i++)
        link_references(&f, own[i]);
    free(own);
    prune(&f);
    arrange(&f);
    fill_subjects(&f);
    merge_subjects(&f);
    arrange(&f);
    write_forest(&f, out);
    forest_free(&f);
}
