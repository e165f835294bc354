"""Accounts that are full (RFC 9208, [quota]): every door says so, in its own words, and nobody gets past the limit by being quick."""
import signal
import threading
import time

import pytest

import tassis

MESSAGE = b"Subject: full\r\n\r\n" + b"x" * 70 + b"\r\n"


def limits(server, box, *words):
    server.cli("account", "quota", box.address, *words)


def held(server, box):
    return {row["resource"]: row["held"] for row in server.cli_json("account", "quota", box.address)}


def mail_from_outside(server, box, size=""):
    """The replies to MAIL and RCPT, and to the message where it was taken so far."""
    talk = server.smtp()
    replies = [talk.command(line)[-1] for line in (f"MAIL FROM:<sender@elsewhere.test>{size}", f"RCPT TO:<{box.address}>")]
    if replies[-1].startswith("250"):
        assert talk.command("DATA")[-1].startswith("354")
        talk.send(MESSAGE.decode() + ".\r\n")
        replies.append(talk.reply()[-1])
    talk.close()
    return replies


def test_the_command_line(make_server):
    server = make_server(config="[quota]\nstorage = 1M\nmailboxes = 50")
    box = server.new_account()
    rows = {row["resource"]: row for row in server.cli_json("account", "quota", box.address)}
    assert rows["storage"] == {"resource": "storage", "held": 0, "limit": 1 << 20, "is_default": True}
    assert rows["messages"]["limit"] is None
    limits(server, box, "storage=2G", "messages=none", "mailboxes=0")
    assert server.cli("account", "quota", box.address).stdout == \
        "storage\t0\t2147483648\nmessages\t0\tnone\nmailboxes\t0\t0\n"
    limits(server, box, "storage=default")
    assert "storage\t0\t1048576\tdefault\n" in server.cli("account", "quota", box.address).stdout
    for bad in ("storage", "storage=", "storage=-1", "storage=1X", "storage=99999999999999999999", "beer=3", "messages=2K"):
        done = server.cli("account", "quota", box.address, bad, ok=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "no account" in server.cli("account", "quota", "nobody@example.test", ok=False).stderr


def test_outside_mail_waits_and_comes(server):
    box = server.new_account()
    box.receive(MESSAGE)  # what is stored is longer: header fields come on top
    limits(server, box, f"storage={held(server, box)['storage'] + 100}")
    replies = mail_from_outside(server, box)  # a hundred octets are left: only the end of the message says that it is too long
    assert [r[:9] for r in replies] == ["250 2.1.0", "250 2.1.5", "452 4.2.2"]
    replies = mail_from_outside(server, box, " SIZE=101")
    assert [r[:9] for r in replies] == ["250 2.1.0", "452 4.2.2"]
    pop = box.pop3()
    assert pop.command("DELE 1")[-1].startswith("+OK")
    assert pop.command("QUIT")[-1].startswith("+OK")
    assert mail_from_outside(server, box)[-1].startswith("250 ")
    assert len(box.messages()) == 1


def test_outside_mail_is_refused_at_once(make_server):
    server = make_server(auth="plaintext = loopback", config="[quota]\nwhen_full = refuse\nmessages = 1")
    box = server.new_account()
    assert mail_from_outside(server, box)[-1].startswith("250 ")
    assert [r[:9] for r in mail_from_outside(server, box)] == ["250 2.1.0", "552 5.2.2"]
    assert "event=refused" in server.log() or " refused " in server.log()


def test_submission_is_told_too(server):
    box, other = server.new_account(), server.new_account()
    limits(server, other, "messages=0")
    talk = server.submission(box)
    talk.expect("250", f"MAIL FROM:<{box.address}>")
    talk.expect("452", f"RCPT TO:<{other.address}>")
    talk.expect("250", f"RCPT TO:<{box.address}>")
    talk.close()


def test_what_an_alias_leads_to_waits_in_the_queue(server):
    full, free = server.new_account(), server.new_account()
    alias = f"both-{free.address}"
    server.cli("alias", "add", alias, full.address, free.address)
    limits(server, full, "messages=0")
    free.receive(MESSAGE, to=alias)
    assert len(free.messages()) == 1
    deadline = time.monotonic() + 20
    while True:  # relay has tried it, and keeps it
        waiting = [m for m in server.cli_json("queue", "list") if full.address in str(m)]
        if waiting and "4.2.2" in server.cli("queue", "show", str(waiting[0]["id"])).stdout:
            break
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)
    limits(server, full, "messages=none")
    server.cli("queue", "retry", str(waiting[0]["id"]))
    while len(full.messages()) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(free.messages()) == 1


