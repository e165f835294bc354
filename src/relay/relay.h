/*
 * relay.h - works the queue: what is due is sent to its destinations, what fails is tried again or bounced.
 *
 * One thread (the feeder) looks into the queue and keeps, for each destination that has something due, a bounded window
 * of messages in memory; worker threads take messages from those windows, each over a connection of its own, as many to
 * one destination as that has been seen to bear (relay/destination.h). A destination whose hosts do not answer rests
 * and costs nothing meanwhile.
 */
#pragma once
#include "queue/queue.h"
#include "relay/link.h"
#include "smtp/smtp.h"

enum { RELAY_GRACE_MS = 3000 };

struct relay;
struct relay_parts {
    struct queue *queue;    /* all borrowed */
    struct smtp_pool *mail; /* connections to mail's LMTP */
    struct link_maker maker;
    int wake_fd; /* readable when somebody outside has changed the queue (the command line); -1: none */
};
struct relay *relay_start(const struct relay_parts *p);
/* There may be something due now. Any thread. */
void relay_wake(struct relay *r);
/* New settings; the old ones must live on. Any thread. */
void relay_set_settings(struct relay *r, const struct config_relay *settings);
/* Ends after the attempts that are running. False: some still wait for their peer after RELAY_GRACE_MS; they are not
 * waited for, and nothing is freed: the process must end. What they were sending is sent again. */
bool relay_stop(struct relay **r);
