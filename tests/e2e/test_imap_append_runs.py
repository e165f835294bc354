"""Runs of APPEND that share a transaction, many messages in one (RFC 3502), UTF-8 headers (RFC 6855), NULs (RFC 3516), and REPLACE
(RFC 8508)."""
import email
import re

import pytest

from tassis import text_message

UTF8_MESSAGE = "From: Bj\u00f6rn <bjoern@example.test>\r\nSubject: Gr\u00fc\u00dfe\r\n\r\nhello\r\n".encode()


@pytest.fixture
def imap(box):
    session = box.imap()
    yield session
    session.close()


def count(session, mailbox="INBOX"):
    return int(session.ok(f"STATUS {mailbox} (MESSAGES)").one(rb"\* STATUS \S+ \(MESSAGES (\d+)\)")[1])


def test_many_messages_come_in_one_transaction(imap):
    one, two, three = (text_message(f"number {n}") for n in range(3))
    answer = imap.ok('APPEND INBOX (\\Seen) %s " 7-Feb-1994 22:43:04 -0800" %s (\\Flagged) %s', one, two, three)
    assert re.match(rb"OK \[APPENDUID \d+ 1:3\]", answer.tagged)
    imap.ok("SELECT INBOX")
    assert [imap.body(n + 1) for n in range(3)] == [one, two, three]
    told = imap.ok("FETCH 1:3 (FLAGS INTERNALDATE)").untagged
    assert b"\\Seen" in told[0] and b"\\Flagged" in told[2] and b"07-Feb-1994 22:43:04 -0800" in told[1].replace(b" 7-", b"07-")
    assert b"\\Seen" not in told[1]


@pytest.mark.parametrize("bad", ["(\\Bogus) %s", "%s", '"99-Foo-1994 00:00:00 +0000" %s', "UTF8 (%s)"])
def test_of_many_all_or_none_are_stored(imap, bad):
    second = b"" if bad == "%s" else b"x"
    answer = imap.command("APPEND INBOX %s " + bad, text_message("good"), second)
    assert not answer.tagged.startswith(b"OK")
    assert count(imap) == 0
    imap.append(text_message("the session goes on"))
    assert count(imap) == 1


def test_who_waits_is_told_before_the_second_message_is_sent(imap):
    imap.send(b"a APPEND INBOX {3+}\r\nabc {4294967296}\r\n")
    assert imap.response().startswith(b"a NO [TOOBIG]")
    imap.send(b"b APPEND INBOX {14}\r\n")
    assert imap.response().startswith(b"+")
    imap.send(b"Subject: x\r\n\r\n {14}\r\n")
    assert imap.response().startswith(b"+")
    imap.send(b"Subject: y\r\n\r\n\r\n")
    assert re.match(rb"b OK \[APPENDUID \d+ 1:2\]", imap.response())


def test_pipelined_commands_are_answered_in_order(imap):
    """Some share a transaction; those that fail among them fail alone."""
    imap.ok("CREATE other")
    sent = []
    for n in range(200):
        mailbox = "missing" if n % 50 == 30 else "other" if n % 20 == 9 else "INBOX"
        flags = " ".join(f"k{n}-{i}" for i in range(80 if n % 70 == 60 else 0))
        tag = b"p%d" % n
        message = text_message(f"number {n}")
        sent.append((tag, mailbox, not flags and mailbox != "missing", message,
                     tag + f" APPEND {mailbox} ({flags}) ".encode() + b"{%d+}\r\n" % len(message) + message + b"\r\n"))
    imap.send(b"".join(s[-1] for s in sent) + b"end NOOP\r\n")
    uids = {"INBOX": 0, "other": 0}
    for tag, mailbox, is_good, message, _ in sent:
        line = imap.response()
        if is_good:
            uids[mailbox] += 1
            assert re.match(tag + rb" OK \[APPENDUID \d+ %d\]" % uids[mailbox], line), line
        else:
            assert line.startswith(tag + b" NO"), line
    assert imap.response().startswith(b"end OK")
    for mailbox in uids:
        imap.ok(f"SELECT {mailbox}")
        stored = [m for _, box, is_good, m, _ in sent if box == mailbox and is_good]
        assert [imap.body(n + 1) for n in range(len(stored))] == stored


