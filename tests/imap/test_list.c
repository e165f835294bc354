/* LIST with selection and return options, after the examples of RFC 5258 §5 (RFC 9051 §6.3.9.8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

#define MAKE(name)                                                                                                     \
    "A> m CREATE " name "\n"                                                                                           \
    "A< m OK ~\n"
#define SUBSCRIBE(name)                                                                                                \
    "A> s SUBSCRIBE " name "\n"                                                                                        \
    "A< s OK ~\n"
/* What every account begins with is not in these lists. */
#define FORGET(name)                                                                                                   \
    "A> u UNSUBSCRIBE " name "\n"                                                                                      \
    "A< u OK ~\n"
#define FORGET_ALL FORGET("INBOX") FORGET("Drafts") FORGET("Sent") FORGET("Junk") FORGET("Trash") FORGET("Archive")
#define FRUIT                                                                                                          \
    MAKE("Fruit/Apple")                                                                                                \
    MAKE("Fruit/Banana")                                                                                               \
    MAKE("Tofu")                                                                                                       \
    MAKE("Vegetable/Broccoli") MAKE("Vegetable/Corn") FORGET_ALL SUBSCRIBE("inbox") SUBSCRIBE("Fruit/Banana")          \
        SUBSCRIBE("Fruit/Peach") SUBSCRIBE("Vegetable") SUBSCRIBE("Vegetable/Broccoli")

/* Examples 2, 3 and 6. */
static void subscribed(void **state)
{
    (void)state;
    play(FRUIT "A> a2 LIST (SUBSCRIBED) \"\" \"*\"\n"
               "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"INBOX\"\n"
               "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"Fruit/Banana\"\n"
               "A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" \"Fruit/Peach\"\n"
               "A< * LIST (\\HasChildren \\Subscribed) \"/\" \"Vegetable\"\n"
               "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"Vegetable/Broccoli\"\n"
               "A< a2 OK LIST completed\n"
               "A> a3 LIST () \"\" (\"Tofu\" \"F%\" Veg%) RETURN (CHILDREN)\n"
               "A< * LIST (\\HasChildren) \"/\" \"Fruit\"\n"
               "A< * LIST (\\HasNoChildren) \"/\" \"Tofu\"\n"
               "A< * LIST (\\HasChildren) \"/\" \"Vegetable\"\n"
               "A< a3 OK ~\n"
               "A> a6 LIST (REMOTE) \"\" (INBOX Fruit* *Fruit/P*) RETURN (SUBSCRIBED)\n"
               "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"INBOX\"\n"
               "A< * LIST (\\HasChildren) \"/\" \"Fruit\"\n"
               "A< * LIST (\\HasNoChildren) \"/\" \"Fruit/Apple\"\n"
               "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"Fruit/Banana\"\n"
               "A< a6 OK ~\n"
               /* without options it is as it always was */
               "A> a7 LIST \"\" Fruit%\n"
               "A< * LIST (\\HasChildren) \"/\" \"Fruit\"\n"
               "A< a7 OK ~\n");
}

/* Example 8, in its variants. */
static void recursive(void **state)
{
    (void)state;
    play(MAKE("Foo/Bar") MAKE("Foo/Baz") MAKE("Moo") FORGET_ALL SUBSCRIBE(
        "Foo/Baz") "A> c2 LIST (SUBSCRIBED) \"\" \"%\"\n"
                   "A< c2 OK ~\n"
                   "A> c4 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"\n"
                   "A< * LIST (\\HasChildren) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                   "A< c4 OK ~\n" SUBSCRIBE("Foo") /* A1 */
         "A> c5 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"\n"
         "A< * LIST (\\HasChildren \\Subscribed) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
         "A< c5 OK ~\n" FORGET("Foo/Baz") SUBSCRIBE("Moo") /* C */
         "A> c6 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\" RETURN (CHILDREN)\n"
         "A< * LIST (\\HasChildren \\Subscribed) \"/\" \"Foo\"\n"
         "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"Moo\"\n"
         "A< c6 OK ~\n" FORGET("Foo") FORGET("Moo") /* B */
         "A> c7 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"\n"
         "A< c7 OK ~\n"
         "A> c8 LIST (RECURSIVEMATCH) \"\" \"%\"\n"
         "A< c8 BAD ~\n");
    /* A2, and example 10: what is subscribed below does not exist, or nothing above it. */
    play(FORGET_ALL SUBSCRIBE("Foo/Baz") MAKE("one") SUBSCRIBE(
        "one/two/three") "A> c4 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"\n"
                         "A< * LIST (\\NonExistent \\HasNoChildren) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                         "A< * LIST (\\HasNoChildren) \"/\" \"one\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                         "A< c4 OK ~\n"
                         "A> c5 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" one/%\n"
                         "A< * LIST (\\NonExistent \\HasNoChildren) \"/\" \"one/two\" (\"CHILDINFO\" "
                         "(\"SUBSCRIBED\"))\n"
                         "A< c5 OK ~\n"
                         /* what leads to nothing that exists is not listed itself */
                         "A> c6 LIST \"\" (Foo% one%) RETURN (SUBSCRIBED)\n"
                         "A< * LIST (\\HasNoChildren) \"/\" \"one\"\n"
                         "A< c6 OK ~\n");
}

