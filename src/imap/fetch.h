/*
 * fetch.h - a FETCH being carried out: cmd_fetch.c walks the messages, fetch_item.c writes what is known at once,
 * fetch_body.c what is read from the message. Only for src/imap.
 */
#pragma once
#include "imap/session.h"
#include "store/section.h"
#include "text/codec.h"
#include "text/imap_fetch_args.h"

enum {
    FETCH_READY_BYTES_MAX = 16 * 1024 * 1024, /* of all that is written at once for a message */
    FETCH_SEEN_MESSAGES = 1000,               /* at most so many get \Seen ahead of being sent */
    FETCH_SEEN_BYTES = 4 * 1024 * 1024        /* or messages of this size together */
};

/* Where a section's octets lie in its message. */
struct fetch_octets {
    bool exists; /* else the answer is NIL */
    uint64_t offset, size;
    /* Of BINARY, where a transfer encoding is taken away: `size` is what is left of it then, behind `skip` octets. */
    enum mime_encoding encoding;
    uint64_t encoded_size, skip;
    bool has_nul;   /* of BINARY: a literal8 */
    uint64_t lines; /* line ends in it */
};

/* A part's octets without their transfer encoding, read a piece at a time (fetch_binary.c). Zeroed, then `octets`. */
struct fetch_decoding {
    struct fetch_octets octets;
    uint64_t done; /* encoded octets read */
    uint64_t skipped;
    bool is_ended;
    struct base64_decoder base64;
    struct qp_decoder qp;
};

struct fetch_job;

/* A message that is being answered, and what of it has been read. */
struct fetch_source {
    const struct fetch_job *job;
    struct txn *txn;
    const struct view_message *message;
    struct arena *arena;
    struct span object_name;    /* of the mailbox's account; where the items want it */
    struct content_forms forms; /* those of job->forms */
    struct mime_message parts;  /* where the forms have CONTENT_PARTS */
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
    size_t ready_count; /* items before this index are written at once, those from it on are streamed */
    struct fetch_cursor at;
    unsigned forms;      /* CONTENT_ bits that the items need */
    bool is_view_enough; /* nothing is read from the store */
    bool has_flags;      /* FLAGS is among the items */
    bool is_missing;     /* content of a message was gone */

    /* The message whose sections are being streamed; NULL: none. */
    const struct view_message *message;
    const char *end;             /* what comes behind the last section */
    size_t item;                 /* the section that is sent or comes next */
    struct fetch_octets *octets; /* of all streamed items */
    uint64_t offset, left;       /* of the literal that has been announced */
    bool is_decoding;            /* it is BINARY's */
    struct fetch_decoding decoding;

    struct account *pinned_in; /* where a message larger than one read is being sent: it stays (content_pin) */
    content_id pinned;
    struct span object_name;       /* of the mailbox's account; for EMAILID and THREADID */
    const struct seqset *vanished; /* told before the first message, from this range on; NULL: nothing */
    size_t vanished_at;

    bool sets_seen;
    uint32_t seen_uid;    /* up to here \Seen has been set */
    struct seqset *seen;  /* by this command */
    uint64_t seen_modseq; /* which those have got that were set last */
};

/* Has the call answer with UID, FLAGS and MODSEQ of these messages of the client's view, behind VANISHED (EARLIER). */
enum status fetch_changes(struct imap *im, struct imap_call *call, const struct seqset *uids,
                          const struct seqset *vanished, struct err *err);

/* An answer was begun and cannot be finished: the only honest thing left is to end the session. */
void fetch_hang_up(struct imap *im, struct imap_call *call, const struct err *err);

/* A FETCH that no command asked for: these items of these messages of the client's view, in steps;
 * \Seen stays as it is. The job lives in the call's arena; NULL may be released. */
enum status fetch_job_begin(struct imap *im, struct imap_call *call, const struct fetch_args *what,
                            const struct seqset *uids, struct fetch_job **out, struct err *err);
enum status fetch_job_step(struct imap *im, struct imap_call *call, struct fetch_job *job, bool *is_done,
                           struct err *err);
void fetch_job_release(struct fetch_job *job);

/* The sequence number of the next message, 0 at the end; does not move. */
uint32_t fetch_cursor_seq(struct fetch_cursor *c);
void fetch_cursor_advance(struct fetch_cursor *c);

/* The message's flags as the answer shows them. */
uint64_t fetch_flags(const struct fetch_job *job, const struct view_message *m);
/* The message's modseq as the answer shows it: with what this FETCH has changed. */
uint64_t fetch_modseq(const struct imap *im, const struct fetch_job *job, const struct view_message *m);
/* fetch_item.c: one item that is written at once, with its label. */
enum status fetch_write_item(struct imap *im, const struct imap_call *call, const struct fetch_source *src,
                             const struct fetch_item *item, struct err *err);

/* fetch_body.c */
bool fetch_is_streamed(const struct fetch_item *item);
unsigned fetch_forms_of(const struct fetch_item *item);
/* Reads the forms; ST_NOTFOUND: the content is gone. */
enum status fetch_source_load(struct fetch_source *src, unsigned forms, struct err *err);
/* Where a section is, its partial considered. BINARY: ST_UNSUPPORTED where the encoding is unknown. */
enum status fetch_locate(const struct fetch_source *src, const struct fetch_item *item, struct fetch_octets *out,
                         struct err *err);
/* The same without the partial, and for any item with a section as if it were BODY[…]. */
struct fetch_octets fetch_locate_whole(const struct fetch_source *src, const struct fetch_item *item);

/* fetch_binary.c (RFC 3516) */
/* As fetch_locate(), for FETCH_BINARY and FETCH_BINARY_SIZE. Reads as much as is needed to know the size. */
enum status fetch_locate_binary(const struct fetch_source *src, const struct fetch_item *item, struct fetch_octets *out,
                                struct err *err);
/* Appends what the next piece gives, at most `most` octets; ST_IO where the content ends before the section does. */
enum status fetch_decode_piece(struct fetch_decoding *d, struct txn *txn, content_id content, uint64_t most,
                               struct strbuf *out, struct err *err);
/* HEADER.FIELDS and HEADER.FIELDS.NOT, of the message or of one that is embedded. */
enum status fetch_write_fields(const struct fetch_source *src, const struct fetch_item *item, struct strbuf *out,
                               struct err *err);
/* Goes on with job->message; job->message is NULL when all its sections are written. A bad status leaves a literal
 * unfinished. */
enum status fetch_stream(struct fetch_job *job, struct txn *txn, struct strbuf *out, struct err *err);
