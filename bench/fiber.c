/*
 * fiber.c - see fiber.h. Stacks are switched by swapcontext(); the scheduler is the main stack. A fiber is in exactly
 * one place: in the queue of those that may run, in the watch of a descriptor, in an event's queue, or among the
 * sleepers.
 */
#include "fiber.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <ucontext.h>
#include <unistd.h>
#include "base/mem.h"
#include "bench.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
enum { STACK = 512 * 1024 };
#else
enum { STACK = 128 * 1024 }; /* touched pages alone cost memory */
#endif

enum { EVENTS = 512, PAGE = 4096 };

struct fiber {
    ucontext_t context;
    struct fiber *next; /* in the one queue it is in */
    LIST_ENTRY(fiber) all;
    void (*run)(void *arg);
    void *arg;
    char *stack;
    const char *waits_for; /* with since_us and patience_us: who waits too long is found */
    int64_t since_us, patience_us, wakes_us;
    void *fake_stack; /* the address sanitizer's */
};

static LIST_HEAD(, fiber) fibers;
static struct fiber_event ready;
static struct fiber *sleepers, *unused; /* unused: ended, with their stacks */
static struct fiber *current;
static ucontext_t scheduler;
static int poll_fd = -1;
static bool is_stopped;

#if defined(__SANITIZE_ADDRESS__)
static const void *scheduler_bottom;
static size_t scheduler_size;
#define LEAVE(save, bottom, size)  __sanitizer_start_switch_fiber(save, bottom, size)
#define ENTER(saved, bottom, size) __sanitizer_finish_switch_fiber(saved, bottom, size)
#else
#define LEAVE(save, bottom, size)  (void)0
#define ENTER(saved, bottom, size) (void)0
#endif

static void queue_add(struct fiber_event *q, struct fiber *f)
{
    f->next = NULL;
    if (q->last)
        q->last->next = f;
    else
        q->first = f;
    q->last = f;
}

/* Gives the thread to the scheduler; the fiber has put itself where somebody will find it. */
static void give_way(void)
{
    struct fiber *self = current;
    LEAVE(&self->fake_stack, scheduler_bottom, scheduler_size);
    swapcontext(&self->context, &scheduler);
    ENTER(self->fake_stack, &scheduler_bottom, &scheduler_size);
}

/* The same, with patience: the program ends where `what` does not come. */
static void give_way_for(const char *what)
{
    struct fiber *self = current;
    self->waits_for = what;
    self->since_us = bench_now_us();
    give_way();
    self->waits_for = NULL;
}

static void resume(struct fiber *f)
{
    current = f;
    void *fake = NULL;
    (void)fake;
    LEAVE(&fake, f->stack + PAGE, STACK - PAGE);
    swapcontext(&scheduler, &f->context);
    ENTER(fake, NULL, NULL);
    current = NULL;
    if (!f->run) { /* it has ended */
        LIST_REMOVE(f, all);
        f->next = unused;
        unused = f;
    }
}

static void begin(void)
{
    ENTER(NULL, &scheduler_bottom, &scheduler_size);
    struct fiber *self = current;
    self->run(self->arg);
    self->run = NULL;
    LEAVE(NULL, scheduler_bottom, scheduler_size);
    setcontext(&scheduler);
}

static void prepare(struct fiber *f)
{
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack + PAGE;
    f->context.uc_stack.ss_size = STACK - PAGE;
    f->context.uc_link = NULL;
    makecontext(&f->context, begin, 0);
}

void fiber_start(void (*run)(void *arg), void *arg)
{
    struct fiber *f = unused;
    if (f) {
        unused = f->next;
    } else {
        f = mem_alloc(sizeof *f);
        f->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED || mprotect(f->stack, PAGE, PROT_NONE) != 0)
            bench_fail("no stack for a fiber: %s", strerror(errno));
    }
    f->run = run;
    f->arg = arg;
    f->patience_us = (int64_t)(opt.timeout_s * 1e6);
    prepare(f);
    LIST_INSERT_HEAD(&fibers, f, all);
    queue_add(&ready, f);
}

