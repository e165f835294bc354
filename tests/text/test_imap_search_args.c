/* Tests of text/imap_search_args.h. */
#include "check.h"
#include "text/imap_search_args.h"

static enum status parse(struct arena *a, struct span text, struct search_args *out, struct err *err)
{
    struct imap_args args;
    args_init(&args, a, text);
    struct seqset *saved = seqset_new(a);
    seqset_add(a, saved, 7, 9);
    args.saved = saved;
    return search_args_parse(&args, (struct search_last){10, 100, NULL, COMPARATOR_UNICODE_CASEMAP}, ~0u, out, err);
}

static const char *const names[] = {
    [SEARCH_ALL] = "all",
    [SEARCH_AND] = "and",
    [SEARCH_OR] = "or",
    [SEARCH_SEQ] = "seq",
    [SEARCH_UID] = "uid",
    [SEARCH_FLAGS] = "flags",
    [SEARCH_KEYWORD] = "keyword",
    [SEARCH_RECENT] = "recent",
    [SEARCH_LARGER] = "larger",
    [SEARCH_SMALLER] = "smaller",
    [SEARCH_BEFORE] = "before",
    [SEARCH_ON] = "on",
    [SEARCH_SINCE] = "since",
    [SEARCH_MODSEQ] = "modseq",
    [SEARCH_SAVEDBEFORE] = "savedbefore",
    [SEARCH_SAVEDON] = "savedon",
    [SEARCH_SAVEDSINCE] = "savedsince",
    [SEARCH_EMAILID] = "emailid",
    [SEARCH_THREADID] = "threadid",
    [SEARCH_SENTBEFORE] = "sentbefore",
    [SEARCH_SENTON] = "senton",
    [SEARCH_SENTSINCE] = "sentsince",
    [SEARCH_HEADER] = "header",
    [SEARCH_BODY] = "body",
    [SEARCH_TEXT] = "text",
    [SEARCH_OLDER] = "older",
    [SEARCH_YOUNGER] = "younger",
};

/* The tree as text: (and !flags:1 header:From=x). */
static void show(const struct search_key *k, struct strbuf *out)
{
    if (k->is_negated)
        strbuf_add_char(out, '!');
    if (k->child)
        strbuf_add_char(out, '(');
    if (k->is_fuzzy)
        strbuf_add_char(out, '~');
    strbuf_add_cstr(out, names[k->kind]);
    if (k->name.len)
        strbuf_addf(out, ":%.*s", SPAN_ARG(k->name));
    if (k->kind >= SEARCH_HEADER)
        strbuf_addf(out, "=%.*s", SPAN_ARG(k->text));
    if (k->number)
        strbuf_addf(out, ":%llu", (unsigned long long)k->number);
    if (k->day)
        strbuf_addf(out, ":%lld", (long long)k->day);
    if (k->set) {
        strbuf_add_char(out, ':');
        seqset_write(k->set, out);
    }
    for (const struct search_key *c = k->child; c; c = c->next) {
        strbuf_add_char(out, ' ');
        show(c, out);
    }
    if (k->child)
        strbuf_add_char(out, ')');
}

