/*
 * acl_rights.h - the rights of an access control list as letters and as bits (RFC 4314 §2.1), with the two virtual
 * rights of RFC 2086 (§2.1.1): "c" stands for k and x, "d" for e and t. Pure; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"

typedef uint32_t acl_rights;

enum {
    ACL_LOOKUP = 1u << 0,         /* l: the mailbox is listed */
    ACL_READ = 1u << 1,           /* r: SELECT, STATUS */
    ACL_SEEN = 1u << 2,           /* s: keep \Seen */
    ACL_WRITE = 1u << 3,          /* w: other flags but \Deleted */
    ACL_INSERT = 1u << 4,         /* i: APPEND, COPY into it */
    ACL_POST = 1u << 5,           /* p: send mail to its address; kept, not acted on */
    ACL_CREATE = 1u << 6,         /* k: mailboxes below it */
    ACL_DELETE_MAILBOX = 1u << 7, /* x */
    ACL_DELETED = 1u << 8,        /* t: \Deleted */
    ACL_EXPUNGE = 1u << 9,        /* e */
    ACL_ADMIN = 1u << 10,         /* a: the list itself */
    ACL_ALL = (1u << 11) - 1,
    /* With one of these MYRIGHTS answers (§4). */
    ACL_ANY = ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_CREATE | ACL_DELETE_MAILBOX | ACL_ADMIN,
    /* With one of these a mailbox is selected READ-WRITE (§5.2); \Seen is everybody's own, so s is not among them. */
    ACL_CHANGE = ACL_WRITE | ACL_INSERT | ACL_DELETED | ACL_EXPUNGE,
};

/* Letters only. Unknown ones, capitals and digits are ST_SYNTAX (§3.1). */
enum status acl_rights_parse(struct span letters, acl_rights *out, struct err *err);

enum acl_change { ACL_REPLACE, ACL_ADD, ACL_REMOVE };
/* "+lr", "-w", "lrswi": SETACL's third argument. */
enum status acl_change_parse(struct span text, enum acl_change *how, acl_rights *rights, struct err *err);
acl_rights acl_change_apply(acl_rights before, enum acl_change how, acl_rights rights);

/* "lrswipkxtecda": with c and d where a member of theirs is there. */
void acl_rights_write(acl_rights rights, struct strbuf *out);
