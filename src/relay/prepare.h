/*
 * prepare.h - a message made ready for one peer: whether it may go there at all, and in which form, by the extensions
 * the peer knows (RFC 6152 §3, RFC 3030 §3, RFC 6531 §3.1, RFC 8689 §4.2.1, RFC 2852 §4, RFC 1870 §6).
 */
#pragma once
#include "queue/queue.h"
#include "relay/link.h"

/* RFC 8689: what the message says of TLS, by its envelope or else its header. A report that requires it asks the way to
 * be as good as it can, no more (§5). */
enum tls_wish prepare_tls_wish(const struct queue_message *m, struct span body);

struct prepared {
    struct span text;
    enum queue_body body;
    bool is_smtputf8;
    uint64_t size;
};
/* *converted holds what had to be rewritten. False: it cannot go there, and refusal says why ("554 5.6.3 …"). */
bool prepare_message(const struct link *l, const struct queue_message *m, struct span body, struct strbuf *converted,
                     struct prepared *out, char *refusal, size_t refusal_size);
