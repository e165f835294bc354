/*
 * preview.h - the beginning of what a message says, for a list of messages (PREVIEW, RFC 8970), and the number of the
 * conversation it belongs to (THREADID, RFC 8474).
 *
 * Both are made of the message alone, the same every time. Pure; any thread; output is appended.
 */
#pragma once
#include "text/mime.h"

enum {
    PREVIEW_CHARACTERS = 200,         /* RFC 8970 §3.3 */
    PREVIEW_OCTETS = 64 * 1024,       /* of a part that are looked at */
    PREVIEW_PARTS = 50,               /* text parts that are tried, until one says something */
    THREAD_HEADER_OCTETS = 64 * 1024, /* of a header that are looked at for Message-IDs */
};

/* The text on one line, UTF-8 without control characters; nothing where there is no text (encrypted, pictures).
 * `message` may be cut behind its beginning: parts that are not there say nothing. */
void preview_write(const struct mime_message *m, struct span message, struct strbuf *out);

/* The same number for messages that answer one another: by the first message-id of References, else of In-Reply-To,
 * else the message's own. 0: it has none. */
uint64_t thread_number(struct span header);
