"""Clients that put load on a server and keep book of what it promised.

Every message has a Message-ID and is sent again, as real clients do, until it is accepted; each attempt has a mark of its own. What
became of an attempt is one of

    ACKED      250 or tagged OK was read: it must be in every recipient's mailbox, once
    UNCERTAIN  everything was sent, but no good answer came: it may be there, at most once
    UNSENT     the connection died, or the server said no, before the end of the message: it must not be there
"""
import base64
import collections
import random
import re
import threading
import time

import tassis

ACKED, UNCERTAIN, UNSENT = "acked", "uncertain", "unsent"
ALICE, BOB = "alice@example.test", "bob@example.test"
GONE = (OSError, EOFError)


class Refused(Exception):
    """The server said that it cannot, now."""


class Attempt:
    def __init__(self, message_id, mark, wanted):
        self.message_id, self.mark, self.wanted = message_id, mark, wanted  # wanted: places, "ADDRESS/MAILBOX"
        self.result = UNSENT


class Book:
    def __init__(self):
        self.lock = threading.Lock()
        self.attempts = []

    def begin(self, message_id, number, wanted):
        attempt = Attempt(message_id, f"{message_id}.{number}", wanted)
        with self.lock:
            self.attempts.append(attempt)
        return attempt

    def counts(self):
        with self.lock:
            return collections.Counter(a.result for a in self.attempts)


