/* NOTIFY (RFC 5465): what is told of which mailbox, when, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "harness.h"
#include "imap/notify.h"
#include "store/store.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";

static void play_with_messages(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        for (int i = 0; i < count; i++)
            world_deliver(w, "INBOX", message);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define BOTH_SELECT                                                                                                    \
    "A> a0 SELECT INBOX\n"                                                                                             \
    "A...\n"                                                                                                           \
    "A< a0 OK ~\n"                                                                                                     \
    "B> b0 SELECT INBOX\n"                                                                                             \
    "B...\n"                                                                                                           \
    "B< b0 OK ~\n"
#define B_DOES(command)                                                                                                \
    "B> b1 " command "\n"                                                                                              \
    "B...\n"                                                                                                           \
    "B< b1 OK ~\n"
#define NEW "{22+}\\r\\nSubject: new\\r\\n\\r\\ntext\\r\\n"

/* Told without a command, from the NOTIFY on. */
static void test_selected(void **state)
{
    (void)state;
    play_with_messages(
        3, BOTH_SELECT
        "A> a1 NOTIFY SET (selected (MessageNew (FLAGS UID BODY[HEADER.FIELDS (SUBJECT)]) MessageExpunge "
        "FlagChange))\n"
        "A< a1 OK ~\n" B_DOES(
            "APPEND INBOX " NEW) "A< * 4 EXISTS\n"
                                 "A< * 4 RECENT\n"
                                 "A< * 4 FETCH (FLAGS (\\Recent) UID 4 "
                                 "BODY[HEADER.FIELDS (SUBJECT)] {16}\n"
                                 "A< Subject: new\n"
                                 "A< \n"
                                 "A< )\n" B_DOES("STORE 2 +FLAGS.SILENT (\\Deleted)") "A< * 2 FETCH (FLAGS "
                                                                                      "(~))\n" B_DOES(
                                                                                          "EXPUNGE") "A< * 2 EXPUNGE\n"
                                                                                                     "A> a2 NOTIFY "
                                                                                                     "NONE\n"
                                                                                                     "A< a2 OK "
                                                                                                     "~\n" B_DOES(
                                                                                                         "APPEND "
                                                                                                         "INBOX " NEW));
}

/* RFC 5465 §6.1.2: expunges wait for a command that may tell them; IDLE is one. */
static void test_selected_delayed(void **state)
{
    (void)state;
    play_with_messages(
        3, BOTH_SELECT
        "A> a1 NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))\n"
        "A< a1 OK ~\n" B_DOES("STORE 2 +FLAGS.SILENT (\\Deleted)") "A< * 2 FETCH (FLAGS (~))\n" B_DOES("EXPUNGE")
            B_DOES("STORE 1 +FLAGS.SILENT (\\Flagged)") "A< * 1 FETCH (FLAGS (~))\n"
                                                        "A> a2 FETCH 3 UID\n"
                                                        "A< * 3 FETCH (UID 3)\n"
                                                        "A< a2 OK ~\n"
                                                        "A> a3 IDLE\n"
                                                        "A< + ~\n"
                                                        "A< * 2 EXPUNGE\n" B_DOES("STORE 1 +FLAGS.SILENT "
                                                                                  "(\\Deleted)") "A< * 1 "
                                                                                                 "FETCH "
                                                                                                 "(FLAGS "
                                                                                                 "(~))"
                                                                                                 "\n" B_DOES("EXPUNG"
                                                                                                             "E") "A"
                                                                                                                  "<"
                                                                                                                  " "
                                                                                                                  "*"
                                                                                                                  " "
                                                                                                                  "1"
                                                                                                                  " "
                                                                                                                  "E"
                                                                                                                  "X"
                                                                                                                  "P"
                                                                                                                  "U"
                                                                                                                  "N"
                                                                                                                  "G"
                                                                                                                  "E"
                                                                                                                  "\n"
                                                                                                                  "A"
                                                                                                                  ">"
                                                                                                                  " "
                                                                                                                  "D"
                                                                                                                  "O"
                                                                                                                  "N"
                                                                                                                  "E"
                                                                                                                  "\n"
                                                                                                                  "A"
                                                                                                                  "<"
                                                                                                                  " "
                                                                                                                  "a"
                                                                                                                  "3"
                                                                                                                  " "
                                                                                                                  "O"
                                                                                                                  "K"
                                                                                                                  " "
                                                                                                                  "~"
                                                                                                                  "\n");
}

