/*
 * harness.h - IMAP or POP3 sessions in this process, without a network: the contract of net/session.h over two buffers,
 * and a store in a throw-away folder behind it. Everything runs on the calling thread, so what a test sees is exact.
 *
 * A script is text; sessions are named by capital letters and begin at their first line:
 *
 *   A> a1 SELECT INBOX      A sends the line (CRLF is added)
 *   A< * 3 EXISTS           A's next line is this; "~" in it stands for any text, also none
 *   A...                    A's lines are skipped up to the one that the next "A<" wants
 *   A!                      A's connection is closed by the server
 *   # text                  a comment
 *
 * Before a session sends, and at the end, all its lines must have been asked for. In text, \0 \r \n \\ and \xHH are
 * bytes.
 */
#pragma once
#include "net/session.h"
#include "store/mail_app.h"

/* Which protocol the sessions speak: a file beside the tests defines it. */
struct fake_door {
    const struct protocol *gate;
    enum handover_protocol handover;
    enum next (*accept)(struct session *s, const struct handover *h);
};
extern const struct fake_door fake_door;

enum feed {
    FEED_WHOLE,    /* line by line, each whole */
    FEED_BYTES,    /* byte by byte, input() after each */
    FEED_PIPELINED /* what is sent until something is expected comes in one piece */
};

struct world;

/* A store with the account alice@example.test, its INBOX empty. */
struct world *world_new(void);
void world_free(struct world **w);
struct account *world_account(struct world *w); /* borrowed */
/* The store closed, for another process to open, and opened again. No session may be open. */
void world_close(struct world *w);
void world_open(struct world *w);
struct mail_app *world_app(struct world *w);
struct gate_app *world_gate(struct world *w);
void world_add_account(struct world *w, const char *address);
/* Puts a message into a mailbox as a delivery does. */
void world_deliver(struct world *w, const char *mailbox, const char *message);
/* The same, where it may fail. */
enum status world_try_deliver(struct world *w, const char *mailbox, const char *message, struct err *err);

/* Runs a script on sessions that are logged in; fails the test with the script's line. */
void world_play(struct world *w, enum feed how, const char *script);
/* In every way of feeding, each in a new world. */
void play(const char *script);
/* The same on sessions before login. */
void play_gate(const char *script);

/* ---- a single session, for tests that look closer ------------------------------------------------------------- */

struct session *fake_new(struct world *w, bool is_gate);
struct session *fake_new_as(struct world *w, struct span account); /* logged in, as somebody else than alice */
void fake_free(struct session **s);
void fake_send(struct session *s, struct span bytes);
/* All output since the last time, NUL-terminated; valid until the next call. */
const char *fake_take(struct session *s);
bool fake_is_closed(const struct session *s);
void fake_say_goodbye(struct session *s, enum bye why);
void fake_set_tls(struct session *s, bool is_tls);
size_t fake_largest_output(const struct session *s); /* that was ever in the buffer */
/* Called each time the session's output has drained and it is about to produce more: what others do meanwhile. */
void fake_set_between(struct session *s, void (*between)(void *arg), void *arg);
