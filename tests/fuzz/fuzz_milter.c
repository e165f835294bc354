/* A filter's octets: packets, options, answers, and the changes done to a message. The first octet chooses what the
 * values look like; the rest are packets. */
#include <string.h>
#include "fuzz.h"
#include "milter/edit.h"

static const char message[] =
    "From: a@example.test\r\nTo: b@example.test\r\n\tfolded\r\nno field\r\nto: c\r\n\r\nbody\r\n";

static bool has_bare(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) ||
            (s.p[i] == '\r' && (i + 1 == s.len || s.p[i + 1] != '\n')))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    struct milter_change list[MILTER_CHANGES_MAX];
    struct milter_changes changes = {.arena = &a, .list = list};
    struct milter_options options;
    struct milter_answer answer;
    struct err err;
    char letter;
    struct span data;
    size_t used;
    if (size == 0)
        return 0;
    struct span rest = span_of(bytes + 1, size - 1);
    while (milter_frame_next(rest, &letter, &data, &used) == MILTER_FRAME_WHOLE) {
        CHECK(used <= rest.len && data.len < MILTER_PACKET_MAX);
        if (letter == 'O' && milter_options_read(data, &options, &err) == ST_OK)
            CHECK(options.version <= MILTER_VERSION);
        if (milter_answer_read(letter, data, &answer, &err) == ST_OK) {
            if (answer.kind == MILTER_ANSWER_REFUSE) {
                CHECK(answer.code >= 400 && answer.code <= 599 &&
                      answer.enhanced[0] == (answer.code < 500 ? '4' : '5'));
                CHECK(answer.text[0] && !strchr(answer.text, '\r'));
            }
            if (answer.kind == MILTER_ANSWER_CHANGE && answer.change.kind == MILTER_CHANGE_REPLACE_BODY) {
                strbuf_add(&changes.body, answer.change.value);
                changes.has_body = true;
            } else if (answer.kind == MILTER_ANSWER_CHANGE && changes.count < MILTER_CHANGES_MAX) {
                list[changes.count++] = answer.change;
            }
        }
        rest = span_skip(rest, used);
    }
    if (milter_edit(&a, span_of(message, sizeof message - 1), &changes, bytes[0] & 1, &out, &err) == ST_OK) {
        CHECK(!has_bare(strbuf_span(&out)));
        CHECK(span_find(strbuf_span(&out), SPAN("no field\r\n"), 0) != SPAN_NPOS);
        CHECK(span_find(strbuf_span(&out), SPAN("\r\n\r\n"), 0) != SPAN_NPOS);
    }
    strbuf_free(&changes.body);
    return 0;
}
