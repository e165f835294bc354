/* The pool: each job runs once, crowds keep to some workers, neither kind keeps the other waiting, nobody is forgotten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/clock.h"
#include "net/worker.h"

enum { WORKERS_MAX = 40, JOBS = 2000 };

static _Atomic unsigned ran, crowd_now, crowd_most, blocked;
static sem_t gate; /* jobs that block wait here */

struct one {
    struct job job;
    _Atomic unsigned times;
};

static void wake(void *ctx)
{
    (void)ctx;
}

static void run_short(struct job *job, struct worker *w)
{
    unsigned now = w->is_in_crowd ? atomic_fetch_add(&crowd_now, 1) + 1 : 0, most = atomic_load(&crowd_most);
    while (now > most && !atomic_compare_exchange_weak(&crowd_most, &most, now))
        ;
    ((struct one *)job)->times++;
    sched_yield();
    if (w->is_in_crowd)
        crowd_now--;
    ran++;
}

static void run_blocking(struct job *job, struct worker *w)
{
    blocked++;
    while (sem_wait(&gate) != 0)
        ;
    blocked--;
    run_short(job, w);
}

static struct pool *begin(void)
{
    ran = crowd_now = crowd_most = blocked = 0;
    sem_init(&gate, 0, 0);
    return pool_new(WORKERS_MAX, wake, NULL);
}

/* What the loop does, until `n` have run. */
static void run_until(struct pool *p, _Atomic unsigned *what, unsigned n)
{
    while (*what < n) {
        pool_grow(p, clock_mono_ms());
        sched_yield();
    }
}

static struct one *make(unsigned count, void (*run)(struct job *job, struct worker *w))
{
    struct one *all = calloc(count, sizeof *all);
    for (unsigned i = 0; i < count; i++) {
        all[i].job.run = run;
        all[i].job.next = i + 1 < count ? &all[i + 1].job : NULL;
    }
    return all;
}

static void end(struct pool *p, struct one *all, unsigned count)
{
    pool_free(&p);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(all[i].times, 1);
    assert_int_equal(crowd_now, 0);
    free(all);
    sem_destroy(&gate);
}

static unsigned crowd_limit(void)
{
    cpu_set_t processors;
    assert_int_equal(sched_getaffinity(0, sizeof processors, &processors), 0);
    return 2 * (unsigned)CPU_COUNT(&processors);
}

static void a_crowd_keeps_to_some_workers(void **state)
{
    (void)state;
    struct pool *p = begin();
    struct one *all = make(JOBS, run_short);
    for (unsigned i = 0; i < JOBS; i += JOBS / 4) /* several crowds */
        pool_add_crowd(p, &all[i].job, &all[i + JOBS / 4 - 1].job, JOBS / 4);
    assert_int_equal(pool_waiting(p), JOBS);
    run_until(p, &ran, JOBS);
    assert_int_equal(pool_waiting(p), 0);
    assert_in_range(crowd_most, 1, crowd_limit());
    end(p, all, JOBS);
}

/* All workers of the crowd are blocked: other jobs have workers of their own, and the crowd goes on after. */
static void a_blocked_crowd_blocks_nobody_else(void **state)
{
    (void)state;
    unsigned limit = crowd_limit(), count = limit + 20;
    struct pool *p = begin();
    struct one *crowd = make(count, run_blocking), *others = make(JOBS, run_short);
    pool_add_crowd(p, &crowd[0].job, &crowd[count - 1].job, count);
    run_until(p, &blocked, limit);
    for (unsigned i = 0; i < JOBS; i++)
        pool_add(p, &others[i].job);
    run_until(p, &ran, JOBS);
    assert_int_equal(blocked, limit);
    assert_int_equal(pool_waiting(p), count - limit);
    for (unsigned i = 0; i < count; i++)
        sem_post(&gate);
    run_until(p, &ran, JOBS + count);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(others[i].times, 1);
    free(others);
    end(p, crowd, count);
}

/* Where workers are idle a crowd needs no loop. */
static void idle_workers_are_called(void **state)
{
    (void)state;
    unsigned busy = WORKERS_MAX / 2;
    struct pool *p = begin();
    struct one *all = make(busy, run_blocking), *crowd = make(JOBS, run_short);
    for (unsigned i = 0; i < busy; i++)
        pool_add(p, &all[i].job);
    run_until(p, &blocked, busy); /* that many workers are there */
    for (unsigned i = 0; i < busy; i++)
        sem_post(&gate);
    run_until(p, &ran, busy); /* all are idle now */
    for (unsigned round = 0; round < 20; round++) {
        struct one *last = &crowd[(round + 1) * (JOBS / 20) - 1];
        pool_add_crowd(p, &crowd[round * (JOBS / 20)].job, &last->job, JOBS / 20);
        while (ran < busy + (round + 1) * (JOBS / 20))
            sched_yield();
    }
    for (unsigned i = 0; i < busy; i++)
        assert_int_equal(all[i].times, 1);
    free(all);
    end(p, crowd, JOBS);
}

/* Jobs of both kinds in turn: with one worker alone, too. */
static void both_kinds_take_turns(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 8; workers++) {
        struct pool *p = begin();
        pool_set_max(p, workers);
        struct one *all = make(JOBS, run_short);
        for (unsigned i = 0; i < JOBS; i += 10) {
            pool_add_crowd(p, &all[i].job, &all[i + 4].job, 5);
            for (unsigned k = 5; k < 10; k++)
                pool_add(p, &all[i + k].job);
        }
        run_until(p, &ran, JOBS);
        end(p, all, JOBS);
    }
}

static void stop_with_a_crowd_waiting(void **state)
{
    (void)state;
    struct pool *p = begin();
    struct one *all = make(JOBS, run_short);
    pool_add_crowd(p, &all[0].job, &all[JOBS - 1].job, JOBS);
    pool_grow(p, clock_mono_ms());
    pool_free(&p);
    for (unsigned i = 0; i < JOBS; i++)
        assert_in_range(all[i].times, 0, 1);
    free(all);
    sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_keeps_to_some_workers), cmocka_unit_test(a_blocked_crowd_blocks_nobody_else),
        cmocka_unit_test(idle_workers_are_called),       cmocka_unit_test(both_kinds_take_turns),
        cmocka_unit_test(stop_with_a_crowd_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
