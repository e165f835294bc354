/*
 * imap_body.c - BODY and BODYSTRUCTURE (RFC 3501 §7.4.2, RFC 9051 §7.5.2) from the table of parts.
 *
 * The table gives the tree, the kinds and the sizes; the rest (parameters, Content-ID, disposition…) is read from the
 * part's header in the message. The tree is walked by its links, without recursion: a part is opened, its children
 * come, it is closed.
 *
 *   leaf       ("type" "subtype" params id description encoding octets [lines] [md5 extension])
 *   message    ("message" "rfc822" params id description encoding octets envelope body lines [md5 extension])
 *   multipart  (body body… "subtype" [params extension])
 *   extension  disposition language location
 */
#include "text/charset.h"
#include "text/header.h"
#include "text/imap_structure.h"
#include "text/mime_type.h"
#include "base/banned.h"

enum { LANGUAGES_MAX = 32 };

#define EMPTY_PART "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"

enum body_field { TYPE, ENCODING, ID, DESCRIPTION, MD5, DISPOSITION, LANGUAGE, LOCATION, FIELDS };
static const struct span field_names[FIELDS] = {
    [TYPE] = SPAN_INIT("content-type"),
    [ENCODING] = SPAN_INIT("content-transfer-encoding"),
    [ID] = SPAN_INIT("content-id"),
    [DESCRIPTION] = SPAN_INIT("content-description"),
    [MD5] = SPAN_INIT("content-md5"),
    [DISPOSITION] = SPAN_INIT("content-disposition"),
    [LANGUAGE] = SPAN_INIT("content-language"),
    [LOCATION] = SPAN_INIT("content-location"),
};

struct body_fields {
    bool has[FIELDS];
    struct span values[FIELDS];
};

struct body {
    struct arena *a;
    const struct mime_message *m;
    struct span message;
    bool is_extended;
    struct strbuf *out;
    size_t start;
};

static struct span part_header(const struct body *b, const struct mime_part *p)
{
    return span_slice(b->message, p->header_offset, p->header_offset + p->header_size);
}

/* Beyond the limit no header is read any more, and all that is optional becomes NIL. */
static bool is_full(const struct body *b)
{
    return b->out->len - b->start > IMAP_STRUCTURE_MAX;
}

static void fields_read(const struct body *b, const struct mime_part *p, struct body_fields *out)
{
    *out = (struct body_fields){0};
    if (is_full(b))
        return;
    struct span header = part_header(b, p);
    struct header_field f;
    for (size_t at = 0; header_next(header, &at, &f);) {
        if (f.name.len < 10 || !span_istarts(f.name, SPAN("content-")))
            continue;
        for (size_t i = 0; i < FIELDS; i++)
            if (!out->has[i] && span_ieq(f.name, field_names[i])) {
                out->has[i] = true;
                out->values[i] = span_take(f.value, MIME_FIELD_VALUE_MAX);
            }
    }
}

static void field_write(const struct body *b, const struct body_fields *f, enum body_field field)
{
    strbuf_add_char(b->out, ' ');
    imap_nstring_write(f->has[field], header_unfold(b->a, f->values[field]), b->out);
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* `"name" "value"`. A value in UTF-8 goes out as RFC 2231 §4 has it, in one piece: §6 there asks servers to join what
 * was cut in sections, and the charset must not be lost on the way. Octets of no known charset go out as they stand. */
static void param_write(struct span name, struct span value, struct strbuf *out)
{
    if (is_ascii(value) || !utf8_is_valid(value)) {
        imap_string_write(name, out);
        strbuf_add_char(out, ' ');
        imap_string_write(value, out);
        return;
    }
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add(&text, name);
    strbuf_add_char(&text, '*');
    imap_string_write(strbuf_span(&text), out);
    strbuf_clear(&text);
    strbuf_add(&text, SPAN("utf-8''"));
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (ascii_is_alpha(c) || ascii_is_digit(c) || (c != '\0' && strchr("!#$&+-.^_`{|}~", c)))
            strbuf_add_char(&text, c);
        else
            strbuf_addf(&text, "%%%02X", (unsigned)(unsigned char)c);
    }
    strbuf_add_char(out, ' ');
    imap_string_write(strbuf_span(&text), out);
}

/* body-fld-param, with one parameter more where its name is not NULL. */
static void params_write(const struct mime_params *params, const char *more_name, const char *more_value,
                         struct strbuf *out)
{
    char open = '(';
    for (size_t i = 0; i < params->count; i++, open = ' ') {
        strbuf_add_char(out, open);
        param_write(params->list[i].name, params->list[i].value, out);
    }
    if (more_name) {
        strbuf_add_char(out, open);
        strbuf_addf(out, "\"%s\" \"%s\"", more_name, more_value);
        open = ' ';
    }
    strbuf_add_cstr(out, open == '(' ? "NIL" : ")");
}

/* The parameters of the Content-Type, if it is that type by which the part goes. Text without a charset is US-ASCII
 * (RFC 2045 §5.2). */
static void type_params_write(const struct body *b, const struct mime_part *p, const struct body_fields *f)
{
    struct span token, type, subtype, charset;
    struct mime_params params = {0};
    if (f->has[TYPE]) {
        header_params(b->a, f->values[TYPE], &token, &params);
        if (!mime_type_split(token, &type, &subtype) || !span_ieq(type, p->type) || !span_ieq(subtype, p->subtype))
            params.count = 0;
    }
    bool wants_charset = span_eq(p->type, SPAN("text")) && !mime_param_find(&params, SPAN("charset"), &charset);
    params_write(&params, wants_charset ? "charset" : NULL, "us-ascii", b->out);
}

