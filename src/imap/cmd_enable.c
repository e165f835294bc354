/*
 * cmd_enable.c - ENABLE (RFC 5161, RFC 9051 §6.3.1): what a client may switch on, in one table. Nothing can be switched
 * off again; a name that is not in the table is passed over.
 */
#include <inttypes.h>
#include "imap/commands.h"
#include "imap/metadata.h"
#include "base/banned.h"

static const struct {
    const char *name;
    unsigned features; /* enum imap_feature, with all that it brings along */
    const char *rfc;
} extensions[] = {
    /* clang-format off */
    { "IMAP4rev2", IMAP_REV2 | IMAP_UTF8,         "9051" },
    { "METADATA",  IMAP_METADATA,                 "5464 §4.1" },
    { "CONDSTORE", IMAP_CONDSTORE,                "7162 §3.1" },
    { "UIDONLY",   IMAP_UIDONLY,                  "9586" },
    { "UTF8=ACCEPT", IMAP_UTF8,                   "6855" },
    { "QRESYNC",   IMAP_CONDSTORE | IMAP_QRESYNC, "7162 §3.2.3" },
    /* clang-format on */
};
enum { EXTENSION_COUNT = sizeof extensions / sizeof *extensions };

static unsigned extension_bit(struct span name)
{
    for (unsigned i = 0; i < EXTENSION_COUNT; i++)
        if (span_ieq(name, span_cstr(extensions[i].name)))
            return 1u << i;
    return 0;
}

void imap_enable(struct imap *im, unsigned features)
{
    bool is_first = (features & IMAP_CONDSTORE) && !imap_has(im, IMAP_CONDSTORE);
    im->enabled |= features;
    if (features & IMAP_METADATA)
        imap_metadata_enable(im);
    if (is_first && im->state == IMAP_SELECTED)
        imap_untagged(im, "OK [HIGHESTMODSEQ %" PRIu64 "] Modseqs are told from now on", imap_known_modseq(im));
}

enum status cmd_enable(struct imap *im, struct imap_call *call, struct err *err)
{
    unsigned named = 0;
    do {
        struct span name;
        TRY(args_sp(&call->args, err));
        TRY(args_atom(&call->args, &name, err));
        named |= extension_bit(name);
    } while (!args_at_end(&call->args));

    struct strbuf *out = imap_out(im);
    unsigned features = 0;
    strbuf_add_cstr(out, "* ENABLED");
    for (unsigned i = 0; i < EXTENSION_COUNT; i++)
        if (named >> i & 1) {
            features |= extensions[i].features;
            strbuf_addf(out, " %s", extensions[i].name);
        }
    strbuf_add_cstr(out, "\r\n");
    imap_enable(im, features);
    return ST_OK;
}
