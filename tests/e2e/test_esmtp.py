"""What a sender may ask for beside the delivery itself, from the door to the next hop: FUTURERELEASE, DELIVERBY, MT-PRIORITY, REQUIRETLS,
"TLS-Required: No", LIMITS, ETRN, and addresses beyond ASCII."""
import datetime
import email
import re
import shutil
import threading
import time

import pytest

import tassis
from test_dsn import reports, send
from world import World, wait_for

RECORDS = [
    "one MX 10 mx.one", "mx.one A 127.0.0.33",
    "plain MX 10 mx.plain", "mx.plain A 127.0.0.34",
    "dead MX 10 mx.dead", "mx.dead A 127.0.0.35",
    "away MX 10 mx.away", "mx.away A 127.0.0.38",
    "dane MX 10 mx.dane", "mx.dane A 127.0.0.36",
    "_25._tcp.mx.dane TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000",
]
EVERYTHING = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "DELIVERBY", "MT-PRIORITY"]


@pytest.fixture(scope="module")
def world():
    w = World(RECORDS)
    w.dns.change([r.replace("_25.", f"_{w.port}.") for r in RECORDS])
    yield w
    w.stop()


SETTINGS = "retry_first = 60s\nretry_longest = 60s\nconnect_timeout = 3s"


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config(
        SETTINGS, smtp="etrn = 127.0.0.1\npriority = alice@example.test",
        route__hub=f"recipients = hub.test .hub.test\nhost = 127.0.0.37:{world.port}\ntls = none"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


def entries(server, box):
    return [e for e in server.cli_json("queue", "list") if e["sender"] == box.address]


def secure(server, box):
    session = server.smtp("submission")
    assert "REQUIRETLS" not in session.capabilities
    session.expect(220, "STARTTLS")
    session.start_tls()
    session.capabilities = [line[4:] for line in session.command("EHLO client.example.test")]
    session.login(box.address, box.password)
    return session


# ---- FUTURERELEASE


def test_what_may_be_held_is_announced(server):
    word = next(c for c in server.smtp("submission").capabilities if c.startswith("FUTURERELEASE "))
    _, seconds, until = word.split(" ")
    longest = datetime.datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() - time.time()
    assert int(seconds) == 30 * 86400 and abs(longest - int(seconds)) < 100
    assert not any(c.startswith("FUTURERELEASE") for c in server.smtp().capabilities)


def test_held_mail_waits_and_is_released(server, peer):
    p = peer("127.0.0.33")
    box, to = server.new_account(), server.new_account()
    session = server.submission(box)
    session.expect(501, f"MAIL FROM:<{box.address}> HOLDFOR=2592001")
    send(session, box.address, ["<a@one.test>", f"<{to.address}> NOTIFY=SUCCESS"], " HOLDFOR=3600")
    entry, = wait_for(lambda: entries(server, box))
    assert [r["state"] for r in entry["recipients"]] == ["scheduled", "scheduled"]
    assert entry["hold_until"] > entry["queued"]
    assert "hold_until\t" in server.cli("queue", "show", str(entry["id"])).stdout
    server.cli("queue", "retry", "all")  # what its sender wants held is not pushed
    time.sleep(0.5)
    assert not p.messages and not to.messages()
    server.cli("queue", "release", str(entry["id"]))
    wait_for(lambda: p.messages and to.messages())
    report, = reports(box)
    assert report.actions() == [(to.address, "delivered", "2.0.0")]
    assert report.message["Future-Release-Request"] == "for;3600"  # as asked for, whoever let it go
    wait_for(lambda: entries(server, box) == [])


def test_reports_repeat_until_when_it_was_to_be_held(server, peer):
    peer("127.0.0.33", answers={"RCPT": "550 5.1.1 nobody"})
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@one.test>"], " HOLDUNTIL=2026-01-31T12:00:00Z BY=100;N")
    report, = reports(box)
    assert report.actions() == [("a@one.test", "failed", "5.1.1")]
    assert report.message["Future-Release-Request"] == "until;2026-01-31T12:00:00Z"


def test_held_mail_goes_when_its_time_comes(server, peer):
    p = peer("127.0.0.33")
    box, to = server.new_account(), server.new_account()
    until = datetime.datetime.fromtimestamp(int(time.time()) + 3, datetime.timezone.utc)
    before = time.time()
    send(server.submission(box), box.address, ["<a@one.test>", f"<{to.address}>"], f" HOLDUNTIL={until:%Y-%m-%dT%H:%M:%SZ}")
    wait_for(lambda: p.messages and to.messages())
    assert time.time() >= until.timestamp() > before


# ---- DELIVERBY


def test_time_left_and_priority_are_handed_on(server, peer):
    """With PIPELINING and without."""
    p = peer("127.0.0.33", extensions=EVERYTHING)
    plain = peer("127.0.0.34", extensions=EVERYTHING[1:])
    alice = server.account("alice@example.test")
    send(server.submission(alice), alice.address, ["<a@one.test>", "<a@plain.test>"], " BY=500;R MT-PRIORITY=4")
    wait_for(lambda: p.messages and plain.messages)
    for messages in (p.messages, plain.messages):
        seconds = int(re.search(r" BY=(\d+);R MT-PRIORITY=4$", messages[0][0]).group(1))
        assert 400 < seconds <= 500
        assert b"PRIORITY 4;" in messages[0][2].split(b"From:")[0]


def test_what_was_not_there_in_time_comes_back(server):
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@dead.test>"], " BY=2;R")
    report, = reports(box)
    assert report.actions() == [("a@dead.test", "failed", "5.4.7")]
    assert report.message["Deliver-By-Date"]
    wait_for(lambda: entries(server, box) == [])


def test_lateness_is_told_to_who_asked_for_it(server):
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@dead.test> NOTIFY=FAILURE", "<b@dead.test> NOTIFY=NEVER"], " BY=2;N")
    report, = reports(box)
    assert [a[:2] for a in report.actions()] == [("a@dead.test", "delayed")]
    server.cli("queue", "drop", "--sender", box.address)


def test_hosts_without_deliverby(server, peer):
    """N: it goes on, and the sender hears that nobody watches the time any more. R: it does not go there."""
    p = peer("127.0.0.33", extensions=["PIPELINING", "8BITMIME", "DSN"])
    box = server.new_account()
    session = server.submission(box)
    send(session, box.address, ["<n@one.test>", "<never@one.test> NOTIFY=NEVER"], " BY=500;N")
    report, = reports(box)
    assert report.actions() == [("n@one.test", "relayed", "2.0.0")]
    send(session, box.address, ["<r@one.test>"], " BY=500;R")
    assert reports(box, 2)[-1].actions() == [("r@one.test", "failed", "5.3.3")]
    assert len(p.messages) == 1 and "BY=" not in p.messages[0][0]


def test_trace_of_deliver_by(server, peer):
    peer("127.0.0.33", extensions=EVERYTHING)
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@one.test>"], " BY=500;NT")
    report, = reports(box)
    assert report.actions() == [("a@one.test", "relayed", "2.0.0")]


# ---- MT-PRIORITY


def test_only_who_may_is_more_urgent_than_others(server):
    box = server.new_account()
    session = server.submission(box)
    assert session.expect(250, f"MAIL FROM:<{box.address}> MT-PRIORITY=5")[0].startswith("250 2.3.6 0 ")
    session.expect(250, "RSET")
    assert session.expect(250, f"MAIL FROM:<{box.address}> MT-PRIORITY=-5") == ["250 2.1.0 Sender ok"]
    stranger = server.smtp()
    assert stranger.expect(250, "MAIL FROM:<a@elsewhere.test> MT-PRIORITY=9")[0].startswith("250 2.3.6 0 ")
    alice = server.submission(server.account("alice@example.test"))
    assert alice.expect(250, "MAIL FROM:<alice@example.test> MT-PRIORITY=5") == ["250 2.1.0 Sender ok"]
    alice.expect(501, "RSET now")
    alice.expect(250, "RSET")
    alice.expect(501, "MAIL FROM:<alice@example.test> MT-PRIORITY=10")


def test_the_urgent_pass_the_patient(make_server, world, peer):
    """One connection for all mail, busy for as long as the test wants: what comes meanwhile is sent by priority, though more mail
    than the relay reads ahead was there before, and another destination's goes before it too."""
    server = make_server(auth="plaintext = loopback", config=world.config(SETTINGS + "\nconnections = 1", smtp="priority = alice@example.test"))
    is_open, order = threading.Event(), []

    def answers(verb, line):
        if verb == "MAIL":
            order.append(int((re.search(r"MT-PRIORITY=(-?\d)", line) or [0, "0"])[1]))
            assert is_open.wait(60)

    for host in ("127.0.0.33", "127.0.0.34"):
        peer(host, extensions=EVERYTHING, answers=answers)
    session = server.submission(server.account("alice@example.test"))
    for number in range(150):
        send(session, "alice@example.test", [f"<r{number}@one.test>"], " MT-PRIORITY=-9")
    wait_for(lambda: order)
    for to, priority in (("one", 0), ("plain", 3), ("one", 9), ("one", -1), ("plain", 8), ("plain", -9)):
        send(session, "alice@example.test", [f"<x@{to}.test>"], f" MT-PRIORITY={priority}")
    wait_for(lambda: len(server.cli_json("queue", "list")) == 156)
    server.wait_log(r"accepted .*priority=8")
    is_open.set()
    wait_for(lambda: len(order) == 156)
    assert order == [-9, 9, 8, 3, 0, -1] + 150 * [-9]


# ---- TLS


def test_requiretls(server, world, peer):
    """Only over TLS; on to who offers it, back where nobody does."""
    box, to = server.new_account(), server.new_account()
    server.submission(box).expect(555, f"MAIL FROM:<{box.address}> REQUIRETLS")
    session = secure(server, box)
    assert "REQUIRETLS" in session.capabilities
    send(session, box.address, [f"<{to.address}> NOTIFY=SUCCESS"], " REQUIRETLS RET=FULL")
    assert reports(box)[0].actions() == [(to.address, "delivered", "2.0.0")]
    p = peer("127.0.0.33")
    send(session, box.address, ["<a@one.test>"], " REQUIRETLS RET=FULL")
    report = reports(box, 2)[-1]
    assert report.actions()[0][1:] in [("failed", "5.7.10"), ("failed", "5.7.30")]
    assert report.original.get_content_type() == "text/rfc822-headers"  # RFC 8689 §5
    assert not p.messages


def test_tls_required_no(server, world, peer):
    """A host whose TLSA record is wrong gets a message that waives what it publishes, and no other."""
    p = peer("127.0.0.36", certificate=world.certificate("mx.dane.test"))
    box = server.new_account()
    session = server.submission(box)
    send(session, box.address, ["<strict@dane.test>"])
    server.wait_log(r"deferred .*to=strict@dane.test")
    server.wait_log(r"resting .*dane.test does not answer")  # before, another connection might be tried at once
    server.cli("queue", "hold", "--sender", box.address)
    send(session, box.address, ["<postmaster@dane.test>"], text=tassis.text_message(**{"TLS-Required": "No"}))
    wait_for(lambda: len(entries(server, box)) == 2)
    server.cli("queue", "retry", "--domain", "dane.test")
    wait_for(lambda: p.messages)
    assert [r for m in p.messages for r in m[1]] == ["RCPT TO:<postmaster@dane.test>"]
    assert p.messages[0][3]  # over TLS all the same
    assert [r["address"] for e in entries(server, box) for r in e["recipients"]] == ["strict@dane.test"]
    server.cli("queue", "drop", "--sender", box.address)


# ---- LIMITS


def test_our_limits(server):
    session = server.smtp()
    assert "LIMITS MAILMAX=100000 RCPTMAX=1000" in session.capabilities


def test_recipients_are_split_as_the_peer_takes_them(server, peer):
    p = peer("127.0.0.33", extensions=["PIPELINING", "LIMITS RCPTMAX=2"])
    box = server.new_account()
    send(server.submission(box), box.address, [f"<r{i}@one.test>" for i in range(5)])
    wait_for(lambda: len(p.messages) == 3)
    assert sorted(len(m[1]) for m in p.messages) == [1, 2, 2]
    assert len({r for m in p.messages for r in m[1]}) == 5
    assert p.sessions == 1
    wait_for(lambda: entries(server, box) == [])


def test_messages_and_domains_of_a_session(server, peer):
    p = peer("127.0.0.37", extensions=["PIPELINING", "LIMITS RCPTDOMAINMAX=1 MAILMAX=2"])
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@hub.test>", "<b@x.hub.test>", "<c@hub.test>", "<d@y.hub.test>"])
    wait_for(lambda: sum(len(m[1]) for m in p.messages) == 4)
    assert sorted(len(m[1]) for m in p.messages) == [1, 1, 2]
    for m in p.messages:
        assert len({r.split("@")[1] for r in m[1]}) == 1
    assert p.sessions == 3
    wait_for(lambda: entries(server, box) == [])


# ---- ETRN


def test_a_node_asks_for_its_mail(server, peer):
    box = server.new_account()
    send(server.submission(box), box.address, ["<a@away.test>"])
    server.wait_log(r"resting .*away.test does not answer")
    p = peer("127.0.0.38")
    node = server.smtp()
    assert "ETRN" in node.capabilities
    assert node.command("ETRN nobody.test") == ["251 2.0.0 OK, no messages waiting for node nobody.test"]
    assert node.command("ETRN away.test") == ["253 2.0.0 OK, 1 pending messages for node away.test started"]
    wait_for(lambda: p.messages)
    wait_for(lambda: entries(server, box) == [])
    server.wait_log(r"queue-run .*for=away.test messages=1")


def test_who_may_not_ask(make_server):
    server = make_server(auth="plaintext = loopback")
    stranger = server.smtp()
    assert not any(c.startswith("ETRN") for c in stranger.capabilities)
    assert stranger.command("ETRN example.test") == ["459 4.7.1 Node example.test not allowed: not from here"]
    before = server.smtp("submission")
    before.expect(530, "ETRN example.test")
    before.login("alice@example.test", tassis.PASSWORDS["alice@example.test"])
    before.expect(251, "ETRN example.test")


# ---- beyond ASCII


def test_smtputf8(server, peer):
    """Refused at the door without the parameter; to who does not know it a message that needs it does not go (5.6.7), and the report
    about it is a global one (RFC 6533)."""
    knows = peer("127.0.0.33", extensions=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"])
    peer("127.0.0.34", extensions=["PIPELINING", "8BITMIME", "DSN"])
    box = server.new_account()
    session = server.submission(box)
    session.expect(250, f"MAIL FROM:<{box.address}>")
    assert session.expect(553, "RCPT TO:<d\u00f6rte@one.test>")[0].startswith("553 5.6.7 ")
    session.expect(250, "RSET")
    send(session, box.address, ["<d\u00f6rte@one.test> ORCPT=utf-8;d\\x{F6}rte@one.test"], " SMTPUTF8")
    wait_for(lambda: knows.messages)
    assert knows.messages[0][0].endswith(" SMTPUTF8")
    assert knows.messages[0][1] == ["RCPT TO:<d\u00f6rte@one.test> ORCPT=utf-8;d\\x{F6}rte@one.test"]
    send(session, box.address, ["<d\u00f6rte@plain.test> ORCPT=utf-8;d\\x{F6}rte@plain.test"], " SMTPUTF8")
    report, = reports(box)
    assert report.whole.get_param("report-type") == "global-delivery-status"
    assert report.status.get_content_type() == "message/global-delivery-status"
    assert report.original.get_content_type() == "message/global-headers"
    text = report.raw.decode("utf-8")
    assert "\r\nOriginal-Recipient: utf-8; d\u00f6rte@plain.test\r\nFinal-Recipient: utf-8; d\u00f6rte@plain.test\r\n" in text
    assert "\r\nStatus: 5.6.7\r\n" in text


# ---- submission


def test_submission_mends_what_is_missing_and_nothing_else(server):
    box, to = server.new_account(), server.new_account()
    session = server.submission(box)
    send(session, box.address, [f"<{to.address}>"], text=b"From: <a@example.test>\r\nSubject: bare\r\nbcc: <x@elsewhere.test>,\r\n <y@elsewhere.test>\r\n\r\nhi\r\n")
    whole = tassis.text_message(subject="whole")
    send(session, box.address, [f"<{to.address}>"], text=whole)
    first, second = wait_for(lambda: to.messages()[1:] and to.messages())
    got = email.message_from_bytes(first)
    assert len(got.get_all("Date")) == 1 and re.fullmatch(r"<[a-z0-9]{16}@mx\.example\.test>", got["Message-ID"])
    assert b"elsewhere" not in first and first.endswith(b"From: <a@example.test>\r\nSubject: bare\r\n\r\nhi\r\n")
    assert tassis.without_trace(second) == whole
