/*
 * names.c - see names.h. Special uses are those of RFC 6154 §2.
 */
#include "imap/names.h"
#include "text/imap_structure.h"
#include "text/mutf7.h"
#include "base/banned.h"

static const char *const uses[] = {
    [USE_ALL] = "All",   [USE_ARCHIVE] = "Archive", [USE_DRAFTS] = "Drafts", [USE_FLAGGED] = "Flagged",
    [USE_JUNK] = "Junk", [USE_SENT] = "Sent",       [USE_TRASH] = "Trash",
};
enum { USE_COUNT = sizeof uses / sizeof *uses };

const char *imap_use_name(enum special_use use)
{
    return (unsigned)use < USE_COUNT ? uses[use] : NULL;
}

enum special_use imap_use_named(struct span attribute)
{
    for (int i = 0; i < USE_COUNT; i++)
        if (uses[i] && span_ieq(attribute, span_cstr(uses[i])))
            return (enum special_use)i;
    return USE_NONE;
}

bool imap_use_is_given(enum special_use use)
{
    return use != USE_NONE && use != USE_ALL && use != USE_FLAGGED;
}

void imap_write_name(const struct imap *im, struct span name, struct strbuf *out)
{
    if (imap_has(im, IMAP_UTF8)) {
        imap_utf8_string_write(name, out);
        return;
    }
    AUTO_STRBUF wire = STRBUF_INIT;
    mutf7_encode(name, &wire);
    imap_string_write(strbuf_span(&wire), out);
}

void imap_write_list(struct imap *im, struct span name, const struct mailbox *m, struct span as_sent)
{
    struct strbuf *out = imap_out(im);
    const char *noselect = m && m->is_noselect ? "\\Noselect " : "";
    const char *children = m && m->has_children ? "\\HasChildren" : "\\HasNoChildren";
    strbuf_addf(out, "* LIST (%s%s", noselect, m ? children : "\\NonExistent");
    if (m && imap_use_name(m->use))
        strbuf_addf(out, " \\%s", imap_use_name(m->use));
    strbuf_add_cstr(out, ") \"/\" ");
    imap_write_name(im, name, out);
    if (!span_eq(as_sent, name)) {
        strbuf_add_cstr(out, " (\"OLDNAME\" (");
        imap_write_name(im, as_sent, out);
        strbuf_add_cstr(out, "))");
    }
    strbuf_add_cstr(out, "\r\n");
}
