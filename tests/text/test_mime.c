/*
 * test_mime.c - the table of parts. A message's tree is written as one line:
 *
 *   leaf "body"   text/plain'Hello'      multipart   multipart/mixed(child child)     message   message/rfc822(child)
 *
 * with "$" for each CRLF of a body. Every row is also read with bare LF line ends, cut off at every octet, and packed
 * and unpacked.
 */
#include "check.h"
#include "mime_invariants.h"
#include "text/mime.h"

static void dump(const struct mime_message *m, struct span message, uint32_t n, struct strbuf *out)
{
    const struct mime_part *p = &m->parts[n];
    strbuf_addf(out, "%.*s/%.*s", SPAN_ARG(p->type), SPAN_ARG(p->subtype));
    strbuf_add_char(out, p->kind == MIME_LEAF ? '\'' : '(');
    for (uint32_t c = p->first_child; c != 0; c = m->parts[c].next_sibling) {
        dump(m, message, c, out);
        if (m->parts[c].next_sibling)
            strbuf_add_char(out, ' ');
    }
    for (uint64_t i = 0; p->kind == MIME_LEAF && i < p->body_size; i++) {
        char c = message.p[p->body_offset + i];
        if (c != '\r')
            strbuf_add_char(out, c == '\n' ? '$' : c);
    }
    strbuf_add_char(out, p->kind == MIME_LEAF ? '\'' : ')');
}

static struct span dump_of(struct arena *a, struct span message)
{
    struct mime_message m;
    AUTO_STRBUF text = STRBUF_INIT;
    mime_parse(a, message, &m);
    mime_check_invariants(&m, message);
    mime_check_round_trip(&m);
    dump(&m, message, 0, &text);
    return arena_strbuf(a, &text);
}

/* The message with CRLF made LF. */
static struct span with_bare_lf(struct arena *a, struct span message)
{
    char *to = arena_alloc(a, message.len);
    size_t n = 0;
    for (size_t i = 0; i < message.len; i++)
        if (message.p[i] != '\r')
            to[n++] = message.p[i];
    return span_of(to, n);
}

#define MIXED  "Content-Type: multipart/mixed; boundary=b\r\n"
#define INNER  "Content-Type: multipart/mixed; boundary="
#define RFC822 "Content-Type: message/rfc822\r\n"

