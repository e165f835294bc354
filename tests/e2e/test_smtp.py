"""SMTP from outside: what the doors take, from whom, for whom, and what they put before it."""
import re
import socket
import time

import pytest

import tassis
from tassis import BODY_MARK, text_message, without_trace

MARK = (BODY_MARK + "\r\n").encode()


def to(session, sender, *recipients):
    session.expect(250, f"MAIL FROM:<{sender}>")
    for recipient in recipients:
        session.expect(250, f"RCPT TO:<{recipient}>")


# ---- who may send where

def test_no_open_relay(server):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    for path in ("<x@elsewhere.test>", "<x%elsewhere.test@example.org>", "<@example.test:x@elsewhere.test>", '<"x@elsewhere.test">',
                 "<elsewhere.test!x>", "<x@[127.0.0.1]>", "<x@localhost>", '<"alice@example.test"@elsewhere.test>'):
        answer = session.command(f"RCPT TO:{path}")
        assert answer[-1][0] == "5", f"{path}: {answer}"
    session.expect(554, "DATA")


def test_a_sender_of_ours_does_not_open_the_relay(server):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<alice@example.test>")
    session.expect("550 5.7.1", "RCPT TO:<x@elsewhere.test>")


def test_percent_in_our_domain_is_just_a_name(server):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect("550 5.1.1", "RCPT TO:<x%elsewhere.test@example.test>")


def test_unknown_user(server):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect("550 5.1.1", "RCPT TO:<nobody@example.test>")


@pytest.mark.parametrize("line, code", [("RCPT TO:<guess@example.test>", "550 5.1.1"), ("NONSENSE", "500")])
def test_who_only_makes_errors_is_slowed_down(server, line, code):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    began = time.monotonic()
    for _ in range(5):
        session.expect(code, line)
    assert time.monotonic() - began < 0.9
    session.expect(code, line)
    session.expect(code, line)
    assert time.monotonic() - began > 0.9


def test_submission_needs_a_login(server):
    session = server.smtp("submission")
    session.expect("530 5.7.0", "MAIL FROM:<alice@example.test>")
    session.expect("530 5.7.0", "RCPT TO:<bob@example.test>")
    session.expect("530 5.7.0", "DATA")


def test_mx_offers_no_login(server):
    session = server.smtp()
    assert not [c for c in session.capabilities if c.startswith("AUTH")]
    session.expect(50, "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB4")


@pytest.mark.parametrize("sender, code", [
    ("{0}", 250), ("{0}+lists", None), ("bob@example.test", 553), ("somebody@elsewhere.test", 553), ("", 250)])
def test_the_sender_must_belong_to_the_account(server, box, sender, code):
    session = server.submission(box)
    if code is None:
        user, domain = box.address.split("@")
        session.expect(250, f"MAIL FROM:<{user}+lists@{domain}>")
    else:
        session.expect(code, f"MAIL FROM:<{sender.format(box.address)}>")


def test_an_alias_of_the_account_may_send(server, box):
    alias = "also-" + box.address
    session = server.submission(box)
    session.expect(553, f"MAIL FROM:<{alias}>")
    server.cli("alias", "add", alias, box.address)
    session.expect(250, f"MAIL FROM:<{alias}>")


# ---- addresses

@pytest.mark.parametrize("form", ["{user}@{domain}", "{user}+detail@{domain}", "{user}+a+b@{domain}", "{USER}@{DOMAIN}", '"{user}"@{domain}',
                                  "@relay.elsewhere.test:{user}@{domain}"])
def test_forms_of_an_address(server, box, form):
    user, domain = box.address.split("@")
    session = server.smtp()
    to(session, "sender@elsewhere.test", form.format(user=user, domain=domain, USER=user.upper(), DOMAIN=domain.upper()))
    session.message(text_message())
    [message] = box.messages()
    assert f"\r\nDelivered-To: {box.address}\r\n".encode() in message


