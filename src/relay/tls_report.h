/*
 * tls_report.h - the daily report about TLS sessions to those domains that want one (RFC 8460): by mail through our own
 * queue, or by HTTPS. A thread of its own, since it waits for others' DNS and web servers.
 */
#pragma once
#include "relay/https.h"
#include "sys/config_relay.h"

struct queue;
struct tls_reporter;
struct tls_reporter_parts {
    struct queue *queue;
    const char *hostname;
    _Atomic(const struct config_relay *) *settings; /* the newest */
    struct https https;
    void (*wake)(void *ctx); /* a report came into the queue */
    void *wake_ctx;
};
struct tls_reporter *tls_reporter_start(const struct tls_reporter_parts *p);
void tls_reporter_stop(struct tls_reporter **r);

enum { TLS_REPORT_FIRST_SECONDS = 2, TLS_REPORT_SECONDS = 3600 }; /* looks whether a day is over */
