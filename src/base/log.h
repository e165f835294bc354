/*
 * log.h - one line an event, on stderr: time, role, level, event, then key=value pairs.
 *
 *   2026-01-31T12:00:00.123Z mail info login session=3fk2a9 account=alice@example.test protocol=imap
 *
 * Values with anything but [A-Za-z0-9._:/@+,<>[]-] are quoted, with control bytes, quotes and backslashes escaped, so
 * that nothing a stranger sends can forge a line. Each line is one write(2) of at most 2 KB; what does not fit
 * is cut or left out. Never log passwords, tickets, tokens or message bodies. Any thread.
 *
 *   LOG_INFO("delivered", "session=%s", s->id, "trace=%s", trace, "size=%zu", size)
 *
 * would need varargs magic; instead a line is built:
 *
 *   struct log_line l;
 *   log_begin(&l, LOG_INFO, "delivered");
 *   log_str(&l, "session", id);
 *   log_u64(&l, "size", size);
 *   log_end(&l);
 */
#pragma once
#include "base/err.h"
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_line {
    enum log_level level;
    bool is_about_message; /* it has trace= */
    size_t len;
    char text[2048];
};

/* The role's name in every line; set once, before threads start. The pointer is kept. */
void log_set_role(const char *role);
/* Lines below this level are dropped. Default LOG_INFO. */
void log_set_level(enum log_level level);

/* Gets each line about a message (those with trace=), without its LF, behind stderr; set once, before there are threads.
 * It must not log. */
void log_set_sink(void (*sink)(struct span line));

void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, const char *value);       /* NULL: the pair is left out */
void log_span(struct log_line *l, const char *key, struct span value);      /* empty: the pair is left out */
void log_u64(struct log_line *l, const char *key, uint64_t value);
void log_i64(struct log_line *l, const char *key, int64_t value);
void log_err(struct log_line *l, const struct err *err);                    /* status= and reason= (operator's text) */
void log_end(struct log_line *l);

/* Shorthand for a line with a single free text: event plus text="…". */
void log_text(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
