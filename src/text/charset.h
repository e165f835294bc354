/*
 * charset.h - text of any charset to UTF-8, and the comparing of texts as people search.
 *
 * Pure but for iconv's own state; any thread; output is appended.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* Loads what iconv needs for every charset known here, so that afterwards no file is opened. A confined role calls it once
 * before it confines itself; without it, iconv opens its modules when first needed. */
void charset_preload(void);

/* Whether charset_to_utf8 knows this name (case-insensitive; "", "us-ascii" and "utf-8" always). The names are those of
 * a table: mail's charsets, not all that iconv has. */
bool charset_is_known(struct span charset);

/* Appends text as valid UTF-8. Bytes that the charset does not have, or an unknown charset's non-ASCII bytes, become
 * U+FFFD. An empty charset name: UTF-8 where the bytes are valid UTF-8, else windows-1252. Never fails. */
void charset_to_utf8(struct span charset, struct span text, struct strbuf *out);

bool utf8_is_valid(struct span s);

/* Appends the form by which texts are compared, RFC 5051's i;unicode-casemap: titlecase, then decomposed (its §2).
 * "straße" is not "STRASSE" by it, as ß has no titlecase. Invalid octets pass through. ASCII takes a fast path. */
void text_fold(struct span utf8, struct strbuf *out);
