/* acl_rights.c - see acl_rights.h. */
#include "text/acl_rights.h"
#include "base/banned.h"

enum { VIRTUAL_CREATE = ACL_CREATE | ACL_DELETE_MAILBOX, VIRTUAL_DELETE = ACL_EXPUNGE | ACL_DELETED };

static const struct {
    char letter;
    acl_rights bits;
} letters[] = {
    /* clang-format off */
    { 'l', ACL_LOOKUP }, { 'r', ACL_READ }, { 's', ACL_SEEN }, { 'w', ACL_WRITE }, { 'i', ACL_INSERT },
    { 'p', ACL_POST }, { 'k', ACL_CREATE }, { 'x', ACL_DELETE_MAILBOX }, { 't', ACL_DELETED }, { 'e', ACL_EXPUNGE },
    { 'c', VIRTUAL_CREATE }, { 'd', VIRTUAL_DELETE }, { 'a', ACL_ADMIN },
    /* clang-format on */
};
enum { LETTER_COUNT = sizeof letters / sizeof *letters };

static acl_rights bits_of(char letter)
{
    for (size_t i = 0; i < LETTER_COUNT; i++)
        if (letters[i].letter == letter)
            return letters[i].bits;
    return 0;
}

enum status acl_rights_parse(struct span text, acl_rights *out, struct err *err)
{
    acl_rights rights = 0;
    for (size_t i = 0; i < text.len; i++) {
        acl_rights bits = bits_of(text.p[i]);
        if (!bits)
            return err_set(err, ST_SYNTAX, "the right '%c' is not supported", text.p[i]);
        rights |= bits;
    }
    *out = rights;
    return ST_OK;
}

enum status acl_change_parse(struct span text, enum acl_change *how, acl_rights *rights, struct err *err)
{
    *how = ACL_REPLACE;
    if (text.len && (text.p[0] == '+' || text.p[0] == '-')) {
        *how = text.p[0] == '+' ? ACL_ADD : ACL_REMOVE;
        text = span_skip(text, 1);
    }
    return acl_rights_parse(text, rights, err);
}

acl_rights acl_change_apply(acl_rights before, enum acl_change how, acl_rights rights)
{
    switch (how) {
    case ACL_ADD:
        return before | rights;
    case ACL_REMOVE:
        return before & ~rights;
    case ACL_REPLACE:
        break;
    }
    return rights;
}

void acl_rights_write(acl_rights rights, struct strbuf *out)
{
    for (size_t i = 0; i < LETTER_COUNT; i++)
        if (rights & letters[i].bits)
            strbuf_add_char(out, letters[i].letter);
}
