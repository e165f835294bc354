/*
 * fetch.h - a FETCH being carried out: cmd_fetch.c walks the messages, fetch_item.c writes what is known at once,
 * fetch_body.c what is read from the message. Only for src/imap.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_fetch_args.h"

enum {
    FETCH_STREAM_BYTES = 256 * 1024,   /* of a body in one read, which ends at a multiple of it, as the store's chunks do */
    FETCH_SEEN_MESSAGES = 1000,        /* at most so many get \Seen ahead of being sent */
    FETCH_SEEN_BYTES = 4 * 1024 * 1024 /* or messages of this size together */
};

/* Where a section's octets lie in its message. */
struct fetch_octets {
    bool exists; /* else the answer is NIL */
    uint64_t offset, size;
};

/* A walk over the messages of the client's view that a set of uids names. */
struct fetch_cursor {
    const struct view *view;
    const struct seqset *uids;
    size_t range;
    uint32_t seq; /* 0: the range has not been begun */
};

struct fetch_job {
    struct fetch_args what;
    size_t ready_count;     /* items before this index are written at once, those from it on are streamed */
    struct fetch_cursor at;
    unsigned forms;         /* CONTENT_ bits that the items need */
    bool is_view_enough;    /* nothing is read from the store */
    bool has_flags;         /* FLAGS is among the items */
    bool is_missing;        /* content of a message was gone */

    /* The message whose sections are being streamed; NULL: none. */
    const struct view_message *message;
    size_t item;                  /* the section that is sent or comes next */
    struct fetch_octets *octets;  /* of all streamed items */
    uint64_t offset, left;        /* of the literal that has been announced */

    bool sets_seen;
    uint32_t seen_uid;      /* up to here \Seen has been set */
    struct seqset *seen;    /* by this command */
};

/* The sequence number of the next message, 0 at the end; does not move. */
uint32_t fetch_cursor_seq(struct fetch_cursor *c);
void fetch_cursor_advance(struct fetch_cursor *c);

/* fetch_item.c: one item that is written at once, with its label. `forms` are those of job->forms. */
enum status fetch_write_item(struct imap *im, const struct imap_call *call, struct txn *txn, const struct view_message *m,
                             const struct fetch_item *item, const struct content_forms *forms, struct arena *a,
                             struct err *err);
/* The message's flags as the answer shows them. */
uint64_t fetch_flags(const struct fetch_job *job, const struct view_message *m);

/* fetch_body.c */
bool fetch_is_streamed(const struct fetch_item *item);
unsigned fetch_forms_of(const struct fetch_item *item);
/* Where a section is, its partial considered. */
enum status fetch_locate(const struct fetch_item *item, const struct content_forms *forms, struct arena *a,
                         struct fetch_octets *out, struct err *err);
/* HEADER, HEADER.FIELDS and HEADER.FIELDS.NOT, from the stored header or from that of an embedded message. */
enum status fetch_write_header(struct txn *txn, const struct view_message *m, const struct fetch_item *item,
                               const struct content_forms *forms, struct arena *a, struct strbuf *out, struct err *err);
/* Goes on with job->message; job->message is NULL when all its sections are written. A bad status leaves a literal unfinished. */
enum status fetch_stream(struct fetch_job *job, struct txn *txn, struct strbuf *out, struct err *err);
