"""Several IMAP sessions on one mailbox: what one does, the others are told, in the order and at the times that RFC 3501 §7 allows."""
import time

import pytest

import tassis
from tassis import text_message

EXPUNGE = rb"\* (\d+) EXPUNGE"
EXISTS = rb"\* (\d+) EXISTS"
RECENT = rb"\* (\d+) RECENT"
FLAGS = rb"\* (\d+) FETCH \((?:UID \d+ )?FLAGS \(([^)]*)\)(?: UID \d+)?\)"


@pytest.fixture
def two(box):
    """Five messages and two sessions that both have selected the INBOX."""
    first = box.imap()
    for n in range(5):
        first.append(text_message(f"message {n + 1}"))
    first.ok("SELECT INBOX")
    second = box.imap("INBOX")
    yield first, second
    first.close()
    second.close()


def numbers(answer, pattern):
    return [int(m[1]) for m in answer.all(pattern)]


def test_new_messages_are_announced(two, box):
    first, second = two
    second.append(text_message("six"))
    assert numbers(first.ok("NOOP"), EXISTS) == [6]
    assert first.ok("NOOP").untagged == []
    box.receive(text_message("seven"))
    assert numbers(first.ok("CHECK"), EXISTS) == [7]
    assert numbers(second.ok("NOOP"), EXISTS) == [7]


def test_append_to_the_selected_mailbox_is_announced_at_once(two):
    first, _ = two
    assert numbers(first.append(text_message("six")), EXISTS) == [6]


def test_flags_are_told(two):
    first, second = two
    answer = first.ok("STORE 2 +FLAGS (\\Flagged $Label)")
    assert {m[1] for m in answer.all(FLAGS)} == {b"2"}
    told = second.ok("NOOP").one(FLAGS)
    assert told[1] == b"2" and {b"\\Flagged", b"$Label"} <= set(told[2].split())


def test_silent_is_silent_only_for_the_one(two):
    first, second = two
    assert first.ok("STORE 1:3 +FLAGS.SILENT (\\Answered)").all(FLAGS) == []
    assert [m[1] for m in second.ok("NOOP").all(FLAGS)] == [b"1", b"2", b"3"]


def test_seen_by_fetch_is_told(two):
    first, second = two
    assert b"\\Seen" in first.ok("FETCH 1 BODY[]").untagged[0]
    told = second.ok("NOOP").one(FLAGS)
    assert told[1] == b"1" and b"\\Seen" in told[2]
    first.ok("FETCH 2 BODY.PEEK[]")
    assert second.ok("NOOP").all(FLAGS) == []


def test_expunge_is_told_with_the_numbers_of_the_moment(two):
    first, second = two
    first.ok("STORE 1,3,5 +FLAGS.SILENT (\\Deleted)")
    gone = numbers(first.ok("EXPUNGE"), EXPUNGE)
    rest = [1, 2, 3, 4, 5]
    for n in gone:
        rest.pop(n - 1)
    assert rest == [2, 4]
    told = numbers(second.ok("NOOP"), EXPUNGE)
    rest = [1, 2, 3, 4, 5]
    for n in told:
        rest.pop(n - 1)
    assert rest == [2, 4]
    assert b"UID 4" in second.ok("FETCH 2 UID").untagged[0]


@pytest.mark.parametrize("command", ["FETCH 1:5 FLAGS", "STORE 5 +FLAGS (\\Flagged)", "SEARCH ALL", "FETCH 5 BODY.PEEK[]"])
def test_no_expunge_while_numbers_are_in_use(two, command):
    """RFC 3501 §7.4.1: not in answer to FETCH, STORE or SEARCH; RFC 2180 §4: what is gone may be missing, the numbers stand still."""
    first, second = two
    first.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    first.ok("EXPUNGE")
    answer = second.command(command)
    assert answer.tagged[:2] in (b"OK", b"NO")
    assert answer.all(EXPUNGE) == []
    for line in answer.all(rb"\* (\d+) FETCH \((.*)\)"):
        if b"message 5" in line[2]:
            assert line[1] == b"5"
    assert numbers(second.ok("NOOP"), EXPUNGE) == [2]
    assert b"UID 5" in second.ok("FETCH 4 (UID)").untagged[0]