static const struct {
    const char *what, *message, *tree;
} trees[] = {
    {"nothing", "", "text/plain''"},
    {"only an empty line", "\r\n", "text/plain''"},
    {"header only", "Subject: x\r\n", "text/plain''"},
    {"header without line end", "Subject: x", "text/plain''"},
    {"no header", "\r\nHello\r\n", "text/plain'Hello$'"},
    {"plain", "Subject: x\r\n\r\nHello\r\nthere", "text/plain'Hello$there'"},
    {"upper case", "CONTENT-TYPE: TEXT/HTML\r\n\r\nx", "text/html'x'"},
    {"folded, commented", "Content-Type:\r\n text/html (it is);\r\n\tcharset=utf-8\r\n\r\nx", "text/html'x'"},
    {"unheard-of type", "Content-Type: x-a/b.c+d\r\n\r\nx", "x-a/b.c+d'x'"},

    /* RFC 2045 §5.2: what is no Content-Type is text/plain */
    {"no subtype", "Content-Type: text\r\n\r\nx", "text/plain'x'"},
    {"empty subtype", "Content-Type: text/\r\n\r\nx", "text/plain'x'"},
    {"garbage", "Content-Type: ????\r\n\r\nx", "text/plain'x'"},
    {"no token", "Content-Type: a b/c\r\n\r\nx", "text/plain'x'"},
    {"three names", "Content-Type: a/b/c\r\n\r\nx", "text/plain'x'"},
    {"the first one counts", "Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx", "text/html'x'"},

    /* RFC 2046 §5.1.1, its example: the line end before a delimiter belongs to the delimiter */
    {"RFC 2046 §5.1.1",
     "MIME-Version: 1.0\r\nSubject: Sample message\r\nContent-type: multipart/mixed; boundary=\"simple boundary\"\r\n"
     "\r\nThis is the preamble.  It is to be ignored.\r\n\r\n--simple boundary\r\n\r\n"
     "This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.\r\n--simple boundary\r\n"
     "Content-type: text/plain; charset=us-ascii\r\n\r\nThis is explicitly typed plain US-ASCII text.\r\n"
     "It DOES end with a linebreak.\r\n\r\n--simple boundary--\r\n\r\nThis is the epilogue.  It is also to be "
     "ignored.\r\n",
     "multipart/mixed(text/plain'This is implicitly typed plain US-ASCII text.$It does NOT end with a linebreak.' "
     "text/plain'This is explicitly typed plain US-ASCII text.$It DOES end with a linebreak.$')"},
    {"delimiter at once", MIXED "\r\n--b\r\n\r\none\r\n--b--", "multipart/mixed(text/plain'one')"},
    {"transport padding", MIXED "\r\n--b \t \r\n\r\none\r\n--b-- \t\r\n--b\r\n\r\nno",
     "multipart/mixed(text/plain'one')"},
    {"junk behind the boundary", MIXED "\r\n--b junk\r\n\r\none\r\n--b--junk\r\n", "multipart/mixed(text/plain'one')"},
    {"no close delimiter", MIXED "\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n",
     "multipart/mixed(text/plain'one' text/plain'two$')"},
    {"close delimiter again", MIXED "\r\n--b\r\n\r\none\r\n--b--\r\n--b--\r\n--b\r\n\r\nx",
     "multipart/mixed(text/plain'one')"},
    {"not at the line's start", MIXED "\r\n--b\r\n\r\none --b\r\n --b\r\n-- b\r\n--b--",
     "multipart/mixed(text/plain'one --b$ --b$-- b')"},
    {"no delimiter at all", MIXED "\r\nHello\r\n", "multipart/mixed()"},
    {"only a close delimiter", MIXED "\r\n--b--\r\n", "multipart/mixed()"},
    {"delimiter in the header", MIXED "--b\r\n\r\nx", "multipart/mixed()"},
    {"ends behind a delimiter", MIXED "\r\n--b\r\n", "multipart/mixed(text/plain'')"},
    {"ends in a delimiter", MIXED "\r\n--b", "multipart/mixed(text/plain'')"},
    {"empty parts", MIXED "\r\n--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b\r\n\r\n\r\n\r\n--b--",
     "multipart/mixed(text/plain'' text/plain'' text/plain'' text/plain'$')"},
    {"no empty line", MIXED "\r\n--b\r\nContent-Type: text/html\r\n--b\r\n\r\nx\r\n--b--",
     "multipart/mixed(text/html'' text/plain'x')"},
    {"boundary missing", INNER "\r\n\r\n--\r\n\r\nx", "text/plain'--$$x'"},
    {"boundary empty", INNER "\"\"\r\n\r\n--\r\n\r\nx", "text/plain'--$$x'"},
    {"boundary of blanks", INNER "\"  \"\r\n\r\n--\r\n\r\nx", "text/plain'--$$x'"},
    {"boundary ends with a blank", INNER "\"b \"\r\n\r\n--b\r\n\r\nx\r\n--b--", "multipart/mixed(text/plain'x')"},
    {"boundary with odd characters",
     INNER "\"=_'()+,-./:=? x\"\r\n\r\n--=_'()+,-./:=? x\r\n\r\nx\r\n--=_'()+,-./:=? x--",
     "multipart/mixed(text/plain'x')"},
    {"boundary that looks like a close", INNER "b--\r\n\r\n--b\r\n--b--\r\n\r\nx\r\n--b----\r\n",
     "multipart/mixed(text/plain'x')"},
    {"case counts", MIXED "\r\n--B\r\n--b\r\n\r\n--B\r\n--b--", "multipart/mixed(text/plain'--B')"},

    /* nesting, RFC 2046 §5.1.2 */
    {"nested", MIXED "\r\n--b\r\n" INNER "c\r\n\r\n--c\r\n\r\n1\r\n--c\r\n\r\n2\r\n--c--\r\n\r\n--b\r\n\r\n3\r\n--b--",
     "multipart/mixed(multipart/mixed(text/plain'1' text/plain'2') text/plain'3')"},
    {"outer delimiter ends the inner", MIXED "\r\n--b\r\n" INNER "c\r\n\r\n--c\r\n\r\n1\r\n--b\r\n\r\n--c\r\n--b--",
     "multipart/mixed(multipart/mixed(text/plain'1') text/plain'--c')"},
    {"outer close ends all", MIXED "\r\n--b\r\n" INNER "c\r\n\r\n--c\r\n\r\n1\r\n--b--\r\n--c\r\n\r\nx",
     "multipart/mixed(multipart/mixed(text/plain'1'))"},
    {"inner begins with outer",
     MIXED "\r\n--b\r\n" INNER "bc\r\n\r\n--bc\r\n\r\n1\r\n--bc\r\n\r\n2\r\n--bc--\r\n--b\r\n\r\n3\r\n--b--",
     "multipart/mixed(multipart/mixed(text/plain'1' text/plain'2') text/plain'3')"},
    {"outer begins with inner",
     INNER "bc\r\n\r\n--bc\r\n" INNER "b\r\n\r\n--b\r\n\r\n1\r\n--b--\r\n--bc\r\n\r\n2\r\n--bc--\r\n",
     "multipart/mixed(multipart/mixed(text/plain'1') text/plain'2')"},
    {"straggler of the inner", MIXED "\r\n--b\r\n" INNER "bc\r\n\r\n--bc\r\n\r\n1\r\n--bc--\r\n--bc\r\n\r\nx\r\n--b--",
     "multipart/mixed(multipart/mixed(text/plain'1'))"},
    {"inner without header end", MIXED "\r\n--b\r\n" INNER "c\r\n--b\r\n\r\n1\r\n--b--",
     "multipart/mixed(multipart/mixed() text/plain'1')"},
    {"delimiters side by side", MIXED "\r\n--b\r\n" INNER "c\r\n\r\n--c\r\n--b\r\n--b--",
     "multipart/mixed(multipart/mixed(text/plain'') text/plain'')"},

    /* embedded messages */
    {"message", RFC822 "\r\nSubject: in\r\n\r\nx\r\n", "message/rfc822(text/plain'x$')"},
    {"message in message", RFC822 "\r\n" RFC822 "\r\nContent-Type: text/html\r\n\r\nx",
     "message/rfc822(message/rfc822(text/html'x'))"},
    {"message/global", "Content-Type: message/global\r\n\r\n\r\nx", "message/global(text/plain'x')"},
    {"message without body", RFC822, "message/rfc822(text/plain'')"},
    {"message in part", MIXED "\r\n--b\r\n" RFC822 "\r\nContent-Type: text/html\r\n\r\nx\r\n\r\n--b--",
     "multipart/mixed(message/rfc822(text/html'x$'))"},
    {"message cut in its header", MIXED "\r\n--b\r\n" RFC822 "\r\nContent-Type: text/html\r\n--b\r\n\r\nx\r\n--b--",
     "multipart/mixed(message/rfc822(text/html'') text/plain'x')"},
    {"message cut before its header", MIXED "\r\n--b\r\n" RFC822 "\r\n--b\r\n" RFC822 "--b--",
     "multipart/mixed(message/rfc822(text/plain'') message/rfc822(text/plain''))"},
    {"message with multipart", RFC822 "\r\n" MIXED "\r\n--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--",
     "message/rfc822(multipart/mixed(text/plain'1' text/plain'2'))"},
    {"encoded message", RFC822 "Content-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDog",
     "application/octet-stream'U3ViamVjdDog'"},
    {"other messages are leaves", "Content-Type: message/delivery-status\r\n\r\nx", "message/delivery-status'x'"},

    /* RFC 2046 §5.1.5 */
    {"digest",
     "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\nContent-Type: "
     "text/plain\r\n\r\ntwo\r\n--b--",
     "multipart/digest(message/rfc822(text/plain'one') text/plain'two')"},
    {"digest's messages are ordinary",
     "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" INNER "c\r\n\r\n--c\r\n\r\nx\r\n--b--",
     "multipart/digest(message/rfc822(multipart/mixed(text/plain'x')))"},
    {"encoded multipart is none", MIXED "Content-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\nx\r\n--b--",
     "multipart/mixed(text/plain'x')"},
};

