"""APPEND's messages: several at once, binary ones, and what is tried with them (scripts/multiappend.imap has the dialogue)."""
import base64
import email
import os

from tassis import text_message


def test_synchronizing_literals_are_invited_one_by_one(box):
    session = box.imap("INBOX")
    one, two = text_message("one"), text_message("two")
    session.send(b"a APPEND INBOX {%d}\r\n" % len(one))
    assert session.line().startswith("+ ")
    session.send(one + b" (\\Seen) {%d}\r\n" % len(two))
    assert session.line().startswith("+ ")
    session.send(two + b"\r\n")
    assert b"APPENDUID" in session.finish(b"a").tagged
    # The second is too large: its invitation is refused, and the first is not kept.
    session.send(b"b APPEND INBOX {%d}\r\n" % len(one))
    assert session.line().startswith("+ ")
    session.send(one + b" {999999999}\r\n")
    assert session.finish(b"b").tagged.startswith(b"NO [TOOBIG]")
    # No octets at all (RFC 3502 §3: the client changes its mind).
    session.send(b"c APPEND INBOX {%d+}\r\n" % len(one) + one + b" {0+}\r\n\r\n")
    assert session.finish(b"c").tagged.startswith((b"NO", b"BAD"))
    assert session.ok("STATUS INBOX (MESSAGES)").one(rb"\* STATUS \S+ \(MESSAGES (\d+)\)")[1] == b"2"
    session.close()


def test_many_in_one_command_are_one_transaction(server, box):
    session, other = box.imap(), box.imap("INBOX")
    messages = [text_message(f"number {n}") for n in range(300)]
    tag = session.start("APPEND INBOX" + " %s" * len(messages), messages)
    told = []
    while not told or told[-1] != b"300":
        told += [m[1] for m in other.ok("NOOP").all(rb"\* (\d+) EXISTS")]
    assert told == [b"300"]
    assert b"1:300]" in session.finish(tag).tagged
    assert box.messages()[123] == messages[123]
    tag = session.start("APPEND INBOX" + " %s" * 1001, [messages[0]] * 1001)
    assert session.finish(tag).tagged.startswith(b"NO [TOOBIG]")
    session.close()
    other.close()


def test_a_literal8_may_hold_anything(box):
    picture = os.urandom(3000) + b"\0\n\r"
    message = (b"Subject: picture\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + picture)
    session = box.imap("INBOX")
    session.send(b"a APPEND INBOX (\\Seen) ~{%d+}\r\n" % len(message) + message + b"\r\n")
    assert session.finish(b"a").tagged.startswith(b"OK")
    stored = email.message_from_bytes(box.messages()[0])
    assert base64.b64decode(stored.get_payload()) == picture
    # The same in an ordinary literal is no message, and a header with a NUL cannot be encoded.
    session.send(b"b APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
    assert session.finish(b"b").tagged.startswith(b"BAD")
    bad = b"Subject: \0\r\n\r\nhello\r\n"
    session.send(b"c APPEND INBOX ~{%d+}\r\n" % len(bad) + bad + b"\r\n")
    assert session.finish(b"c").tagged.startswith(b"NO [UNKNOWN-CTE]")
    session.ok("NOOP")
    session.close()


def test_who_hangs_up_between_messages_adds_none(box):
    session = box.imap()
    one = text_message("one")
    session.send(b"a APPEND INBOX {%d+}\r\n" % len(one) + one + b" (\\Seen) {1000+}\r\nSubject: half")
    session.close()
    assert box.messages() == []
