"""Filters (milters) at port 25 and at submission: what they are told, what their answers do, and what becomes of mail when they misbehave."""
import base64
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import time

import pytest
import tassis
from fake_milter import HEADER_SPACE, NO_ALL, NO_BODY, NO_HEADERS, NR_BODY, NR_HEADER, RCPT_REJECTED, SKIP, FakeMilter, packet, strings

MESSAGE = (b"From: sender@example.org\r\nTo: alice@example.test\r\nSubject: Hello\r\nX-Old: one\r\nX-Old: two\r\n"
           b"\r\nfirst line\r\nsecond line\r\n")
CONTINUE = packet(b"c")
REFUSALS = [
    (packet(b"r"), "550 5.7.1"),
    (packet(b"t"), "451 4.7.1"),
    (packet(b"y", strings("554 5.7.1 go away")), "554 5.7.1 go away"),
    (packet(b"y", strings("450-4.2.0 not\r\n450 4.2.0 now, 100%%")), "450 4.2.0 now, 100%"),
    (packet(b"y", strings("550 no code of its own")), "550 5.7.1 no code of its own"),
]


TIMES = {"reply_timeout": "1s", "message_timeout": "1s"}


@pytest.fixture(scope="module")
def running():
    """A server with two filters at port 25, one behind the other: the first fails closed; the second, behind a Unix socket, fails open
    and is asked at submission, too."""
    with tempfile.TemporaryDirectory(prefix="milter-") as folder:
        pathlib.Path(folder).chmod(0o755)
        first, second = FakeMilter(), FakeMilter(path=pathlib.Path(folder) / "sock")
        config = first.section("first", **TIMES) + second.section("second", doors="smtp submission", fail="open", **TIMES)
        server = tassis.temporary_server(auth="plaintext = loopback", config=config)
        yield server, first, second
        server.stop()
        shutil.rmtree(server.dir)
        first.close()
        second.close()


@pytest.fixture
def world(running):
    """world(answers, **options): the server and its filters, of which the first gives these answers; all mailboxes are empty."""
    server, first, second = running

    def make(answers=None, **options):
        first.reset(answers, **options)
        second.reset(steps=NO_ALL)
        for address in ("alice@example.test", "bob@example.test"):
            for mailbox in ("INBOX", "Junk"):
                session = server.account(address).imap(mailbox)
                session.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
                session.ok("EXPUNGE")
                session.close()
        return server, first

    return make


def begin(server, sender="sender@example.org", *recipients):
    client = server.smtp()
    client.expect(250, f"MAIL FROM:<{sender}> SIZE=1000")
    for address in recipients or ("alice@example.test",):
        client.expect(250, f"RCPT TO:<{address}>")
    return client


def received(server, address="alice@example.test", mailbox="INBOX"):
    session = server.account(address).imap(mailbox)
    answer = session.ok("UID FETCH 1:* BODY.PEEK[]")
    session.close()
    return [line for line in answer.untagged if b"BODY[]" in line]


def test_a_filter_is_told_all_and_adds_a_header(world):
    server, milter = world({b"E": [packet(b"h", strings("X-Filtered", "yes")), CONTINUE]})
    client = begin(server)
    client.message(MESSAGE)
    client.command("QUIT")
    assert milter.letters().startswith(b"OCHMRTLLLLLNBE")
    assert milter.told(b"C")[0].startswith(b"[127.0.0.1]\x004") and milter.told(b"C")[0].endswith(b"127.0.0.1\0")
    assert milter.told(b"H") == [b"client.example.test\0"]
    assert milter.told(b"M") == [b"<sender@example.org>\0SIZE=1000\0"]
    assert milter.told(b"R") == [b"<alice@example.test>\0"]
    assert milter.told(b"L")[2] == b"Subject\0Hello\0"
    assert milter.told(b"B") == [b"first line\r\nsecond line\r\n"]
    assert milter.macro(b"C", b"j") == ["mx.example.test"] and milter.macro(b"C", b"{client_addr}") == ["127.0.0.1"]
    assert milter.macro(b"M", b"{mail_addr}") == ["sender@example.org"]
    assert milter.macro(b"R", b"{rcpt_addr}") == ["alice@example.test"]
    assert milter.macro(b"E", b"i") == milter.macro(b"M", b"i") and len(milter.macro(b"E", b"i")[0]) == 16
    mail, = received(server)
    assert b"X-Filtered: yes\r\n\r\nfirst line" in mail