static void parse_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(trees); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct span message = span_cstr(trees[i].message);
        check_span(trees[i].what, dump_of(&a, message), span_cstr(trees[i].tree));
        check_span(trees[i].what, dump_of(&a, with_bare_lf(&a, message)), span_cstr(trees[i].tree));
    }
}

/* Cut off anywhere, with what is left in memory of exactly that size: a sanitizer sees a step too far. */
static void parse_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(trees); i++) {
        struct span message = span_cstr(trees[i].message);
        for (size_t n = 0; n < message.len; n++) {
            AUTO_ARENA a = ARENA_INIT;
            char *exact = malloc(n + 1);
            memcpy(exact + 1, message.p, n);
            (void)dump_of(&a, span_of(exact + 1, n));
            free(exact);
        }
    }
}

static void part_facts(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct mime_message m;
    struct span message = SPAN("Content-Type: text/plain; charset=\"ISO-8859-15\"\r\n"
                               "Content-Transfer-Encoding: Quoted-Printable (yes)\r\n\r\na=20\r\nb\r\nc");
    mime_parse(&a, message, &m);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.parts[0].encoding, MIME_QP);
    check_span("charset", m.parts[0].charset, SPAN("ISO-8859-15"));
    assert_int_equal(m.parts[0].header_size, message.len - 10);
    assert_int_equal(m.parts[0].body_size, 10);
    assert_int_equal(m.parts[0].body_lines, 2);

    static const struct {
        const char *sent;
        enum mime_encoding encoding;
    } encodings[] = {{"7bit", MIME_7BIT},     {"8BIT", MIME_8BIT},          {" binary ;x", MIME_BINARY},
                     {"BASE64", MIME_BASE64}, {"x-uuencode", MIME_UNKNOWN}, {"", MIME_7BIT}};
    for (size_t i = 0; i < ROWS(encodings); i++) {
        struct span text = arena_printf(&a, "Content-Transfer-Encoding: %s\r\n\r\nx", encodings[i].sent);
        mime_parse(&a, text, &m);
        assert_int_equal(m.parts[0].encoding, encodings[i].encoding);
    }
}

