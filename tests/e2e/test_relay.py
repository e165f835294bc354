"""Mail that goes out: found by DNS, sent over SMTP, tried again, bounced. Peers are small servers written for the test."""
import email
import re
import shutil

import pytest

import tassis
from tassis import PASSWORDS
from world import wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
RECORDS = [
    "one MX 10 mx.one", "mx.one A 127.0.0.11",
    "two MX 10 mx1.two", "two MX 20 mx2.two", "mx1.two A 127.0.0.12", "mx2.two A 127.0.0.13",
    "bare A 127.0.0.14",
    "null MX 0 .",
    "alias CNAME one",
    "dead MX 10 mx.dead", "mx.dead A 127.0.0.15",
    "nohost MX 10 nowhere.nohost",
    "self MX 10 mx.example", "mx.example A 127.0.0.16",
    "old MX 10 mx.old", "mx.old A 127.0.0.17",
    "refuses MX 10 mx.refuses", "mx.refuses A 127.0.0.18",
]


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 2s\nconnect_timeout = 3s"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


def message(subject, body="hello\r\n.a line with a dot\r\n"):
    return f"From: <{ALICE}>\r\nTo: <someone@elsewhere.test>\r\nSubject: {subject}\r\n\r\n{body}"


def submit(server, to, text, sender=ALICE, parameters=""):
    session = server.submission(server.account(sender))
    session.expect(250, f"MAIL FROM:<{sender}>{parameters}")
    for address in to if isinstance(to, list) else [to]:
        session.expect(250, f"RCPT TO:<{address}>")
    session.message(text.encode() if isinstance(text, str) else text)
    session.close()


def queue(server):
    return server.cli_json("queue", "list")


def bounce(server, box, count=1):
    """The newest message of alice or bob, as its three parts."""
    found = wait_for(lambda: [m for m in box.messages() if b"multipart/report" in m][count - 1:])
    report = email.message_from_bytes(found[-1])
    return report.get_payload()


def test_by_mx(server, peer):
    p = peer("127.0.0.11")
    submit(server, ["a@one.test", "\"b c\"@one.test"], message("by mx"))
    wait_for(lambda: p.messages)
    mail, rcpts, body, _ = p.messages[0]
    assert mail.startswith(f"MAIL FROM:<{ALICE}> SIZE=")
    assert [r.split(" ", 1)[1] for r in rcpts] == ["TO:<a@one.test>", "TO:<\"b c\"@one.test>"]
    assert body.endswith(b"\r\n\r\nhello\r\n.a line with a dot\r\n")
    wait_for(lambda: queue(server) == [])
    server.wait_log(r"relay info sent .*to=a@one.test .*host=mx.one.test address=127.0.0.11 ")


def test_address_literal_and_implicit_mx_and_cname(server, peer):
    p11, p14 = peer("127.0.0.11"), peer("127.0.0.14")
    submit(server, ["a@[127.0.0.14]", "a@bare.test", "a@alias.test"], message("no mx"))
    wait_for(lambda: len(p14.messages) == 2 and p11.messages)
    assert p11.messages[0][1] == ["RCPT TO:<a@alias.test>"]


def test_next_host_where_the_first_refuses(server, peer):
    peer("127.0.0.12", answers={"GREETING": "421 4.3.2 not now"})
    p = peer("127.0.0.13")
    submit(server, "a@two.test", message("second host"))
    wait_for(lambda: p.messages)


def test_helo_where_ehlo_is_unknown(server, peer):
    p = peer("127.0.0.17", answers={"EHLO": "500 5.5.1 what"})
    submit(server, "a@old.test", message("old peer"))
    wait_for(lambda: p.messages)
    assert p.messages[0][0] == f"MAIL FROM:<{ALICE}>"