def test_a_recipient_is_refused_and_the_others_are_not(world):
    server, milter = world()
    for answer, reply in REFUSALS:
        milter.answers = {b"R": lambda data: answer if b"bob" in data else CONTINUE}
        client = begin(server)
        assert client.command("RCPT TO:<bob@example.test>")[-1].startswith(reply)
        client.message(MESSAGE)
        client.close()
    assert len(received(server)) == len(REFUSALS) and received(server, "bob@example.test") == []
    server.wait_log(r"refused .*milter=first.*to=bob@example.test")


@pytest.mark.parametrize("letter, command", [("H", "EHLO again.example.test"), ("M", "MAIL FROM:<sender@example.org>"), ("T", "DATA")])
def test_every_stage_may_refuse(world, letter, command):
    server, milter = world()
    for answer, reply in REFUSALS:
        milter.answers = {}
        client = begin(server) if letter == "T" else server.smtp()
        milter.answers = {letter.encode(): answer}
        assert client.command(command)[-1].startswith(reply)


def test_the_connection_and_the_end_of_a_message_are_refused(world):
    server, milter = world({b"C": packet(b"y", strings("421 4.7.0 not you"))})
    talk = server.talk("smtp")
    assert talk.reply()[0].startswith("220")
    assert talk.command("EHLO client.example.test") == ["421 4.7.0 not you"] and talk.eof()

    server, milter = world({b"E": packet(b"r")})
    client = begin(server)
    client.message(MESSAGE, code=550)
    begin(server).message(MESSAGE, code=550)
    assert received(server) == []


def test_accepting_ends_the_asking(world):
    server, milter = world({b"H": packet(b"a")})
    begin(server).message(MESSAGE)
    assert milter.letters() == b"OCH"
    server, milter = world({b"M": packet(b"a"), b"E": packet(b"r")})
    client = begin(server)
    client.message(MESSAGE)
    client.expect(250, "MAIL FROM:<second@example.org>")
    assert milter.letters() == b"OCHMAM"  # the next message is asked about again
    assert len(received(server)) == 1


@pytest.mark.parametrize("letter", [b"M", b"R", b"L", b"E"])
def test_what_is_discarded_is_taken_and_not_delivered(world, letter):
    server, milter = world({letter: packet(b"d")})
    client = begin(server)
    client.message(MESSAGE)
    assert received(server) == []
    server.wait_log(r"refused .*milter=first.*discarded")
    client.expect(250, "MAIL FROM:<second@example.org>")


def test_headers_are_added_inserted_changed_and_deleted(world):
    changes = [packet(b"h", strings("X-Last", "a\n b")), packet(b"i", struct.pack(">I", 1) + strings("X-First", "1")),
               packet(b"m", struct.pack(">I", 2) + strings("X-Old", "")), packet(b"m", struct.pack(">I", 1) + strings("Subject", "Changed")),
               packet(b"m", struct.pack(">I", 1) + strings("X-New", "new")), packet(b"p"), CONTINUE]
    server, milter = world({b"E": changes})
    begin(server).message(MESSAGE)
    mail, = received(server)
    header = mail[mail.index(b"X-First"):mail.index(b"first line")]
    assert header == (b"X-First: 1\r\nFrom: sender@example.org\r\nTo: alice@example.test\r\nSubject: Changed\r\nX-Old: one\r\n"
                      b"X-Last: a\r\n b\r\nX-New: new\r\n\r\n")


def test_the_body_is_replaced(world):
    server, milter = world({b"E": [packet(b"b", b"a new\r\n"), packet(b"b", b"body\n.\nno end"), CONTINUE]})
    begin(server).message(MESSAGE)
    mail, = received(server)
    assert b"X-Old: two\r\n\r\na new\r\nbody\r\n.\r\nno end\r\n" in mail and b"first line" not in mail


def test_sender_and_recipients_are_changed(world):
    server, milter = world({b"E": [packet(b"e", strings("<changed@example.org>", "RET=HDRS")), packet(b"+", strings("<bob@example.test>")),
                                   packet(b"-", strings("<alice@example.test>")), packet(b"2", strings("nobody@example.test", "NOTIFY=NEVER")), CONTINUE]})
    begin(server).message(MESSAGE)
    mail, = received(server, "bob@example.test")
    assert b"Return-Path: <changed@example.org>\r\n" in mail
    assert received(server) == []
    server.wait_log(r"milter-changed .*recipient-not-added.*nobody@example.test")


def test_no_recipient_left(world):
    server, milter = world({b"E": [packet(b"-", strings("<alice@example.test>")), CONTINUE]})
    begin(server).message(MESSAGE)
    assert received(server) == []