/* The example of RFC 3501 §6.4.5. */
static const char sections_message[] =
    "Content-Type: multipart/mixed; boundary=A\r\n\r\n"
    "--A\r\n\r\n[1]\r\n"
    "--A\r\nContent-Type: application/octet-stream\r\n\r\n[2]\r\n"
    "--A\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    "--B\r\n\r\n[3.1]\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\n[3.2]\r\n--B--\r\n"
    "--A\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
    "--C\r\nContent-Type: image/gif\r\n\r\n[4.1]\r\n"
    "--C\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: four-two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"
    "--D\r\n\r\n[4.2.1]\r\n"
    "--D\r\nContent-Type: multipart/alternative; boundary=E\r\n\r\n"
    "--E\r\n\r\n[4.2.2.1]\r\n--E\r\nContent-Type: "
    "text/richtext\r\n\r\n[4.2.2.2]\r\n--E--\r\n--D--\r\n--C--\r\n--A--\r\n";

static const char single_message[] = "Subject: one\r\n\r\n[body]\r\n";

static const char forwarded_message[] =
    "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n[body]";

enum { WHOLE = MIME_SECTION_WHOLE, HEADER = MIME_SECTION_HEADER, TEXT = MIME_SECTION_TEXT, MIME = MIME_SECTION_MIME };

