/* Header blocks, and every field's value by every reader; the first line names a charset for the rest of the input. */
#include "fuzz.h"
#include "text/charset.h"
#include "text/codec.h"
#include "text/header.h"

static void read_value(struct arena *a, struct span value)
{
    struct span unfolded = header_unfold(a, value);
    CHECK(unfolded.len <= value.len && span_find_byte(unfolded, '\n', 0) == SPAN_NPOS);
    struct span decoded = header_decode(a, value);
    CHECK(utf8_is_valid(decoded) && span_find_byte(decoded, '\n', 0) == SPAN_NPOS);
    CHECK(header_strip_comments(a, value).len <= value.len);
    struct span token;
    struct mime_params params;
    header_params_as_sent(a, value, &token, &params);
    CHECK(params.count <= MIME_PARAMS_MAX);
    header_params(a, value, &token, &params);
    CHECK(params.count <= MIME_PARAMS_MAX);
    for (size_t i = 0; i < params.count; i++) {
        struct span found;
        CHECK(mime_param_find(&params, params.list[i].name, &found));
    }
}

static void read_text(struct span text)
{
    AUTO_STRBUF out = STRBUF_INIT;
    AUTO_STRBUF folded = STRBUF_INIT;
    AUTO_STRBUF back = STRBUF_INIT;
    struct span charset;
    (void)span_cut(&text, '\n', &charset);
    charset_to_utf8(span_trim(charset), text, &out);
    CHECK(utf8_is_valid(strbuf_span(&out)));
    text_fold(strbuf_span(&out), &folded);
    CHECK(utf8_is_valid(strbuf_span(&folded)));
    text_fold(text, &folded);

    strbuf_clear(&out);
    base64_encode(text, &out);
    CHECK(base64_decode_strict(strbuf_span(&out), &back) && span_eq(strbuf_span(&back), text));
    strbuf_clear(&back);
    base64_decode_body(strbuf_span(&out), &back);
    CHECK(span_eq(strbuf_span(&back), text));
    strbuf_clear(&back);
    if (base64_decode_strict(text, &back)) {
        strbuf_clear(&out);
        base64_encode(strbuf_span(&back), &out);
        CHECK(span_eq(strbuf_span(&out), text));
    }
    base64_decode_body(text, &back);
    strbuf_clear(&back);
    qp_decode_body(text, &back);
    CHECK(back.len <= text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span block = span_of(data, size);
    struct header_field f;
    bool with_blank;
    CHECK(header_block_end(block, &with_blank) <= size);
    for (size_t at = 0; header_next(block, &at, &f);)
        read_value(&a, f.value);
    read_value(&a, block);
    read_text(block);
    return 0;
}
