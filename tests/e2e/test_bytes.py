"""Bytes in are bytes out: what comes by SMTP is what IMAP and POP3 give, behind the trace header fields."""
import hashlib
import random

import pytest

from tassis import BODY_MARK, multiline, text_message, without_trace

LINE_MAX = 998  # RFC 5321 §4.5.3.1.6, without CRLF; longer lines are taken, too

MARK = (BODY_MARK + "\r\n").encode()
HEADER = b"From: <sender@elsewhere.test>\r\nTo: <somebody@example.test>\r\nSubject: bytes\r\nDate: Sat, 31 Jan 2026 12:00:00 +0000\r\n" \
         b"Message-ID: <bytes@elsewhere.test>\r\n"


def every_octet():
    """All octets but NUL, CR and LF, in every neighbourhood, in lines of 998."""
    octets = [b for b in range(1, 256) if b not in (10, 13)]
    shuffled = octets * 40
    random.Random(1).shuffle(shuffled)
    data = bytes(shuffled)
    return b"".join(data[at:at + LINE_MAX] + b"\r\n" for at in range(0, len(data), LINE_MAX))


MESSAGES = {
    "plain": HEADER + b"\r\n" + MARK,
    "8 bit": HEADER + "\r\nGrüße, Ævar, 日本\r\n".encode() + MARK,
    "latin 1": HEADER + b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n" + MARK,
    "every octet": HEADER + b"\r\n" + every_octet(),
    "line of 998": HEADER + b"\r\n" + b"x" * LINE_MAX + b"\r\n",
    "line of 999": HEADER + b"\r\n" + b"x" * (LINE_MAX + 1) + b"\r\n",
    "line of a million": HEADER + b"\r\n" + b"long " * 200_000 + b"\r\n",
    "header line of 20000": HEADER + b"X-Long: " + b"y" * 20_000 + b"\r\n\r\n" + MARK,
    "folded header": HEADER + b"X-Folded: a\r\n b\r\n\tc\r\n \r\n d\r\n\r\n" + MARK,
    "dots": HEADER + b"\r\n.\x20\r\n..\r\n...\r\n.x\r\nx.\r\n. .\r\n" + MARK,
    "a line of one dot": HEADER + b"\r\nbefore\r\n.\r\nafter\r\n",
    "only dots": b".\r\n..\r\n.\r\n",
    "dots where pieces end": HEADER + b"\r\n" + (b"." * 97 + b"\r\n") * 9000,
    "empty body": HEADER + b"\r\n",
    "header only": HEADER,
    "no header": b"\r\nnothing but a body\r\n",
    "not a header": b"this is no header at all\r\n" + MARK,
    "only blank lines": b"\r\n" * 50,
    "blank lines at the end": HEADER + b"\r\n" + MARK + b"\r\n\r\n\r\n",
    "space at line ends": HEADER + b"\r\ntrailing  \r\n\t\r\n \r\n",
    "missing boundary": HEADER + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\npart\r\n--x--\r\n",
    "boundary never closed": HEADER + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" + MARK,
    "deep": HEADER + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(200)) + b"\r\nend\r\n",
    "broken base64": HEADER + b"Content-Transfer-Encoding: base64\r\n\r\n!!!not base64===\r\n",
    "twice the same fields": HEADER + HEADER + b"\r\n" + MARK,
    "utf-8 header": b"From: J\xc3\xbcrgen <sender@elsewhere.test>\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n" + MARK,
    "mbox line": HEADER + b"\r\nFrom here to there\r\n>From there\r\n" + MARK,
    "ctrl-z and escape": HEADER + b"\r\n\x1a\x1b[31mred\x1b[0m\x07\x08\r\n",
}


@pytest.fixture(scope="module")
def delivered(server):
    """One account that got all of them, and what IMAP and POP3 then give."""
    box = server.new_account()
    for raw in MESSAGES.values():
        box.receive(raw)
    return dict(zip(MESSAGES, box.messages())), dict(zip(MESSAGES, box.messages_pop3()))


@pytest.mark.parametrize("name", MESSAGES)
def test_imap_gives_what_smtp_took(delivered, name):
    assert without_trace(delivered[0][name]) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_pop3_gives_what_imap_gives(delivered, name):
    assert delivered[1][name] == delivered[0][name]