@pytest.mark.parametrize("address,status,words", [
    ("a@null.test", "5.1.10", "takes no mail"),
    ("a@gone.test", "5.1.2", "no domain gone.test"),
    ("a@nohost.test", "5.4.4", "no host of the domain"),
    ("a@self.test", "5.4.6", "loops back to myself"),
])
def test_bounced_at_once(server, address, status, words):
    box = server.new_account()
    session = server.submission(box)
    session.expect(250, f"MAIL FROM:<{box.address}>")
    session.expect(250, f"RCPT TO:<{address}>")
    session.message(message("to be bounced").encode())
    human, report, header = bounce(server, box)
    assert words in human.get_payload()
    fields = report.get_payload()[1]
    assert (fields["Final-Recipient"], fields["Action"], fields["Status"]) == (f"rfc822; {address}", "failed", status)
    assert "Subject: to be bounced" in header.get_payload()
    wait_for(lambda: queue(server) == [])


def test_tried_again_after_4xx(server, peer):
    refusals = iter(["451 4.7.1 greylisted"] * 2)
    p = peer("127.0.0.11", answers=lambda verb, line: next(refusals, None) if verb == "RCPT" else None)
    submit(server, "a@one.test", message("greylisted"))
    wait_for(lambda: p.messages)
    assert len([c for c in p.commands if c.startswith("RCPT")]) == 3


def test_some_recipients_fail(server, peer):
    p = peer("127.0.0.11", answers=lambda verb, line: "550 5.1.1 nobody here" if verb == "RCPT" and "bad" in line else None)
    box = server.new_account()
    session = server.submission(box)
    session.expect(250, f"MAIL FROM:<{box.address}>")
    for to in ("good@one.test", "bad@one.test", "bad2@one.test"):
        session.expect(250, f"RCPT TO:<{to}>")
    session.message(message("mixed").encode())
    _, report, _ = bounce(server, box)
    assert [(f["Final-Recipient"], f["Status"]) for f in report.get_payload()[1:]] == [
        ("rfc822; bad@one.test", "5.1.1"), ("rfc822; bad2@one.test", "5.1.1")]
    assert report.get_payload()[1]["Remote-MTA"] == "dns; mx.one.test"
    assert "550 5.1.1 nobody here" in report.get_payload()[1]["Diagnostic-Code"]
    assert len(p.messages) == 1


def test_a_dead_destination_rests_and_the_queue_can_be_pushed(server, peer):
    submit(server, "a@dead.test", message("to the dead"))
    server.wait_log(r"resting .*dead.test does not answer")
    entry = wait_for(lambda: queue(server))[0]
    assert "Connection refused" in entry["recipients"][0]["reply"]
    server.cli("queue", "hold", "--domain", "dead.test")
    p = peer("127.0.0.15")
    assert server.cli_json("queue", "list", "--domain", "dead.test")[0]["recipients"][0]["state"] == "held"
    server.cli("queue", "release", str(entry["id"]))
    wait_for(lambda: p.messages)
    wait_for(lambda: queue(server) == [])


def test_many_messages_share_connections(server, peer):
    p = peer("127.0.0.11")
    session = server.submission(server.account(ALICE))
    for i in range(60):
        session.expect(250, f"MAIL FROM:<{ALICE}>")
        session.expect(250, "RCPT TO:<a@one.test>")
        session.message(message(f"number {i}").encode())
    wait_for(lambda: len(p.messages) == 60)
    assert p.sessions <= 20
    subjects = {re.search(rb"Subject: (.*)\r\n", body).group(1) for _, _, body, _ in p.messages}
    assert len(subjects) == 60


def test_opportunistic_tls(server, world, peer):
    p = peer("127.0.0.11", certificate=world.certificate("whoever.test"))
    submit(server, "a@one.test", message("with tls"))
    wait_for(lambda: p.messages)
    assert p.messages[0][3]
    server.wait_log(r"sent .*tls=TLSv1.3 ")