def test_alias_to_several(server):
    boxes = [server.new_account() for _ in range(3)]
    server.cli("alias", "add", "team@example.test", *(b.address for b in boxes))
    session = server.smtp()
    to(session, "sender@elsewhere.test", "team@example.test", boxes[0].address)
    session.message(text_message("for the team"))
    assert [len(b.messages()) for b in boxes] == [1, 1, 1]  # who is addressed twice gets it once


def test_catch_all_and_postmaster(make_server):
    server = make_server(auth="plaintext = loopback")
    alice, bob = server.account("alice@example.test"), server.account("bob@example.test")
    for postmaster in ("postmaster@example.test", "Postmaster", "POSTMASTER@EXAMPLE.TEST"):
        session = server.smtp()
        to(session, "", postmaster)
        session.message(text_message("for the postmaster"))
    assert len(alice.messages()) == 3  # nobody was named, so it is the first account's
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect(550, "RCPT TO:<whoever@example.test>")
    server.cli("alias", "add", "@example.test", "bob@example.test")
    session.expect(250, "RCPT TO:<whoever@example.test>")
    session.expect(250, "RCPT TO:<alice@example.test>")
    session.message(text_message("for whoever"))
    assert len(bob.messages()) == 1 and len(alice.messages()) == 4
    server.cli("alias", "add", "postmaster@example.test", "bob@example.test")
    session = server.smtp()
    to(session, "", "Postmaster")
    session.message(text_message("for the postmaster"))
    assert len(bob.messages()) == 2


def test_alias_loop_is_nobody(server):
    server.cli("alias", "add", "loop-a@example.test", "loop-b@example.test")
    server.cli("alias", "add", "loop-b@example.test", "loop-a@example.test", ok=False)  # may be refused here already
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect(550, "RCPT TO:<loop-a@example.test>")


def test_a_thousand_recipients_are_the_limit(server, box):
    user, domain = box.address.split("@")
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.send("".join(f"RCPT TO:<{user}+{n}@{domain}>\r\n" for n in range(1001)))
    answers = [session.line()[:9] for _ in range(1001)]
    assert answers == ["250 2.1.5"] * 1000 + ["452 4.5.3"]
    session.message(text_message())
    assert len(box.messages()) == 1


# ---- what is put before a message

def test_trace_fields(server, box):
    answer = box.receive(text_message(), sender="Sender@elsewhere.test")
    trace = re.search(r"id ([a-z0-9]+)$", answer[-1])[1].encode()
    [message] = box.messages()
    assert message.startswith(b"Return-Path: <Sender@elsewhere.test>\r\nDelivered-To: %s\r\nReceived: from client.example.test ([127.0.0.1])\r\n"
                              b"\tby mx.example.test with ESMTP id %s\r\n\tfor <%s>; " % (box.address.encode(), trace, box.address.encode()))


def test_trace_fields_over_tls(server, box):
    session = server.smtp()
    session.expect(220, "STARTTLS")
    session.start_tls()
    assert "STARTTLS" not in session.command("EHLO client.example.test")
    to(session, "", box.address)
    session.message(text_message())
    [message] = box.messages()
    assert message.startswith(b"Return-Path: <>\r\n")
    assert re.search(rb"with ESMTPS id [a-z0-9]+\r\n\t\(TLSv1\.3 TLS_[A-Z0-9_]+\)\r\n\tfor <", message)


def test_trace_fields_of_helo_and_of_several(server, box):
    other = server.new_account()
    talk = server.talk("smtp")
    talk.reply()
    assert talk.command("HELO [127.0.0.1]")[0].startswith("250 ")
    for line in ("MAIL FROM:<sender@elsewhere.test>", f"RCPT TO:<{box.address}>", f"RCPT TO:<{other.address}>"):
        assert talk.command(line)[-1].startswith("250")
    talk.command("DATA")
    talk.send(text_message() + b".\r\n")
    assert talk.reply()[-1].startswith("250")
    message, copy = box.messages()[0], other.messages()[0]
    assert re.search(rb"Received: from \[127\.0\.0\.1\] \([^)]*\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.test with SMTP id", message)
    assert other.address.encode() not in message and box.address.encode() not in copy  # none is told of the others
    assert without_trace(message) == without_trace(copy)


