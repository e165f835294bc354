/*
 * fiber.h - many clients in one thread, each written top to bottom: a fiber is a function with a stack of its own that
 * gives the thread away wherever it would wait.
 *
 * Ten thousand fibers cost their stacks' touched pages and one epoll registration each. All functions are for the
 * generator's one thread. A fiber that waits for its server longer than its patience ends the program.
 */
#pragma once
#include <stdint.h>

/* A descriptor that fibers wait for; registered edge-triggered, so whoever waits has seen EAGAIN before. One fiber at a
 * time. */
struct fiber_fd {
    int fd;
    uint32_t wanted; /* EPOLLIN, EPOLLOUT; 0: nobody waits */
    struct fiber *waiting;
};

/* Something that has not happened yet. All zero at first. */
struct fiber_event {
    struct fiber *first, *last;
};

/* Starts run(arg) as a fiber; it gets its first turn when the caller waits. */
void fiber_start(void (*run)(void *arg), void *arg);
/* From the main stack: runs all fibers until the last has ended. */
void fiber_run(void);
/* Makes fiber_run() return at the end of this turn, with whoever still waits left behind. */
void fiber_stop(void);

void fiber_watch(struct fiber_fd *f, int fd);
void fiber_unwatch(struct fiber_fd *f); /* before fd is closed */
void fiber_wait_fd(struct fiber_fd *f, uint32_t events);
void fiber_wait(struct fiber_event *e);
/* The same, and the program ends, saying `what` did not come, where it takes longer than --timeout. */
void fiber_wait_for(struct fiber_event *e, const char *what);
/* All that wait for e go on, in the order in which they came. */
void fiber_wake(struct fiber_event *e);
/* The others get a turn. */
void fiber_yield(void);
void fiber_sleep_ms(int64_t ms);
/* How long the running fiber waits for a descriptor before the program ends; 0: for ever. At first: --timeout. */
void fiber_set_patience(double seconds);