static const struct {
    const char *message;
    uint32_t numbers[5]; /* up to the first 0 */
    int section;
    const char *want; /* NULL: there is none */
} sections[] = {
    {sections_message, {0}, WHOLE, sections_message},
    {sections_message, {0}, HEADER, "Content-Type: multipart/mixed; boundary=A\r\n\r\n"},
    {sections_message, {0}, TEXT, sections_message + 45},
    {sections_message, {0}, MIME, NULL},
    {sections_message, {1}, WHOLE, "[1]"},
    {sections_message, {1}, MIME, "\r\n"},
    {sections_message, {1}, HEADER, NULL},
    {sections_message, {1}, TEXT, NULL},
    {sections_message, {1, 1}, WHOLE, NULL},
    {sections_message, {2}, WHOLE, "[2]"},
    {sections_message, {2}, MIME, "Content-Type: application/octet-stream\r\n\r\n"},
    {sections_message, {3}, MIME, "Content-Type: message/rfc822\r\n\r\n"},
    {sections_message, {3}, HEADER, "Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"},
    {sections_message,
     {3},
     TEXT,
     "--B\r\n\r\n[3.1]\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\n[3.2]\r\n--B--"},
    {sections_message, {3, 1}, WHOLE, "[3.1]"},
    {sections_message, {3, 2}, WHOLE, "[3.2]"},
    {sections_message, {3, 3}, WHOLE, NULL},
    {sections_message, {4}, HEADER, NULL},
    {sections_message, {4}, MIME, "Content-Type: multipart/mixed; boundary=C\r\n\r\n"},
    {sections_message, {4, 1}, WHOLE, "[4.1]"},
    {sections_message, {4, 1}, MIME, "Content-Type: image/gif\r\n\r\n"},
    {sections_message, {4, 2}, HEADER, "Subject: four-two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"},
    {sections_message, {4, 2, 1}, WHOLE, "[4.2.1]"},
    {sections_message, {4, 2, 2, 1}, WHOLE, "[4.2.2.1]"},
    {sections_message, {4, 2, 2, 2}, WHOLE, "[4.2.2.2]"},
    {sections_message, {4, 2, 2, 2}, MIME, "Content-Type: text/richtext\r\n\r\n"},
    {sections_message, {4, 2, 2, 2, 1}, WHOLE, NULL},
    {sections_message, {5}, WHOLE, NULL},
    /* "Every message has at least one part number" */
    {single_message, {1}, WHOLE, "[body]\r\n"},
    {single_message, {1}, MIME, "Subject: one\r\n\r\n"},
    {single_message, {1}, HEADER, NULL},
    {single_message, {2}, WHOLE, NULL},
    {single_message, {1, 1}, WHOLE, NULL},
    {forwarded_message, {0}, HEADER, "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n"},
    {forwarded_message, {1}, WHOLE, "Subject: inner\r\n\r\n[body]"},
    {forwarded_message, {1}, HEADER, "Subject: inner\r\n\r\n"},
    {forwarded_message, {1}, TEXT, "[body]"},
    {forwarded_message, {1, 1}, WHOLE, "[body]"},
    {forwarded_message, {1, 1}, HEADER, NULL},
    {forwarded_message, {1, 1, 1}, WHOLE, NULL},
    {MIXED "\r\nnothing", {1}, WHOLE, NULL},
    {single_message, {UINT32_MAX}, WHOLE, NULL},
};

