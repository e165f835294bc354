/*
 * work_resync.c - a client that comes back: --changes flags were changed by another session meanwhile, and it wants to
 * know which. With --qresync by QRESYNC (RFC 7162 §3.2.5) or CHANGEDSINCE (§3.1.4) where the server has them, which
 * must tell the changed messages and no others; else by the flags of all messages. Timed from SELECT to the last
 * answer.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

static const char *method;

/* Every step-th message gets \Flagged, or loses it; untimed. */
static void change(struct imap *im, size_t exists, bool is_set)
{
    size_t step = opt.changes ? exists / opt.changes : 0;
    for (size_t i = 0; i < opt.changes; i++) {
        imap_tag(im);
        conn_printf(im->conn, "STORE %zu %cFLAGS.SILENT (\\Flagged)\r\n", 1 + i * step, is_set ? '+' : '-');
        if (im->tag - im->answered == 64)
            imap_wait_ok(im);
    }
    while (im->tag != im->answered)
        imap_wait_ok(im);
}

/* FETCH responses to the command under way, and how many of them have \Flagged. */
static void count_answers(struct imap *im, size_t *told, size_t *flagged)
{
    struct span text, items, flags;
    uint32_t number;
    *told = *flagged = 0;
    while (imap_untagged(im, &text)) {
        if (!imap_is_fetch(text, &number, &items) || !imap_item(items, SPAN("FLAGS"), &flags))
            continue;
        ++*told;
        *flagged += span_find(flags, SPAN("\\Flagged"), 0) != SPAN_NPOS;
    }
}

static void resync(struct imap *im, uint64_t modseq, uint32_t validity, bool is_set)
{
    size_t told, flagged, expected = opt.changes;
    imap_tag(im);
    if (im->has_qresync && opt.is_qresync) {
        method = "qresync";
        conn_printf(im->conn, "SELECT \"%s\" (QRESYNC (%u %llu))\r\n", opt.mailbox, validity,
                    (unsigned long long)modseq);
    } else if (im->has_condstore && opt.is_qresync) {
        method = "changedsince";
        conn_printf(im->conn, "SELECT \"%s\" (CONDSTORE)\r\n", opt.mailbox);
        imap_wait_ok(im);
        imap_tag(im);
        conn_printf(im->conn, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE %llu)\r\n", (unsigned long long)modseq);
    } else {
        method = "flags";
        conn_printf(im->conn, "SELECT \"%s\"\r\n", opt.mailbox);
        imap_wait_ok(im);
        expected = im->exists;
        imap_tag(im);
        conn_printf(im->conn, "UID FETCH 1:* (FLAGS)\r\n");
    }
    count_answers(im, &told, &flagged);
    if (told != expected || flagged != (is_set ? opt.changes : 0))
        bench_fail("%zu messages were told, %zu of them flagged, of %zu changed", told, flagged, opt.changes);
}

static void run(void *unused)
{
    (void)unused;
    struct imap writer, im;
    imap_open_account(&writer, 0);
    imap_capability(&writer);
    if (writer.has_condstore && opt.is_qresync)
        imap_command(&writer, "SELECT \"%s\" (CONDSTORE)", opt.mailbox);
    else
        imap_select(&writer, opt.mailbox, false);
    size_t exists = writer.exists;
    if (exists < opt.changes || (opt.messages && exists != opt.messages))
        bench_fail("the mailbox has %zu messages", exists);
    imap_command(&writer, "STORE 1:* -FLAGS.SILENT (\\Flagged)");
    tally_start();
    for (size_t i = 0; i < opt.repeat; i++) {
        imap_open_account(&im, 0);
        imap_capability(&im);
        if (im.has_qresync && opt.is_qresync)
            imap_command(&im, "ENABLE QRESYNC");
        if (im.has_condstore && opt.is_qresync) {
            imap_command(&im, "EXAMINE \"%s\" (CONDSTORE)", opt.mailbox);
            imap_command(&im, "CLOSE");
        }
        uint64_t modseq = im.highest_modseq;
        uint32_t validity = im.uid_validity;
        change(&writer, exists, i % 2 == 0);
        int64_t begun_us = bench_now_us();
        resync(&im, modseq, validity, i % 2 == 0);
        tally_done(begun_us, 0);
        imap_logout(&im);
    }
    imap_logout(&writer);
}

void work_resync(void)
{
    if (!opt.changes)
        opt.changes = 10;
    fiber_start(run, NULL);
    fiber_run();
    result_text("method", method ? method : "");
    result_u64("changes", opt.changes);
}
