/*
 * mime_type.c - see mime_type.h.
 *
 * Types of mail are few: their names are constants, so that a table of ten thousand parts does not hold ten thousand
 * copies of "plain". Whatever is wrong with a Content-Type ends at text/plain (RFC 2045 §5.2), never at an error.
 */
#include "text/mime_type.h"
#include "text/header.h"
#include "base/banned.h"

static const struct span known_names[] = {
    SPAN_INIT("text"),         SPAN_INIT("plain"),         SPAN_INIT("html"),        SPAN_INIT("multipart"),
    SPAN_INIT("mixed"),        SPAN_INIT("related"),       SPAN_INIT("alternative"), SPAN_INIT("application"),
    SPAN_INIT("octet-stream"), SPAN_INIT("pdf"),           SPAN_INIT("image"),       SPAN_INIT("jpeg"),
    SPAN_INIT("png"),          SPAN_INIT("gif"),           SPAN_INIT("message"),     SPAN_INIT("rfc822"),
    SPAN_INIT("report"),       SPAN_INIT("signed"),        SPAN_INIT("calendar"),    SPAN_INIT("delivery-status"),
    SPAN_INIT("digest"),       SPAN_INIT("pgp-signature"),
};
static const struct span known_charsets[] = {
    SPAN_INIT("utf-8"),      SPAN_INIT("UTF-8"),      SPAN_INIT("us-ascii"),     SPAN_INIT("US-ASCII"),
    SPAN_INIT("iso-8859-1"), SPAN_INIT("ISO-8859-1"), SPAN_INIT("windows-1252"),
};

void mime_fields_read(struct span header, struct mime_fields *out)
{
    *out = (struct mime_fields){0};
    struct header_field f;
    for (size_t at = 0; !(out->has_type && out->has_encoding) && header_next(header, &at, &f);) {
        if (f.name.len == 12 && !out->has_type && span_ieq(f.name, SPAN("content-type"))) {
            out->has_type = true;
            out->type = span_take(f.value, MIME_FIELD_VALUE_MAX);
        } else if (f.name.len == 25 && !out->has_encoding && span_ieq(f.name, SPAN("content-transfer-encoding"))) {
            out->has_encoding = true;
            out->encoding = span_take(f.value, MIME_FIELD_VALUE_MAX);
        }
    }
}

/* RFC 2045 §5.1: token */
static bool is_token(struct span s)
{
    if (s.len == 0 || s.len > MIME_TYPE_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || memchr("()<>@,;:\\\"/[]?=", s.p[i], 15))
            return false;
    return true;
}

bool mime_type_split(struct span text, struct span *type, struct span *subtype)
{
    struct span head;
    if (!span_cut(&text, '/', &head))
        return false;
    *type = span_trim(head);
    *subtype = span_trim(text);
    return is_token(*type) && is_token(*subtype);
}

enum mime_encoding mime_encoding_parse(struct arena *a, struct span value)
{
    static const struct {
        struct span name;
        enum mime_encoding encoding;
    } names[] = {
        {SPAN_INIT(""), MIME_7BIT},         {SPAN_INIT("7bit"), MIME_7BIT},
        {SPAN_INIT("8bit"), MIME_8BIT},     {SPAN_INIT("binary"), MIME_BINARY},
        {SPAN_INIT("base64"), MIME_BASE64}, {SPAN_INIT("quoted-printable"), MIME_QP},
    };
    struct span token;
    struct mime_params params;
    header_params(a, value, &token, &params); /* cuts comments and the ";" that some write behind it */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_ieq(token, names[i].name))
            return names[i].encoding;
    return MIME_UNKNOWN;
}

static struct span name_in_arena(struct arena *a, struct span s)
{
    for (size_t i = 0; i < sizeof known_names / sizeof known_names[0]; i++)
        if (span_ieq(s, known_names[i]))
            return known_names[i];
    char *p = arena_alloc(a, s.len);
    for (size_t i = 0; i < s.len; i++)
        p[i] = ascii_lower(s.p[i]);
    return span_of(p, s.len);
}

static struct span charset_in_arena(struct arena *a, struct span s)
{
    for (size_t i = 0; i < sizeof known_charsets / sizeof known_charsets[0]; i++)
        if (span_eq(s, known_charsets[i]))
            return known_charsets[i];
    return arena_copy(a, span_take(s, MIME_CHARSET_MAX));
}

void mime_part_make_leaf(struct mime_part *part, struct span type, struct span subtype)
{
    part->kind = MIME_LEAF;
    part->type = type;
    part->subtype = subtype;
    part->charset = SPAN_NONE;
}

/* RFC 2046 §5.1.1: 1 to 70 characters, not ending with white space. */
static bool read_boundary(const struct mime_params *params, struct span *boundary)
{
    if (!mime_param_find(params, SPAN("boundary"), boundary))
        return false;
    while (boundary->len > 0 && (boundary->p[boundary->len - 1] == ' ' || boundary->p[boundary->len - 1] == '\t'))
        boundary->len--;
    return boundary->len > 0 && boundary->len <= MIME_BOUNDARY_MAX && !memchr(boundary->p, '\n', boundary->len);
}

void mime_part_describe(struct arena *a, struct arena *scratch, struct span header, bool is_in_digest,
                        struct mime_part *part, struct span *boundary)
{
    struct mime_fields fields;
    mime_fields_read(header, &fields);
    *boundary = SPAN_NONE;
    part->kind = MIME_LEAF;
    part->encoding = fields.has_encoding ? (uint8_t)mime_encoding_parse(scratch, fields.encoding) : MIME_7BIT;

    struct span token = SPAN_NONE, type, subtype;
    struct mime_params params = {0};
    if (fields.has_type)
        header_params(scratch, fields.type, &token, &params);
    else if (is_in_digest) /* RFC 2046 §5.1.5 */
        token = SPAN("message/rfc822");
    if (!mime_type_split(token, &type, &subtype)) {
        mime_part_make_leaf(part, SPAN("text"), SPAN("plain"));
        return;
    }
    part->type = name_in_arena(a, type);
    part->subtype = name_in_arena(a, subtype);

    if (span_eq(part->type, SPAN("text"))) {
        struct span charset;
        if (mime_param_find(&params, SPAN("charset"), &charset))
            part->charset = charset_in_arena(a, charset);
    } else if (span_eq(part->type, SPAN("multipart"))) {
        if (read_boundary(&params, boundary))
            part->kind = MIME_MULTIPART;
        else
            mime_part_make_leaf(part, SPAN("text"), SPAN("plain"));
    } else if (span_eq(part->type, SPAN("message")) &&
               (span_eq(part->subtype, SPAN("rfc822")) || span_eq(part->subtype, SPAN("global")))) {
        if (part->encoding <= MIME_BINARY)
            part->kind = MIME_MESSAGE;
        else /* IMAP has no words for an encoded message (RFC 3501 §7.4.2), RFC 2046 §5.2.1 forbids it */
            mime_part_make_leaf(part, SPAN("application"), SPAN("octet-stream"));
    }
    /* RFC 2045 §6.4: nothing else is allowed for a multipart; where it is said nevertheless, it is not done. */
    if (part->kind == MIME_MULTIPART && part->encoding > MIME_BINARY)
        part->encoding = MIME_7BIT;
}