def test_what_an_alias_leads_to_comes_back_at_once(make_server):
    """when_full = refuse: the queue's own attempt is refused like anybody's, and the sender hears of it."""
    server = make_server(auth="plaintext = loopback", config="[quota]\nwhen_full = refuse")
    sender, full, free = server.new_account(), server.new_account(), server.new_account()
    server.cli("alias", "add", "both@example.test", full.address, free.address)
    limits(server, full, "messages=0")
    talk = server.submission(sender)
    talk.expect("250", f"MAIL FROM:<{sender.address}>")
    talk.expect("250", "RCPT TO:<both@example.test>")
    talk.message(MESSAGE)
    talk.close()
    assert len(free.messages()) == 1
    deadline = time.monotonic() + 20
    while not sender.messages():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    report = sender.messages()[0]
    assert b"Action: failed" in report and b"Status: 5.2.2" in report and full.address.encode() in report
    assert not full.messages() and server.cli_json("queue", "list") == []


@pytest.mark.parametrize("limit, fits", [("messages=10", 10), (f"storage={5 * len(MESSAGE) + 1}", 5)])
def test_sessions_at_the_limit(server, limit, fits):
    """Several sessions append at once; as many messages are there as fit, and each was answered truly."""
    box = server.new_account()
    limits(server, box, limit)
    answers = []

    def append():
        imap = box.imap()
        for _ in range(6):
            answers.append(imap.command("APPEND INBOX {%d+}\r\n" % len(MESSAGE) + MESSAGE.decode()).tagged)
        imap.close()

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [a for a in answers if a.startswith(b"OK")]
    assert len(answers) == 24 and len(stored) == fits
    assert all(a.startswith(b"NO [OVERQUOTA]") for a in answers if a not in stored)
    assert len(box.messages()) == fits
    assert held(server, box)["messages"] == fits


def test_a_run_of_appends_is_not_lost_with_its_last(server):
    """APPENDs that come together share a transaction; at the limit each has what it would have had alone."""
    box = server.new_account()
    limits(server, box, "messages=3")
    imap = box.imap()
    imap.send(b"".join(b"r%d APPEND INBOX {%d+}\r\n%s\r\n" % (i, len(MESSAGE), MESSAGE) for i in range(5)))
    answers = [imap.finish(b"r%d" % i).tagged for i in range(5)]
    assert [a.split(b" ")[0] for a in answers] == [b"OK", b"OK", b"OK", b"NO", b"NO"]
    assert answers[4].startswith(b"NO [OVERQUOTA]")
    imap.close()
    assert len(box.messages()) == 3


def test_limits_are_there_after_a_restart(make_server):
    server = make_server(auth="plaintext = loopback")
    box = server.new_account()
    box.receive(MESSAGE)
    limits(server, box, "messages=2")
    server.stop()
    server.start()
    box.receive(MESSAGE)
    assert mail_from_outside(server, box)[1].startswith("452 4.2.2")


def test_the_config_is_read_again(make_server):
    server = make_server(auth="plaintext = loopback", config="[quota]\nmessages = 1")
    box = server.new_account()
    box.receive(MESSAGE)
    assert mail_from_outside(server, box)[1].startswith("452 4.2.2")
    server.conf.write_text(server.conf.read_text().replace("messages = 1", "messages = 2"))
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 15
    while not mail_from_outside(server, box)[-1].startswith("250 2.0.0"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_administrators(make_server):
    server = make_server(auth="plaintext = loopback", config="[quota]\nadministrators = Alice@example.test")
    alice, bob = server.account("alice@example.test").imap(), server.account("bob@example.test").imap()
    assert b"QUOTASET" in alice.ok("CAPABILITY").untagged[0] and b"QUOTASET" not in bob.ok("CAPABILITY").untagged[0]
    alice.ok('SETQUOTA bob@example.test (STORAGE 3 MESSAGE 9)')
    assert bob.ok("GETQUOTA bob@example.test").untagged == [b'* QUOTA "bob@example.test" (STORAGE 0 3 MESSAGE 0 9 MAILBOX 6 10000)']
    bob.no("GETQUOTA alice@example.test")
    bob.no("SETQUOTA bob@example.test ()")
    assert "messages\t0\t9\n" in server.cli("account", "quota", "bob@example.test").stdout
    bob.no("APPEND INBOX {4000}")
    alice.close()
    bob.close()