def test_a_run_split_at_any_point_is_the_same(imap):
    message = text_message("split")
    one = b"APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n"
    whole = b"s1 " + one + b"s2 " + one
    for at in range(1, len(whole), 7):
        imap.send(whole[:at])
        imap.send(whole[at:])
        assert imap.response().startswith(b"s1 OK") and imap.response().startswith(b"s2 OK")
    assert count(imap) == 2 * len(range(1, len(whole), 7))


def test_a_run_into_the_selected_mailbox_is_announced(imap):
    imap.ok("SELECT INBOX")
    message = text_message("run")
    imap.send(b"".join(b"r%d APPEND INBOX {%d+}\r\n" % (n, len(message)) + message + b"\r\n" for n in range(5)))
    lines = [imap.response() for _ in range(5)]
    while not lines[-1].startswith(b"* 5 EXISTS"):
        lines.append(imap.response())
    assert sum(line.startswith(b"r") for line in lines) == 5


def test_utf8_headers(imap):
    assert b"UTF8=ACCEPT" in imap.ok("CAPABILITY").untagged[0]
    assert imap.ok("ENABLE UTF8=ACCEPT").one(rb"\* ENABLED UTF8=ACCEPT")
    imap.send(b"u APPEND INBOX (\\Seen) UTF8 (~{%d+}\r\n" % len(UTF8_MESSAGE) + UTF8_MESSAGE + b")\r\n")
    assert imap.response().startswith(b"u OK")
    imap.send(b"v APPEND INBOX UTF8 ({3+}\r\nabc)\r\n")
    assert imap.response().startswith(b"v BAD")
    imap.send(b"w APPEND INBOX UTF8 (~{3+}\r\nabc\r\n")
    assert imap.response().startswith(b"w BAD")
    imap.ok("SELECT INBOX")
    assert imap.body(1) == UTF8_MESSAGE
    assert count(imap) == 1


def test_what_comes_in_binary_is_kept_encoded(imap):
    body = bytes(range(256)) * 4
    message = b"Subject: binary\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + body
    imap.send(b"b APPEND INBOX ~{%d+}\r\n" % len(message) + message + b"\r\n")
    assert imap.response().startswith(b"b OK")
    imap.ok("SELECT INBOX")
    stored = imap.body(1)
    assert b"\0" not in stored and email.message_from_bytes(stored).get_payload(decode=True) == body
    imap.bad("APPEND INBOX %s", message)


@pytest.mark.parametrize("uid", ["", "UID "])
def test_replace(imap, box, uid):
    for n in range(3):
        imap.append(text_message(f"number {n}"))
    imap.ok("SELECT INBOX")
    with_other = box.imap("INBOX")
    new = text_message("new")
    answer = imap.ok(f"{uid}REPLACE 2 INBOX (\\Draft) %s", new)
    untagged = b"\n".join(answer.untagged)
    assert re.search(rb"\* OK \[APPENDUID \d+ 4\].*\* 2 EXPUNGE", untagged, re.S), answer
    assert imap.ok("FETCH 1:3 (UID)").untagged == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)", b"* 3 FETCH (UID 4)"]
    assert imap.body(3) == new
    assert with_other.ok("NOOP").all(rb"\* 2 EXPUNGE")
    imap.ok("CREATE sent")
    imap.ok(f"{uid}REPLACE 1 sent %s", text_message("elsewhere"))
    assert count(imap, "sent") == 1 and count(imap) == 2
    with_other.close()


@pytest.mark.parametrize("command, kind", [("REPLACE 1:2 INBOX", "BAD"), ("REPLACE 9 INBOX", "BAD"), ("UID REPLACE 9 INBOX", "NO [NONEXISTENT]"),
                                           ("REPLACE 1 missing", "NO [TRYCREATE]"), ("REPLACE 1 INBOX (\\Seen) x", "BAD")])
def test_replace_that_fails_changes_nothing(imap, command, kind):
    for n in range(2):
        imap.append(text_message(f"number {n}"))
    imap.ok("SELECT INBOX")
    answer = imap.command(command + " %s", text_message("new"))
    assert answer.tagged.startswith(kind.encode()), answer
    assert imap.command("REPLACE 1 INBOX %s %s", b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n").tagged.startswith(b"BAD")
    imap.ok("EXAMINE INBOX")
    imap.no("REPLACE 1 INBOX %s", text_message("new"))
    assert count(imap) == 2