def test_a_failing_handshake_falls_back_to_clear(server, world, peer):
    def broken(talk):
        talk.send("220 broken\r\n")
        while True:
            verb = talk.line().split(" ")[0]
            if verb == "STARTTLS":
                talk.send("220 go\r\n")
                talk.sock.recv(100)
                talk.send(b"this is no TLS record")
                return
            if verb == "EHLO" and broken.count == 0:
                broken.count = 1
                talk.send("250-broken\r\n250 STARTTLS\r\n")
            else:
                p.serve(Rewound(talk, verb))
                return

    class Rewound:
        """A dialogue whose greeting was said and whose EHLO was read."""

        def __init__(self, talk, verb):
            self.talk, self.first, self.sock, self.greeted = talk, verb + " client", talk.sock, False

        def send(self, data):
            if self.greeted:
                self.talk.send(data)
            self.greeted = True

        def line(self):
            line, self.first = self.first, None
            return line or self.talk.line()

        def bytes_line(self):
            return self.talk.bytes_line()

    broken.count = 0
    p = peer("127.0.0.11", session=broken)
    submit(server, "a@one.test", message("fallback"))
    wait_for(lambda: p.messages)
    assert not p.messages[0][3]


def test_chunking(server, peer):
    p = peer("127.0.0.11", extensions=["PIPELINING", "CHUNKING", "8BITMIME"])
    submit(server, "a@one.test", message("in a chunk", "b\u00fccher\r\n").encode())
    submit(server, "a@one.test", message("in a large chunk", "x" * 70 + "\r\n" + ("y" * 76 + "\r\n") * 20000))
    wait_for(lambda: len(p.messages) == 2)
    assert any(c.startswith("BDAT") for c in p.commands)
    assert not any(c.startswith("DATA") for c in p.commands)
    small = next(m for m in p.messages if b"in a chunk" in m[2])
    assert small[0].endswith("BODY=8BITMIME") and "b\u00fccher\r\n".encode() in small[2]


def test_8bit_becomes_7bit_for_who_does_not_know_it(server, peer):
    p = peer("127.0.0.11", extensions=["PIPELINING"])
    submit(server, "a@one.test", message("needs 8 bits", "b\u00fccher\r\n").encode())
    wait_for(lambda: p.messages)
    got = email.message_from_bytes(p.messages[0][2])
    assert got["Content-Transfer-Encoding"] == "quoted-printable"
    assert got.get_payload(decode=True) == "b\u00fccher\r\n".encode()
    assert "BODY=" not in p.messages[0][0]


def test_a_kept_connection_is_not_what_mail_is_bounced_for(server, peer):
    """What EHLO said when the connection was made may have changed: before the mail is bounced, a new one is asked."""
    p = peer("127.0.0.11", extensions=["PIPELINING", "8BITMIME"])
    submit(server, "a@one.test", message("first"))
    wait_for(lambda: len(p.messages) == 1)
    p.extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8"]
    submit(server, "b\u00fc@one.test", message("second"), parameters=" SMTPUTF8")
    wait_for(lambda: len(p.messages) == 2)
    assert p.messages[1][1] == ["RCPT TO:<b\u00fc@one.test>"]
    assert sum(c.startswith("EHLO") for c in p.commands) == 2


def test_bounces_are_not_bounced(server, peer):
    """A bounce that cannot be delivered is dropped: nobody is told."""
    peer("127.0.0.18", answers={"RCPT": "550 5.1.1 nobody"})
    mail = server.smtp()
    mail.expect(250, "MAIL FROM:<someone@refuses.test>")
    mail.expect(250, f"RCPT TO:<{ALICE}>")
    mail.expect(250, "RSET")
    submit(server, "a@refuses.test", message("refused"))
    bounce(server, server.account(ALICE))
    wait_for(lambda: queue(server) == [])


def test_forwarded_mail_has_a_sender_of_ours_and_bounces_find_back(server, peer):
    """SRS: the next hop sees a sender of our domain; what bounces to it goes to the original one."""
    p = peer("127.0.0.11")
    origin = peer("127.0.0.14")
    server.cli("alias", "add", "forward@example.test", "target@one.test")
    outside = server.smtp()
    outside.expect(250, "MAIL FROM:<sender@bare.test>")
    outside.expect(250, "RCPT TO:<forward@example.test>")
    outside.message(message("forwarded").encode())
    wait_for(lambda: p.messages)
    sender = re.match(r"MAIL FROM:<(.*?)>", p.messages[0][0]).group(1)
    assert re.fullmatch(r"SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=bare\.test=sender@example\.test", sender)
    outside.expect(250, "MAIL FROM:<>")
    outside.expect(250, f"RCPT TO:<{sender.lower()}>")
    outside.message(message("the bounce").encode())
    wait_for(lambda: origin.messages)
    assert origin.messages[0][0].startswith("MAIL FROM:<>")
    known_as = sender.lower().replace("=", "+3D")  # the next hop has DSN: it hears what the bounce was sent to (RFC 3461 §5.2.1)
    assert origin.messages[0][1] == [f"RCPT TO:<sender@bare.test> ORCPT=rfc822;{known_as}"]
    outside.expect(250, "MAIL FROM:<>")
    outside.expect(550, "RCPT TO:<SRS0=AAAAAA=AA=bare.test=sender@example.test>")