def test_a_false_return_path_goes(server, box):
    raw = text_message()
    box.receive(b"Return-Path: <liar@elsewhere.test>\r\nX-First: 1\r\n" + raw)
    [message] = box.messages()
    assert message.count(b"Return-Path:") == 1 and without_trace(message) == b"X-First: 1\r\n" + raw


def test_submission_completes_the_header(server, box):
    session = server.submission(box)
    to(session, box.address, box.address, "bob@example.test")
    session.message(b"From: <%s>\r\nBcc: <bob@example.test>,\r\n <other@elsewhere.test>\r\nSubject: x\r\n\r\n" % box.address.encode() + MARK)
    [message] = box.messages()
    header = message.split(b"\r\n\r\n")[0]
    assert b"Bcc" not in header and b"bob@" not in header
    assert len(re.findall(rb"(?m)^Date: \w{3}, \d", header)) == 1 and len(re.findall(rb"(?m)^Message-ID: <[^@>]+@mx\.example\.test>", header)) == 1
    assert b"with ESMTPA id" in header


def test_submission_leaves_a_complete_message_alone(server, box):
    raw = text_message(**{"From": f"<{box.address}>"})
    session = server.submission(box)
    to(session, box.address, box.address)
    session.message(raw)
    assert without_trace(box.messages()[0]) == raw


# ---- loops

def test_too_many_hops(server, box):
    hop = b"Received: from a.elsewhere.test by b.elsewhere.test; Sat, 31 Jan 2026 12:00:00 +0000\r\n"
    box.receive(hop * 99 + text_message())
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.message(hop * 101 + text_message(), "554 5.4.6")
    assert len(box.messages()) == 1


def test_delivered_here_before(server, box):
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.message(f"Delivered-To: {box.address}\r\n".encode() + text_message(), "554 5.4.6")
    to(session, "sender@elsewhere.test", box.address)
    session.message(b"Delivered-To: another@elsewhere.test\r\n" + text_message())
    assert len(box.messages()) == 1


# ---- parameters

def test_smtputf8(server, box):
    session = server.smtp()
    assert "SMTPUTF8" in session.capabilities
    session.expect(553, "MAIL FROM:<jürgen@elsewhere.test>")
    session.expect(250, "MAIL FROM:<jürgen@elsewhere.test> SMTPUTF8 BODY=8BITMIME")
    session.expect(250, f"RCPT TO:<{box.address}>")
    raw = "From: Jürgen <jürgen@elsewhere.test>\r\nSubject: Grüße aus 日本\r\n\r\n".encode() + MARK
    session.message(raw)
    [message] = box.messages()
    assert without_trace(message) == raw
    assert message.startswith("Return-Path: <jürgen@elsewhere.test>\r\n".encode()) and b"with UTF8SMTP id" in message


def test_an_account_with_a_name_in_utf8(server):
    box = tassis.Account(server, "grüße@example.test", "a secret of grüße")
    server.add_account(box.address, box.password)
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test> SMTPUTF8")
    session.expect(250, "RCPT TO:<grüße@example.test>")
    session.message(text_message())
    assert len(box.messages()) == 1


