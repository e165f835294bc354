/*
 * client.h - the load generator's side of a connection: blocking, plain or TLS, lines and exact bytes. Any error ends the
 * program with a message: a bench that goes on after a failure measures nothing.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

/* host: numeric; TLS from the first byte if is_tls (the certificate is not checked: it is the bench's own server). */
struct client *client_open(const char *host, uint16_t port, bool is_tls);
void client_close(struct client *c);
void client_send(struct client *c, const void *p, size_t n);
void client_sendf(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next line without its CRLF, NUL-terminated; valid until the next call. */
const char *client_line(struct client *c);
/* Lines up to one that begins with `start`; ends the program if that line does not continue with `expect` (NULL: any). */
const char *client_until(struct client *c, const char *start, const char *expect);
/* An SMTP reply of one or more lines; ends the program where its code does not begin with `code`. */
void client_reply(struct client *c, const char *code);
/* Reads and drops exactly n bytes. */
void client_skip(struct client *c, size_t n);
/* Bytes received in all. */
uint64_t client_received(const struct client *c);
int64_t bench_now_us(void);
_Noreturn void bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
