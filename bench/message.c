/*
 * message.c - see message.h. Bodies are cut from two pools of lines made once (text, base64), at a place that depends
 * on the number, so that a message costs a memcpy and a checksum; generator and server share the machine.
 */
#include "message.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

enum {
    LINE = 78, /* with CRLF */
    POOL_LINES = 8192,
    MIXED_FROM = 6 * 1024, /* larger messages have an attachment */
    TEXT_PART = 2 * 1024,  /* and about so much text before it */
};

static char text_pool[POOL_LINES * LINE], base64_pool[POOL_LINES * LINE];

static const char *const subjects[] = {"Minutes of the meeting",
                                       "=?utf-8?q?R=C3=BCckfrage_zur_Rechnung?=", "Re: where to meet on Monday",
                                       "Your order has been sent"};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13; /* xorshift64 */
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void make_pools(void)
{
    static const char *const words[] = {"the",    "office", "meeting",  "and",    "report",  "of",     "on",
                                        "please", "we",     "agreed",   "that",   "invoice", "monday", "to",
                                        "answer", "with",   "harbour",  "a",      "in",      "budget", "later",
                                        "coffee", "is",     "question", "garden", "letter"};
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t x = 88172645463325252u;
    for (size_t line = 0; line < POOL_LINES; line++) {
        char *text = text_pool + line * LINE, *code = base64_pool + line * LINE;
        for (size_t n = 0; n < LINE - 2;) {
            const char *word = words[next_random(&x) % (sizeof words / sizeof *words)];
            for (; *word && n < LINE - 2; word++)
                text[n++] = *word;
            if (n < LINE - 2) {
                text[n] = n < LINE - 3 ? ' ' : '.';
                n++;
            }
        }
        for (size_t n = 0; n < LINE - 2; n++)
            code[n] = base64[next_random(&x) % 64];
        memcpy(text + LINE - 2, "\r\n", 2);
        memcpy(code + LINE - 2, "\r\n", 2);
    }
}

/* A multiply-mix hash over 8 octets a step: fast, and no accident of a server passes it. */
static uint64_t checksum(struct span s)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ s.len;
    while (s.len >= 8) {
        uint64_t v;
        memcpy(&v, s.p, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
        s = span_skip(s, 8);
    }
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0xff51afd7ed558ccdu;
    return h ^ h >> 29;
}

uint64_t message_run(void)
{
    static uint64_t run;
    if (!run) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        run = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^ (uint64_t)getpid() << 40;
    }
    return run;
}

/* n octets in lines from a pool, the last ended by CRLF; n = 1 cannot be had and gives 2. */
static void add_lines(struct strbuf *b, const char *pool, uint64_t number, size_t n)
{
    size_t line = (number * 2654435761u) % POOL_LINES;
    while (n > 0) {
        size_t run = (POOL_LINES - line) * LINE;
        size_t take = n < run ? n : run;
        strbuf_add_bytes(b, pool + line * LINE, take);
        n -= take;
        line = 0;
    }
    if (b->len >= 2)
        memcpy(b->p + b->len - 2, "\r\n", 2);
    if (b->len >= 3 && b->p[b->len - 3] == '\r') /* the cut fell into a line's end */
        b->p[b->len - 3] = '=';
}

static void add_subject(struct strbuf *b, uint64_t number)
{
    strbuf_addf(b, "%s %llu%s", subjects[number % 4], (unsigned long long)number,
                number % 16 == 0 ? " " MESSAGE_RARE_WORD : "");
}

static void add_header(struct strbuf *b, uint64_t number, const char *from, const char *to, bool is_mixed)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    unsigned day = (unsigned)(number / 1440 % 28);
    strbuf_addf(b,
                "Received: from out.elsewhere.test (out.elsewhere.test [192.0.2.25]) by hub.elsewhere.test\r\n"
                "\twith ESMTPS id %016llx; %s, %u Feb 2026 %02u:%02u:07 +0000\r\n",
                (unsigned long long)(number * 0x9e3779b97f4a7c15u), days[day % 7], day + 1,
                (unsigned)(number / 60 % 24), (unsigned)(number % 60));
    strbuf_addf(b, "Date: %s, %u Feb 2026 %02u:%02u:03 +0000\r\n", days[day % 7], day + 1, (unsigned)(number / 60 % 24),
                (unsigned)(number % 60));
    strbuf_addf(b, "From: \"Sender %u\" <%s>\r\nTo: <%s>\r\n", (unsigned)(number % 100), from, to);
    strbuf_addf(b, "Message-ID: <%llx.%llu@elsewhere.test>\r\n", (unsigned long long)message_run(),
                (unsigned long long)number);
    if (number % 4 == 2)
        strbuf_addf(b, "In-Reply-To: <%llx.%llu@elsewhere.test>\r\n", (unsigned long long)message_run(),
                    (unsigned long long)(number - 1));
    strbuf_add_cstr(b, "Subject: ");
    add_subject(b, number);
    strbuf_add_bytes(b, "\r\n", 2);
    if (is_mixed)
        strbuf_addf(b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"bench-%llu\"\r\n",
                    (unsigned long long)number);
    else
        strbuf_add_cstr(b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
}

