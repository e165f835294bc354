"""Delivery status notifications from the outside: who asks at a door by RFC 3461 hears what he asked for, as documents that a
foreign parser (Python's email package) reads."""
import email
import email.policy
import shutil

import pytest

import tassis
from world import wait_for

RECORDS = [
    "one MX 10 mx.one", "mx.one A 127.0.0.31",
    "old MX 10 mx.old", "mx.old A 127.0.0.32",
]


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 1s\ndelay_warning = 2s\nexpiry = 6s"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


class Report:
    """A notification: the fields about the message, those about each recipient, and what came back of the message."""

    def __init__(self, raw):
        self.raw = raw
        self.whole = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
        assert self.whole.get_content_type() == "multipart/report"
        assert not self.whole.defects
        self.human, self.status, self.original = self.whole.get_payload()
        self.message, *self.recipients = self.status.get_payload()

    def actions(self):
        return sorted((r["Final-Recipient"].split(";")[1].strip(), r["Action"], r["Status"]) for r in self.recipients)


def reports(box, count=1):
    def enough():
        found = [m for m in box.messages() if b"multipart/report" in m]
        return found if len(found) >= count else None

    return [Report(raw) for raw in wait_for(enough)]


def send(session, sender, rcpts, mail="", text=None):
    session.expect(250, f"MAIL FROM:<{sender}>{mail}")
    for rcpt in rcpts:
        session.expect(250, f"RCPT TO:{rcpt}")
    session.message(text or tassis.text_message(subject="asked for a receipt"))


def test_every_door_offers_it(server, box):
    assert "DSN" in server.smtp().capabilities
    before_login = server.smtp("submission")
    assert "DSN" in before_login.capabilities
    before_login.login(box.address, box.password)
    assert "DSN" in [line[4:] for line in before_login.command("EHLO client.example.test")]


def test_delivered(server):
    box, to = server.new_account(), server.new_account()
    send(server.submission(box), box.address,
         [f"<{to.address}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;The+2BOne@elsewhere.test"], " RET=FULL ENVID=Q+2BQ314")
    report, = reports(box)
    assert report.whole["From"].startswith("Mail Delivery System") and report.whole["Auto-Submitted"] == "auto-replied"
    assert report.whole.get_param("report-type") == "delivery-status"
    assert report.message["Original-Envelope-Id"] == "Q+Q314"
    assert report.message["Reporting-MTA"] == "dns; mx.example.test"
    fields = report.recipients[0]
    assert (fields["Original-Recipient"], fields["Final-Recipient"]) == ("rfc822; The+One@elsewhere.test", f"rfc822; {to.address}")
    assert report.actions() == [(to.address, "delivered", "2.0.0")]
    assert report.original.get_content_type() == "text/rfc822-headers"  # RET=FULL is about failures
    assert "Subject: asked for a receipt" in report.original.get_payload()
    assert b"Return-Path: <>" in report.raw and tassis.BODY_MARK.encode() not in report.raw
    assert len(to.messages()) == 1


def test_from_port_25_to_the_outside(server, peer):
    p = peer("127.0.0.31")
    to, quiet = server.new_account(), server.new_account()
    outside = server.smtp()
    send(outside, "sender@one.test", [f"<{to.address}> NOTIFY=SUCCESS", f"<{quiet.address}> NOTIFY=NEVER"], " ENVID=e1")
    wait_for(lambda: p.messages)
    mail, rcpts, body, _ = p.messages[0]
    assert mail.startswith("MAIL FROM:<>") and [r.split(" ")[1] for r in rcpts] == ["TO:<sender@one.test>"]
    report = Report(body)
    assert report.actions() == [(to.address, "delivered", "2.0.0")]
    assert len(quiet.messages()) == 1


