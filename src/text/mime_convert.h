/*
 * mime_convert.h - a message in other transfer encodings, for a receiver that cannot take it as it is: without
 * BINARYMIME (RFC 3030 §3), without 8BITMIME (RFC 6152 §3).
 *
 * Parts that fit already stay octet for octet; the others are encoded (text in quoted-printable where that is possible,
 * all else in base64) and their Content-Transfer-Encoding says so. What lies between parts means nothing (RFC 2046
 * §5.1.1): octets there that do not fit become "?". Pure; any thread.
 */
#pragma once
#include "text/mime.h"

enum mime_fit {
    MIME_FIT_8BIT, /* lines of at most MIME_LINE_MAX octets ended by CRLF, no NUL */
    MIME_FIT_7BIT  /* the same, and no octet above 127 */
};
enum { MIME_LINE_MAX = 998 }; /* octets without CRLF, RFC 5321 §4.5.3.1.6 */

/* Whether these octets fit. */
bool mime_fits(struct span octets, enum mime_fit fit);
/* Appends the whole message converted. ST_UNSUPPORTED, and nothing appended, where a header does not fit: that is
 * SMTPUTF8's matter, not ours. */
enum status mime_convert(struct arena *a, struct span message, enum mime_fit fit, struct strbuf *out, struct err *err);