@pytest.mark.parametrize("command", ["UID FETCH 1:* FLAGS", "UID STORE 5 +FLAGS (\\Flagged)", "UID SEARCH ALL", "NOOP", "STATUS INBOX (MESSAGES)"])
def test_expunge_comes_with_other_commands(two, command):
    first, second = two
    first.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    first.ok("EXPUNGE")
    answer = second.ok(command)
    if not answer.all(EXPUNGE):
        answer = second.ok("NOOP")
    assert numbers(answer, EXPUNGE) == [2]


def test_what_is_gone_is_not_fetched_as_another(two):
    """The numbers of a session that has not been told yet still mean the same messages."""
    first, second = two
    first.ok("STORE 1:4 +FLAGS.SILENT (\\Deleted)")
    first.ok("EXPUNGE")
    assert b"message 5" in second.body(5)
    answer = second.command("FETCH 1 BODY.PEEK[]")
    assert b"Subject:" not in b"".join(answer.untagged)


def test_pipelined_commands_keep_their_numbers(two):
    """A client that sends several commands at once counts on numbers standing still between FETCHes."""
    first, second = two
    first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    first.ok("EXPUNGE")
    tags = [second.start(f"FETCH {n} BODY.PEEK[HEADER.FIELDS (SUBJECT)]") for n in (2, 3, 4, 5)]
    for n, tag in zip((2, 3, 4, 5), tags):
        answer = second.finish(tag)
        assert answer.all(EXPUNGE) == []
        assert b"message %d" % n in answer.untagged[0]


def test_recent_belongs_to_one_session(box):
    writer = box.imap()
    writer.append(text_message())
    first, second = box.imap(), box.imap()
    assert numbers(first.ok("SELECT INBOX"), RECENT) == [1]
    assert numbers(second.ok("SELECT INBOX"), RECENT) == [0]
    assert b"\\Recent" in first.ok("FETCH 1 FLAGS").untagged[0]
    assert b"\\Recent" not in second.ok("FETCH 1 FLAGS").untagged[0]
    box.receive(text_message())
    seen = [numbers(s.ok("NOOP"), RECENT) for s in (first, second)]
    assert sorted(sum(seen, [])) in ([1], [0, 2], [1, 1], [0, 1, 2], [2], [1, 2])
    flags = [b"\\Recent" in s.ok("FETCH 2 FLAGS").untagged[0] for s in (first, second)]
    assert flags.count(True) == 1
    third = box.imap()
    assert numbers(third.ok("SELECT INBOX"), RECENT) == [0]


def test_examine_takes_no_recent(box):
    box.receive(text_message())
    looker, reader = box.imap(), box.imap()
    assert numbers(looker.ok("EXAMINE INBOX"), RECENT) == [1]
    assert numbers(reader.ok("SELECT INBOX"), RECENT) == [1]
    looker.no("STORE 1 +FLAGS (\\Seen)")
    looker.ok("FETCH 1 BODY[]")
    assert b"\\Seen" not in reader.ok("FETCH 1 FLAGS").untagged[0]
    looker.no("EXPUNGE")
    looker.ok("CLOSE")


# ---- IDLE

def test_idle_is_told_at_once(two, box):
    first, second = two
    tag = first.idle()
    assert first.is_silent()
    began = time.monotonic()
    box.receive(text_message("for who idles"))
    assert first.response() == b"* 6 EXISTS"
    assert time.monotonic() - began < 3
    assert first.response().endswith(b" RECENT")
    second.ok("STORE 1 +FLAGS (\\Flagged)")
    assert b"* 1 FETCH" in first.response()
    second.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    assert b"* 3 FETCH" in first.response()
    second.ok("EXPUNGE")
    assert first.response() == b"* 3 EXPUNGE"
    assert first.done(tag).untagged == []
    assert b"message 4" in first.body(3)


def test_idle_tells_what_was_before(two):
    first, second = two
    second.append(text_message())
    tag = first.idle()
    answer = first.done(tag)
    assert numbers(answer, EXISTS) == [6]


