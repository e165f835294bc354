/* Tests of text/base_subject.h and text/thread.h (RFC 5256). */
#include "check.h"
#include "text/base_subject.h"
#include "text/thread.h"

static void base_subjects(void **state)
{
    (void)state;
    static const struct {
        const char *in, *base;
        bool is_reply;
    } rows[] = {
        {"", "", false},
        {"Hello", "Hello", false},
        {"  Hello \t world ", "Hello world", false},
        {"Re: Hello", "Hello", true},
        {"RE:re: fw: Fwd:Hello", "Hello", true},
        {"Re : Hello", "Hello", true},
        {"Re", "Re", false},
        {"Regarding: x", "Regarding: x", false},
        {"Re[2]: Hello", "Hello", true},
        {"Fwd [list] : Hello", "Hello", true},
        {"Re[2: Hello", "Re[2: Hello", false},
        {"[list] Hello", "Hello", false},
        {"[a][b] Re: [c] Hello", "Hello", true},
        {"[list]", "[list]", false}, /* step 4: not to nothing */
        {"Re: [list]", "[list]", true},
        {"[a] [b]", "[b]", false},
        {"Hello (fwd)", "Hello", true},
        {"Hello (FWD) (fwd) ", "Hello", true},
        {"(fwd)", "", true},
        {"[Fwd: Hello]", "Hello", true},
        {"[fwd: Re: [list] Hello (fwd)]", "Hello", true},
        {"Re: [fwd: [Fwd: Hello]]", "Hello", true},
        {"[fwd: Hello", "[fwd: Hello", false},
        {"Re: ", "", true},
        {"Re:Re:", "", true},
        {"AW: Hallo", "AW: Hallo", false}, /* the RFC knows no other language */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        bool is_reply = base_subject(span_cstr(rows[i].in), &out);
        check_span(rows[i].in, strbuf_span(&out), span_cstr(rows[i].base));
        if (is_reply != rows[i].is_reply)
            fail_msg("%s: %d", rows[i].in, is_reply);
    }
}

static void message_ids(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t max;
        const char *ids;
    } rows[] = {
        {"<a@b>", 9, "a@b "},
        {"<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>", 9, "01KF8JCEOCBS0045PS@xxx.yyy.com "}, /* RFC 5256 */
        {" <a@b>\r\n\t<c@d><e@f> ", 9, "a@b c@d e@f "},
        {"<a@b> <c@d> <e@f>", 2, "c@d e@f "},
        {"Your message of Monday <a@b> \"x\" <y>", 9, "a@b "},
        {"<a b@c>", 9, "ab@c "},
        {"<@b> <> <a@b", 9, ""},
        {"<<a@b>", 9, "a@b "},
        {"a@b", 9, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct span ids[9];
        size_t n = thread_ids(&a, span_cstr(rows[i].in), ids, rows[i].max);
        for (size_t k = 0; k < n; k++)
            strbuf_addf(&out, "%.*s ", SPAN_ARG(ids[k]));
        check_span(rows[i].in, strbuf_span(&out), span_cstr(rows[i].ids));
    }
}

/* "number date subject id reference,reference": subjects that begin with "re" are replies. */
static size_t read_list(struct arena *a, const char *text, struct thread_message *list)
{
    size_t count = 0;
    struct span rest = span_cstr(text), line, field[5];
    while (span_cut(&rest, '\n', &line) || line.len) {
        for (int i = 0; i < 5; i++)
            span_cut(&line, ' ', &field[i]);
        struct thread_message *m = &list[count++];
        uint64_t number, date;
        assert_true(span_to_u64(field[0], 1000, &number) && span_to_u64(field[1], 1000, &date));
        *m = (struct thread_message){.number = (uint32_t)number, .date = (int64_t)date, .id = field[3]};
        AUTO_STRBUF base = STRBUF_INIT;
        m->is_reply = base_subject(field[2], &base);
        m->subject = arena_strbuf(a, &base);
        m->references = arena_array(a, 10, sizeof *m->references);
        for (struct span refs = field[4], one; refs.len;) {
            span_cut(&refs, ',', &one);
            m->references[m->reference_count++] = one;
        }
    }
    return count;
}