@pytest.mark.parametrize("name", MESSAGES)
def test_append_gives_back_what_it_took(server, appended, name):
    assert appended[name] == MESSAGES[name]


@pytest.fixture(scope="module")
def appended(server):
    box = server.new_account()
    session = box.imap()
    for raw in MESSAGES.values():
        session.append(raw)
    session.close()
    return dict(zip(MESSAGES, box.messages()))


def test_pieces_add_up(server, box):
    """BODY[]<from.count> over the whole message, RFC822.SIZE, BODY[HEADER] and BODY[TEXT]."""
    raw = MESSAGES["every octet"]
    box.receive(raw)
    session = box.imap("INBOX")
    whole = session.body(1)
    pieces = b"".join(session.body(1, f"BODY.PEEK[]<{at}.777>") for at in range(0, len(whole), 777))
    assert pieces == whole
    assert session.body(1, "BODY.PEEK[HEADER]") + session.body(1, "BODY.PEEK[TEXT]") == whole
    assert int(session.ok("FETCH 1 RFC822.SIZE").one(rb"\* 1 FETCH \(RFC822.SIZE (\d+)\)")[1]) == len(whole)
    assert session.body(1, f"BODY.PEEK[]<{len(whole) - 3}.100>") == whole[-3:]
    assert b'BODY[]<%d> ""' % len(whole) in session.ok(f"FETCH 1 BODY.PEEK[]<{len(whole)}.1>").untagged[0] or \
        session.body(1, f"BODY.PEEK[]<{len(whole)}.1>") == b""


def test_message_of_30_megabytes(server, box):
    noise = random.Random(2)
    lines = [noise.randbytes(57).hex().encode() + b"\r\n" for _ in range(1000)]
    raw = HEADER + b"\r\n" + b"".join(noise.choice(lines) for _ in range(30 * 1024 * 1024 // len(lines[0])))
    assert len(raw) > 31_000_000
    box.receive(raw, parameters=f" SIZE={len(raw)}")
    session = box.imap("INBOX")
    got = session.body(1)
    assert hashlib.sha256(without_trace(got)).digest() == hashlib.sha256(raw).digest()
    assert session.body(1, "BODY.PEEK[]<30000000.1000>") == got[30_000_000:30_001_000]
    session.ok("LOGOUT")
    pop = box.pop3()
    pop.send("RETR 1\r\n")
    assert hashlib.sha256(multiline(pop)).digest() == hashlib.sha256(got).digest()


def test_size_limit_is_exact(make_server):
    """A message of exactly the limit is taken, one octet more is not; the connection lives on."""
    server = make_server(auth="plaintext = loopback", limits="message_size = 100000")
    box = server.new_account()
    raw = text_message(body="")[:-len(MARK)]
    fits = raw + b"z" * (100_000 - len(raw) - 2) + b"\r\n"
    session = server.smtp()
    assert "SIZE 100000" in session.capabilities
    for message, code in ((fits, 250), (fits[:-2] + b"z\r\n", 552), (fits, 250)):
        session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
        session.expect(250, f"RCPT TO:<{box.address}>")
        session.message(message, code)
    session.expect(552, "MAIL FROM:<sender@elsewhere.test> SIZE=100001")
    session.expect(250, "MAIL FROM:<sender@elsewhere.test> SIZE=100000")
    assert [len(without_trace(m)) for m in box.messages()] == [100_000, 100_000]


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_cut_anywhere(server, box, chunk):
    """The dialogue sent in small pieces, dots and line ends torn apart."""
    raw = MESSAGES["dots"] if chunk < 10 else MESSAGES["dots where pieces end"][:50_000] + b"\r\n"
    stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in raw.splitlines(keepends=True))
    talk = server.smtp()
    talk.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    talk.expect(250, f"RCPT TO:<{box.address}>")
    talk.expect(354, "DATA")
    stuffed += b".\r\n"
    for at in range(0, len(stuffed), chunk):
        talk.send(stuffed[at:at + chunk])
    assert talk.reply()[-1].startswith("250")
    assert without_trace(box.messages()[0]) == raw
