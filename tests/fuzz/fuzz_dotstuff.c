/* fuzz_dotstuff.c - decoding whole and in two pieces is the same, and decoding undoes encoding. The first octet says
 * where to cut. */
#include "fuzz.h"
#include "base/strbuf.h"
#include "text/dotstuff.h"

static struct dotstuff decode(struct span in, size_t cut, struct strbuf *out, size_t *left)
{
    struct dotstuff d = DOTSTUFF_INIT;
    struct span pieces[2] = {span_take(in, cut), span_skip(in, cut)};
    *left = in.len;
    for (int i = 0; i < 2; i++)
        while (pieces[i].len && !dotstuff_is_end(&d)) {
            struct span text;
            size_t before = pieces[i].len;
            dotstuff_decode(&d, &pieces[i], &text);
            CHECK(pieces[i].len < before);
            *left -= before - pieces[i].len;
            strbuf_add(out, text);
        }
    return d;
}

static void encode(struct span text, struct strbuf *out)
{
    bool at_line_start = true, needs_dot;
    while (text.len) {
        strbuf_add(out, dotstuff_encode(&text, &at_line_start, &needs_dot));
        if (needs_dot)
            strbuf_add_char(out, '.');
    }
    strbuf_add(out, at_line_start ? SPAN(".\r\n") : SPAN("\r\n.\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    AUTO_STRBUF whole = STRBUF_INIT, split = STRBUF_INIT, coded = STRBUF_INIT, again = STRBUF_INIT;
    size_t left_whole, left_split, left;
    struct dotstuff a = decode(in, in.len, &whole, &left_whole);
    struct dotstuff b = decode(in, data[0], &split, &left_split);
    CHECK(span_eq(strbuf_span(&whole), strbuf_span(&split)) && left_whole == left_split);
    CHECK(a.place == b.place && a.has_bare_cr == b.has_bare_cr && a.has_bare_lf == b.has_bare_lf &&
          a.has_nul == b.has_nul);

    bool is_clean = dotstuff_is_end(&a) && !a.has_bare_cr && !a.has_bare_lf;
    if (!is_clean)
        return 0;
    encode(strbuf_span(&whole), &coded);
    struct dotstuff c = decode(strbuf_span(&coded), coded.len / 2, &again, &left);
    CHECK(dotstuff_is_end(&c) && left == 0 && span_eq(strbuf_span(&whole), strbuf_span(&again)));
    return 0;
}
