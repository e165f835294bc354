/* packet.c - see packet.h. */
#include "milter/packet.h"
#include <stdio.h>
#include "base/banned.h"

enum {
    LENGTH_BYTES = 4,
    OPTIONS_BYTES = 12,
    ALL_ACTIONS = 0x1ff,
    ALL_STEPS = 0x1fffff,
};

static void put_u32(char out[4], uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(v >> (24 - 8 * i) & 0xff);
}

static uint32_t get_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

void milter_put(struct strbuf *out, char letter, struct span data)
{
    put_u32(strbuf_extend(out, LENGTH_BYTES), (uint32_t)data.len + 1);
    strbuf_add_char(out, letter);
    strbuf_add(out, data);
}

void milter_put_string(struct strbuf *data, struct span text)
{
    size_t nul = span_find_byte(text, '\0', 0);
    strbuf_add(data, nul == SPAN_NPOS ? text : span_take(text, nul));
    strbuf_add_char(data, '\0');
}

void milter_put_options(struct strbuf *out)
{
    char data[OPTIONS_BYTES];
    put_u32(data, MILTER_VERSION);
    put_u32(data + 4, ALL_ACTIONS);
    put_u32(data + 8, ALL_STEPS);
    milter_put(out, 'O', span_of(data, sizeof data));
}

void milter_put_connect(struct strbuf *data, struct span hostname, struct span address, uint16_t port)
{
    milter_put_string(data, hostname);
    if (address.len == 0) {
        strbuf_add_char(data, 'U');
        return;
    }
    bool is_6 = span_find_byte(address, ':', 0) != SPAN_NPOS;
    strbuf_add_char(data, is_6 ? '6' : '4');
    strbuf_add_char(data, (char)(port >> 8));
    strbuf_add_char(data, (char)(port & 0xff));
    if (is_6)
        strbuf_add(data, SPAN("IPv6:")); /* as Sendmail writes it, and libmilter takes it */
    milter_put_string(data, address);
}

void milter_put_header(struct strbuf *data, struct span name, struct span value, bool is_space_kept)
{
    milter_put_string(data, name);
    if (!is_space_kept && span_starts(value, SPAN(" ")))
        value = span_skip(value, 1);
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] != '\0' && !(value.p[i] == '\r' && i + 1 < value.len && value.p[i + 1] == '\n'))
            strbuf_add_char(data, value.p[i]);
    strbuf_add_char(data, '\0');
}

static bool list_has(struct span list, struct span word)
{
    for (struct span one; list.len;) {
        span_cut(&list, ' ', &one);
        one = span_trim(one);
        /* Sendmail takes "{j}" for "j". */
        if (one.len == 3 && word.len == 1 && one.p[0] == '{' && one.p[2] == '}')
            one = span_slice(one, 1, 2);
        if (one.len && span_eq(one, word))
            return true;
    }
    return false;
}

