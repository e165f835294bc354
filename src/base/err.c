/* err.c - see err.h. */
#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/banned.h"

static const char *const names[ST_COUNT] = {
    "ok",    "syntax",    "state",       "denied", "notfound", "exists", "limit",
    "quota", "temporary", "unsupported", "closed", "io",       "bug",
};

const char *status_name(enum status st)
{
    return (unsigned)st < ST_COUNT ? names[st] : "unknown";
}

/* What goes to a client stays printable ASCII, whatever a stranger's words brought into the text. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

enum status(err_set)(struct err *err, enum status st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->client, sizeof err->client, fmt, ap);
    va_end(ap);
    make_printable(err->client);
    (void)snprintf(err->operator_text, sizeof err->operator_text, "%s", err->client);
    return err->status = st;
}

enum status err_set_operator(struct err *err, enum status st, const char *client, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->operator_text, sizeof err->operator_text, fmt, ap);
    va_end(ap);
    (void)snprintf(err->client, sizeof err->client, "%s", client);
    return err->status = st;
}

enum status err_errno(struct err *err, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->operator_text, sizeof err->operator_text, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof err->operator_text)
        (void)snprintf(err->operator_text + n, sizeof err->operator_text - (size_t)n, ": %s", strerror(saved));
    (void)snprintf(err->client, sizeof err->client, "internal error, try again later");
    switch (saved) {
    case ENOENT:
        return err->status = ST_NOTFOUND;
    case EACCES:
    case EPERM:
        return err->status = ST_DENIED;
    case EEXIST:
        return err->status = ST_EXISTS;
    default:
        return err->status = ST_IO;
    }
}

void fd_auto_(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
