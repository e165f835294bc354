/*
 * address.h - mail addresses: the strict ones of SMTP envelopes and the wild ones of header fields.
 *
 * Pure; any thread; memory is the arena's.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* RFC 5321 §4.5.3.1 limits, in octets. */
enum { LOCAL_PART_MAX = 64, DOMAIN_MAX = 255, PATH_MAX_OCTETS = 256 };

/* An envelope address. Local part: unquoted (a quoted-string's content, backslashes resolved). Domain: lower case,
 * ASCII (A-labels kept as they came, U-labels kept as UTF-8 where utf8 was allowed), or an address literal with its brackets. */
struct mailbox_address {
    struct span local_part;
    struct span domain; /* empty only for the reverse-path <> and for <postmaster> */
};

/* Parses a Mailbox or address-literal form without angle brackets: local-part@domain. is_utf8_allowed: RFC 6531 (SMTPUTF8).
 * ST_SYNTAX with a text that says what is wrong; ST_LIMIT for lengths. */
enum status address_parse(struct arena *a, struct span text, bool is_utf8_allowed, struct mailbox_address *out,
                          struct err *err);

/* Parses "<" [source-route ":"] [Mailbox] ">" at the start of *text and moves *text behind it. Empty path only if
 * is_null_allowed; "<postmaster>" (any case) without domain only if is_postmaster_allowed. */
enum status path_parse(struct arena *a, struct span *text, bool is_utf8_allowed, bool is_null_allowed,
                       bool is_postmaster_allowed, struct mailbox_address *out, struct err *err);

/* local@domain with the local part quoted where it must be. */
void address_write(const struct mailbox_address *m, struct strbuf *out);

/* RFC 5321 Domain: letters, digits, hyphens, dots (and UTF-8 where allowed); no trailing dot. */
bool domain_is_valid(struct span domain, bool is_utf8_allowed);
/* Lower-cased A-label form of a domain (libidn2), or the lower-cased domain where it is ASCII. ST_SYNTAX if not IDNA. */
enum status domain_to_ascii(struct arena *a, struct span domain, struct span *out, struct err *err);

/* One entry of a header's address list, as IMAP's ENVELOPE shows it (RFC 3501 §7.4.2). Spans point into the value or the
 * arena; raw (encoded-words are not decoded). has_* tell NIL from "". */
struct header_address {
    enum { ADDRESS_MAILBOX, ADDRESS_GROUP_START, ADDRESS_GROUP_END } kind;
    bool has_name, has_route;
    struct span name;       /* display-name (quotes resolved), or group name in local_part for GROUP_START */
    struct span route;      /* obsolete source route, as it stands */
    struct span local_part; /* ADDRESS_MAILBOX: local part, quotes kept as sent; GROUP_START: the group's name */
    struct span domain;     /* may be empty where the address has none */
};
enum { HEADER_ADDRESSES_MAX = 10000 };
/* Reads a list of addresses (RFC 5322 §3.4 with obsolete and broken forms); never fails, skips what cannot be understood. */
void header_addresses(struct arena *a, struct span value, struct header_address **list, size_t *count);
