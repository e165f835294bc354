/*
 * fake_session.h - net/session.h without a network: bytes are put in, what the protocol answers is taken out. One
 * thread, no time.
 *
 * What the engine promises a protocol is kept: input() is called with at least one unread byte, after NEXT_INPUT only
 * when more came, unread input is dropped before secured().
 */
#pragma once
#include "net/session.h"

struct session {
    const struct protocol *protocol;
    void *app, *state;
    struct strbuf in, out;
    size_t input_max;
    struct peer peer;
    bool can_tls, is_tls, is_in_body;
    bool is_closed, is_carried;
    int64_t paused_ms; /* all pauses together */
    int64_t idle_ms;
    unsigned starttls;
    bool has_uid;
    uint32_t uid;
};

void fake_open(struct session *s, const struct protocol *p, void *app, const char *peer_address);
/* Gives the bytes in pieces of at most `step` (0: all at once). */
void fake_put(struct session *s, struct span bytes, size_t step);
void fake_close(struct session *s);
