/*
 * mime_section.c - IMAP's section numbers (RFC 3501 §6.4.5, RFC 9051 §6.4.5.1).
 *
 * Numbers count the parts of a multipart. "Every message has at least one part number": the body of a message that is
 * no multipart is its part 1. A message/rfc822 part has no number of its own for the message inside; a number behind it
 * counts the parts of that message.
 */
#include "text/mime.h"
#include "base/banned.h"

/* The n-th part of a multipart. A linked list: who walks all sections of a message should walk the table instead. */
static bool find_child(const struct mime_message *m, uint32_t parent, uint32_t n, uint32_t *part)
{
    uint32_t child = m->parts[parent].first_child;
    while (child != 0 && n > 1) {
        child = m->parts[child].next_sibling;
        n--;
    }
    *part = child;
    return child != 0 && n == 1;
}

bool mime_find_section(const struct mime_message *m, const uint32_t *numbers, size_t count, uint32_t *part)
{
    uint32_t at = 0;
    bool is_at_message = true; /* `at` is a whole message, not a part of one */
    for (size_t i = 0; i < count; i++) {
        if (!is_at_message && m->parts[at].kind == MIME_MESSAGE) {
            at = m->parts[at].first_child;
            is_at_message = true;
        }
        if (m->parts[at].kind == MIME_MULTIPART) {
            if (!find_child(m, at, numbers[i], &at))
                return false;
        } else if (!is_at_message || numbers[i] != 1) {
            return false;
        }
        is_at_message = false;
    }
    *part = at;
    return true;
}

bool mime_section_range(const struct mime_message *m, const uint32_t *numbers, size_t count, enum mime_section section,
                        uint64_t *offset, uint64_t *size)
{
    uint32_t n;
    if (!mime_find_section(m, numbers, count, &n))
        return false;
    if (section == MIME_SECTION_MIME && count == 0)
        return false;
    const struct mime_part *p = &m->parts[n];
    if (count > 0 && (section == MIME_SECTION_HEADER || section == MIME_SECTION_TEXT)) {
        if (p->kind != MIME_MESSAGE)
            return false;
        p = &m->parts[p->first_child];
    }
    bool has_header =
        section == MIME_SECTION_HEADER || section == MIME_SECTION_MIME || (section == MIME_SECTION_WHOLE && count == 0);
    bool has_body = section == MIME_SECTION_TEXT || section == MIME_SECTION_WHOLE;
    *offset = has_header ? p->header_offset : p->body_offset;
    *size = (has_header ? p->header_size : 0) + (has_body ? p->body_size : 0);
    return true;
}