/* RFC 5465 §3.1: who does not name the selected mailbox does not hear of it, but what has come up to the NOTIFY. */
static void test_not_selected(void **state)
{
    (void)state;
    play_with_messages(
        2,
        BOTH_SELECT B_DOES(
            "STORE 1 +FLAGS.SILENT (\\Seen)") "A> a1 NOTIFY SET (personal (MailboxName))\n"
                                              "A< * 1 FETCH (FLAGS (~))\n"
                                              "A< a1 OK ~\n" B_DOES("STORE 2 +FLAGS.SILENT (\\Seen)") B_DOES(
                                                  "APPEND INBOX " NEW) "A> a2 NOOP\n"
                                                                       "A< a2 OK ~\n"
                                                                       /* its own changes are answered, and what came
                                                                          meanwhile with them */
                                                                       "A> a3 STORE 1 +FLAGS (\\Flagged)\n"
                                                                       "A< * 3 EXISTS\n"
                                                                       "A< * ~ RECENT\n"
                                                                       "A< * 1 FETCH (FLAGS (~))\n"
                                                                       "A< * 2 FETCH (FLAGS (~))\n"
                                                                       "A< a3 OK ~\n"
                                                                       /* flags are not among the events */
                                                                       "A> a4 NOTIFY SET (selected (MessageNew "
                                                                       "MessageExpunge))\n"
                                                                       "A< a4 OK ~\n" B_DOES(
                                                                           "STORE 3 +FLAGS.SILENT (\\Flagged)")
                                                                           B_DOES(
                                                                               "APPEND INBOX " NEW) "A< * 4 EXISTS\n"
                                                                                                    "A< * ~ RECENT\n");
}

static void test_other_mailboxes(void **state)
{
    (void)state;
    play_with_messages(
        1,
        "B> b0 CREATE Lists/Lemonade\n"
        "B< b0 OK ~\n"
        "B> b1 CREATE Work\n"
        "B< b1 OK ~\n"
        "A> a1 NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge)) (mailboxes (INBOX Nothing) (MessageNew "
        "MessageExpunge FlagChange))\n"
        "A< * STATUS \"INBOX\" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ~ HIGHESTMODSEQ ~)\n"
        "A< * STATUS \"Lists\" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ~)\n"
        "A< * STATUS \"Lists/Lemonade\" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ~)\n"
        "A< a1 OK ~\n" B_DOES(
            "APPEND Lists/Lemonade " NEW) "A< * STATUS \"Lists/Lemonade\" (MESSAGES 1 UIDNEXT 2)\n" B_DOES("APPEND "
                                                                                                           "Work " NEW)
            B_DOES("SELECT INBOX") B_DOES("STORE 1 +FLAGS.SILENT (\\Seen)") "A< * STATUS \"INBOX\" (UNSEEN 0)\n" B_DOES(
                "STORE 1 +FLAGS.SILENT (\\Flagged)") "A> a2 ENABLE CONDSTORE\n"
                                                     "A< * ENABLED CONDSTORE\n"
                                                     "A< a2 OK ~\n" B_DOES(
                                                         "STORE 1 +FLAGS.SILENT (\\Answered)") "A< * STATUS \"INBOX\" "
                                                                                               "(UIDVALIDITY ~ "
                                                                                               "HIGHESTMODSEQ ~)\n"
                                                                                               /* the selected mailbox
                                                                                                  is told by other
                                                                                                  means, or not at all
                                                                                                  (§3.1) */
                                                                                               "A> a3 SELECT INBOX\n"
                                                                                               "A...\n"
                                                                                               "A< a3 OK ~\n" B_DOES(
                                                                                                   "STORE 1 "
                                                                                                   "-FLAGS.SILENT "
                                                                                                   "(\\Seen)") "A> a4 "
                                                                                                               "UNSELEC"
                                                                                                               "T\n"
                                                                                                               "A< a4 "
                                                                                                               "OK ~\n"
                                                                                                               "A> a5 "
                                                                                                               "NOOP\n"
                                                                                                               "A< a5 "
                                                                                                               "OK "
                                                                                                               "~\n");
}

