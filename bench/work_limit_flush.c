/*
 * work_limit_flush.c - the disk's own limit: the same octets written and flushed, by as many threads into as many
 * files, with nothing around it. A file grows by what is appended, or is written again from its beginning after --wrap
 * octets, as a journal is.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "bench.h"
#include "works.h"

struct file {
    int fd;
    uint64_t end;
};

static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the tally is for one thread */

static bool take(uint64_t *number, int64_t *begun_us)
{
    pthread_mutex_lock(&lock);
    bool is_more = tally_take(number);
    pthread_mutex_unlock(&lock);
    *begun_us = bench_now_us();
    return is_more;
}

static void *writer(void *arg)
{
    struct file *f = arg;
    char *bytes = mem_alloc(opt.size);
    uint64_t number;
    int64_t begun_us;
    while (take(&number, &begun_us)) {
        uint64_t at = __atomic_fetch_add(&f->end, opt.size, __ATOMIC_RELAXED);
        if (opt.wrap)
            at %= opt.wrap;
        memset(bytes, (int)('a' + number % 26), opt.size);
        if (pwrite(f->fd, bytes, opt.size, (off_t)at) != (ssize_t)opt.size || fdatasync(f->fd) != 0)
            bench_fail("writing: %s", strerror(errno));
        pthread_mutex_lock(&lock);
        tally_done(begun_us, opt.size);
        pthread_mutex_unlock(&lock);
    }
    free(bytes);
    return NULL;
}

/* The file has no name: it is gone with us. */
static int new_file(void)
{
    int fd = open(opt.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_fail("no file in %s: %s", opt.dir, strerror(errno));
    if (opt.wrap) {
        char *zeros = mem_alloc(opt.wrap + opt.size);
        if (write(fd, zeros, opt.wrap + opt.size) != (ssize_t)(opt.wrap + opt.size) || fsync(fd) != 0)
            bench_fail("writing: %s", strerror(errno));
        free(zeros);
    }
    return fd;
}

void work_limit_flush(void)
{
    files = mem_array(opt.files, sizeof *files);
    pthread_t *threads = mem_array(opt.connections, sizeof *threads);
    for (size_t i = 0; i < opt.files; i++)
        files[i].fd = new_file();
    for (size_t i = 0; i < opt.connections; i++)
        if (pthread_create(&threads[i], NULL, writer, &files[i % opt.files]) != 0)
            bench_fail("no thread");
    for (size_t i = 0; i < opt.connections; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < opt.files; i++)
        close(files[i].fd);
    free(files);
    free(threads);
    result_u64("connections", opt.connections);
    result_u64("files", opt.files);
    result_u64("size", opt.size);
}
