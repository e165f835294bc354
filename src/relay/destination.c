/* destination.c - see destination.h. */
#include "relay/destination.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/banned.h"

struct destination *destination_new(struct span name, uint32_t failures)
{
    struct destination *d = mem_alloc(sizeof *d);
    d->name = mem_cstr(name.p, name.len);
    d->last = &d->first;
    d->failures = failures;
    d->limit = failures ? 1 : DESTINATION_FIRST; /* one probe where there was no answer lately */
    return d;
}

static void window_release(struct window *w)
{
    if (--w->refs)
        return;
    arena_free(&w->arena);
    free(w);
}

void destination_free(struct destination **dp)
{
    struct destination *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    destination_clear(d);
    for (size_t i = 0; i < d->idle_count; i++)
        link_close(&d->idle[i], true);
    free(d->in_hand);
    free(d->name);
    free(d);
}

static void hold(struct destination *d, uint64_t id)
{
    if (d->in_hand_count == d->in_hand_cap) {
        d->in_hand_cap = d->in_hand_cap ? d->in_hand_cap * 2 : 64;
        d->in_hand = mem_resize(d->in_hand, d->in_hand_cap * sizeof *d->in_hand);
    }
    d->in_hand[d->in_hand_count++] = id;
}

static void let_go(struct destination *d, uint64_t id)
{
    for (size_t i = 0; i < d->in_hand_count; i++)
        if (d->in_hand[i] == id) {
            d->in_hand[i] = d->in_hand[--d->in_hand_count];
            return;
        }
}

/* RFC 6710 §5.1: before all that are less urgent, behind all others. */
static void put_in_order(struct destination *d, struct parcel *p)
{
    int priority = p->message->wishes.priority;
    struct parcel **at = d->last;
    if (d->first && d->least < priority)
        for (at = &d->first; (*at)->message->wishes.priority >= priority;)
            at = &(*at)->next;
    p->next = *at;
    *at = p;
    if (!p->next) {
        d->last = &p->next;
        d->least = priority;
    }
    d->waiting++;
}

void destination_fill(struct destination *d, struct window *w, struct queue_message *list, size_t count)
{
    w->refs++;
    for (size_t i = 0; i < count; i++) {
        struct parcel *p = mem_alloc(sizeof *p);
        *p = (struct parcel){.window = w, .message = &list[i]};
        w->refs++;
        put_in_order(d, p);
        for (size_t k = 0; k < list[i].recipient_count; k++)
            hold(d, list[i].recipients[k].id);
    }
    window_release(w);
}

struct parcel *destination_take(struct destination *d)
{
    struct parcel *p = d->first;
    if (!p)
        return NULL;
    d->first = p->next;
    if (!d->first)
        d->last = &d->first;
    d->waiting--;
    p->next = NULL;
    return p;
}

void destination_done(struct destination *d, struct parcel **pp)
{
    struct parcel *p = *pp;
    *pp = NULL;
    for (size_t i = 0; i < p->message->recipient_count; i++)
        let_go(d, p->message->recipients[i].id);
    window_release(p->window);
    free(p);
}

void destination_clear(struct destination *d)
{
    struct parcel *p;
    while ((p = destination_take(d)) != NULL)
        destination_done(d, &p);
}

bool destination_has(const struct destination *d, uint64_t recipient_id)
{
    for (size_t i = 0; i < d->in_hand_count; i++)
        if (d->in_hand[i] == recipient_id)
            return true;
    return false;
}

void destination_succeeded(struct destination *d, uint32_t most)
{
    d->failures = 0;
    if (++d->successes < d->limit)
        return;
    d->successes = 0;
    if (d->limit < most)
        d->limit++;
}

void destination_failed(struct destination *d)
{
    d->successes = 0;
    d->failures++;
    d->limit = d->limit > 1 ? d->limit / 2 : 1;
}