static void section_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(sections); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct mime_message m;
        struct span message = span_cstr(sections[i].message);
        size_t count = 0;
        while (count < 5 && sections[i].numbers[count] != 0)
            count++;
        mime_parse(&a, message, &m);
        uint64_t offset = 0, size = 0;
        bool is_there =
            mime_section_range(&m, sections[i].numbers, count, (enum mime_section)sections[i].section, &offset, &size);
        struct span what = arena_printf(&a, "row %zu", i);
        if (is_there != (sections[i].want != NULL))
            fail_msg("%.*s is%s there", SPAN_ARG(what), is_there ? "" : " not");
        if (is_there)
            check_span(arena_cstr(&a, what), span_slice(message, offset, offset + size), span_cstr(sections[i].want));
    }
}

static void section_zero(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct mime_message m;
    uint32_t zero = 0, part;
    mime_parse(&a, span_cstr(sections_message), &m);
    assert_false(mime_find_section(&m, &zero, 1, &part));
}

/* `count` times `unit`, behind `head`. */
static struct span repeated(struct strbuf *b, const char *head, const char *unit, size_t count)
{
    strbuf_add_cstr(b, head);
    for (size_t i = 0; i < count; i++)
        strbuf_add_cstr(b, unit);
    return strbuf_span(b);
}

static void parts_limit(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF b = STRBUF_INIT;
    struct mime_message m;
    struct span message = repeated(&b, MIXED "\r\n", "--b\r\n" RFC822 "\r\n\r\nx\r\n", 3 * MIME_PARTS_MAX);
    mime_parse(&a, message, &m);
    assert_int_equal(m.count, MIME_PARTS_MAX);
    mime_check_invariants(&m, message);
    mime_check_round_trip(&m);
    check_span("no room for the child", m.parts[MIME_PARTS_MAX - 1].type, SPAN("application"));
}

static void depth_limit(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF multiparts = STRBUF_INIT, messages = STRBUF_INIT;
    struct mime_message m;
    for (size_t i = 0; i < 1000; i++)
        strbuf_addf(&multiparts, "Content-Type: multipart/mixed; boundary=%04zu\r\n\r\n--%04zu\r\n", i, i);
    for (size_t i = 1000; i-- > 0;)
        strbuf_addf(&multiparts, "--%04zu--\r\n", i);
    mime_parse(&a, strbuf_span(&multiparts), &m);
    mime_check_invariants(&m, strbuf_span(&multiparts));
    mime_check_round_trip(&m);
    assert_int_equal(m.count, MIME_DEPTH_MAX + 1);
    check_span("type", m.parts[MIME_DEPTH_MAX].type, SPAN("application"));

    struct span nested = repeated(&messages, "", RFC822 "\r\n", 1000);
    mime_parse(&a, nested, &m);
    mime_check_invariants(&m, nested);
    assert_int_equal(m.count, MIME_DEPTH_MAX + 1);
}

/* None of these may take more than a moment: each is a text on which a careless parser is quadratic. */
static void large_inputs(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit;
        size_t count;
    } rows[] = {
        {"", "a: b\r\n", 2000000},                          /* a long header */
        {"Content-Type: text/plain", ";\r\n a=b", 1000000}, /* a long field */
        {"Content-Type: multipart/mixed; boundary=\"", "x", 4000000},
        {"", "\r\n", 4000000},
        {MIXED "\r\n", "--\r\n", 2000000},
        {MIXED "\r\n", "--a\r\n", 2000000},
        {MIXED "\r\n--b--\r\n", "--b\r\n", 2000000},
        {MIXED "\r\n", "--b\r\n" INNER "b\r\n\r\n", 100000}, /* the same boundary at every depth */
        {"Content-Type: (", "(", 4000000},
        {MIXED "\r\n--b\r\n", "Content-Type: a/b\r\n", 500000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF b = STRBUF_INIT;
        struct mime_message m;
        struct span message = repeated(&b, rows[i].head, rows[i].unit, rows[i].count);
        mime_parse(&a, message, &m);
        mime_check_invariants(&m, message);
        assert_true(a.total < 16 << 20);
    }
}