static void encoding_write(const struct body *b, const struct mime_part *p, const struct body_fields *f)
{
    static const char *const names[] = {
        [MIME_7BIT] = "7bit",           [MIME_8BIT] = "8bit",     [MIME_BINARY] = "binary",
        [MIME_QP] = "quoted-printable", [MIME_BASE64] = "base64",
    };
    struct span token = SPAN_NONE;
    struct mime_params params;
    if (p->encoding == MIME_UNKNOWN)
        header_params(b->a, f->values[ENCODING], &token, &params);
    else
        token = span_cstr(names[p->encoding]);
    strbuf_add_char(b->out, ' ');
    imap_string_write(token, b->out);
}

static void disposition_write(const struct body *b, const struct body_fields *f)
{
    struct span token = SPAN_NONE;
    struct mime_params params;
    if (f->has[DISPOSITION])
        header_params(b->a, f->values[DISPOSITION], &token, &params);
    if (token.len == 0) {
        strbuf_add(b->out, SPAN(" NIL"));
        return;
    }
    strbuf_add(b->out, SPAN(" ("));
    imap_string_write(token, b->out);
    strbuf_add_char(b->out, ' ');
    params_write(&params, NULL, NULL, b->out);
    strbuf_add_char(b->out, ')');
}

/* RFC 3282 §2: language tags with commas between. */
static void language_write(const struct body *b, const struct body_fields *f)
{
    struct span rest = header_strip_comments(b->a, header_unfold(b->a, f->values[LANGUAGE])), tag;
    size_t count = 0;
    strbuf_add_char(b->out, ' ');
    while (rest.len > 0 && count < LANGUAGES_MAX) {
        span_cut(&rest, ',', &tag);
        tag = span_trim(tag);
        if (tag.len == 0)
            continue;
        strbuf_add_char(b->out, count++ == 0 ? '(' : ' ');
        imap_string_write(tag, b->out);
    }
    strbuf_add_cstr(b->out, count > 0 ? ")" : "NIL");
}

static void extension_write(const struct body *b, const struct body_fields *f)
{
    disposition_write(b, f);
    language_write(b, f);
    field_write(b, f, LOCATION);
}

/* Up to where the children begin; of a leaf all but the extension data. */
static void part_open(const struct body *b, const struct mime_part *p)
{
    strbuf_add_char(b->out, '(');
    if (p->kind == MIME_MULTIPART) {
        if (p->first_child == 0) /* the grammar wants one at least */
            strbuf_add_cstr(b->out, b->is_extended ? EMPTY_PART " NIL NIL NIL NIL)" : EMPTY_PART ")");
        return;
    }
    struct body_fields f;
    fields_read(b, p, &f);
    imap_string_write(p->type, b->out);
    strbuf_add_char(b->out, ' ');
    imap_string_write(p->subtype, b->out);
    strbuf_add_char(b->out, ' ');
    type_params_write(b, p, &f);
    field_write(b, &f, ID);
    field_write(b, &f, DESCRIPTION);
    encoding_write(b, p, &f);
    strbuf_add_char(b->out, ' ');
    strbuf_add_u64(b->out, p->body_size);
    if (p->kind == MIME_MESSAGE) {
        struct span header = is_full(b) ? SPAN_NONE : part_header(b, &b->m->parts[p->first_child]);
        strbuf_add_char(b->out, ' ');
        imap_envelope_write(b->a, header, b->out);
        strbuf_add_char(b->out, ' ');
    } else if (span_eq(p->type, SPAN("text"))) {
        strbuf_add_char(b->out, ' ');
        strbuf_add_u64(b->out, p->body_lines);
    }
}

static void part_close(const struct body *b, const struct mime_part *p)
{
    if (p->kind == MIME_MULTIPART) {
        strbuf_add_char(b->out, ' ');
        imap_string_write(p->subtype, b->out);
    } else if (p->kind == MIME_MESSAGE) {
        strbuf_add_char(b->out, ' ');
        strbuf_add_u64(b->out, p->body_lines);
    }
    if (b->is_extended) {
        struct body_fields f;
        fields_read(b, p, &f);
        if (p->kind == MIME_MULTIPART) {
            strbuf_add_char(b->out, ' ');
            type_params_write(b, p, &f);
        } else {
            field_write(b, &f, MD5);
        }
        extension_write(b, &f);
    }
    strbuf_add_char(b->out, ')');
}

void imap_body_write(struct arena *a, const struct mime_message *m, struct span message, bool is_extended,
                     struct strbuf *out)
{
    const struct body b = {a, m, message, is_extended, out, out->len};
    for (uint32_t n = 0;;) {
        part_open(&b, &m->parts[n]);
        if (m->parts[n].first_child != 0) {
            n = m->parts[n].first_child;
            continue;
        }
        part_close(&b, &m->parts[n]);
        while (n != 0 && m->parts[n].next_sibling == 0) {
            n = m->parts[n].parent;
            part_close(&b, &m->parts[n]);
        }
        if (n == 0)
            return;
        n = m->parts[n].next_sibling;
    }
}
