/* test_deliver.c - deliveries from many threads at once: each has its message, with its own uid and its own error. */
#include <pthread.h>
#include <sched.h>
#include "fixture.h"
#include "store/sqlite/internal.h"

enum { THREADS = 24, EACH = 40 };

struct sender {
    pthread_t thread;
    struct fixture *f;
    unsigned number;
    uint32_t uids[EACH];
    enum status statuses[EACH];
};

/* Every eighth delivery goes to a mailbox that does not exist; the size tells who sent the message. */
static bool is_wrong(unsigned number, unsigned i)
{
    return (number + i) % 8 == 0;
}

static size_t size_of(unsigned number, unsigned i)
{
    return 1 + number * EACH + i;
}

static void *send_all(void *p)
{
    struct sender *s = p;
    for (unsigned i = 0; i < EACH; i++) {
        char *raw = calloc(1, size_of(s->number, i));
        struct content c = {.raw = span_of(raw, size_of(s->number, i))};
        struct err err = {0};
        s->statuses[i] = message_deliver(s->f->account, is_wrong(s->number, i) ? SPAN("Nowhere") : SPAN("INBOX"), &c,
                                         (struct mail_date){.utc = 1}, &s->uids[i], &err);
        free(raw);
    }
    return NULL;
}

static void each_gets_its_own(void **state)
{
    struct fixture *f = *state;
    struct sender *senders = calloc(THREADS, sizeof *senders);
    for (unsigned n = 0; n < THREADS; n++) {
        senders[n].f = f;
        senders[n].number = n;
        assert_int_equal(pthread_create(&senders[n].thread, NULL, send_all, &senders[n]), 0);
    }
    for (unsigned n = 0; n < THREADS; n++)
        pthread_join(senders[n].thread, NULL);

    struct view *v;
    MUST(view_get(f->account, f->inbox, &v, &err));
    uint32_t good = 0;
    for (unsigned n = 0; n < THREADS; n++)
        for (unsigned i = 0; i < EACH; i++) {
            if (is_wrong(n, i)) {
                assert_int_equal(senders[n].statuses[i], ST_NOTFOUND);
                continue;
            }
            assert_int_equal(senders[n].statuses[i], ST_OK);
            uint32_t seq = view_seq_of(v, senders[n].uids[i]);
            assert_int_not_equal(seq, 0);
            assert_int_equal(view_message(v, seq)->size, size_of(n, i));
            good++;
        }
    assert_int_equal(view_count(v), good);
    view_free(&v);
    assert_int_equal(mailbox_now(f, f->inbox).messages, good);
    assert_sound(f->account);
    free(senders);
}

struct blocked {
    struct fixture *f;
    uint32_t uid;
};

static unsigned waiting_at(struct account *a)
{
    unsigned n = 0;
    pthread_mutex_lock(&a->deliveries.lock);
    for (const struct waiting_delivery *w = a->deliveries.first; w; w = w->next)
        n++;
    pthread_mutex_unlock(&a->deliveries.lock);
    return n;
}

static void *deliver_one(void *p)
{
    struct blocked *b = p;
    struct content c = {.raw = SPAN("x")};
    THREAD_MUST(message_deliver(b->f->account, SPAN("INBOX"), &c, (struct mail_date){.utc = 1}, &b->uid, &err));
    return NULL;
}

/* Messages of one transaction share its modseq: fewer modseqs than messages is how one sees that they went together. */
static void those_that_wait_go_together(void **state)
{
    struct fixture *f = *state;
    uint64_t before = mailbox_now(f, f->inbox).highest_modseq;
    struct txn *t;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err)); /* nobody else gets on until this ends */
    struct blocked blocked[THREADS];
    pthread_t threads[THREADS];
    for (unsigned n = 0; n < THREADS; n++) {
        blocked[n] = (struct blocked){.f = f};
        assert_int_equal(pthread_create(&threads[n], NULL, deliver_one, &blocked[n]), 0);
    }
    while (waiting_at(f->account) < THREADS - 1) /* the other one leads */
        sched_yield();
    txn_free(&t);
    for (unsigned n = 0; n < THREADS; n++)
        pthread_join(threads[n], NULL);
    struct mailbox m = mailbox_now(f, f->inbox);
    assert_int_equal(m.messages, THREADS);
    assert_int_equal(m.highest_modseq - before, 2); /* the leader was alone when it looked, then all others */
    assert_sound(f->account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_its_own, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(those_that_wait_go_together, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
