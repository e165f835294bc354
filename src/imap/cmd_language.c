/*
 * cmd_language.c - LANGUAGE (RFC 5255 §3), and NAMESPACE (RFC 2342), whose prefixes are texts in the client's language.
 *
 * The texts are English. "i-default" (RFC 2277 §4.5) asks for what everybody may understand, which is the same words;
 * so all that the choice changes is whether NAMESPACE has TRANSLATIONs.
 */
#include "imap/commands.h"
#include "base/banned.h"

static const struct {
    const char *tag;
    bool is_english;
} languages[] = {
    {"EN", true}, /* what "default" and "*" mean */
    {"i-default", false},
};
enum { LANGUAGE_COUNT = sizeof languages / sizeof *languages };

/* RFC 4647 §3.4: the range, and shorter and shorter beginnings of it ("EN-CA", then "EN"). */
static bool find_language(struct span range, size_t *out)
{
    *out = 0;
    if (span_ieq(range, SPAN("default")) || span_eq(range, SPAN("*")))
        return true;
    for (;;) {
        for (size_t i = 0; i < LANGUAGE_COUNT; i++)
            if (span_ieq(range, span_cstr(languages[i].tag))) {
                *out = i;
                return true;
            }
        size_t dash = range.len;
        while (dash > 0 && range.p[dash - 1] != '-')
            dash--;
        if (dash == 0)
            return false;
        range = span_take(range, dash - 1);
    }
}

/* The account's own, what others have given, and the groups'. */
static void tell_namespaces(struct imap *im)
{
    if (im->is_english) /* §3.4 */
        imap_untagged(im, "NAMESPACE ((\"\" \"/\")) "
                          "((\"Other Users/\" \"/\" \"TRANSLATION\" (\"Other Users/\"))) "
                          "((\"Shared/\" \"/\" \"TRANSLATION\" (\"Shared/\")))");
    else
        imap_untagged(im, "NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))");
}

enum status cmd_namespace(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    tell_namespaces(im);
    return ST_OK;
}

static enum status list_languages(struct imap *im, struct imap_call *call)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* LANGUAGE (");
    for (size_t i = 0; i < LANGUAGE_COUNT; i++)
        strbuf_addf(out, "%s%s", i ? " " : "", languages[i].tag);
    strbuf_add_cstr(out, ")\r\n");
    call->text = "Supported languages have been enumerated";
    return ST_OK;
}

enum status cmd_language(struct imap *im, struct imap_call *call, struct err *err)
{
    if (args_at_end(&call->args))
        return list_languages(im, call);
    size_t chosen = LANGUAGE_COUNT; /* the first range that matches one */
    do {
        struct span range;
        size_t i;
        TRY(args_sp(&call->args, err));
        TRY(args_astring(&call->args, &range, err));
        if (chosen == LANGUAGE_COUNT && find_language(range, &i))
            chosen = i;
    } while (!args_at_end(&call->args));
    if (chosen == LANGUAGE_COUNT)
        return err_set(err, ST_UNSUPPORTED, "Unsupported language");
    im->is_english = languages[chosen].is_english;
    imap_untagged(im, "LANGUAGE (%s)", languages[chosen].tag);
    if (im->state != IMAP_NOT_AUTHENTICATED)
        tell_namespaces(im);
    call->text = "Now speaking English";
    return ST_OK;
}