/* Bytes from disk: cut short, made longer, or with any octet changed, they are refused or give a sound table. */
static void unpack_damaged(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF packed = STRBUF_INIT;
    struct mime_message m, again;
    struct err err;
    mime_parse(&a, span_cstr(sections_message), &m);
    mime_pack(&m, &packed);
    for (size_t n = 0; n < packed.len; n++)
        assert_int_equal(mime_unpack(&a, span_take(strbuf_span(&packed), n), &again, &err), ST_SYNTAX);
    size_t refused = 0;
    for (size_t n = 0; n < packed.len; n++)
        for (int bit = 0; bit < 8; bit++) {
            packed.p[n] = (char)(packed.p[n] ^ 1 << bit);
            if (mime_unpack(&a, strbuf_span(&packed), &again, &err) == ST_OK)
                mime_check_round_trip(&again);
            else
                refused++;
            packed.p[n] = (char)(packed.p[n] ^ 1 << bit);
        }
    assert_true(refused > packed.len); /* the version, counts, kinds and lengths at least */
    strbuf_add_char(&packed, 0);
    assert_int_equal(mime_unpack(&a, strbuf_span(&packed), &again, &err), ST_SYNTAX);
}

static void unpack_wrong_tables(void **state)
{
    (void)state;
    /* version, count; each: parent, kind + 4 * encoding, gap, header, body, lines, type, subtype, charset */
    static const struct span rows[] = {
        SPAN_INIT("\2\1\0\0\0\0\0\0\1a\1b\0"),                              /* another version */
        SPAN_INIT("\1\0"),                                                  /* no part */
        SPAN_INIT("\1\1\0\0\0\0\0\0\0\1b\0"),                               /* no type */
        SPAN_INIT("\1\1\0\1\0\0\0\0\1a\1b\0"),                              /* a multipart that is a/b */
        SPAN_INIT("\1\1\0\2\0\0\0\0\7message\6rfc822\0"),                   /* a message without a child */
        SPAN_INIT("\1\1\0\0\0\0\0\0\7message\6rfc822\0"),                   /* a message that is a leaf */
        SPAN_INIT("\1\2\0\0\0\0\1\0\1a\1b\0\0\0\0\0\0\0\1a\1b\0"),          /* a leaf's child */
        SPAN_INIT("\1\2\0\1\0\0\1\0\11multipart\1b\0\0\0\0\0\2\0\1a\1b\0"), /* a child larger than its parent */
        SPAN_INIT("\1\2\0\1\0\0\1\0\11multipart\1b\0\1\0\0\0\1\0\1a\1b\0"), /* its own parent */
        SPAN_INIT("\1\3\0\2\0\0\1\0\7message\6rfc822\0\0\0\0\0\0\0\1a\1b\0\0\0\0\0\0\0\1a\1b\0"), /* two in a message */
        /* a child of a part that is closed */
        SPAN_INIT("\1\5\0\1\0\0\0\0\11multipart\1b\0"
                  "\0\1\0\0\0\0\11multipart\1b\0"
                  "\1\1\0\0\0\0\11multipart\1b\0"
                  "\0\0\0\0\0\0\1a\1b\0\2\0\0\0\0\0\1a\1b\0"),
    };
    AUTO_ARENA a = ARENA_INIT;
    struct mime_message m;
    struct err err;
    assert_int_equal(mime_unpack(&a, SPAN("\1\1\0\0\0\0\0\0\1a\1b\0"), &m, &err), ST_OK);
    assert_int_equal(mime_unpack(&a, SPAN("\1\2\0\1\0\0\1\0\11multipart\1b\0\0\0\0\0\1\0\1a\1b\0"), &m, &err), ST_OK);
    for (size_t i = 0; i < ROWS(rows); i++)
        if (mime_unpack(&a, rows[i], &m, &err) != ST_SYNTAX)
            fail_msg("row %zu was taken", i);
}