/* Example 9. */
static void recursive_and_patterns(void **state)
{
    (void)state;
    play(MAKE("foo2/bar1") MAKE("foo2/bar2") MAKE("baz2/bar2") MAKE("baz2/bar22") MAKE("baz2/bar222") MAKE(
        "eps2/mamba") FORGET_ALL SUBSCRIBE("foo2/bar1") SUBSCRIBE("foo2/bar2") SUBSCRIBE("baz2/bar2")
             SUBSCRIBE("baz2/bar22") SUBSCRIBE("baz2/bar222") SUBSCRIBE("eps2") SUBSCRIBE("eps2/mamba") SUBSCRIBE(
                 "qux2/bar2") "A> d3 LIST (RECURSIVEMATCH SUBSCRIBED) \"\" \"*2\"\n"
                              "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"baz2/bar2\"\n"
                              "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"baz2/bar22\"\n"
                              "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"baz2/bar222\"\n"
                              "A< * LIST (\\HasChildren \\Subscribed) \"/\" \"eps2\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                              "A< * LIST (\\HasChildren) \"/\" \"foo2\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                              "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"foo2/bar2\"\n"
                              "A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" \"qux2/bar2\"\n"
                              "A< d3 OK ~\n");
}

/* RFC 6154 §2, §5.2, alone and with other criteria. */
static void special_use(void **state)
{
    (void)state;
    play("A> m CREATE work/sent (USE (\\Sent))\n"
         "A< m OK ~\n"
         "A> a1 LIST (SPECIAL-USE) \"\" (INBOX Sent work*)\n"
         "A< * LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"\n"
         "A< * LIST (\\HasNoChildren \\Sent) \"/\" \"work/sent\"\n"
         "A< a1 OK ~\n"
         "A> a2 LIST (SPECIAL-USE RECURSIVEMATCH) \"\" (INBOX work)\n"
         "A< * LIST (\\HasChildren) \"/\" \"work\" (\"CHILDINFO\" (\"SPECIAL-USE\"))\n"
         "A< a2 OK ~\n" FORGET("Sent") SUBSCRIBE(
             "work/sent") "A> a3 LIST (SPECIAL-USE SUBSCRIBED) \"\" (INBOX Sent work*)\n"
                          "A< * LIST (\\HasNoChildren \\Subscribed \\Sent) \"/\" \"work/sent\"\n"
                          "A< a3 OK ~\n"
                          "A> a4 LIST (SPECIAL-USE RECURSIVEMATCH SUBSCRIBED) \"\" work\n"
                          "A< * LIST (\\HasChildren) \"/\" \"work\" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))\n"
                          "A< a4 OK ~\n");
}