def test_a_quarantined_message_goes_to_junk(world):
    server, milter = world({b"E": [packet(b"q", strings("looks bad")), CONTINUE]}, actions=0xff)
    begin(server).message(MESSAGE)
    assert received(server) == []
    assert len(received(server, mailbox="Junk")) == 1
    server.wait_log(r"milter-changed .*quarantine.*looks bad")


def test_the_next_filter_sees_what_the_one_before_made(world, running):
    server, first = world({b"E": [packet(b"h", strings("X-Filtered", "by the first")), CONTINUE]})
    second = running[2]
    second.reset({b"E": packet(b"y", strings("550 5.7.1 second"))})
    begin(server).message(MESSAGE, code=550)
    assert second.told(b"L")[-1] == b"X-Filtered\0by the first\0"


@pytest.mark.parametrize("steps, letters", [(NO_HEADERS | NO_BODY, b"OCHMRTNE"), (0x7f | 0x200, b"OE"), (NR_HEADER | NR_BODY, b"OCHMRTLLLLLNBE")])
def test_what_is_not_wanted_is_not_sent(world, steps, letters):
    server, milter = world(steps=steps)
    begin(server).message(MESSAGE)
    assert milter.letters() == letters
    assert len(received(server)) == 1


def test_a_large_body_comes_in_chunks_and_may_be_skipped(world):
    body = b"".join(b"line %06d of a long message\r\n" % n for n in range(10000))
    server, milter = world()
    begin(server).message(MESSAGE + body)
    assert b"".join(milter.told(b"B")) == MESSAGE.split(b"\r\n\r\n", 1)[1] + body
    assert max(map(len, milter.told(b"B"))) == 65535
    server, milter = world({b"B": packet(b"s")}, steps=SKIP | HEADER_SPACE)
    begin(server).message(MESSAGE + body)
    assert len(milter.told(b"B")) == 1 and milter.told(b"L")[2] == b"Subject\0 Hello\0"
    assert len(received(server)) == 1


def test_chunks_of_bdat_are_filtered(world):
    server, milter = world({b"T": packet(b"t")})
    client = begin(server)
    client.send(b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE)
    assert client.reply()[-1].startswith("451 4.7.1")
    server, milter = world({b"E": [packet(b"h", strings("X-Filtered", "yes")), CONTINUE]})
    client = begin(server)
    client.send(b"BDAT 10\r\n" + MESSAGE[:10] + b"BDAT %d LAST\r\n" % (len(MESSAGE) - 10) + MESSAGE[10:])
    assert [client.reply()[-1][:3] for _ in range(2)] == ["250", "250"]
    assert milter.letters() == b"OCHMRTLLLLLNBE" and b"X-Filtered: yes" in received(server)[0]


def test_a_message_that_is_given_up_is_aborted(world):
    server, milter = world()
    client = begin(server)
    client.expect(250, "RSET")
    client.expect(250, "MAIL FROM:<sender@example.org>")
    client.expect(250, "RCPT TO:<alice@example.test>")
    client.message(MESSAGE)
    client.expect(221, "QUIT")
    assert milter.letters() == b"OCHMRAMRTLLLLLNBE"
    assert milter.connections == 1


def test_submission_tells_who_logged_in_and_how(world, running):
    server, first = world()
    second = running[2]
    bob = server.account("bob@example.test")
    def word(text):
        return base64.b64encode(text.encode()).decode()

    for words, mechanism in ((["AUTH PLAIN " + word(f"\0{bob.address}\0{bob.password}")], "PLAIN"),
                             (["AUTH login", word(bob.address), word(bob.password)], "LOGIN")):
        second.reset()
        client = server.smtp("submission")
        for line in words[:-1]:
            client.expect(334, line)
        client.expect(235, words[-1])
        client.expect(250, "MAIL FROM:<bob@example.test>")
        client.expect(250, "RCPT TO:<alice@example.test>")
        client.message(MESSAGE)
        assert second.macro(b"M", b"{auth_authen}") == [bob.address] and second.macro(b"M", b"{auth_type}") == [mechanism]
        assert second.macro(b"C", b"{daemon_name}") == ["MSA"]
        assert second.letters().startswith(b"OCHMRTLLLLL")
    assert first.connections == 0  # it is not for this door