@pytest.mark.parametrize("line, code", [
    ("MAIL FROM:<a@elsewhere.test> SIZE=1000 BODY=8BITMIME", 250),
    ("mail from:<a@elsewhere.test>", 250),
    ("MAIL FROM:<a@elsewhere.test> SIZE=99999999999", 552),
    ("MAIL FROM:<a@elsewhere.test> SIZE=x", 501),
    ("MAIL FROM:<a@elsewhere.test> COLOUR=red", 555),
    ("MAIL FROM:<a@elsewhere.test> XTRACE=abc", 555),  # only between our own roles
    ("MAIL FROM:a@elsewhere.test", 501),
    ("MAIL FROM: <a@elsewhere.test>", None),
    ("MAIL FROM:<a@elsewhere.test", 501),
    ("MAIL FROM:<a@@elsewhere.test>", 501),
    ("MAIL TO:<a@elsewhere.test>", 501),
    ("RCPT TO:<alice@example.test>", 503),
    ("DATA", 503),
    ("RSET", 250), ("NOOP whatever", 250), ("VRFY alice", 252), ("EXPN list", 502), ("HELP", 214), ("QUIT", 221),
    ("", 500), ("NONSENSE", 500), ("MAIL\0FROM:<a@elsewhere.test>", 50),
])
def test_lines_and_their_answers(server, line, code):
    session = server.smtp()
    answer = session.command(line)[-1]
    assert answer.startswith(str(code)) if code else answer[0] in "25", answer


def test_a_line_that_is_too_long(server):
    session = server.smtp()
    session.expect(500, "NOOP " + "x" * 5000)
    session.expect(250, "NOOP")


def test_pipelining(server, box):
    """RFC 2920: everything at once, also where something is refused in between."""
    session = server.smtp()
    session.send(f"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<{box.address}>\r\nDATA\r\n")
    assert [session.line()[:3] for _ in range(4)] == ["250", "550", "250", "354"]
    session.send(text_message() + f".\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<{box.address}>\r\nRSET\r\nQUIT\r\n".encode())
    assert [session.line()[:3] for _ in range(5)] == ["250", "250", "250", "250", "221"]
    assert session.eof()
    assert len(box.messages()) == 1


# ---- what others would read differently

@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n", b"\n\r.\r\n", b"\r\n\0.\r\n",
                                 b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n. \r\n"])
def test_smuggling(server, box, end):
    """A second message hidden behind what another server may take for the end: it never becomes a message, nor a command."""
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.expect(354, "DATA")
    hidden = f"MAIL FROM:<hidden@elsewhere.test>\r\nRCPT TO:<{box.address}>\r\nDATA\r\nSubject: hidden\r\n\r\nhidden".encode()
    session.send(b"Subject: outer\r\n\r\nouter" + end + hidden + b"\r\n.\r\n")
    answer = session.reply()
    is_clean = end in (b"\r\n..\r\n", b"\r\n. \r\n")
    assert answer[-1].startswith("250" if is_clean else "550"), answer
    session.expect(250, "NOOP")  # exactly one answer came
    messages = box.messages()
    assert len(messages) == (1 if is_clean else 0)
    assert not [m for m in messages if m.startswith(b"Return-Path: <hidden")]


def test_bare_lf_in_commands(server):
    session = server.smtp()
    session.send(b"NOOP\nMAIL FROM:<a@elsewhere.test>\r\n")
    assert session.reply()[-1].startswith("521")
    assert session.eof()


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_commands_behind_starttls_are_not_run(server, service):
    """CVE-2011-0411: what stands in clear behind STARTTLS must not be taken for what comes encrypted."""
    session = server.smtp(service)
    session.send(b"STARTTLS\r\nRSET\r\nNOOP\r\n")
    assert session.reply()[-1].startswith("554")
    session.expect(250, "NOOP")
    session.expect(220, "STARTTLS")
    session.start_tls()
    session.expect(250, "EHLO client.example.test")


def test_starttls_forgets(server, box):
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.expect(220, "STARTTLS")
    session.start_tls()
    session.expect(503, "RCPT TO:<alice@example.test>")
    session.expect(503, "MAIL FROM:<sender@elsewhere.test>")  # EHLO anew


def test_garbage_instead_of_a_handshake(server):
    for service in ("submissions", "imaps", "pop3s"):
        sock = server.connect(service)
        sock.sendall(b"EHLO client.example.test\r\n" * 10)
        assert tassis.Talk(sock).eof()


