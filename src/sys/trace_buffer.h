/*
 * trace_buffer.h - lines about messages on their way to the trace (docs/architecture.md): from the log of a role, over
 * a channel, to the role that writes them down.
 *
 * Whoever logs copies a line into a bounded buffer and goes on; it never waits for more than that copy. One thread
 * empties the buffer, a batch at a time. What does not fit is dropped, counted, and told by a line of its own
 * ("trace-dropped") when there is room again.
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"

enum {
    TRACE_BUFFER_MAX = 1 << 20,   /* octets that wait in a role */
    TRACE_PACKET_MAX = 32 * 1024, /* octets of one message on a channel: whole lines */
    TRACE_GATHER_MS = 50          /* how long a sender lets lines come together */
};

/* From here on the log's lines about messages are kept for trace_buffer_take(). Once in a process, before there are
 * threads that log; is_on may be changed at any time. */
enum status trace_buffer_start(bool is_on, struct err *err);
void trace_buffer_set(bool is_on);
/* Readable when something waits. */
int trace_buffer_fd(void);
/* Appends what waits, whole lines with their LF, to *out, which should be empty. One thread. */
void trace_buffer_take(struct strbuf *out);

/* Sends what waits over a channel, in a thread of its own, which must be made behind the sandbox. The descriptor is
 * borrowed. */
void trace_sender_start(int channel);
/* Sends what is left, for at most half a second. */
void trace_sender_stop(void);

/* The other end: appends all packets that wait, as they come, to *out, until it has `max` octets. False: nobody can
 * send any more. */
bool trace_receive(int channel, struct strbuf *out, size_t max);
