/*
 * fuzz_smtp_session.c - whole sessions: the first octet chooses the door and the size of the pieces, the rest is what
 * the client says. Below SMTP stand the fakes of tests/smtp. The replies must be whole lines, and a body that is fed in
 * pieces must have the outcome of the whole.
 */
#include "fuzz.h"
#include "../smtp/fake_roles.h"
#include "sys/config_relay.h"
#include "../smtp/fake_session.h"

static void no_wake(void *ctx)
{
    (void)ctx;
}

static struct gate_app gate_app = {.hostname = "mx.example.test", .message_size_max = 5000};
static const struct config_relay relay_settings = {.expiry = 86400};
static struct relay_app relay_app = {.settings = &relay_settings, .wake = no_wake, .hostname = "mx.example.test", .message_size_max = 5000};
static struct mail_app mail_app = {
    .hostname = "mx.example.test", .subaddress_separator = "+", .message_size_max = 5000};

static void run(unsigned door, struct span text, size_t step, struct strbuf *replies)
{
    struct session s;
    fake_reset();
    if (door == 0)
        fake_open(&s, &submission_gate_protocol, &gate_app, "192.0.2.1");
    else if (door == 1)
        fake_open(&s, &queue_in_protocol, &relay_app, "");
    else
        fake_open(&s, &lmtp_protocol, &mail_app, "192.0.2.1");
    fake_put(&s, text, step);
    struct span out = strbuf_span(&s.out), line;
    while (out.len) {
        CHECK(span_cut(&out, '\n', &line));
        CHECK(line.len > 4 && line.p[line.len - 1] == '\r' && line.p[0] >= '2' && line.p[0] <= '5');
        if (line.p[3] == ' ')
            strbuf_add(replies, span_take(line, 3));
    }
    strbuf_addf(replies, " %d %d %zu %zu", s.is_closed, s.is_carried, fake_queued_count, fake_delivered_count);
    fake_close(&s);
    fake_reset();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_ERROR + 1);
    if (size < 1)
        return 0;
    struct span text = span_of(data + 1, size - 1);
    AUTO_STRBUF whole = STRBUF_INIT, pieces = STRBUF_INIT;
    run(data[0] % 3, text, 0, &whole);
    bool has_starttls =
        span_find(strbuf_span(&whole), SPAN("554"), 0) != SPAN_NPOS; /* depends on the packets, rightly */
    for (size_t i = 0; i + 8 <= text.len && !has_starttls; i++)
        has_starttls = span_istarts(span_skip(text, i), SPAN("STARTTLS"));
    if (has_starttls)
        return 0;
    run(data[0] % 3, text, 1 + data[0] / 3, &pieces);
    CHECK(span_eq(strbuf_span(&whole), strbuf_span(&pieces)));
    return 0;
}
