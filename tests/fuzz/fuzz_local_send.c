/* fuzz_local_send.c - a local program's text: cut anywhere it gives the same lines, its header and body are all of it,
 * and what is taken from the header are addresses that can stand in a command. The first octet says where to cut. */
#include "fuzz.h"
#include "text/local_text.h"
#include "text/send_message.h"

static void convert(struct span in, size_t cut, bool is_dot_end, struct strbuf *out)
{
    struct local_text t = {.is_dot_end = is_dot_end};
    local_text_feed(&t, span_take(in, cut), out);
    local_text_feed(&t, span_skip(in, cut), out);
    local_text_finish(&t, out);
}

static void check_address(struct span s)
{
    CHECK(s.len > 0 && span_find_byte(s, '@', 0) != SPAN_NPOS);
    for (size_t i = 0; i < s.len; i++)
        CHECK((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct send_recipients r;
    if (size < 1)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF whole = STRBUF_INIT, pieces = STRBUF_INIT;
    convert(in, in.len, data[0] & 1, &whole);
    convert(in, in.len ? data[0] % in.len : 0, data[0] & 1, &pieces);
    CHECK(span_eq(strbuf_span(&whole), strbuf_span(&pieces)));
    CHECK(whole.len == 0 || span_ends(strbuf_span(&whole), SPAN("\r\n")));

    struct send_parts parts;
    struct err err;
    struct span sender;
    send_split(strbuf_span(&whole), &parts);
    CHECK(parts.header.len + parts.body.len <= whole.len);
    r = (struct send_recipients){.count = 0};
    (void)send_add_header(&a, parts.header, "example.test", &r, &err);
    for (size_t i = 0; i < r.count; i++)
        check_address(r.list[i]);
    if (send_address(&a, span_take(in, 300), "example.test", &sender, &err) == ST_OK && sender.len)
        check_address(sender);
    return 0;
}
