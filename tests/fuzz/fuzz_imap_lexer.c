/* Every reader of IMAP arguments, in an order that the first bytes choose: it moves on or fails, and never reads
 * beyond. */
#include "fuzz.h"
#include "text/imap_lexer.h"

static enum status read_one(struct imap_args *args, uint8_t which, struct err *err)
{
    struct span s;
    struct seqset *set;
    struct imap_flags flags;
    struct mail_date date;
    uint32_t n;
    uint64_t n64;
    int64_t day;
    bool is_true;
    switch (which % 17) {
    case 0:
        return args_sp(args, err);
    case 1:
        return args_tag(args, &s, err);
    case 2:
        return args_atom(args, &s, err);
    case 3:
        return args_string(args, &s, err);
    case 4:
        return args_astring(args, &s, err);
    case 5:
        return args_nstring(args, &is_true, &s, err);
    case 6:
        return args_number(args, &n, err);
    case 7:
        return args_nz_number(args, &n, err);
    case 8:
        return args_number64(args, &n64, err);
    case 9:
        return args_seqset(args, which, &set, err);
    case 10:
        return args_mailbox(args, &s, err);
    case 11:
        return args_list_mailbox(args, &s, err);
    case 12:
        return args_date(args, &day, err);
    case 13:
        return args_date_time(args, &date, err);
    case 14:
        return args_flags(args, which & 32, &flags, err);
    case 15:
        return args_list_open(args, err);
    default:
        return args_list_next(args, which & 32 ? 1 : 0, &is_true, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { READERS = 8 };
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct err err;
    if (size < READERS)
        return 0;
    struct span text = span_of(data + READERS, size - READERS);
    args_init(&args, &a, text);
    for (int i = 0; i < READERS; i++) {
        size_t before = args.rest.len;
        enum status st = read_one(&args, data[i], &err);
        CHECK(args.rest.len <= before);
        CHECK(!args.rest.len || args.rest.p + args.rest.len == text.p + text.len);
        if (st == ST_OK)
            continue;
        CHECK(err.client[0]);
        for (const char *p = err.client; *p; p++)
            CHECK(*p >= ' ' && *p < 0x7f);
    }
    return 0;
}