# ---- ends of connections

def test_a_message_cut_off_is_no_message(server, box):
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.expect(354, "DATA")
    session.send(text_message() + b"and then")
    session.close()
    session = server.smtp()
    to(session, "sender@elsewhere.test", box.address)
    session.expect(354, "DATA")
    session.send(text_message() + b".\r")
    session.sock.shutdown(socket.SHUT_WR)
    assert session.eof()
    box.receive(text_message("whole"))
    assert len(box.messages()) == 1


# ---- limits and doors

def test_sessions_of_one_address(make_server):
    """Who is one too many hears it in the protocol's own words."""
    server = make_server(auth="plaintext = loopback", limits="sessions_per_address = 3")
    words = {"smtp": "421 4.7.0", "submission": "421 4.7.0", "imap": "* BYE", "pop3": "-ERR"}
    for service, goodbye in words.items():
        talks = tassis.wait_until(lambda: open_all(server, service, 3), what="room for three sessions")
        one_too_many = server.talk(service)
        assert one_too_many.line().startswith(goodbye)
        assert one_too_many.eof()
        for talk in talks:
            talk.close()


def open_all(server, service, count):
    """So many sessions, or None where one of them was refused."""
    talks = [server.talk(service) for _ in range(count)]
    if all([talk.line().startswith(("220", "* OK", "+OK")) for talk in talks]):
        return talks
    for talk in talks:
        talk.close()
    return None


def test_no_password_in_clear(make_server):
    """plaintext = never, which is the default: no login without TLS, and none is offered."""
    server = make_server()
    session = server.smtp("submission")
    assert not [c for c in session.capabilities if c.startswith("AUTH")]
    session.expect("538 5.7.11", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB4")
    imap = server.imap()
    assert b"LOGINDISABLED" in imap.ok("CAPABILITY").untagged[0] and b"AUTH=PLAIN" not in imap.ok("CAPABILITY").untagged[0]
    password = tassis.PASSWORDS["alice@example.test"].encode()
    assert b"PRIVACYREQUIRED" in imap.no("LOGIN alice@example.test %s", password).tagged
    imap.no("AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB4")
    pop = server.talk("pop3")
    pop.line()
    pop.send("CAPA\r\n")
    capabilities = tassis.multiline(pop).split(b"\r\n")
    assert b"USER" not in capabilities and not [c for c in capabilities if c.startswith(b"SASL")] and b"STLS" in capabilities
    pop.send("USER alice@example.test\r\n")
    assert pop.line().startswith("-ERR")
    # With TLS all three work.
    session.expect(220, "STARTTLS")
    session.start_tls()
    assert "AUTH PLAIN LOGIN SCRAM-SHA-256" in [line[4:] for line in session.expect(250, "EHLO client.example.test")]
    session.login("alice@example.test", tassis.PASSWORDS["alice@example.test"])
    imap.ok("STARTTLS")
    imap.start_tls()
    imap.ok("LOGIN alice@example.test %s", password)
    pop.send("STLS\r\n")
    assert pop.line().startswith("+OK")
    pop.start_tls()
    pop.send(b"USER alice@example.test\r\nPASS " + password + b"\r\n")
    assert pop.line().startswith("+OK") and pop.line().startswith("+OK")


def has_ipv6():
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback")
def test_ipv6(make_server):
    server = make_server(auth="plaintext = loopback", hosts=("127.0.0.1", "::1"))
    box = server.new_account()
    session = server.smtp(host="::1")
    to(session, "sender@elsewhere.test", box.address)
    session.message(text_message())
    assert b"Received: from client.example.test ([IPv6:::1])\r\n" in box.messages()[0]
    imap = server.imap(host="::1")
    imap.ok("LOGIN %s %s", box.address.encode(), box.password.encode())  # ::1 is loopback, too
    assert server.wait_log(rf"login .*client=::1.*account={re.escape(box.address)}")
