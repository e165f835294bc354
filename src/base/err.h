/*
 * err.h - how functions fail: a status says what kind, a struct err carries the two texts.
 *
 * A function that can fail returns enum status and takes struct err *err last. On anything but ST_OK it has filled
 * *err; on ST_OK it has not touched it. err may never be NULL.
 *
 *   client    what a stranger may read (one line, no CR/LF, ASCII)
 *   operator  what the operator needs: paths, errno texts, SQL errors. Never sent to a peer.
 *
 * Pure; any thread.
 */
#pragma once

enum status {
    ST_OK = 0,
    ST_SYNTAX,    /* the peer's words are not of the grammar */
    ST_STATE,     /* right words at the wrong time */
    ST_DENIED,    /* not allowed, wrong password, not yours */
    ST_NOTFOUND,  /* no such mailbox, account, message, file */
    ST_EXISTS,    /* already there */
    ST_LIMIT,     /* a named limit is reached (too large, too many) */
    ST_QUOTA,     /* the account's quota is reached */
    ST_TEMPORARY, /* try again later: busy, role restarting */
    ST_UNSUPPORTED, /* understood, not done here (unknown charset, mechanism) */
    ST_CLOSED,    /* the other side went away */
    ST_IO,        /* disk or system call failed; the operator must look */
    ST_BUG        /* cannot happen */
};
#define ST_COUNT (ST_BUG + 1)

struct err {
    enum status status;
    char client[160];
    char operator_text[352];
};

/* Name of a status for logs: "syntax", "denied"… Never NULL. */
const char *status_name(enum status st);

/* Sets *err and returns st, so that callers write: return err_set(err, ST_LIMIT, "line too long"). The operator text
 * is the same as the client's. */
enum status err_set(struct err *err, enum status st, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The compiler and the analyzers see what comes back, and so what TRY() guards. */
#define err_set(err, st, ...)                                                                                          \
    __extension__({                                                                                                    \
        const enum status set_status_ = (st);                                                                          \
        (void)err_set(err, set_status_, __VA_ARGS__);                                                                  \
        set_status_;                                                                                                   \
    })

/* As err_set, with a text of its own for the operator; `client` is a constant text. */
enum status err_set_operator(struct err *err, enum status st, const char *client, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ST_IO (or ST_NOTFOUND, ST_DENIED, ST_EXISTS by errno) with "what: strerror(errno)" for the operator and a
 * neutral text for the client. Reads errno first. */
enum status err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Returns a bad status to the caller. */
#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        enum status try_status_ = (expr);                                                                              \
        if (try_status_ != ST_OK)                                                                                      \
            return try_status_;                                                                                        \
    } while (0)

/*
 * AUTO(thing) x = NULL;  calls thing_free(&x) when x leaves scope. Each module that wants it writes once, in its
 * header:  AUTO_DEFINE(thing)  beside  void thing_free(struct thing **).
 */
#define AUTO(type) __attribute__((cleanup(type##_auto_))) struct type *
#define AUTO_DEFINE(type)                                                                                              \
    static inline void type##_auto_(struct type **p)                                                                   \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            type##_free(p);                                                                                            \
    }

/* fd closed on leaving scope: AUTO_FD int fd = -1; */
#define AUTO_FD __attribute__((cleanup(fd_auto_)))
void fd_auto_(int *fd);