def test_a_tls_session_is_told_so(world):
    server, milter = world()
    client = server.smtp()
    client.expect(220, "STARTTLS")
    client.sock = tassis.tls_context().wrap_socket(client.sock)
    client.expect(250, "EHLO client.example.test")
    assert milter.letters() == b"OCHH"
    assert milter.macro(b"H", b"{tls_version}") == ["TLSv1.3"]
    assert milter.macro(b"H", b"{cipher}") == [client.sock.cipher()[0]] and milter.macro(b"H", b"{cipher_bits}") == [str(client.sock.cipher()[2])]


def test_a_refused_recipient_is_shown_to_who_wants_it(world):
    for steps, told in ((0, []), (RCPT_REJECTED, [b"<nobody@example.test>\0NOTIFY=NEVER\0"])):
        server, milter = world(steps=steps, answers={b"R": packet(b"d")})  # its answer has no meaning
        client = server.smtp()
        client.expect(250, "MAIL FROM:<sender@example.org>")
        reply = client.expect(550, "RCPT TO:<nobody@example.test> NOTIFY=NEVER")[0]
        assert milter.told(b"R") == told
        milter.answers = {}
        client.expect(250, "RCPT TO:<alice@example.test>")
        client.message(MESSAGE)
        assert len(received(server)) == 1
    assert milter.macro(b"R", b"{rcpt_mailer}") == ["error", "smtp"]
    assert milter.macro(b"R", b"{rcpt_host}") == ["5.1.1", "example.test"]
    assert milter.macro(b"R", b"{rcpt_addr}") == [reply, "alice@example.test"]


def test_a_command_that_is_not_known(world):
    server, milter = world()
    client = server.smtp()
    client.expect("500 5.5.1", "XYZZY plugh")
    for answer, reply in REFUSALS[1:3]:
        milter.answers = {b"U": answer}
        assert client.command("XYZZY plugh")[-1].startswith(reply)
    for answer in (b"a", b"d"):  # nothing is known of a message yet
        milter.answers = {b"U": packet(answer)}
        client.expect("500 5.5.1", "XYZZY plugh")
    milter.answers = {b"E": packet(b"r")}
    client.expect(250, "MAIL FROM:<sender@example.org>")
    client.expect(250, "RCPT TO:<alice@example.test>")
    client.message(MESSAGE, code=550)
    assert set(milter.told(b"U")) == {b"XYZZY plugh\0"}


# ---- filters that misbehave

