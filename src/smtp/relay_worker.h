/*
 * relay_worker.h - the thread of the role relay that works the queue: what is due is handed to `mail` over LMTP; what fails for good is
 * bounced to its sender; what fails for now waits by queue/schedule.h.
 *
 * A recipient that is not of our domains waits in the queue: this version sends nothing to the outside.
 */
#pragma once
#include "queue/queue.h"
#include "smtp/smtp.h"

struct relay_worker;

/* queue and hostname are borrowed; mail: connections to mail's LMTP, borrowed. Starts the thread. */
struct relay_worker *relay_worker_start(struct queue *q, struct smtp_pool *mail, const char *hostname);
/* There may be something due now. Any thread. */
void relay_worker_wake(struct relay_worker *w);
/* Ends after the attempt that is running. */
void relay_worker_stop(struct relay_worker **w);

/* One round: tries all that is due at the moment. For tests, without a thread. Returns the number of recipients tried. */
size_t relay_worker_round(struct queue *q, struct smtp_pool *mail, const char *hostname);
