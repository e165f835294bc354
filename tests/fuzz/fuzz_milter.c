/* A filter's octets: packets, options, answers, and the changes done to a message; then once more as a whole dialogue,
 * in whatever order the filter has chosen. The first octet chooses what the values look like; the rest are packets. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
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

static void edit(struct arena *a, const struct milter_changes *changes, bool is_space_given)
{
    AUTO_STRBUF out = STRBUF_INIT;
    struct err err;
    if (milter_edit(a, span_of(message, sizeof message - 1), changes, is_space_given, &out, &err) != ST_OK)
        return;
    CHECK(!has_bare(strbuf_span(&out)));
    CHECK(span_find(strbuf_span(&out), SPAN("no field\r\n"), 0) != SPAN_NPOS);
    CHECK(span_find(strbuf_span(&out), SPAN("\r\n\r\n"), 0) != SPAN_NPOS);
}

static enum status tell_all(struct milter *m, struct milter_answer *answer, struct err *err)
{
    static const enum milter_stage stages[] = {
        MILTER_STAGE_CONNECT, MILTER_STAGE_HELO, MILTER_STAGE_UNKNOWN, MILTER_STAGE_MAIL, MILTER_STAGE_RCPT,
        MILTER_STAGE_RCPT,    MILTER_STAGE_DATA, MILTER_STAGE_HEADER,  MILTER_STAGE_EOH,  MILTER_STAGE_BODY};
    static const struct milter_macro macros[] = {{"i", SPAN_INIT("1")}, {"{rcpt_addr}", SPAN_INIT("a@example.test")}};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        TRY(milter_tell(m, stages[i], SPAN("a\0b\0"), macros, 2, answer, err));
        CHECK(answer->kind != MILTER_ANSWER_PROGRESS && answer->kind != MILTER_ANSWER_CHANGE);
    }
    return ST_OK;
}

/* All that the filter says is there before it is asked, and then its end: nothing has to be waited for. */
static void dialogue(struct span said, bool is_space_given)
{
    static const struct config_milter config = {.name = "fuzz", .reply_ms = 60000, .message_ms = 60000};
    AUTO_ARENA a = ARENA_INIT;
    struct milter_changes changes = {.arena = &a, .body_max = 1000};
    struct milter_answer answer;
    struct milter *m = NULL;
    struct err err;
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    (void)!send(pair[1], said.p, said.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(pair[1], SHUT_WR);
    if (milter_over(pair[0], &config, -1, &m, &err) == ST_OK && tell_all(m, &answer, &err) == ST_OK &&
        milter_end(m, NULL, 0, &changes, &answer, &err) == ST_OK) {
        CHECK(answer.kind != MILTER_ANSWER_PROGRESS && answer.kind != MILTER_ANSWER_CHANGE);
        CHECK(changes.count <= MILTER_CHANGES_MAX && changes.body.len <= changes.body_max);
        edit(&a, &changes, is_space_given);
    }
    milter_free(&m);
    strbuf_free(&changes.body);
    close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
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
    edit(&a, &changes, bytes[0] & 1);
    strbuf_free(&changes.body);
    dialogue(span_of(bytes + 1, size - 1), bytes[0] & 1);
    return 0;
}
