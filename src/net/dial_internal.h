/*
 * dial_internal.h - between dial.c and dial_tls.c.
 */
#pragma once
#include "net/dial.h"

struct ssl_st;
struct dial {
    int fd;
    struct ssl_st *ssl; /* NULL: in clear */
    bool is_broken;     /* no goodbye is said */
    struct dial_facts facts;
    struct dial_tls *tls;
    char *session_key; /* under which a resumable session is kept */
};

enum status dial_wait(int fd, short events, int64_t deadline_ms, struct err *err);
enum status dial_tls_read(struct dial *d, char *p, size_t n, size_t *got, int64_t deadline_ms, struct err *err);
enum status dial_tls_write(struct dial *d, const char *p, size_t n, size_t *put, int64_t deadline_ms, struct err *err);
