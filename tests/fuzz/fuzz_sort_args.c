/* Sort criteria, base subjects and message ids (RFC 5256). */
#include "fuzz.h"
#include "text/base_subject.h"
#include "text/imap_sort_args.h"
#include "text/thread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF base = STRBUF_INIT;
    struct span bytes = span_of(data, size), ids[3];
    struct imap_args args;
    struct sort_args sort;
    struct err err;
    args_init(&args, &a, bytes);
    if (sort_args_parse(&args, &sort, &err) == ST_OK)
        CHECK(sort.count > 0 && sort.count <= SORT_KEYS_MAX);
    (void)base_subject(bytes, &base);
    CHECK(base.len <= size);
    CHECK(thread_ids(&a, bytes, ids, 3) <= 3);
    return 0;
}