static void programs(void **state)
{
    (void)state;
    static const struct {
        const char *in, *tree; /* tree NULL: ST_SYNTAX */
    } rows[] = {
        {"ALL", "(and all)"},
        {"all", "(and all)"},
        {"ANSWERED DELETED DRAFT FLAGGED SEEN", "(and flags:2 flags:8 flags:16 flags:4 flags:1)"},
        {"UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN", "(and !flags:2 !flags:8 !flags:16 !flags:4 !flags:1)"},
        {"NEW", "(and (and recent !flags:1))"},
        {"OLD", "(and !recent)"},
        {"NOT OLD", "(and recent)"},
        {"NOT NOT NOT SEEN", "(and !flags:1)"},
        {"NOT NEW", "(and !(and recent !flags:1))"},
        {"1,3:*", "(and seq:1,3:10)"},
        {"*", "(and seq:10)"},
        {"UID 50:*", "(and uid:50:100)"},
        {"UID *", "(and uid:100)"},
        {"NOT 1:3", "(and !seq:1:3)"},
        {"KEYWORD $Forwarded UNKEYWORD Junk", "(and keyword:$Forwarded !keyword:Junk)"},
        {"LARGER 10 SMALLER 4294967295", "(and larger:10 smaller:4294967295)"},
        {"BEFORE 1-Feb-1994 ON 01-Feb-1994 SINCE \"1-Feb-1994\"", "(and before:8797 on:8797 since:8797)"},
        {"SENTBEFORE 1-Feb-1994 SENTON 1-Feb-1994 SENTSINCE 1-Feb-1994",
         "(and sentbefore:8797 senton:8797 sentsince:8797)"},
        {"OLDER 60 YOUNGER 3600", "(and older:60 younger:3600)"},
        {"$", "(and uid:7:9)"},
        {"UID $ OR $ 1", "(and uid:7:9 (or uid:7:9 seq:1))"},
        {"FUZZY SUBJECT x TEXT y", "(and ~header:Subject=X text=Y)"},
        {"FUZZY (BODY x NOT FROM y SEEN) FUZZY FUZZY TO z", "(and ~header:To=Z (and flags:1 !~header:From=Y ~body=X))"},
        {"OLDER 0", NULL},
        {"OLDER -1", NULL},
        {"FUZZY", NULL},
        {"$1", NULL},
        {"FROM x TO y CC z BCC \"\" SUBJECT {3}\r\nA b",
         "(and header:From=X header:To=Y header:Cc=Z header:Bcc= header:Subject=A B)"},
        {"HEADER X-Y \"Z\"", "(and header:X-Y=Z)"},
        {"HEADER \"Message-ID\" {0}\r\n SEEN", "(and flags:1 header:Message-ID=)"},
        {"MODSEQ 620162338", "(and modseq:620162338)"}, /* RFC 7162 §3.1.5 */
        {"MODSEQ \"/flags/\\\\draft\" all 620162338", "(and modseq:620162338)"},
        {"MODSEQ \"/flags/x\" 1", NULL},
        {"MODSEQ \"/color\" all 1", NULL},
        {"MODSEQ", NULL},
        {"SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 SAVEDSINCE 1-Feb-1994", /* RFC 8514 §4.3 */
         "(and savedbefore:8797 savedon:8797 savedsince:8797)"},
        {"EMAILID M1-a_B THREADID T1", "(and emailid threadid)"}, /* RFC 8474 §6 */
        {"EMAILID M.1", NULL},
        {"THREADID \"T1\"", NULL},
        {"OR SEEN FLAGGED", "(and (or flags:1 flags:4))"},
        {"OR (SEEN 1) NOT OR 2 3", "(and (or (and flags:1 seq:1) !(or seq:2 seq:3)))"},
        {"(ALL)", "(and (and all))"},
        {"((1) (2 3))", "(and (and (and seq:1) (and seq:2 seq:3)))"},
        /* the cheap ones first */
        {"BODY a SUBJECT b SEEN TEXT c FROM d 1", "(and flags:1 seq:1 header:Subject=B header:From=D body=A text=C)"},
        {"OR BODY a SEEN LARGER 1", "(and larger:1 (or flags:1 body=A))"},
        {"(BODY a) SUBJECT b", "(and header:Subject=B (and body=A))"},
        /* charsets */
        {"CHARSET UTF-8 SUBJECT \"Gr\xc3\x9f\"", "(and header:Subject=GR\xc3\x9f)"},
        {"CHARSET ISO-8859-1 SUBJECT {1}\r\n\xc4", "(and header:Subject=A\xcc\x88)"},
        {"CHARSET US-ASCII ALL", "(and all)"},
        {"SUBJECT \"\xc3\x84\"", "(and header:Subject=A\xcc\x88)"},
        {"FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
         "(and flags:4 since:8797 !header:From=SMITH)"}, /* RFC 3501 §6.4.4 */
        {"", NULL},
        {" ALL", NULL},
        {"ALL ", NULL},
        {"ALL  ALL", NULL},
        {"()", NULL},
        {"(ALL", NULL},
        {"ALL)", NULL},
        {"NOT", NULL},
        {"OR SEEN", NULL},
        {"OR SEEN ", NULL},
        {"SUBJECT", NULL},
        {"HEADER X", NULL},
        {"KEYWORD \\Seen", NULL},
        {"LARGER -1", NULL},
        {"LARGER 4294967296", NULL},
        {"BEFORE 31-Foo-1994", NULL},
        {"UID x", NULL},
        {"0", NULL},
        {"SEENX", NULL},
        {"CHARSET UTF-8", NULL},
        {"ALL CHARSET UTF-8", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF tree = STRBUF_INIT;
        struct search_args s;
        struct err err;
        enum status st = parse(&a, span_cstr(rows[i].in), &s, &err);
        if (st != (rows[i].tree ? ST_OK : ST_SYNTAX))
            fail_msg("%s: %s", rows[i].in, status_name(st));
        if (st != ST_OK)
            continue;
        show(s.root, &tree);
        check_span(rows[i].in, strbuf_span(&tree), span_cstr(rows[i].tree));
    }
}

static void unknown_charset(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct search_args s;
    struct err err;
    assert_int_equal(parse(&a, SPAN("CHARSET X-KLINGON ALL"), &s, &err), ST_UNSUPPORTED);
}

static enum status repeated(const char *before, const char *piece, int count, const char *after)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct search_args s;
    struct err err;
    strbuf_add_cstr(&text, before);
    for (int i = 0; i < count; i++)
        strbuf_add_cstr(&text, piece);
    strbuf_add_cstr(&text, after);
    return parse(&a, strbuf_span(&text), &s, &err);
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(repeated("", "NOT ", SEARCH_DEPTH_MAX - 1, "SEEN"), ST_OK);
    assert_int_equal(repeated("", "NOT ", SEARCH_DEPTH_MAX, "SEEN"), ST_LIMIT);
    assert_int_equal(repeated("", "OR 1 ", SEARCH_DEPTH_MAX - 1, "SEEN"), ST_OK);
    assert_int_equal(repeated("", "(", 1000000, ""), ST_LIMIT);
    assert_int_equal(repeated("SEEN", " SEEN", SEARCH_KEYS_MAX - 2, ""), ST_OK);
    assert_int_equal(repeated("SEEN", " SEEN", SEARCH_KEYS_MAX, ""), ST_LIMIT);
    assert_int_equal(repeated("TEXT x", " TEXT x", SEARCH_TEXTS_MAX - 1, ""), ST_OK);
    assert_int_equal(repeated("TEXT x", " TEXT x", SEARCH_TEXTS_MAX, ""), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs),
        cmocka_unit_test(unknown_charset),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
