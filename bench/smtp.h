/*
 * smtp.h - the steps of an SMTP or LMTP client (RFC 5321, 2033, 2920), each ending the program where a reply is not as
 * it must be.
 */
#pragma once
#include "conn.h"
#include "message.h"

struct smtp {
    struct conn *conn;
    bool is_lmtp;
    bool has_pipelining, has_starttls, has_auth_plain;
    uint64_t mail_max; /* RFC 9422: messages over one connection; 0: any number */
};

/* Connects to the port, with TLS or STARTTLS as the options say where with_tls, reads the greeting and says EHLO
 * (LHLO). */
void smtp_open(struct smtp *s, uint16_t port, bool is_lmtp, bool with_tls);
void smtp_auth_plain(struct smtp *s, const char *user, const char *password);
/* One transaction for one recipient, pipelined where the server announces it; ends with the reply to the body. */
void smtp_send(struct smtp *s, const char *from, const char *rcpt, const struct message *m);
void smtp_quit(struct smtp *s);