BAD = [
    ("closes", None),
    ("silent", b""),
    ("garbage", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("giant", b"\x7f\xff\xff\xff" + b"x" * 1000),
    ("too long", struct.pack(">I", 200000) + b"y" + b"x" * 199999),
    ("zero", b"\0\0\0\0"),
    ("cut", b"\0\0\0\x10y550"),
    ("no answer", packet(b"Z")),
    ("half reply", packet(b"y", b"55\0")),
    ("250", packet(b"y", b"250 fine\0")),
]


@pytest.mark.parametrize("letter", ["M", "E"])
def test_fail_closed_and_open(world, running, letter):
    """Closed: 4xx and nothing is let through; open: the mail goes on. Each way a session of its own, all at the same time."""
    server, first = world()
    for milter, fail in ((first, "closed"), (running[2], "open")):
        milter.reset()
        milter.by_connection = lambda n: {letter.encode(): BAD[n][1]}
        clients, log = [], len(server.log())
        for name, _ in BAD:
            clients.append(server.smtp())
        for client in clients:
            client.send("MAIL FROM:<sender@example.org>\r\n")
        for (name, _), client in zip(BAD, clients):
            if fail == "closed" and letter == "M":
                assert client.reply()[-1].startswith("451 4.7.1"), name
                continue
            assert client.reply()[-1].startswith("250"), name
            client.expect(250, "RCPT TO:<alice@example.test>")
            client.expect(354, "DATA")
            client.send(MESSAGE + b".\r\n")
        for (name, _), client in zip(BAD, clients):
            if not (fail == "closed" and letter == "M"):
                assert client.reply()[-1].startswith("451" if fail == "closed" else "250"), name
            client.close()
        assert len(re.findall(f"milter-failed .*milter={'first' if fail == 'closed' else 'second'}.*then={fail}", server.log()[log:])) == len(BAD)
        milter.reset(steps=NO_ALL)
    assert len(received(server)) == len(BAD)


def test_options_that_cannot_be(world, running):
    server, first = world()
    for milter, fail in ((first, "closed"), (running[2], "open")):
        for name, answer in BAD:
            if name in ("silent", "cut"):  # these take time; see below
                continue
            milter.reset({b"O": answer})
            client = server.smtp()
            client.expect(451 if fail == "closed" else 250, "MAIL FROM:<sender@example.org>")
            client.close()
        milter.reset(steps=NO_ALL)


def test_a_filter_without_a_word_is_called_by_one_at_a_time(world):
    server, milter = world({b"O": b""})
    log = len(server.log())
    server.smtp().close()  # EHLO took as long as the filter has to answer
    trying = server.talk("smtp")
    trying.reply()
    trying.send("EHLO client.example.test\r\n")
    while milter.connections < 2:
        time.sleep(0.005)
    other = server.smtp()
    other.expect("451 4.7.1", "MAIL FROM:<sender@example.org>")
    assert milter.connections == 2 and trying.is_silent(0.01)
    server.wait_log("milter-failed .*one of them is calling it again", after=log)
    assert trying.reply()[-1].startswith("250")
    milter.reset()
    for client in (trying, other):
        assert client.command("MAIL FROM:<sender@example.org>")[-1].startswith("250")


def test_changes_that_cannot_be(world):
    server, milter = world()
    for changes in ([packet(b"h", strings("bad name", "x"))], [packet(b"h", b"X-Cut\0")], [packet(b"e", strings("<not an address"))],
                    [packet(b"+", strings("<>"))], [packet(b"+", strings('<"a\r\nRCPT TO:<bob@example.test>"@example.test>'))],
                    [packet(b"e", strings("<bob@example.test>", "ENVID=a\r\nRSET"))], [packet(b"h", strings("X\r\nY", "z"))],
                    [packet(b"h", strings("X", "y"))] * 1001, [packet(b"b", b"x" * 60000)] * 1000):
        milter.answers = {b"E": [*changes, CONTINUE]}
        begin(server).message(MESSAGE, code=451)
    assert received(server) == []


def test_changes_that_were_not_asked_for_or_come_too_early(world):
    server, milter = world({b"E": [packet(b"h", strings("X", "y")), CONTINUE]}, actions=0)
    begin(server).message(MESSAGE, code=451)
    milter.reset({b"M": [packet(b"h", strings("X", "y")), CONTINUE]})
    server.smtp().expect(451, "MAIL FROM:<sender@example.org>")


def test_a_filter_that_is_not_there_and_comes_back(world, running):
    server, milter = world()
    log = len(server.log())
    milter.close()
    client = server.smtp()
    client.expect(451, "MAIL FROM:<sender@example.org>")
    server.wait_log(r"milter-unreachable .*milter=first", after=log)
    milter.listen()
    deadline = time.monotonic() + 20  # relay leaves a filter that was not there alone for a moment
    while not client.command("MAIL FROM:<sender@example.org>")[-1].startswith("250"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_silent_filter_leaves_others_alone(make_server):
    """Sessions that wait for a filter keep the role neither from serving others nor from stopping."""
    milter = FakeMilter({b"M": lambda data: b"" if b"slow" in data else CONTINUE})
    server = make_server(auth="plaintext = loopback", config=milter.section(fail="open", reply_timeout="5m"))
    waiting = [server.smtp() for _ in range(20)]
    for client in waiting:
        client.send("MAIL FROM:<slow@example.org>\r\n")
    begin(server).message(MESSAGE)
    assert len(received(server)) == 1
    assert all(client.is_silent(0.01) for client in waiting)
    server.stop()
    assert " killed " not in server.log()
    for client in waiting:  # the filter has not said yes
        assert client.reply()[-1].startswith("451 4.7.1")
    milter.close()


def test_config_errors(running):
    server = running[0]
    for section, complaint in (("[milter]\naddress = 127.0.0.1:1", "name is made of"),
                               ("[milter a]\nfail = open", "needs an address"),
                               ("[milter a]\naddress = nowhere", "neither host:port"),
                               ("[milter a]\naddress = 127.0.0.1:1\ndoors = imap", "neither smtp nor submission"),
                               ("[milter a]\naddress = 127.0.0.1:1\nfail = maybe", "neither open nor closed"),
                               ("[milter a]\naddress = 127.0.0.1:1\nreply_timeout = 1h", "longer than"),
                               ("[milter a]\naddress = 127.0.0.1:1\n[milter b]\naddress = 127.0.0.1:2\n[milter a]\nfail = open", "there already")):
        server.conf.with_name("bad.conf").write_text(server.conf.read_text() + "\n" + section + "\n")
        done = subprocess.run([tassis.BINARY, "check", "-c", str(server.conf.with_name("bad.conf"))], capture_output=True, text=True,
                              env={**os.environ, **tassis.CLI_ENV})
        assert done.returncode != 0 and complaint in done.stderr + done.stdout, (section, done)