/* RFC 5819, RFC 8440: what cannot be selected, or is there for its children only, has no STATUS. */
static void with_status(void **state)
{
    (void)state;
    play(MAKE("bar/below") "A> m DELETE bar\n"
                           "A< m OK ~\n"
                           "A> m APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
                           "A< m OK ~\n" FORGET_ALL SUBSCRIBE("INBOX")
                               SUBSCRIBE("bar/below") "A> a1 LIST \"\" (INBOX bar) RETURN (STATUS (MESSAGES UNSEEN))\n"
                                                      "A< * LIST (\\HasNoChildren) \"/\" \"INBOX\"\n"
                                                      "A< * STATUS \"INBOX\" (MESSAGES 1 UNSEEN 1)\n"
                                                      "A< * LIST (\\Noselect \\HasChildren) \"/\" \"bar\"\n"
                                                      "A< a1 OK ~\n"
                                                      "A> a2 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS "
                                                      "(MESSAGES) MYRIGHTS)\n"
                                                      "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" \"INBOX\"\n"
                                                      "A< * MYRIGHTS \"INBOX\" lrswipkxtecda\n"
                                                      "A< * STATUS \"INBOX\" (MESSAGES 1)\n"
                                                      "A< * LIST (\\Noselect \\HasChildren) \"/\" \"bar\" "
                                                      "(\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
                                                      "A< a2 OK ~\n"
                                                      "A> a3 LIST \"\" INBOX RETURN (STATUS (NONSENSE))\n"
                                                      "A< a3 BAD ~\n"
                                                      "A> a4 LIST \"\" INBOX RETURN (STATUS ())\n"
                                                      "A< a4 BAD ~\n"
                                                      /* RFC 7162 §3.1: asking for modseqs enables them, here too */
                                                      "A> a5 SELECT INBOX\n"
                                                      "A...\n"
                                                      "A< a5 OK ~\n"
                                                      "A> a6 LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))\n"
                                                      "A< * OK [HIGHESTMODSEQ ~] ~\n"
                                                      "A< * LIST (\\HasNoChildren) \"/\" \"INBOX\"\n"
                                                      "A< * STATUS \"INBOX\" (HIGHESTMODSEQ ~)\n"
                                                      "A< a6 OK ~\n");
}

/* RFC 5258 §3: an empty pattern is nothing special in an extended LIST; a name is told once, whatever matches it. */
static void patterns(void **state)
{
    (void)state;
    play("A> a1 LIST \"\" (\"\" \"\")\n"
         "A< a1 OK ~\n"
         "A> a2 LIST () \"\" \"\"\n"
         "A< a2 OK ~\n"
         "A> a3 LIST \"\" (Sent S* \"\" *)\n"
         "A...\n"
         "A< * LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"\n"
         "A...\n"
         "A< a3 OK ~\n"
         "A> a4 LIST \"\" (Sent \"S*\")\n"
         "A< * LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"\n"
         "A< a4 OK ~\n"
         "A> a5 LIST \"\" ()\n"
         "A< a5 BAD ~\n");
}

/* RFC 9051 §6.3.9.7: the name that was meant, where another was said; only to clients of IMAP4rev2. */
static void old_names(void **state)
{
    (void)state;
    play("B> b1 CREATE inbox/one/\n"
         "B< b1 OK ~\n"
         "A> a1 ENABLE IMAP4rev2\n"
         "A< * ENABLED IMAP4rev2\n"
         "A< a1 OK ~\n"
         "A> a2 CREATE inbox/two\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"INBOX/two\" (\"OLDNAME\" (\"inbox/two\"))\n"
         "A< a2 OK ~\n"
         "A> a3 CREATE INBOX/three\n"
         "A< a3 OK ~\n"
         "A> a4 RENAME Inbox/two other\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"other\" (\"OLDNAME\" (\"Inbox/two\"))\n"
         "A< a4 OK ~\n"
         "A> a5 RENAME other inbox/four\n"
         "A< * LIST (\\HasNoChildren) \"/\" \"INBOX/four\" (\"OLDNAME\" (\"other\"))\n"
         "A< a5 OK ~\n"
         "A> a6 RENAME INBOX/four four\n"
         "A< a6 OK ~\n"
         "A> a7 DELETE inbox/three\n"
         "A< * LIST (\\NonExistent) \"/\" \"INBOX/three\" (\"OLDNAME\" (\"inbox/three\"))\n"
         "A< a7 OK ~\n"
         "A> a8 DELETE four\n"
         "A< a8 OK ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribed),  cmocka_unit_test(recursive),   cmocka_unit_test(recursive_and_patterns),
        cmocka_unit_test(special_use), cmocka_unit_test(with_status), cmocka_unit_test(patterns),
        cmocka_unit_test(old_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