static void threads(void **state)
{
    (void)state;
    static const struct {
        const char *list, *by_subject, *by_references;
    } rows[] = {
        {"", "", ""},
        {"1 5 a i1 ", "(1)", "(1)"},
        /* a straight thread, and one beside it */
        {"1 1 a i1 \n2 2 re:a i2 i1\n3 3 b i3 \n4 4 re:a i4 i1,i2", "(1 (2)(4))(3)", "(1 2 4)(3)"},
        /* it branches; siblings by date */
        {"1 1 a i1 \n2 9 re:a i2 i1\n3 3 re:a i3 i1\n4 4 re:a i4 i1,i3", "(1 (3)(4)(2))", "(1 (3 4)(2))"},
        /* the parent is missing: a dummy with one child goes, with two it stays */
        {"1 1 a i1 gone", "(1)", "(1)"},
        {"1 1 a i1 gone\n2 2 b i2 gone", "(1)(2)", "((1)(2))"},
        /* a missing one in the middle is left out */
        {"1 1 a i1 \n2 2 b i2 i1,gone", "(1)(2)", "(1 2)"},
        {"1 1 a i1 gone1,gone2\n2 2 b i2 gone1,gone3", "(1)(2)", "((1)(2))"},
        /* loops are not made */
        {"1 1 a i1 i2\n2 2 b i2 i1", "(1)(2)", "(2 1)"},
        {"1 1 a i1 i1", "(1)", "(1)"},
        {"1 1 a i1 i3\n2 2 b i2 i1\n3 3 c i3 i2", "(1)(2)(3)", "(3 1 2)"},
        /* the second of one id is another message */
        {"1 1 a i1 \n2 2 b i1 \n3 3 c i3 i1", "(1)(2)(3)", "(1 3)(2)"},
        /* no ids: by subject, a reply under what it replies to */
        {"1 1 a  \n2 2 re:a  ", "(1 2)", "(1 2)"},
        {"1 2 a  \n2 1 re:a  ", "(2 1)", "(1 2)"},
        {"1 1 a  \n2 2 a  ", "(1 2)", "((1)(2))"},
        {"1 1 re:a  \n2 2 re:a  ", "(1 2)", "((1)(2))"},
        {"1 1   \n2 2   ", "(1 2)", "(1)(2)"}, /* empty subjects are not gathered */
        /* two threads without their beginnings and of one subject become one */
        {"1 1 re:a i1 x\n2 2 re:a i2 x\n3 3 re:a i3 y\n4 4 re:a i4 y", "(1 (2)(3)(4))", "((1)(2)(3)(4))"},
        /* equal dates: as in the mailbox */
        {"3 1 a i1 \n1 1 b i2 \n2 1 c i3 ", "(3)(1)(2)", "(3)(1)(2)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct thread_message list[10];
        size_t count = read_list(&a, rows[i].list, list);
        thread_by_subject(&a, list, count, &out);
        check_span(rows[i].list, strbuf_span(&out), span_cstr(rows[i].by_subject));
        strbuf_clear(&out);
        thread_by_references(&a, list, count, &out);
        check_span(rows[i].list, strbuf_span(&out), span_cstr(rows[i].by_references));
    }
}

/* Each message once, however deep. */
static void deep(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    struct thread_message *list = arena_array(&a, DEPTH, sizeof *list);
    for (uint32_t i = 0; i < DEPTH; i++) {
        list[i] = (struct thread_message){.number = i + 1, .date = i, .id = arena_printf(&a, "m%u@x", i)};
        list[i].references = arena_alloc(&a, sizeof(struct span));
        list[i].references[0] = i ? list[i - 1].id : SPAN_NONE;
        list[i].reference_count = i ? 1 : 0;
    }
    thread_by_references(&a, list, DEPTH, &out);
    assert_true(span_starts(strbuf_span(&out), SPAN("(1 2 3 ")) && span_ends(strbuf_span(&out), SPAN(" 20000)")));
    size_t spaces = 0;
    for (size_t i = 0; i < out.len; i++)
        spaces += out.p[i] == ' ';
    assert_int_equal(spaces, DEPTH - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_subjects),
        cmocka_unit_test(message_ids),
        cmocka_unit_test(threads),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