def message(attempt, sender, size):
    text = (f"From: <{sender}>\r\nTo: <{BOB}>\r\nSubject: load\r\nMessage-ID: <{attempt.message_id}@example.test>\r\n"
            f"X-Mark: {attempt.mark}\r\nDate: Mon, 07 Apr 2025 10:00:00 +0000\r\n\r\n")
    return (text + ("." + "x" * 70 + "\r\n") * (size // 73)).encode()


def dotted(text):
    return re.sub(rb"(?m)^\.", b"..", text) + b".\r\n"


class Client(threading.Thread):
    """Sends one message after the other until told to stop; the message under way is finished."""

    def __init__(self, server, book, name, seed):
        super().__init__(name=name, daemon=True)
        self.server, self.book, self.random = server, book, random.Random(f"{seed} {name}")
        self.stopping = threading.Event()
        self.talk = None
        self.failure = None
        self.sent = 0

    def run(self):
        try:
            while not self.stopping.is_set():
                self.sent += 1
                self.deliver(f"{self.name}-{self.sent}")
                time.sleep(self.random.uniform(0, 0.02))
        except Exception as e:  # noqa: BLE001 - shown by the test
            self.failure = e
        finally:
            self.drop()

    def deliver(self, message_id):
        wanted = self.places()
        deadline = time.monotonic() + 90
        for number in range(10000):
            attempt = self.book.begin(message_id, number, wanted)
            try:
                if self.talk is None:
                    self.talk = self.server.talk(self.service, timeout=30)
                    self.login()
                self.send(attempt, self.random.choice((200, 2000, 20000, 200000)))
                return
            except (Refused, *GONE):
                self.drop()
            if time.monotonic() > deadline:
                raise AssertionError(f"{message_id} was not accepted within 90 seconds")
            time.sleep(self.random.uniform(0.01, 0.2))

    def drop(self):
        if self.talk:
            self.talk.close()
        self.talk = None

    def expect(self, code, reply):
        if not reply[-1].startswith(code):
            raise Refused(reply[-1])


class Smtp(Client):
    service = "smtp"
    sender = "stranger@example.net"
    recipients = (ALICE, BOB)

    def places(self):
        if self.random.random() < 0.3:
            return [r + "/INBOX" for r in self.recipients]
        return [self.random.choice(self.recipients) + "/INBOX"]

    def login(self):
        self.expect("220", self.talk.reply())
        self.expect("250", self.talk.command("EHLO client.example.net"))

    def send(self, attempt, size):
        self.expect("250", self.talk.command(f"MAIL FROM:<{self.sender}>"))
        for place in attempt.wanted:
            self.expect("250", self.talk.command(f"RCPT TO:<{place.split('/')[0]}>"))
        self.expect("354", self.talk.command("DATA"))
        data = dotted(message(attempt, self.sender, size))
        self.talk.send(data[:-3])
        attempt.result = UNCERTAIN
        self.talk.send(data[-3:])
        self.expect("250", self.talk.reply())
        attempt.result = ACKED


class Submission(Smtp):
    service = "submission"
    sender = ALICE

    def login(self):
        super().login()
        plain = base64.b64encode(f"\0{ALICE}\0{tassis.PASSWORDS[ALICE]}".encode()).decode()
        self.expect("235", self.talk.command("AUTH PLAIN " + plain))


class Append(Client):
    service = "imap"

    def places(self):
        return [BOB + "/INBOX"]

    def login(self):
        self.talk.line()
        self.talk.send(f'a LOGIN {BOB} "{tassis.PASSWORDS[BOB]}"\r\n')
        self.expect("a OK", self.talk.until("a "))

    def send(self, attempt, size):
        data = message(attempt, BOB, size)
        self.talk.send(f"b APPEND INBOX (\\Seen) {{{len(data)}}}\r\n")
        reply = self.talk.until(("+", "b "))
        self.expect("+", reply)
        self.talk.send(data)
        attempt.result = UNCERTAIN
        self.talk.send("\r\n")
        self.expect("b OK", self.talk.until("b "))
        attempt.result = ACKED


def start(server, seed, per_kind=2):
    book = Book()
    clients = [kind(server, book, f"{kind.__name__.lower()}{i}", seed) for kind in (Smtp, Submission, Append) for i in range(per_kind)]
    for c in clients:
        c.start()
    return book, clients


def finish(clients):
    for c in clients:
        c.stopping.set()
    for c in clients:
        c.join(timeout=100)
        assert not c.is_alive(), f"{c.name} hangs"
        assert c.failure is None, f"{c.name}: {c.failure!r}"


def login(server, address, timeout=30):
    """A logged-in IMAP dialogue; tries until the server is whole again."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            talk = server.talk("imap", timeout=60)
            talk.line()
            talk.send(f'l LOGIN {address} "{tassis.PASSWORDS[address]}"\r\n')
            if talk.until("l ")[-1].startswith("l OK"):
                return talk
            talk.close()
        except GONE:
            pass
        assert time.monotonic() < deadline, f"{address} cannot log in:\n{server.log()[-3000:]}"
        time.sleep(0.1)


def marks(server, address, mailbox="INBOX"):
    """How often each mark is in a mailbox."""
    talk = login(server, address)
    talk.send(f"s EXAMINE {mailbox}\r\n")
    assert talk.until("s ")[-1].startswith("s OK")
    talk.send("f UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-Mark)])\r\n")
    found = collections.Counter()
    for line in talk.until("f "):
        if line.startswith("X-Mark: "):
            found[line[8:]] += 1
    talk.send("q LOGOUT\r\n")
    talk.close()
    return found


def check(server, book):
    """Compares the mailboxes with the book; returns the counts."""
    found = {f"{a}/INBOX": marks(server, a) for a in (ALICE, BOB)}
    known = collections.defaultdict(set)
    for a in book.attempts:
        for place in a.wanted:
            known[place].add(a.mark)
            n = found[place][a.mark]
            if a.result == ACKED:
                assert n == 1, f"{a.mark} was accepted and is {n} times in {place}"
            elif a.result == UNSENT:
                assert n == 0, f"{a.mark} was never sent whole and is {n} times in {place}"
            else:
                assert n <= 1, f"{a.mark} was sent once and is {n} times in {place}"
    for place, marks_there in found.items():
        unknown = set(marks_there) - known[place]
        assert not unknown, f"{place} has what nobody sent there: {sorted(unknown)[:5]}"
    return book.counts()


