/*
 * work_verify.c - whether what was acknowledged is there: INBOX's messages over all accounts sum up to --expect, and
 * --sample of each account's are fetched whole: checksum right, size as RFC822.SIZE says, none twice.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "message.h"
#include "works.h"

static uint64_t next_account, found;
static struct message_id *seen; /* the identities of all that was sampled */
static size_t seen_count, seen_room;

static void remember(struct message_id id)
{
    if (seen_count == seen_room) {
        seen_room = seen_room ? seen_room * 2 : 1024;
        seen = mem_resize(seen, seen_room * sizeof *seen);
    }
    seen[seen_count++] = id;
}

static void check_message(struct span items)
{
    struct span body, size;
    struct message_id id;
    const char *why;
    uint64_t octets;
    if (!imap_item(items, SPAN("BODY[]"), &body) || !imap_item(items, SPAN("RFC822.SIZE"), &size))
        bench_fail("FETCH lacks BODY[] or RFC822.SIZE");
    if (!span_to_u64(size, UINT32_MAX, &octets) || octets != body.len)
        bench_fail("RFC822.SIZE says %.*s, the body has %zu", SPAN_ARG(size), body.len);
    if (!message_check(body, &id, &why))
        bench_fail("a message is not whole: %s", why);
    remember(id);
    tally_add(0, body.len);
}

/* The samples are spread over the mailbox, its first and last message among them. */
static void check_samples(struct imap *im)
{
    size_t sample = opt.sample < im->exists ? opt.sample : im->exists;
    for (size_t i = 0; i < sample; i++) {
        uint64_t number = sample == 1 ? 1 : 1 + i * (uint64_t)(im->exists - 1) / (sample - 1);
        struct span text, items;
        uint32_t n;
        bool is_there = false;
        imap_tag(im);
        conn_printf(im->conn, "FETCH %llu (RFC822.SIZE BODY.PEEK[])\r\n", (unsigned long long)number);
        while (imap_untagged(im, &text))
            if (imap_is_fetch(text, &n, &items) && n == number) {
                check_message(items);
                is_there = true;
            }
        if (!is_there)
            bench_fail("FETCH of message %llu gave nothing", (unsigned long long)number);
    }
}

static void verify(void *unused)
{
    (void)unused;
    while (next_account < opt.accounts) {
        struct imap im;
        imap_open_account(&im, next_account++);
        imap_select(&im, opt.mailbox, true);
        found += im.exists;
        check_samples(&im);
        imap_logout(&im);
    }
}

static int compare(const void *a, const void *b)
{
    const struct message_id *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

void work_verify(void)
{
    tally_start();
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(verify, NULL);
    fiber_run();
    tally_stop();
    if (opt.has_expect && found != opt.expect)
        bench_fail("%llu messages were found, not %llu", (unsigned long long)found, (unsigned long long)opt.expect);
    if (seen_count)
        qsort(seen, seen_count, sizeof *seen, compare);
    for (size_t i = 1; i < seen_count; i++)
        if (compare(&seen[i - 1], &seen[i]) == 0)
            bench_fail("message %llu is there twice", (unsigned long long)seen[i].number);
    free(seen);
    result_u64("messages", found);
    result_u64("sampled", seen_count);
    result_u64("accounts", opt.accounts);
}