void milter_put_macros(struct strbuf *out, char command, struct span wanted, const struct milter_macro *macros,
                       size_t count)
{
    AUTO_STRBUF data = STRBUF_INIT;
    strbuf_add_char(&data, command);
    for (size_t i = 0; i < count; i++)
        if (macros[i].value.len && list_has(wanted, span_cstr(macros[i].name))) {
            milter_put_string(&data, span_cstr(macros[i].name));
            milter_put_string(&data, macros[i].value);
        }
    if (data.len > 1)
        milter_put(out, 'D', strbuf_span(&data));
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

enum milter_frame milter_frame_next(struct span input, char *letter, struct span *data, size_t *size)
{
    if (input.len < LENGTH_BYTES)
        return MILTER_FRAME_PARTIAL;
    uint32_t length = get_u32(input.p);
    if (length < 1 || length > MILTER_PACKET_MAX)
        return MILTER_FRAME_BAD;
    if (input.len - LENGTH_BYTES < length)
        return MILTER_FRAME_PARTIAL;
    *letter = input.p[LENGTH_BYTES];
    *data = span_slice(input, LENGTH_BYTES + 1, LENGTH_BYTES + length);
    *size = LENGTH_BYTES + length;
    return MILTER_FRAME_WHOLE;
}

/* A NUL-terminated string from the front of *data. */
static bool take_string(struct span *data, struct span *out)
{
    return data->len > 0 && span_cut(data, '\0', out);
}

static bool take_u32(struct span *data, uint32_t *out)
{
    if (data->len < 4)
        return false;
    *out = get_u32(data->p);
    *data = span_skip(*data, 4);
    return true;
}

enum status milter_options_read(struct span data, struct milter_options *out, struct err *err)
{
    *out = (struct milter_options){0};
    if (!take_u32(&data, &out->version) || !take_u32(&data, &out->actions) || !take_u32(&data, &out->steps))
        return err_set(err, ST_SYNTAX, "its options are cut short");
    if (out->version < MILTER_VERSION_LEAST || out->version > MILTER_VERSION)
        return err_set(err, ST_UNSUPPORTED, "it speaks version %u", out->version);
    if (out->actions & ~(uint32_t)ALL_ACTIONS || out->steps & ~(uint32_t)ALL_STEPS)
        return err_set(err, ST_UNSUPPORTED, "it wants what was not offered: actions 0x%x, steps 0x%x", out->actions,
                       out->steps);
    while (data.len) {
        uint32_t stage;
        struct span list;
        if (!take_u32(&data, &stage) || stage >= MILTER_STAGES_WITH_MACROS || !take_string(&data, &list))
            return err_set(err, ST_SYNTAX, "its lists of macros are malformed");
        out->has_macros[stage] = true;
        out->macros[stage] = list;
    }
    return ST_OK;
}

static void refuse(struct milter_answer *out, unsigned code, const char *enhanced, const char *text)
{
    out->kind = MILTER_ANSWER_REFUSE;
    out->code = code;
    snprintf(out->enhanced, sizeof out->enhanced, "%s", enhanced);
    snprintf(out->text, sizeof out->text, "%s", text);
}

/* "5.7.1" of this class (RFC 3463 §2): its length; 0 where it is none. */
static size_t enhanced_length(struct span s, char class)
{
    size_t at = 1, parts = 1;
    if (s.len < 5 || s.p[0] != class)
        return 0;
    for (; parts < 3 && at < s.len && s.p[at] == '.'; parts++) {
        size_t digits = 0;
        for (at++; at < s.len && digits < 3 && ascii_is_digit(s.p[at]); at++)
            digits++;
        if (digits == 0)
            return 0;
    }
    return parts == 3 && (at == s.len || s.p[at] == ' ') ? at : 0;
}

/* One line's text, without what cannot stand in a reply; "%%" is how filters write "%". */
static void add_text(struct milter_answer *out, size_t *used, struct span text)
{
    if (*used && *used < MILTER_REPLY_TEXT_MAX)
        out->text[(*used)++] = '\n';
    for (size_t i = 0; i < text.len && *used < MILTER_REPLY_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '%' && i + 1 < text.len && text.p[i + 1] == '%')
            i++;
        out->text[(*used)++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    out->text[*used] = '\0';
}

/* "550 5.7.1 text", or several lines "550-5.7.1 text" CRLF … "550 5.7.1 text". */
static enum status read_reply(struct span data, struct milter_answer *out, struct err *err)
{
    struct span rest, line;
    uint64_t code;
    if (!take_string(&data, &rest) || rest.len < 3 || !span_to_u64(span_take(rest, 3), 599, &code) || code < 400)
        return err_set(err, ST_SYNTAX, "its reply is no refusal");
    refuse(out, (unsigned)code, code < 500 ? "4.7.1" : "5.7.1", "");
    size_t used = 0;
    for (unsigned lines = 0; rest.len; lines++) {
        span_cut(&rest, '\n', &line);
        line = span_trim(line);
        bool is_good = line.len >= 3 && span_to_u64(span_take(line, 3), code, &(uint64_t){0}) &&
                       (line.len == 3 || line.p[3] == ' ' || line.p[3] == '-');
        if (!is_good || lines == MILTER_REPLY_LINES_MAX)
            return err_set(err, ST_SYNTAX, "its reply has a malformed line, or too many");
        line = span_skip(line, 4);
        size_t n = enhanced_length(line, code < 500 ? '4' : '5');
        if (n && n < sizeof out->enhanced) {
            snprintf(out->enhanced, sizeof out->enhanced, "%.*s", (int)n, line.p);
            line = span_skip(line, n + 1);
        }
        add_text(out, &used, line);
    }
    if (used == 0)
        snprintf(out->text, sizeof out->text, "%s", code < 500 ? "Try again later" : "Refused");
    return ST_OK;
}

static const struct {
    char letter;
    enum milter_change_kind kind;
    uint32_t action;
    bool has_index, has_name, has_value, is_value_optional;
} changes[] = {
    {'h', MILTER_CHANGE_ADD_HEADER, MILTER_ADD_HEADERS, false, true, true, false},
    {'i', MILTER_CHANGE_INSERT_HEADER, MILTER_ADD_HEADERS, true, true, true, false},
    {'m', MILTER_CHANGE_HEADER, MILTER_CHANGE_HEADERS, true, true, true, false},
    {'e', MILTER_CHANGE_SENDER, MILTER_CHANGE_FROM, false, true, true, true},
    {'+', MILTER_CHANGE_ADD_RCPT, MILTER_ADD_RCPT, false, true, false, false},
    {'2', MILTER_CHANGE_ADD_RCPT, MILTER_ADD_RCPT_ARGS, false, true, true, true},
    {'-', MILTER_CHANGE_DELETE_RCPT, MILTER_DELETE_RCPT, false, true, false, false},
    {'b', MILTER_CHANGE_REPLACE_BODY, MILTER_CHANGE_BODY, false, false, false, false},
    {'q', MILTER_CHANGE_TO_QUARANTINE, MILTER_QUARANTINE, false, false, true, false},
};
enum { CHANGES = sizeof changes / sizeof changes[0] };

uint32_t milter_action_of(enum milter_change_kind kind)
{
    uint32_t actions = 0; /* a recipient is added with or without arguments */
    for (size_t i = 0; i < CHANGES; i++)
        if (changes[i].kind == kind)
            actions |= changes[i].action;
    return actions;
}

static enum status read_change(char letter, struct span data, struct milter_answer *out, struct err *err)
{
    for (size_t i = 0; i < CHANGES; i++) {
        if (changes[i].letter != letter)
            continue;
        struct milter_change *c = &out->change;
        *c = (struct milter_change){.kind = changes[i].kind};
        out->kind = MILTER_ANSWER_CHANGE;
        if (c->kind == MILTER_CHANGE_REPLACE_BODY) {
            c->value = data;
            return ST_OK;
        }
        bool is_good = (!changes[i].has_index || take_u32(&data, &c->index)) &&
                       (!changes[i].has_name || take_string(&data, &c->name)) &&
                       (!changes[i].has_value || (changes[i].is_value_optional && data.len == 0) ||
                        take_string(&data, &c->value)) &&
                       data.len == 0;
        return is_good ? ST_OK : err_set(err, ST_SYNTAX, "its change '%c' is malformed", letter);
    }
    unsigned octet = (unsigned char)letter;
    return err_set(err, ST_SYNTAX, "its answer 0x%02x is none", octet);
}

enum status milter_answer_read(char letter, struct span data, struct milter_answer *out, struct err *err)
{
    *out = (struct milter_answer){.kind = MILTER_ANSWER_CONTINUE};
    switch (letter) {
    case 'c':
        return ST_OK;
    case 'a':
        out->kind = MILTER_ANSWER_ACCEPT;
        return ST_OK;
    case 'd':
        out->kind = MILTER_ANSWER_DISCARD;
        return ST_OK;
    case 's':
        out->kind = MILTER_ANSWER_SKIP;
        return ST_OK;
    case 'p':
        out->kind = MILTER_ANSWER_PROGRESS;
        return ST_OK;
    case 'r':
        refuse(out, 550, "5.7.1", "Refused");
        return ST_OK;
    case 't':
        refuse(out, 451, "4.7.1", "Try again later");
        return ST_OK;
    case '4': /* SMFIR_SHUTDOWN */
    case 'f': /* SMFIR_CONN_FAIL */
        refuse(out, 421, "4.7.0", "Try again later, closing connection");
        return ST_OK;
    case 'y':
        return read_reply(data, out, err);
    default:
        return read_change(letter, data, out, err);
    }
}
