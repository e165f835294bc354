/*
 * edit.h - a message as a filter changes it. Pure; any thread.
 */
#pragma once
#include "milter/client.h"

/* Writes the message with the changes to its header, in their order, and with the new body if there is one.
 * is_space_given: values bring the space behind the colon. Position 0 and 1 of an insertion are the top. Line ends
 * become CRLF, in the body, too; a continuation line gets its white space. ST_SYNTAX: a field's name is none. */
enum status milter_edit(struct arena *a, struct span message, const struct milter_changes *changes, bool is_space_given,
                        struct strbuf *out, struct err *err);
/* Whether there is anything for it to do. */
bool milter_edits(const struct milter_changes *changes);
