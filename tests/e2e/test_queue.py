"""The relay's queue: what cannot be delivered now waits there and is delivered once, or bounced; nothing is lost over a restart."""
import email
import imaplib
import os
import smtplib
import ssl
import time

import pytest

from tassis import PASSWORDS

ALICE, BOB = "alice@example.test", "bob@example.test"


def submit(server, to, text):
    context = ssl._create_unverified_context()
    with smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=context) as smtp:
        smtp.login(ALICE, PASSWORDS[ALICE])
        smtp.sendmail(ALICE, to, text)


def inbox(server, account):
    context = ssl._create_unverified_context()
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=context) as imap:
        imap.login(account, PASSWORDS[account])
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "ALL")
        return [imap.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in found[0].split()]


def wait_for(condition, timeout=20):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture
def shut_bob(make_server):
    """A server where bob's account file cannot be opened; open_bob() mends it."""
    server = make_server()
    inbox(server, BOB)  # makes the file
    server.stop()
    path = server.data / "accounts" / "example.test" / "bob.db"
    away = path.with_suffix(".away")
    os.rename(path, away)
    path.mkdir()  # neither a file nor absent: a fault that only the operator can mend
    server.start()

    def open_bob():
        path.rmdir()
        os.rename(away, path)

    server.open_bob = open_bob
    return server


def message(subject):
    return f"From: <{ALICE}>\r\nTo: <{BOB}>\r\nSubject: {subject}\r\n\r\nhello\r\n"


def test_outside_recipient_waits_and_can_be_dropped(make_server):
    server = make_server(config="[dns]\nresolver = 127.0.0.1:9\n")  # nobody there
    submit(server, ["someone@elsewhere.test"], message("to the outside"))
    entry = wait_for(lambda: server.cli_json("queue", "list"))[0]
    shown = server.cli("queue", "show", str(entry["id"])).stdout
    assert "someone@elsewhere.test" in shown
    server.stop()
    server.start()
    assert [e["id"] for e in server.cli_json("queue", "list")] == [entry["id"]]
    server.cli("queue", "drop", str(entry["id"]))
    assert server.cli_json("queue", "list") == []
    assert server.cli("queue", "drop", str(entry["id"]), ok=False).returncode == 1


def test_failed_recipient_is_queued_and_delivered_once(shut_bob):
    server = shut_bob
    submit(server, [ALICE, BOB], message("half of it"))
    assert len(inbox(server, ALICE)) == 1
    entry = wait_for(lambda: server.cli_json("queue", "list"))[0]
    server.wait_log("deferred .*to=bob@example.test")
    server.open_bob()
    server.cli("queue", "retry", str(entry["id"]))
    wait_for(lambda: server.cli_json("queue", "list") == [])
    assert len(inbox(server, BOB)) == 1
    assert len(inbox(server, ALICE)) == 1


def test_recipient_that_went_away_is_bounced_to_the_sender(shut_bob):
    server = shut_bob
    submit(server, [ALICE, BOB], message("to be bounced"))
    entry = wait_for(lambda: server.cli_json("queue", "list"))[0]
    server.wait_log("deferred .*to=bob@example.test")
    server.open_bob()
    server.cli("account", "remove", BOB)
    server.cli("queue", "retry", str(entry["id"]))
    wait_for(lambda: len(inbox(server, ALICE)) == 2)
    assert server.cli_json("queue", "list") == []
    bounce = email.message_from_bytes(inbox(server, ALICE)[1])
    assert bounce["Return-Path"] == "<>"
    assert bounce.get_content_type() == "multipart/report"
    human, status, header = bounce.get_payload()
    assert BOB in human.get_payload()
    fields = status.get_payload()[1]
    assert (fields["Final-Recipient"], fields["Action"], fields["Status"]) == (f"rfc822; {BOB}", "failed", "5.1.1")
    assert "Subject: to be bounced" in header.get_payload()