static void test_names(void **state)
{
    (void)state;
    play("A> a1 NOTIFY SET (personal (MailboxName)) (subtree Work (SubscriptionChange))\n"
         "A< a1 OK ~\n" B_DOES("CREATE Work") "A< * LIST (\\HasNoChildren) \"/\" \"Work\"\n" B_DOES(
             "CREATE Work/New") "A< * LIST (\\HasChildren) \"/\" \"Work\"\n"
                                "A< * LIST (\\HasNoChildren) \"/\" \"Work/New\"\n" B_DOES(
                                    "SUBSCRIBE Work/New") "A< * LIST (\\HasNoChildren \\Subscribed) \"/\" "
                                                          "\"Work/New\"\n" B_DOES("UNSUBSCRIBE Work/New") "A< * LIST "
                                                                                                          "(\\HasNoChil"
                                                                                                          "dren) \"/\" "
                                                                                                          "\"Work/"
                                                                                                          "New\"\n"
         /* children go along without a word */
         B_DOES("RENAME Work Done") "A< * LIST (\\HasChildren) \"/\" \"Done\" (\"OLDNAME\" (\"Work\"))\n" B_DOES(
             "DELETE Done/New") "A< * LIST (\\NonExistent) \"/\" \"Done/New\"\n"
                                "A< * LIST (\\HasNoChildren) \"/\" \"Done\"\n"
                                /* what it does itself it knows */
                                "A> a2 CREATE Mine/Deep\n"
                                "A< a2 OK ~\n"
                                "A> a3 RENAME Mine Yours\n"
                                "A< a3 OK ~\n"
                                "A> a4 DELETE Yours/Deep\n"
                                "A< a4 OK ~\n");
}

/* RFC 5465 §5.6, §5.7; without ENABLE METADATA. */
static void test_metadata(void **state)
{
    (void)state;
    play("B> b0 CREATE Work\n"
         "B< b0 OK ~\n"
         "A> a1 NOTIFY SET (mailboxes INBOX (MailboxMetadataChange)) (personal (ServerMetadataChange))\n"
         "A< a1 OK ~\n" B_DOES(
             "SETMETADATA INBOX (/shared/comment \"x\")") "A< * METADATA \"INBOX\" "
                                                          "\"/shared/comment\"\n" B_DOES(
                                                              "SETMETADATA Work (/shared/comment "
                                                              "\"x\")") B_DOES("SETMETADATA \"\" (/private/comment "
                                                                               "\"x\")") "A< * METADATA \"\" "
                                                                                         "\"/private/comment\"\n"
                                                                                         "A> a2 SETMETADATA INBOX "
                                                                                         "(/shared/comment NIL)\n"
                                                                                         "A< a2 OK ~\n"
                                                                                         "A> a3 NOTIFY NONE\n"
                                                                                         "A< a3 OK ~\n" B_DOES(
                                                                                             "SETMETADATA INBOX "
                                                                                             "(/shared/comment "
                                                                                             "\"y\")"));
}

