"""Peers that misbehave, and deaths: what was accepted is delivered or bounced, none is lost, and repeats are counted."""
import collections
import email
import random
import re
import shutil
import threading
import time

import pytest

import tassis
from test_relay import message, queue, submit
from world import wait_for

ALICE = "alice@example.test"
HOSTS = {name: f"127.0.0.{60 + i}" for i, name in enumerate(
    ["silent", "midbody", "forever", "afterdot", "liar", "endless", "longline", "nogreeting", "busy", "fine", "garbage", "slowreply"])}
RECORDS = [f"{name} MX 10 mx.{name}" for name in HOSTS] + [f"mx.{name} A {address}" for name, address in HOSTS.items()]


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config(
        "retry_first = 1s\nretry_longest = 1s\nconnect_timeout = 2s\nreply_timeout = 2s\nexpiry = 12s\ndelay_warning = 0"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


def greeted(talk):
    """The dialogue up to MAIL's reply, without extensions."""
    talk.send("220 x\r\n")
    while True:
        verb = talk.line().split(" ")[0].upper()
        talk.send("250 ok\r\n")
        if verb == "MAIL":
            return


def to_the_body(talk):
    greeted(talk)
    while talk.line() != "DATA":
        talk.send("250 ok\r\n")
    talk.send("354 go\r\n")


def silent(talk):
    to_the_body(talk)
    while True:
        talk.more()


def midbody(talk):
    to_the_body(talk)
    talk.more()
    talk.sock.setsockopt(tassis.socket.SOL_SOCKET, tassis.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    talk.close()


def liar(talk):
    """Offers all there is, and knows nothing of it."""
    talk.send("220 x\r\n")
    talk.line()
    talk.send("250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-STARTTLS\r\n250-SIZE 99999999999999999999\r\n250 DSN\r\n")
    while True:
        talk.line()
        talk.send("500 5.5.1 what\r\n")


def endless(talk):
    talk.send("220 x\r\n")
    talk.line()
    for _ in range(1000000):
        talk.send("250-more\r\n")


def longline(talk):
    talk.send(b"220 " + b"x" * (1 << 22))


def nogreeting(talk):
    while True:
        talk.more()


def garbage(talk):
    talk.send(bytes(range(256)) * 50 + b"\r\n")
    while True:
        talk.more()


def slowreply(talk):
    """A letter now and then."""
    for c in "220 " + "x" * 600:
        talk.send(c)
        time.sleep(0.2)


SESSIONS = {f.__name__: f for f in (silent, midbody, liar, endless, longline, nogreeting, garbage, slowreply)}


def test_peers_that_misbehave(world, server):
    """Mail for each of them is bounced in the end; meanwhile mail for others passes at once."""
    answers = {"forever": {"RCPT": "450 4.2.0 never"}, "afterdot": {"END": "554 5.6.0 not this"}}
    names = [*SESSIONS, *answers]
    bad = [world.peer(HOSTS[name], session=SESSIONS.get(name), answers=answers.get(name)) for name in names]
    fine = world.peer(HOSTS["fine"])
    box = server.account(ALICE)
    started = time.monotonic()
    for name in names:
        submit(server, f"a@{name}.test", message(f"to {name}"))
    submit(server, "a@fine.test", message("to a good one"))
    wait_for(lambda: fine.messages)
    assert time.monotonic() - started < 12, "the good one waited for the others"  # they all have until they expire
    reports = wait_for(lambda: (m := [m for m in box.messages() if b"multipart/report" in m]) and len(m) == len(names) and m)
    fields = [email.message_from_bytes(r).get_payload()[1].get_payload()[1] for r in reports]
    assert {f["Final-Recipient"] for f in fields} == {f"rfc822; a@{name}.test" for name in names}
    assert {f["Action"] for f in fields} == {"failed"}
    wait_for(lambda: queue(server) == [])
    assert not any(p.messages for p in bad)


def test_kill_9_of_the_relay_and_its_peers(world, make_server):
    """Under load the relay is killed again and again, and the peer breaks connections: every message arrives, and is not in the queue any
    more. Repeats are what SMTP cannot avoid: a message whose 250 was lost."""
    rounds, count = 8, 400
    chance = random.Random(20261124)
    broken = 0

    def answers(verb, line):
        return "451 4.3.0 not now" if verb == "RCPT" and chance.random() < 0.05 else None

    peer = world.peer(HOSTS["busy"], answers=answers)
    take = peer.done

    def done(talk, mail, rcpts, body, is_tls):
        nonlocal broken
        if chance.random() < 0.02:
            broken += 1
            peer.messages.append((mail, list(rcpts), body, is_tls))
            raise OSError("the peer dies before its reply")
        take(talk, mail, rcpts, body, is_tls)

    peer.done = done
    server = make_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 1s\nconnect_timeout = 2s"))
    accepted = []

    def feed():
        session = server.submission(server.account(ALICE))
        for i in range(count):
            session.expect(250, f"MAIL FROM:<{ALICE}>")
            session.expect(250, "RCPT TO:<a@busy.test>")
            session.expect(354, "DATA")
            session.send(message(f"number {i}.").encode().replace(b"\r\n.", b"\r\n..") + b".\r\n")
            if session.reply()[-1].startswith("250"):
                accepted.append(i)

    feeder = threading.Thread(target=feed)
    feeder.start()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.4))
        server.kill_role("relay")
    feeder.join()
    assert len(accepted) > count // 2

    def seen():
        with peer.lock:
            return collections.Counter(int(re.search(rb"Subject: number (\d+)\.", body).group(1)) for _, _, body, _ in peer.messages)

    wait_for(lambda: set(accepted) <= set(seen()), timeout=60)
    wait_for(lambda: queue(server) == [], timeout=60)
    repeats = sum(seen().values()) - len(seen())
    print(f"{len(accepted)} accepted, {rounds} deaths, {broken} lost replies, {repeats} repeats")
    assert repeats <= rounds * 20 + broken  # at most what was under way
    peer.stop()
