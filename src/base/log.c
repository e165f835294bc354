/* log.c - see log.h. The line is built in the caller's struct, so no lock and no heap. */
#include "base/log.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/banned.h"

static const char *role_name = "tassis";
static void (*line_sink)(struct span line);
static _Atomic int min_level = LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

enum {
    TAIL = 2,        /* room kept for a closing quote and the newline */
    ESCAPED_MAX = 4, /* "\x0a" */
};

void log_set_role(const char *role)
{
    role_name = role;
}

void log_set_sink(void (*sink)(struct span line))
{
    line_sink = sink;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

static bool dropped(const struct log_line *l)
{
    return (int)l->level < atomic_load_explicit(&min_level, memory_order_relaxed);
}

static size_t room_of(const struct log_line *l)
{
    const size_t end = sizeof l->text - TAIL;
    return l->len < end ? end - l->len : 0;
}

static void put(struct log_line *l, const char *p, size_t n)
{
    size_t room = room_of(l);
    if (n > room)
        n = room;
    memcpy(l->text + l->len, p, n);
    l->len += n;
}

static bool is_plain(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c) || (c != '\0' && strchr("._:/@+,<>[]-", c) != NULL);
}

static void put_quoted(struct log_line *l, struct span v)
{
    put(l, "\"", 1);
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.p[i];
        char hex[ESCAPED_MAX + 1];
        if (room_of(l) < ESCAPED_MAX)
            break;
        if (c == '"' || c == '\\') {
            put(l, "\\", 1);
            put(l, &v.p[i], 1);
        } else if (c < 0x20 || c == 0x7f) {
            (void)snprintf(hex, sizeof hex, "\\x%02x", c);
            put(l, hex, ESCAPED_MAX);
        } else {
            put(l, &v.p[i], 1);
        }
    }
    l->text[l->len++] = '"'; /* a value that was cut is closed all the same: TAIL has room for it */
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    l->level = level;
    l->len = 0;
    l->is_about_message = false;
    if (dropped(l))
        return;
    int64_t now_ms = clock_wall_ms();
    time_t secs = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&secs, &tm);
    int n = snprintf(l->text, sizeof l->text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s %s", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_ms % 1000), role_name,
                     level_names[level], event);
    l->len = n > 0 && (size_t)n < sizeof l->text - TAIL ? (size_t)n : 0;
}

void log_span(struct log_line *l, const char *key, struct span v)
{
    const size_t key_len = strlen(key);
    if (dropped(l) || v.len == 0 || room_of(l) < key_len + sizeof " =\"" + ESCAPED_MAX)
        return; /* a line that is full gets no further pairs */
    l->is_about_message |= key_len == 5 && memcmp(key, "trace", 5) == 0;
    put(l, " ", 1);
    put(l, key, key_len);
    put(l, "=", 1);
    for (size_t i = 0; i < v.len; i++)
        if (!is_plain(v.p[i])) {
            put_quoted(l, v);
            return;
        }
    put(l, v.p, v.len);
}

void log_str(struct log_line *l, const char *key, const char *value)
{
    log_span(l, key, span_cstr(value));
}

void log_u64(struct log_line *l, const char *key, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    log_str(l, key, digits);
}

void log_i64(struct log_line *l, const char *key, int64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRId64, value);
    log_str(l, key, digits);
}

void log_err(struct log_line *l, const struct err *err)
{
    log_str(l, "status", status_name(err->status));
    log_str(l, "reason", err->operator_text);
}

void log_end(struct log_line *l)
{
    if (dropped(l))
        return;
    l->text[l->len++] = '\n';
    (void)!write(STDERR_FILENO, l->text, l->len);
    if (l->is_about_message && line_sink)
        line_sink(span_of(l->text, l->len - 1));
}

void log_text(enum log_level level, const char *event, const char *fmt, ...)
{
    struct log_line l;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_begin(&l, level, event);
    log_str(&l, "text", text);
    log_end(&l);
}