static int poller(void)
{
    if (poll_fd < 0 && (poll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        bench_fail("epoll_create1: %s", strerror(errno));
    return poll_fd;
}

void fiber_watch(struct fiber_fd *f, int fd)
{
    *f = (struct fiber_fd){.fd = fd};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = f};
    if (epoll_ctl(poller(), EPOLL_CTL_ADD, fd, &e) != 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

void fiber_unwatch(struct fiber_fd *f)
{
    epoll_ctl(poller(), EPOLL_CTL_DEL, f->fd, NULL);
}

void fiber_wait_fd(struct fiber_fd *f, uint32_t events)
{
    f->wanted = events;
    f->waiting = current;
    give_way_for("the server");
}

void fiber_wait(struct fiber_event *e)
{
    queue_add(e, current);
    give_way();
}

void fiber_wait_for(struct fiber_event *e, const char *what)
{
    queue_add(e, current);
    give_way_for(what);
}

void fiber_wake(struct fiber_event *e)
{
    struct fiber *f = e->first;
    *e = (struct fiber_event){NULL, NULL};
    while (f) {
        struct fiber *next = f->next;
        queue_add(&ready, f);
        f = next;
    }
}

void fiber_yield(void)
{
    queue_add(&ready, current);
    give_way();
}

void fiber_sleep_ms(int64_t ms)
{
    current->wakes_us = bench_now_us() + ms * 1000;
    current->next = sleepers;
    sleepers = current;
    give_way();
}

void fiber_set_patience(double seconds)
{
    current->patience_us = (int64_t)(seconds * 1e6);
}

/* Sleepers are few, and only looked at between two batches of events. */
static int wake_sleepers(int64_t now_us)
{
    int64_t soonest_ms = 1000;
    for (struct fiber **at = &sleepers; *at;) {
        struct fiber *f = *at;
        if (f->wakes_us <= now_us) {
            *at = f->next;
            queue_add(&ready, f);
            continue;
        }
        int64_t ms = (f->wakes_us - now_us + 999) / 1000;
        soonest_ms = ms < soonest_ms ? ms : soonest_ms;
        at = &f->next;
    }
    return (int)soonest_ms;
}

static void find_silent_servers(int64_t now_us)
{
    struct fiber *f;
    LIST_FOREACH(f, &fibers, all)
    if (f->waits_for && f->patience_us && now_us - f->since_us > f->patience_us)
        bench_fail("waited %.0f s for %s", (double)f->patience_us / 1e6, f->waits_for);
}

static void take_events(int timeout_ms)
{
    static struct epoll_event events[EVENTS];
    int n = epoll_wait(poller(), events, EVENTS, timeout_ms);
    if (n < 0 && errno != EINTR)
        bench_fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        struct fiber_fd *f = events[i].data.ptr;
        if (f->waiting && (events[i].events & (f->wanted | EPOLLERR | EPOLLHUP | EPOLLRDHUP))) {
            queue_add(&ready, f->waiting);
            f->waiting = NULL;
        }
    }
}

void fiber_stop(void)
{
    is_stopped = true;
}

void fiber_run(void)
{
    int64_t looked_us = bench_now_us();
    while (!LIST_EMPTY(&fibers) && !is_stopped) {
        struct fiber_event turn = ready; /* who becomes ready meanwhile has to wait for the events */
        ready = (struct fiber_event){NULL, NULL};
        for (struct fiber *f = turn.first, *next; f; f = next) {
            next = f->next;
            resume(f);
        }
        if (LIST_EMPTY(&fibers) || is_stopped)
            break;
        int64_t now_us = bench_now_us();
        if (now_us - looked_us > 1000000) {
            find_silent_servers(now_us);
            looked_us = now_us;
        }
        int timeout_ms = wake_sleepers(now_us);
        take_events(ready.first ? 0 : timeout_ms);
    }
}
