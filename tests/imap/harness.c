/*
 * harness.c - plays the scripts of harness.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "harness.h"

enum { PLAYERS = 26 };

struct player {
    struct session *session;
    struct strbuf to_send; /* pipelined */
    struct strbuf received;
    bool may_skip;
};

struct play {
    struct world *world;
    bool is_gate;
    enum feed how;
    unsigned line;
    struct player players[PLAYERS];
};

static void feed(struct play *p, struct player *who, struct span bytes)
{
    if (p->how == FEED_BYTES)
        for (size_t i = 0; i < bytes.len; i++)
            fake_send(who->session, span_slice(bytes, i, i + 1));
    else
        fake_send(who->session, bytes);
    strbuf_add_cstr(&who->received, fake_take(who->session));
}

static void flush(struct play *p)
{
    for (int i = 0; i < PLAYERS; i++)
        if (p->players[i].to_send.len) {
            feed(p, &p->players[i], strbuf_span(&p->players[i].to_send));
            strbuf_clear(&p->players[i].to_send);
        }
    /* What somebody else's command caused. */
    for (int i = 0; i < PLAYERS; i++)
        if (p->players[i].session)
            strbuf_add_cstr(&p->players[i].received, fake_take(p->players[i].session));
}

static struct player *player(struct play *p, char name)
{
    struct player *who = &p->players[name - 'A'];
    if (!who->session) {
        who->session = fake_new(p->world, p->is_gate);
        strbuf_add_cstr(&who->received, fake_take(who->session));
        const char *end = strstr(strbuf_cstr(&who->received), "\r\n");
        assert_non_null(end);
        strbuf_consume(&who->received, (size_t)(end + 2 - who->received.p)); /* the greeting */
    }
    return who;
}

static void unescape(struct span text, struct strbuf *out)
{
    static const char escapes[] = "0rn\\";
    static const char bytes[] = {'\0', '\r', '\n', '\\'};
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.p[i] == '\\' && i + 1 < text.len ? strchr(escapes, text.p[i + 1]) : NULL;
        if (found && *found) {
            strbuf_add_char(out, bytes[found - escapes]);
            i++;
        } else if (text.p[i] == '\\' && i + 3 < text.len && text.p[i + 1] == 'x') {
            const char digits[3] = {text.p[i + 2], text.p[i + 3], '\0'};
            strbuf_add_char(out, (char)strtol(digits, NULL, 16));
            i += 3;
        } else {
            strbuf_add_char(out, text.p[i]);
        }
    }
}

/* "~" is any text. */
static bool matches(const char *pattern, struct span line)
{
    if (*pattern == '~') {
        for (size_t i = 0; i <= line.len; i++)
            if (matches(pattern + 1, span_skip(line, i)))
                return true;
        return false;
    }
    if (!*pattern || !line.len)
        return !*pattern && !line.len;
    return *pattern == line.p[0] && matches(pattern + 1, span_skip(line, 1));
}

static bool take_line(struct player *who, struct strbuf *line)
{
    size_t end = span_find(strbuf_span(&who->received), SPAN("\r\n"), 0);
    strbuf_clear(line);
    if (end == SPAN_NPOS)
        return false;
    strbuf_add(line, span_take(strbuf_span(&who->received), end));
    strbuf_consume(&who->received, end + 2);
    return true;
}

static void expect(struct play *p, struct player *who, const char *wanted)
{
    AUTO_STRBUF line = STRBUF_INIT;
    do {
        if (!take_line(who, &line))
            fail_msg("script line %u (feed %d): expected \"%s\", got nothing", p->line, p->how, wanted);
    } while (who->may_skip && !matches(wanted, strbuf_span(&line)));
    who->may_skip = false;
    if (!matches(wanted, strbuf_span(&line)))
        fail_msg("script line %u (feed %d):\n  expected \"%s\"\n  got      \"%s\"", p->line, p->how, wanted,
                 strbuf_cstr(&line));
}

static void expect_nothing(const struct play *p, const struct player *who)
{
    if (who->received.len)
        fail_msg("script line %u (feed %d): nobody expected \"%s\"", p->line, p->how, strbuf_cstr(&who->received));
}

static void play_line(struct play *p, struct span line)
{
    if (line.len < 2 || line.p[0] == '#')
        return;
    struct player *who = player(p, line.p[0]);
    AUTO_STRBUF text = STRBUF_INIT;
    unescape(span_skip(line, 3), &text);
    switch (line.p[1]) {
    case '>':
        strbuf_add_cstr(&text, "\r\n");
        if (p->how == FEED_PIPELINED) {
            strbuf_add(&who->to_send, strbuf_span(&text));
            break;
        }
        flush(p);
        expect_nothing(p, who);
        feed(p, who, strbuf_span(&text));
        break;
    case '<':
        flush(p);
        strbuf_clear(&text);
        strbuf_add(&text, span_skip(line, 3));
        expect(p, who, strbuf_cstr(&text));
        break;
    case '.':
        who->may_skip = true;
        break;
    case '!':
        flush(p);
        assert_true(fake_is_closed(who->session));
        break;
    default:
        fail_msg("script line %u is no line of a script", p->line);
    }
}

static void play_in(struct world *w, bool is_gate, enum feed how, const char *script)
{
    struct play p = {.world = w, .is_gate = is_gate, .how = how};
    struct span rest = span_cstr(script), line;
    while (rest.len) {
        p.line++;
        span_cut(&rest, '\n', &line);
        play_line(&p, line);
    }
    flush(&p);
    for (int i = 0; i < PLAYERS; i++) {
        expect_nothing(&p, &p.players[i]);
        fake_free(&p.players[i].session);
        strbuf_free(&p.players[i].to_send);
        strbuf_free(&p.players[i].received);
    }
}

void world_play(struct world *w, enum feed how, const char *script)
{
    play_in(w, false, how, script);
}

static void play_all(bool is_gate, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        play_in(w, is_gate, (enum feed)how, script);
        world_free(&w);
    }
}

void play(const char *script)
{
    play_all(false, script);
}

void play_gate(const char *script)
{
    play_all(true, script);
}
