"""Mail to and from Postfix, Exim and OpenSMTPD as Debian has them: over TLS, with long and dotted lines, with 8-bit text; and what they refuse."""
import email
import os
import shutil
import smtplib

import pytest

import tassis
from mtas import Exim, Opensmtpd, Postfix
from test_relay import bounce, message, queue, submit
from world import World, make_certificate, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
KINDS = {Postfix: "127.0.0.70", Exim: "127.0.0.71", Opensmtpd: "127.0.0.72"}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces for other mail servers need root")


@pytest.fixture(scope="module")
def world():
    names = {kind.__name__.lower(): host for kind, host in KINDS.items()}
    w = World([f"{n} MX 10 mx.{n}" for n in names] + [f"mx.{n} A {host}" for n, host in names.items()])
    yield w
    w.stop()


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 2s"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def mta(request, world, server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mta")
    certificate = make_certificate(folder, f"mx.{request.param.__name__.lower()}.test")
    m = request.param(KINDS[request.param], world.port, server.ports["smtp"], certificate, folder)
    yield m
    m.stop()


BODY = "a line\r\n.\r\n..two dots\r\n" + "x" * 990 + "\r\nb\u00fccher\r\n"


def test_to_it(server, mta):
    submit(server, [f"someone@{mta.domain}", f"other@{mta.domain}"], message(f"to {mta.name}", BODY).encode())
    wait_for(lambda: len(mta.taken()) == 2 or any(m.count(b"Envelope-to") for m in mta.taken()) or queue(server) == [])
    # Debian 12's OpenSMTPD breaks every handshake off (alert 80, to openssl s_client as well): it is spoken to in clear then.
    server.wait_log(rf"sent .*to=someone@{mta.domain} .*tls={'none' if isinstance(mta, Opensmtpd) else 'TLSv1'}")
    got = wait_for(lambda: [m for m in mta.taken() if f"Subject: to {mta.name}".encode() in m])[0].replace(b"\r\n", b"\n")
    assert got.rstrip(b"\n").endswith(BODY.encode().replace(b"\r\n", b"\n").rstrip(b"\n")), got
    assert queue(server) == []


def test_many_to_it(server, mta):
    session = server.submission(server.account(ALICE))
    for i in range(100):
        session.expect(250, f"MAIL FROM:<{ALICE}>")
        session.expect(250, f"RCPT TO:<many@{mta.domain}>")
        session.message(message(f"many {i}.").encode())
    wait_for(lambda: queue(server) == [])
    wait_for(lambda: len({m.split(b"Subject: many ")[1].split(b".")[0] for m in mta.taken() if b"Subject: many " in m}) == 100)


def test_from_it(server, mta):
    """Through it to Tassis, over STARTTLS where it does that by itself."""
    box = server.account(BOB)
    with smtplib.SMTP(mta.host, mta.port, timeout=20) as smtp:
        smtp.sendmail(f"someone@{mta.domain}", [BOB], message(f"from {mta.name}", BODY).encode())
    got = wait_for(lambda: [m for m in box.messages() if f"Subject: from {mta.name}".encode() in m])[0]
    assert got.endswith(BODY.encode())


def test_bounces_come_to_it(server, mta):
    """What Tassis cannot deliver for a sender there, it tells him there."""
    server.cli("alias", "add", f"nowhere-{mta.name}@example.test", "nobody@gone.test")
    with smtplib.SMTP(mta.host, mta.port, timeout=20) as smtp:
        smtp.sendmail(f"sender@{mta.domain}", [f"nowhere-{mta.name}@example.test"], message("to be bounced").encode())
    report = wait_for(lambda: [m for m in mta.taken() if b"multipart/report" in m and b"nobody@gone.test" in m])[0]
    fields = email.message_from_bytes(report).get_payload()[1].get_payload()[1]
    assert (fields["Final-Recipient"], fields["Status"]) == ("rfc822; nobody@gone.test", "5.1.2")