static void decode_parts(void **state)
{
    (void)state;
    static const struct {
        const char *type, *encoding, *body;
        bool as_text;
        size_t limit;
        const char *want;
    } rows[] = {
        {"text/plain", "7bit", "Hello\r\n", false, 100, "Hello\r\n"},
        {"text/plain", "7bit", "Hello\r\n", false, 3, "Hel"},
        {"text/plain", "base64", "SGVs\r\nbG8=\r\n", false, 100, "Hello"},
        {"text/plain", "base64", "SGVs\r\nbG8=\r\n", false, 4, "Hell"},
        {"text/plain", "base64", "SGVs\r\nbG8=\r\n", false, 0, ""},
        {"text/plain", "quoted-printable", "a=3Db=\r\nc", false, 100, "a=bc"},
        {"text/plain", "quoted-printable", "a=3Db=\r\nc", false, 2, "a="},
        {"text/plain; charset=iso-8859-1", "quoted-printable", "=E4=F6", true, 100, "\xc3\xa4\xc3\xb6"},
        {"text/plain; charset=iso-8859-1", "quoted-printable", "=E4=F6", true, 3, "\xc3\xa4"},
        {"text/plain; charset=iso-8859-1", "quoted-printable", "=E4=F6", false, 100, "\xe4\xf6"},
        {"image/png", "quoted-printable", "=E4=F6", true, 100, "\xe4\xf6"},
        {"text/plain; charset=utf-16le", "base64", "SABpAA==", true, 2, "Hi"},
        {"text/plain", "x-unknown", "=41", true, 100, "=41"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct mime_message m;
        struct span message = arena_printf(&a, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s",
                                           rows[i].type, rows[i].encoding, rows[i].body);
        mime_parse(&a, message, &m);
        strbuf_add_cstr(&out, "before:");
        mime_decode_part(&m, 0, message, rows[i].as_text, rows[i].limit, &out);
        check_span(rows[i].body, span_skip(strbuf_span(&out), 7), span_cstr(rows[i].want));
    }
}

/* The limit is kept exactly, wherever it falls, and against every line length. */
static void decode_limits(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF base64 = STRBUF_INIT, qp = STRBUF_INIT;
    struct mime_message m;
    repeated(&base64, "Content-Transfer-Encoding: base64\r\n\r\n", "QUJD\r\n \r\nREVG", 500); /* ABCDEF */
    repeated(&qp, "Content-Transfer-Encoding: quoted-printable\r\n\r\n", "AB=43=\r\n=\r\n=44EF=\r\n", 2500);
    for (size_t limit = 0; limit < 4000; limit += limit < 20 ? 1 : 97) {
        AUTO_STRBUF out = STRBUF_INIT;
        mime_parse(&a, strbuf_span(&base64), &m);
        mime_decode_part(&m, 0, strbuf_span(&base64), false, limit, &out);
        assert_int_equal(out.len, limit < 3000 ? limit : 3000);
        mime_parse(&a, strbuf_span(&qp), &m);
        mime_decode_part(&m, 0, strbuf_span(&qp), false, limit, &out);
        assert_int_equal(out.len, limit + (limit < 3000 ? limit : 3000));
        for (size_t i = 0; i < limit; i++)
            assert_int_equal(out.p[out.len - limit + i], "ABCDEF"[i % 6]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_trees),         cmocka_unit_test(parse_prefixes), cmocka_unit_test(part_facts),
        cmocka_unit_test(section_ranges),      cmocka_unit_test(section_zero),   cmocka_unit_test(parts_limit),
        cmocka_unit_test(depth_limit),         cmocka_unit_test(large_inputs),   cmocka_unit_test(unpack_damaged),
        cmocka_unit_test(unpack_wrong_tables), cmocka_unit_test(decode_parts),   cmocka_unit_test(decode_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