void message_make(struct message *m, uint64_t number, size_t size, const char *from, const char *to)
{
    if (!text_pool[0])
        make_pools();
    if (size < MESSAGE_SIZE_MIN)
        size = MESSAGE_SIZE_MIN;
    bool is_mixed = size >= MIXED_FROM;
    struct strbuf *b = &m->text;
    strbuf_clear(b);
    strbuf_reserve(b, size + LINE);
    add_header(b, number, from, to, is_mixed);
    size_t stamp = b->len; /* the checksum is filled in when the body is there: fixed width */
    strbuf_addf(b, "X-Bench: %016llx %016llx %016llx %016llx\r\n\r\n", 0ull, 0ull, 0ull, 0ull);
    size_t body = b->len;
    if (is_mixed)
        strbuf_addf(b, "--bench-%llu\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", (unsigned long long)number);
    m->dot_at = b->len;
    strbuf_add_cstr(b, ".this line begins with a dot\r\n");
    if (is_mixed) {
        char end[64];
        int end_size = snprintf(end, sizeof end, "\r\n--bench-%llu--\r\n", (unsigned long long)number);
        add_lines(b, text_pool, number, TEXT_PART);
        strbuf_addf(
            b,
            "\r\n--bench-%llu\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\nContent-Transfer-Encoding: "
            "base64\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\n\r\n",
            (unsigned long long)number);
        add_lines(b, base64_pool, number, size - b->len - (size_t)end_size);
        strbuf_add_bytes(b, end, (size_t)end_size);
    } else {
        if (b->len + 2 > size)
            bench_fail("a message of %zu octets is too small for these addresses", size);
        add_lines(b, text_pool, number, size - b->len);
    }
    struct span whole = span_skip(strbuf_span(b), body);
    char text[80];
    snprintf(text, sizeof text, "X-Bench: %016llx %016llx %016llx %016llx", (unsigned long long)message_run(),
             (unsigned long long)number, (unsigned long long)whole.len, (unsigned long long)checksum(whole));
    memcpy(b->p + stamp, text, strlen(text));
}

void message_free(struct message *m)
{
    strbuf_free(&m->text);
}

struct span message_before_dot(const struct message *m)
{
    return span_take(strbuf_span(&m->text), m->dot_at);
}

struct span message_from_dot(const struct message *m)
{
    return span_skip(strbuf_span(&m->text), m->dot_at);
}

static bool read_stamp(struct span header, uint64_t field[4])
{
    static const char name[] = "X-Bench: ";
    size_t at = span_starts(header, SPAN("X-Bench: ")) ? 0 : span_find(header, SPAN("\r\nX-Bench: "), 0);
    if (at == SPAN_NPOS)
        return false;
    struct span value = span_skip(header, at + (at ? 2 : 0) + sizeof name - 1);
    for (int i = 0; i < 4; i++) {
        char hex[17] = {0};
        if (value.len < 16)
            return false;
        memcpy(hex, value.p, 16);
        char *end;
        field[i] = strtoull(hex, &end, 16);
        if (*end)
            return false;
        value = span_skip(value, 17);
    }
    return true;
}

bool message_identity(struct span header, struct message_id *id)
{
    uint64_t field[4];
    if (!read_stamp(header, field))
        return false;
    *id = (struct message_id){field[0], field[1]};
    return true;
}

bool message_check(struct span text, struct message_id *id, const char **why)
{
    size_t end = span_find(text, SPAN("\r\n\r\n"), 0);
    uint64_t field[4];
    *why = "no header X-Bench";
    if (end == SPAN_NPOS || !read_stamp(span_take(text, end), field))
        return false;
    struct span body = span_skip(text, end + 4);
    *why = "the body's size is wrong";
    if (body.len != field[2])
        return false;
    *why = "the body's checksum is wrong";
    if (checksum(body) != field[3])
        return false;
    *id = (struct message_id){field[0], field[1]};
    return true;
}

/* "<run.number@elsewhere.test>" */
static bool read_message_id(struct span text, struct span *run, uint64_t *number)
{
    struct span digits;
    return span_starts(text, SPAN("<")) && span_ends(text, SPAN("@elsewhere.test>")) &&
           (text = span_skip(text, 1), span_cut(&text, '.', run)) && span_cut(&text, '@', &digits) &&
           span_to_u64(digits, INT64_MAX, number);
}

bool message_check_envelope(struct span message_id, struct span subject, struct span in_reply_to)
{
    struct span run, reply_run;
    uint64_t number, reply_number;
    if (!read_message_id(message_id, &run, &number))
        return false;
    AUTO_STRBUF made = STRBUF_INIT;
    add_subject(&made, number);
    if (!span_eq(strbuf_span(&made), subject))
        return false;
    if (number % 4 != 2)
        return span_ieq(in_reply_to, SPAN("NIL"));
    return read_message_id(in_reply_to, &reply_run, &reply_number) && span_eq(run, reply_run) &&
           reply_number == number - 1;
}