def test_delay_notice_and_expiry(world, make_server, peer):
    server = make_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 1s\ndelay_warning = 2s\nexpiry = 6s"))
    peer("127.0.0.11", answers={"RCPT": "451 4.7.1 come back later"})
    submit(server, "a@one.test", message("slow"))
    box = server.account(ALICE)
    reports = wait_for(lambda: [m for m in box.messages() if b"multipart/report" in m][1:] and box.messages())
    delayed, failed = [email.message_from_bytes(r).get_payload()[1].get_payload()[1] for r in reports]
    assert (delayed["Action"], delayed["Status"]) == ("delayed", "4.7.1")
    assert (failed["Action"], failed["Status"]) == ("failed", "4.4.7")
    assert delayed["Will-Retry-Until"]
    wait_for(lambda: queue(server) == [])


def test_smarthost_with_login(world, make_server, peer, tmp_path):
    secret = tassis.pathlib.Path(world.dir) / "password"
    secret.write_text("open sesame\n")
    secret.chmod(0o644)
    p = peer("127.0.0.13", extensions=["PIPELINING", "AUTH PLAIN"], answers=lambda verb, line: "235 2.7.0 in" if verb == "AUTH" else None)
    route = f"recipients = *\nhost = 127.0.0.13:{world.port}\ntls = none\nuser = joe\npassword_file = {secret}\nhello = relay.example.test"
    server = make_server(auth="plaintext = loopback", config=world.config(route__smart=route))
    submit(server, "a@anywhere.test", message("by the smarthost"))
    wait_for(lambda: p.messages)
    assert "EHLO relay.example.test" in p.commands
    assert "AUTH PLAIN " + tassis.base64.b64encode(b"\0joe\0open sesame").decode() in p.commands
    submit(server, [BOB], message("not by the smarthost"))  # ours stays ours
    wait_for(lambda: server.account(BOB).messages())


def test_lmtp_route(world, make_server, peer):
    """One reply for each recipient (RFC 2033): what one of them says is not for the other."""
    p = peer("127.0.0.13", extensions=["PIPELINING"])
    ends = iter(["250 2.0.0 for the first", "550 5.2.2 mailbox full"])

    def done(talk, mail, rcpts, body, is_tls):
        p.messages.append((mail, list(rcpts), body, is_tls))
        for _ in rcpts:
            talk.send(next(ends) + "\r\n")

    p.done = done
    server = make_server(auth="plaintext = loopback", config=world.config(
        route__lists=f"recipients = lists.test\nhost = 127.0.0.13:{world.port}\nprotocol = lmtp"))
    submit(server, ["a@lists.test", "b@lists.test"], message("to two"))
    _, report, _ = bounce(server, server.account(ALICE))
    fields = report.get_payload()[1:]
    assert [(f["Final-Recipient"], f["Status"]) for f in fields] == [("rfc822; b@lists.test", "5.2.2")]
    assert p.commands[0].startswith("LHLO ")


def test_a_route_that_is_new_takes_what_waits(world, make_server, peer):
    server = make_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 1s"))
    submit(server, "a@dead.test", message("waits for a route"))
    server.wait_log("deferred .*to=a@dead.test")
    p = peer("127.0.0.13")
    text = server.conf.read_text()
    server.conf.write_text(text + f"\n[route rescue]\nrecipients = dead.test\nhost = 127.0.0.13:{world.port}\n")
    server.process.send_signal(tassis.signal.SIGHUP)
    server.cli("queue", "retry", "all")
    wait_for(lambda: p.messages)