def test_many_who_idle(box):
    sessions = [box.imap("INBOX") for _ in range(20)]
    tags = [s.idle() for s in sessions]
    box.receive(text_message())
    assert [s.response() for s in sessions] == [b"* 1 EXISTS"] * 20
    for session, tag in zip(sessions, tags):
        session.done(tag)
        session.close()


def test_idle_without_done(two):
    first, second = two
    tag = first.idle()
    first.send("NOOP\r\n")
    line = first.response()
    while not line.startswith(tag):
        line = first.response()
    assert line.startswith(tag + b" BAD")
    second.ok("NOOP")


def test_idle_over_tls(box):
    session = box.imap("INBOX", service="imaps")
    tag = session.idle()
    box.receive(text_message())
    assert session.response() == b"* 1 EXISTS"
    session.done(tag)


# ---- mailboxes that change under a session

def test_a_selected_mailbox_is_deleted(box):
    first = box.imap()
    first.ok("CREATE doomed")
    first.append(text_message(), "doomed")
    first.ok("SELECT doomed")
    second = box.imap()
    second.ok("DELETE doomed")
    answer = first.command("FETCH 1 BODY.PEEK[]")
    assert answer.tagged[:2] in (b"NO", b"OK") or b"BYE" in b"".join(answer.untagged)
    second.ok("CREATE doomed")
    assert numbers(second.ok("SELECT doomed"), EXISTS) == [0]


def test_a_selected_mailbox_is_renamed(box):
    first = box.imap()
    first.ok("CREATE before")
    first.append(text_message("still here"), "before")
    first.ok("SELECT before")
    second = box.imap()
    second.ok("RENAME before after")
    assert b"still here" in first.body(1)
    second.append(text_message(), "after")
    assert numbers(first.ok("NOOP"), EXISTS) == [2]


def test_close_expunges_quietly_and_unselect_does_not(two):
    first, second = two
    first.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert first.ok("UNSELECT").untagged == []
    assert second.ok("NOOP").all(EXPUNGE) == []
    first.bad("FETCH 1 FLAGS")
    first.ok("SELECT INBOX")
    assert first.ok("CLOSE").untagged == []
    assert numbers(second.ok("NOOP"), EXPUNGE) == [1]
    first.bad("CLOSE")


def test_uid_expunge_takes_only_those(two):
    first, second = two
    first.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)")
    assert numbers(first.ok("UID EXPUNGE 2:3,77"), EXPUNGE) in ([2, 2], [3, 2])
    assert numbers(second.ok("NOOP"), EXPUNGE) in ([2, 2], [3, 2])
    assert numbers(second.ok("EXPUNGE"), EXPUNGE) in ([1, 1, 1], [3, 2, 1])


def test_everybody_writes_at_once(server, box):
    """Many sessions append and store in parallel: nothing is lost, no uid twice."""
    import threading
    problems = []

    def work(n):
        try:
            session = box.imap("INBOX")
            for _ in range(10):
                session.append(text_message(f"from {n}"))
                session.ok("UID STORE 1:* +FLAGS.SILENT ($From%d)" % n)
            session.ok("LOGOUT")
        except Exception as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems
    session = box.imap("INBOX")
    uids = [int(m[1]) for m in session.ok("FETCH 1:* UID").all(rb"\* \d+ FETCH \(UID (\d+)\)")]
    assert uids == sorted(set(uids)) and len(uids) == 80


def test_sessions_of_one_account(make_server):
    server = make_server(auth="plaintext = loopback", limits="sessions_per_account = 4")
    box = server.account("alice@example.test")
    sessions = [box.imap() for _ in range(4)]
    fifth = server.imap()
    answer = fifth.command("LOGIN %s %s", box.address.encode(), box.password.encode())
    assert answer.tagged.startswith(b"NO [LIMIT]") or b"* BYE" in b"".join(answer.untagged), answer
    pop = server.talk("pop3")
    pop.line()
    pop.send(f"USER {box.address}\r\nPASS {box.password}\r\n")
    assert pop.line().startswith("+OK")
    assert pop.line().startswith("-ERR [IN-USE]")
    sessions.pop().ok("LOGOUT")

    def gets_in():
        session = server.imap()
        return session.command("LOGIN %s %s", box.address.encode(), box.password.encode()).tagged.startswith(b"OK")
    tassis.wait_until(gets_in, what="a place for another session")