def test_through_aliases(server, peer):
    """One address behind an alias: it takes the wishes along. Several: "expanded"."""
    p = peer("127.0.0.31")
    box, to, second = server.new_account(), server.new_account(), server.new_account()
    server.cli("alias", "add", "other-name@example.test", to.address)
    server.cli("alias", "add", "outside@example.test", "someone@one.test")
    server.cli("alias", "add", "both@example.test", to.address, second.address)
    session = server.submission(box)
    send(session, box.address, ["<other-name@example.test> NOTIFY=SUCCESS", "<both@example.test> NOTIFY=SUCCESS,FAILURE"])
    both = sorted(reports(box, 2), key=lambda r: r.actions())
    assert [r.actions() for r in both] == [[("both@example.test", "expanded", "2.0.0")], [("other-name@example.test", "delivered", "2.0.0")]]
    assert not any(to.address.encode() in r.raw or second.address.encode() in r.raw for r in both)
    send(session, box.address, ["<outside@example.test> NOTIFY=SUCCESS"], " ENVID=abc RET=HDRS")
    wait_for(lambda: p.messages)
    assert p.messages[0][0].endswith(" RET=HDRS ENVID=abc")
    assert p.messages[0][1] == ["RCPT TO:<someone@one.test> NOTIFY=SUCCESS ORCPT=rfc822;outside@example.test"]


def test_relayed_where_the_next_hop_knows_no_dsn(server, peer):
    p = peer("127.0.0.32", extensions=["PIPELINING", "8BITMIME"])
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@old.test> NOTIFY=SUCCESS", "<b@old.test>", "<c@old.test> NOTIFY=NEVER"])
    report, = reports(box)
    assert report.actions() == [("a@old.test", "relayed", "2.0.0")]
    assert not any("NOTIFY" in line for line in p.commands)


def test_never(server, peer):
    """Nothing comes back for NEVER, whatever becomes of the message; what comes shows that something would have come."""
    peer("127.0.0.32", answers={"RCPT": "550 5.1.1 nobody"})
    box = server.new_account()
    session = server.submission(box)
    send(session, box.address, ["<never@old.test> NOTIFY=NEVER"])
    send(session, box.address, ["<success@old.test> NOTIFY=SUCCESS"])
    send(session, box.address, ["<failure@old.test> NOTIFY=FAILURE"])
    send(session, box.address, ["<silent@old.test>"])
    reports(box, 2)
    wait_for(lambda: server.cli_json("queue", "list") == [])
    assert sorted(r.actions()[0][0] for r in reports(box, 2)) == ["failure@old.test", "silent@old.test"]


def test_failed_goes_back_whole_where_it_is_asked_for(server, peer):
    peer("127.0.0.32", answers={"RCPT": "550 5.1.1 nobody"})
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@old.test>"], " RET=FULL")
    report, = reports(box)
    assert report.original.get_content_type() == "message/rfc822"
    assert tassis.BODY_MARK in report.original.get_payload(0).get_payload()


def test_delayed(server, peer):
    peer("127.0.0.32", answers={"RCPT": "451 4.7.1 later"})
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@old.test> NOTIFY=DELAY", "<b@old.test> NOTIFY=SUCCESS"])
    report, = reports(box)
    assert report.actions() == [("a@old.test", "delayed", "4.7.1")]
    wait_for(lambda: server.cli_json("queue", "list") == [])


def test_malformed_wishes_are_refused(server):
    session = server.smtp()
    for words in ("RET=SOME", "ENVID=a+1", "ENVID=" + "x" * 101, "RET=FULL RET=FULL", "RET"):
        session.expect(501, f"MAIL FROM:<a@elsewhere.test> {words}")
    session.expect(250, "MAIL FROM:<a@elsewhere.test>")
    for words in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY=SUCCESS NOTIFY=DELAY", "ORCPT=rfc822", "ORCPT=;x", "ORCPT=utf-8;a\\x{FG}", "ORCPT=rfc822;a+0Ab"):
        session.expect(501, f"RCPT TO:<alice@example.test> {words}")