/* RFC 5465 §7: a search that is kept up to date tells of what arrives, and of nothing else. */
static void test_update_with_items(void **state)
{
    (void)state;
    play_with_messages(2, BOTH_SELECT
                       "A> a1 SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (SUBJECT)])) SUBJECT \"new\"\n"
                       "A< * ESEARCH (TAG \"a1\") COUNT 0\n"
                       "A< a1 OK ~\n"
                       "A> a2 UID SORT RETURN (UPDATE (FLAGS) ALL) (SUBJECT) UTF-8 FLAGGED\n"
                       "A< * ESEARCH (TAG \"a2\") UID\n"
                       "A< a2 OK ~\n" B_DOES("APPEND INBOX (\\Flagged) " NEW)
                           B_DOES("STORE 1 +FLAGS.SILENT (\\Flagged)") "A> a3 NOOP\n"
                                                                       "A< * 3 EXISTS\n"
                                                                       "A< * ~ RECENT\n"
                                                                       "A< * 1 FETCH (FLAGS (~))\n"
                                                                       "A< * 3 FETCH (FLAGS (~))\n"
                                                                       "A< * ESEARCH (TAG \"a2\") UID ADDTO (1 1,3)\n"
                                                                       "A< * 3 FETCH (UID 3 BODY[HEADER.FIELDS "
                                                                       "(SUBJECT)] {16}\n"
                                                                       "A< Subject: new\n"
                                                                       "A< \n"
                                                                       "A< )\n"
                                                                       "A< * ESEARCH (TAG \"a1\") ADDTO (0 3)\n"
                                                                       "A< a3 OK ~\n");
}

static void test_refusals(void **state)
{
    (void)state;
    play("A> a1 NOTIFY SET (personal (MailboxName))\n"
         "A< a1 OK ~\n"
         "A> a2 NOTIFY SET (personal (MessageRead))\n"
         "A< a2 NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
         "MailboxMetadataChange ServerMetadataChange)] ~\n"
         "A> a3 NOTIFY SET (personal (MessageNew))\n"
         "A< a3 BAD ~\n"
         "A> a4 NOTIFY\n"
         "A< a4 BAD ~\n"
         /* what was asked for before is still told */
         B_DOES("CREATE Work") "A< * LIST (\\HasNoChildren) \"/\" \"Work\"\n");
}

static void create_mailboxes(struct world *w, int count)
{
    AUTO(txn) txn = NULL;
    struct err err;
    mailbox_id id;
    assert_int_equal(store_begin(world_account(w), TXN_WRITE, &txn, &err), ST_OK);
    for (int i = 0; i < count; i++) {
        char name[20];
        int len = snprintf(name, sizeof name, "many %d", i);
        assert_int_equal(mailbox_create(txn, span_of(name, (size_t)len), USE_NONE, &id, &err), ST_OK);
    }
    assert_int_equal(store_commit(&txn, &err), ST_OK);
}

/* RFC 5465 §3.1, §5.8: more mailboxes than may be watched, at the command and later. */
static void test_overflow(void **state)
{
    (void)state;
    struct world *w = world_new();
    create_mailboxes(w, NOTIFY_MAILBOXES_MAX - 5); /* INBOX and five with a special use are there */
    world_play(w, FEED_WHOLE,
               "A> a1 NOTIFY SET (personal (MailboxName))\n"
               "A< a1 NO [NOTIFICATIONOVERFLOW] ~\n"
               "B> b1 DELETE \"many 7\"\n"
               "B< b1 OK ~\n"
               "A> a2 NOTIFY SET (personal (MailboxName))\n"
               "A< a2 OK ~\n"
               "B> b2 CREATE \"many 7\"\n"
               "B< b2 OK ~\n"
               "A< * LIST (\\HasNoChildren) \"/\" \"many 7\"\n"
               "A< * OK [NOTIFICATIONOVERFLOW] ~\n"
               "B> b3 DELETE \"many 8\"\n"
               "B< b3 OK ~\n"
               "A> a3 NOOP\n"
               "A< a3 OK ~\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selected),
        cmocka_unit_test(test_selected_delayed),
        cmocka_unit_test(test_not_selected),
        cmocka_unit_test(test_other_mailboxes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_update_with_items),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
