/*
 * base_subject.h - a subject without "Re:", "[list]", "(fwd)" and their like (RFC 5256 §2.1). Pure; any thread.
 */
#pragma once
#include "base/strbuf.h"

/* Appends the base subject of a decoded subject (header_decode). True where it is a reply or a forward: a subj-refwd, a
 * "(fwd)" or a "[fwd: ]" was removed (RFC 5256, REFERENCES). */
bool base_subject(struct span subject, struct strbuf *out);
