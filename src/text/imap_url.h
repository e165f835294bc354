/*
 * imap_url.h - IMAP URLs that name a message or a part of one (RFC 5092), with what authorizes their use (RFC 4467, as
 * RFC 5092 §6.1 has it).
 *
 *   imap://alice%40example.test@mail.example.test/INBOX;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
 *       ;EXPIRE=2026-01-31T12:00:00Z;URLAUTH=submit+alice%40example.test:INTERNAL:<hex digits>
 *
 * A URL without a server is relative: to the server and user of the session, and without a mailbox to the selected one.
 * Texts are decoded into the arena; `rump` and `token` are of the URL as it was written. Pure; any thread.
 */
#pragma once
#include "text/imap_fetch_args.h"

enum { IMAP_URL_MAX = 8192 }; /* octets; a mailbox name of 1,000 and two addresses, all escaped, are less */

enum imap_url_access {
    URL_ACCESS_NONE,   /* no URLAUTH in it */
    URL_ACCESS_SUBMIT, /* "submit+" user: by submission, for that user */
    URL_ACCESS_USER,   /* "user+" user */
    URL_ACCESS_AUTHUSER,
    URL_ACCESS_ANONYMOUS
};

struct imap_url {
    bool has_server;
    struct span user, host; /* user: empty where there is none */
    struct span mailbox;    /* UTF-8, INBOX in capitals; empty: none */
    uint32_t uidvalidity;   /* 0: not said */
    uint32_t uid;
    struct span section; /* "1.2", "HEADER.FIELDS (DATE)"; empty: the whole message */
    bool is_partial;
    uint64_t offset, size; /* of the partial; INT64_MAX: to the end */
    bool expires;
    int64_t expires_at; /* Unix time */
    enum imap_url_access access;
    struct span access_user;
    struct span rump;             /* up to the access identifier: what the token is made of */
    struct span mechanism, token; /* empty: a URL that has not been authorized yet */
};

/* ST_SYNTAX; ST_LIMIT where it is longer than IMAP_URL_MAX. */
enum status imap_url_parse(struct arena *a, struct span text, struct imap_url *out, struct err *err);
/* What it names, as FETCH would ask for it: BODY.PEEK[…], or BINARY.PEEK[…] if is_decoded. ST_SYNTAX where the section
 * is none. */
enum status imap_url_item(struct arena *a, const struct imap_url *url, bool is_decoded, struct fetch_item *out,
                          struct err *err);
/* The URL as a response code may have it (RFC 4469 §5): what must not stand there is escaped, a long one is cut. */
void imap_url_write_quoted(struct span text, struct strbuf *out);
