"""A simple in-memory model of an IMAP account, and clients that keep a cache from what the server tells them.

The world (World) knows what every mailbox holds, since all changes go through it. A client (Client) believes only what the server
said: EXISTS, EXPUNGE, FETCH, and VANISHED where it asked for that. Whenever a client has been told everything (after NOOP), its cache
must be what the world knows. Every answer of a command is compared with the world as well.
"""
import base64
import collections
import random
import re

SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
FLAGS = SYSTEM + ("$Forwarded", "work")
WORDS = ("walrus", "carpenter", "oyster", "Übermut", "Straße", "日本語", "поезд", "sand", "cabbage", "kings")
FETCH = re.compile(rb"\* (\d+) (?:UID)?FETCH \((.*)\)", re.S)
COPYUID = re.compile(rb"COPYUID \d+ ([\d,:]+) ([\d,:]+)\]")


def expand(sequence):
    """"1:3,7" as numbers, in the order written."""
    numbers = []
    for part in sequence.decode().split(","):
        first, _, last = part.partition(":")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def ranges(numbers):
    """Numbers as a sequence set, neighbours joined."""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)


class Message:
    def __init__(self, number, rng):
        self.number = number
        self.subject = " ".join(rng.sample(WORDS, 2))
        self.body = " ".join(rng.choices(WORDS, k=rng.randint(3, 40)))
        self.day = rng.randint(1, 28)  # of the INTERNALDATE, in January 2026
        encoding = rng.choice(("8bit", "base64"))
        body = self.body if encoding == "8bit" else base64.encodebytes(self.body.encode()).decode().replace("\n", "\r\n").strip()
        subject = self.subject if self.subject.isascii() else "=?utf-8?B?%s?=" % base64.b64encode(self.subject.encode()).decode()
        self.raw = (f"From: <sender{number % 5}@elsewhere.test>\r\nTo: <owner@example.test>\r\nSubject: {subject}\r\n"
                    f"Date: {self.day} Jan 2026 12:00:00 +0000\r\nMessage-ID: <{number}@model.test>\r\nMIME-Version: 1.0\r\n"
                    f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n").encode()


class Row:
    """A message's place in a mailbox."""

    def __init__(self, uid, message, flags):
        self.uid = uid
        self.message = message
        self.flags = set(flags)


class Mailbox:
    def __init__(self):
        self.rows = {}  # uid: Row, ascending
        self.uidnext = 1

    def add(self, message, flags):
        row = Row(self.uidnext, message, flags)
        self.rows[row.uid] = row
        self.uidnext += 1
        return row.uid


class World:
    def __init__(self, rng):
        self.rng = rng
        self.mailboxes = {name: Mailbox() for name in ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive")}
        self.messages = 0

    def message(self):
        self.messages += 1
        return Message(self.messages, self.rng)


def key_matches(key, row, seq):
    """One SEARCH key, as random_key() makes them."""
    kind, value = key
    m = row.message
    match kind:
        case "ALL":
            return True
        case "FLAG":
            return value in row.flags
        case "NOT":
            return not key_matches(value, row, seq)
        case "OR":
            return key_matches(value[0], row, seq) or key_matches(value[1], row, seq)
        case "AND":
            return all(key_matches(k, row, seq) for k in value)
        case "UID":
            return row.uid in value
        case "SEQ":
            return seq in value
        case "SUBJECT":
            return value.casefold() in m.subject.casefold()
        case "BODY":
            return value.casefold() in m.body.casefold()
        case "FROM":
            return value in f"sender{m.number % 5}@elsewhere.test"
        case "LARGER":
            return len(m.raw) > value
        case "SMALLER":
            return len(m.raw) < value
        case "SINCE":
            return m.day >= value
        case "BEFORE":
            return m.day < value
    raise ValueError(kind)


def key_text(key):
    kind, value = key
    names = {"\\Seen": "SEEN", "\\Answered": "ANSWERED", "\\Flagged": "FLAGGED", "\\Deleted": "DELETED", "\\Draft": "DRAFT"}
    match kind:
        case "ALL":
            return "ALL"
        case "FLAG":
            return names.get(value) or f"KEYWORD {value}"
        case "NOT" if value[0] == "FLAG":
            return "UN" + key_text(value)
        case "NOT":
            return "NOT " + key_text(value)
        case "OR":
            return f"OR {key_text(value[0])} {key_text(value[1])}"
        case "AND":
            return "(%s)" % " ".join(map(key_text, value))
        case "UID":
            return "UID " + ranges(value)
        case "SEQ":
            return ranges(value)
        case "SUBJECT" | "BODY":
            return "%s {%d+}\r\n%s" % (kind, len(value.encode()), value)
        case "SINCE" | "BEFORE":
            return f"{kind} {value}-Jan-2026"
    return f"{kind} {value}"


def random_key(rng, view, depth=0):
    kind = rng.choice(("ALL", "FLAG", "FLAG", "UID", "SEQ", "SUBJECT", "BODY", "FROM", "LARGER", "SMALLER", "SINCE", "BEFORE")
                      + (("NOT", "OR", "AND") * 2 if depth < 3 else ()))
    match kind:
        case "FLAG":
            return kind, rng.choice(FLAGS)
        case "NOT":
            return kind, random_key(rng, view, depth + 1)
        case "OR" | "AND":
            return kind, [random_key(rng, view, depth + 1) for _ in range(2)]
        case "UID" | "SEQ":
            pool = view if kind == "UID" else range(1, len(view) + 1)
            return (kind, set(rng.sample(list(pool), rng.randint(1, len(view))))) if view else ("ALL", None)
        case "SUBJECT" | "BODY":
            word = rng.choice(WORDS)
            start = rng.randint(0, len(word) - 1)
            return kind, rng.choice((word, word.upper() if word != "Straße" else word, word[start:]))
        case "FROM":
            return kind, f"sender{rng.randint(0, 6)}@"
        case "LARGER" | "SMALLER":
            return kind, rng.randint(300, 700)
        case "SINCE" | "BEFORE":
            return kind, rng.randint(1, 28)
    return kind, None


class Client:
    """One session and what it has been told."""

    def __init__(self, world, imap):
        self.world = world
        self.imap = imap
        self.name = None  # of the selected mailbox
        self.is_read_only = False
        self.view = []  # uids, None where not known yet
        self.flags = {}  # uid: flags as told
        self.capabilities = set(imap.ok("CAPABILITY").one(rb"\* CAPABILITY (.*)")[1].decode().split())

    @property
    def mailbox(self):
        return self.world.mailboxes[self.name]

    # ---- what the server says

    def take(self, answer, may_expunge=True):
        """The untagged responses of an answer go into the cache."""
        for line in answer.untagged:
            self.take_line(line, may_expunge)
        return answer

    def take_line(self, line, may_expunge):
        if found := re.fullmatch(rb"\* (\d+) EXISTS", line):
            count = int(found[1])
            assert count >= len(self.view), f"EXISTS may not shrink {len(self.view)}: {line}"
            self.view += [None] * (count - len(self.view))
        elif found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            assert may_expunge, f"EXPUNGE when none is allowed: {line}"
            assert 1 <= int(found[1]) <= len(self.view), f"there is no {line} of {len(self.view)}"
            self.flags.pop(self.view.pop(int(found[1]) - 1), None)
        elif found := FETCH.fullmatch(line):
            self.take_fetch(int(found[1]), found[2])

    def take_fetch(self, seq, items):
        assert 1 <= seq <= len(self.view), f"FETCH {seq} of {len(self.view)}"
        uid = re.search(rb"\bUID (\d+)", items)
        if uid:
            assert self.view[seq - 1] in (None, int(uid[1])), f"{seq} was {self.view[seq - 1]} and is {items}"
            self.view[seq - 1] = int(uid[1])
        flags = re.search(rb"FLAGS \(([^)]*)\)", items)
        if flags and self.view[seq - 1] is not None:
            self.flags[self.view[seq - 1]] = set(flags[1].decode().split()) - {"\\Recent"}

    def learn(self):
        """Asks for what is not known of new messages."""
        while unknown := [n for n, uid in enumerate(self.view, 1) if uid is None]:
            self.take(self.imap.ok(f"FETCH {ranges(unknown)} (UID FLAGS)"), may_expunge=False)

    def sync(self, how="NOOP"):
        """After this the cache must be the truth."""
        self.take(self.imap.ok(how))
        self.compare()

    def compare(self):
        self.learn()
        rows = self.mailbox.rows
        assert self.view == list(rows), f"{self.name}: told {self.view}, there are {list(rows)}"
        for uid, row in rows.items():
            assert self.flags[uid] == row.flags, f"{self.name} {uid}: told {self.flags[uid]}, it has {row.flags}"

    # ---- what a client does

    def select(self, name, read_only=False):
        answer = self.imap.ok(("EXAMINE " if read_only else "SELECT ") + name)
        self.name, self.is_read_only, self.view, self.flags = name, read_only, [], {}
        self.take(answer)
        assert len(self.view) == len(self.mailbox.rows)
        assert answer.one(rb"\* OK \[UIDNEXT (\d+)\].*")[1] == b"%d" % self.mailbox.uidnext
        if self.view:
            self.take(self.imap.ok("UID FETCH 1:* FLAGS"))
        self.compare()

    def leave(self, how):
        """CLOSE (which expunges) or UNSELECT."""
        if how == "CLOSE" and not self.is_read_only:
            self.remove_deleted(self.mailbox)
        self.imap.ok(how)
        self.name, self.view, self.flags = None, [], {}

    @staticmethod
    def remove_deleted(mailbox, among=None):
        for uid in [u for u, r in mailbox.rows.items() if "\\Deleted" in r.flags and (among is None or u in among)]:
            del mailbox.rows[uid]

    def some(self, rng):
        """A few messages of the view: how they are said, and their uids."""
        uids = rng.sample(self.view, min(len(self.view), rng.choice((1, 1, 2, 5, 20))))
        if rng.random() < 0.5:
            return "UID ", ranges(uids), uids
        return "", ranges(self.view.index(u) + 1 for u in uids), uids

    def append(self, rng, name):
        message, flags = self.world.message(), rng.sample(FLAGS, rng.randint(0, 2))
        answer = self.take(self.imap.ok(f'APPEND {name} ({" ".join(flags)}) "{message.day:2d}-Jan-2026 12:00:00 +0000" %s', message.raw))
        uid = self.world.mailboxes[name].add(message, flags)
        assert re.search(rb"APPENDUID \d+ %d\]" % uid, answer.tagged), f"{uid}: {answer}"

    def store(self, rng):
        prefix, wanted, uids = self.some(rng)
        how, flags, silent = rng.choice(("+", "-", "")), set(rng.sample(FLAGS, rng.randint(1, 3))), rng.choice(("", ".SILENT"))
        answer = self.take(self.imap.command(f'{prefix}STORE {wanted} {how}FLAGS{silent} ({" ".join(sorted(flags))})'), bool(prefix))
        if self.is_read_only:
            assert answer.tagged.startswith(b"NO"), answer
            return
        assert answer.tagged[:2] in (b"OK", b"NO"), answer
        for uid in uids:
            row = self.mailbox.rows.get(uid)
            if row:
                row.flags = row.flags | flags if how == "+" else row.flags - flags if how == "-" else set(flags)
                if silent and self.flags.get(uid) is not None:
                    told = self.flags[uid]
                    self.flags[uid] = told | flags if how == "+" else told - flags if how == "-" else set(flags)

    def fetch(self, rng):
        prefix, wanted, uids = self.some(rng)
        items = rng.choice(("FLAGS", "(UID FLAGS)", "(UID RFC822.SIZE)", "(UID BODY.PEEK[])", "(UID INTERNALDATE)"))
        answer = self.take(self.imap.command(f"{prefix}FETCH {wanted} {items}"), bool(prefix))
        assert answer.tagged[:2] in (b"OK", b"NO"), answer
        got = {}
        for line in answer.untagged:
            found = FETCH.fullmatch(line)
            uid = found and re.search(rb"\bUID (\d+)", found[2])
            if uid:
                got.setdefault(int(uid[1]), b"")
                got[int(uid[1])] += found[2]
        for uid in uids:
            row = self.mailbox.rows.get(uid)
            if row is None or "UID" not in items + prefix:
                continue
            assert uid in got, f"{uid} is missing: {answer}"
            if "SIZE" in items:
                assert b"RFC822.SIZE %d" % len(row.message.raw) in got[uid]
            if "BODY" in items:
                assert b"BODY[] {%d}\r\n%s" % (len(row.message.raw), row.message.raw) in got[uid]
            if "INTERNALDATE" in items:
                assert b'INTERNALDATE "%2d-Jan-2026' % row.message.day in got[uid]

    def search(self, rng):
        keys = [random_key(rng, self.view) for _ in range(rng.randint(1, 3))]
        prefix = rng.choice(("", "UID "))
        before, told = list(self.view), dict(self.flags)
        answer = self.imap.ok(f"{prefix}SEARCH CHARSET UTF-8 " + " ".join(map(key_text, keys)))
        got = {n if prefix else before[n - 1] for n in answer.numbers()}
        self.take(answer, bool(prefix))
        for seq, uid in enumerate(before, 1):
            row = self.mailbox.rows.get(uid)
            if row:  # what is gone and not yet told may be there; flags may be those that the client has been told
                right = {all(key_matches(k, r, seq) for k in keys) for r in (row, Row(uid, row.message, told[uid]))}
                assert (uid in got) in right, f"{keys}: {uid} of {before}: {answer}"
        assert got <= set(before), answer

    def copy(self, rng, name, move):
        prefix, wanted, uids = self.some(rng)
        answer = self.imap.command(f"{prefix}{'MOVE' if move else 'COPY'} {wanted} {name}")
        if move and self.is_read_only:
            assert answer.tagged.startswith(b"NO"), answer
            self.take(answer)
            return
        assert answer.tagged[:2] in (b"OK", b"NO"), answer
        pairs = next((m for line in [*answer.untagged, answer.tagged] if (m := COPYUID.search(line))), None)
        source, target = (expand(pairs[1]), expand(pairs[2])) if pairs else ([], [])
        there = [u for u in uids if u in self.mailbox.rows]
        if answer.tagged.startswith(b"OK"):
            assert sorted(source) == sorted(there), f"{there}: {answer}"
        for uid, new in zip(source, target):
            row = self.mailbox.rows[uid]
            assert self.world.mailboxes[name].add(row.message, row.flags) == new, answer
            if move:
                del self.mailbox.rows[uid]
        self.take(answer)

    def expunge(self, rng):
        self.sync()
        if rng.random() < 0.5 and self.view:
            _, _, uids = self.some(rng)
            answer = self.imap.command(f"UID EXPUNGE {ranges(uids)}")
        else:
            uids = None
            answer = self.imap.command("EXPUNGE")
        assert answer.tagged.startswith(b"NO" if self.is_read_only else b"OK"), answer
        if not self.is_read_only:
            self.remove_deleted(self.mailbox, uids)
        self.take(answer)
        self.sync()

    def status(self, name):
        mailbox = self.world.mailboxes[name]
        answer = self.take(self.imap.ok(f"STATUS {name} (MESSAGES UIDNEXT UNSEEN)"))
        unseen = sum("\\Seen" not in r.flags for r in mailbox.rows.values())
        found = answer.one(rb"\* STATUS \S+ \(MESSAGES (\d+) UIDNEXT (\d+) UNSEEN (\d+)\)")
        assert list(map(int, found.groups())) == [len(mailbox.rows), mailbox.uidnext, unseen], f"{name}: {answer}"

    def list(self):
        answer = self.take(self.imap.ok('LIST "" *'))
        names = {m[1].decode().strip('"') for m in answer.all(rb'\* LIST \([^)]*\) "/" (.*)')}
        assert names == set(self.world.mailboxes), f"{sorted(names)}, should be {sorted(self.world.mailboxes)}"

    def idle(self):
        tag = self.imap.idle()
        self.take(self.imap.done(tag))
        self.compare()


class Run:
    """Random commands of several clients, one after the other."""

    def __init__(self, box, seed, clients=3):
        self.rng = random.Random(seed)
        self.box = box
        self.world = World(self.rng)
        self.history = collections.deque(maxlen=30)  # the last dialogues, for whoever looks for the reason of a failure
        self.clients = [Client(self.world, self.recorded(n, box.imap())) for n in range(clients)]
        self.made = 0

    def recorded(self, number, imap):
        command = imap.command

        def record(text, *literals):
            answer = command(text, *literals)
            self.history.append(f"{number}: {text[:200]} -> {str(answer)[:300]}")
            return answer

        imap.command = record
        return imap

    def name(self, unused=False):
        busy = {c.name for c in self.clients} if unused else set()
        names = [n for n in self.world.mailboxes if n not in busy and (not unused or n.startswith("box"))]
        return self.rng.choice(names) if names else None

    def step(self):
        rng, client = self.rng, self.rng.choice(self.clients)
        if client.name is None and rng.random() < 0.7:
            client.select(self.name(), rng.random() < 0.2)
            return
        if rng.random() < 0.15:
            self.account_step(client)
        elif client.name is not None:
            self.selected_step(client)

    def account_step(self, client):
        world = self.world
        match self.rng.choice(("append", "append", "append", "append", "status", "status", "list", "create", "delete", "rename")):
            case "append":
                client.append(self.rng, self.name())
            case "status":
                client.status(self.name())
            case "list":
                client.list()
            case "create" if len(world.mailboxes) < 12:
                self.made += 1
                client.take(client.imap.ok(f"CREATE box{self.made}"))
                world.mailboxes[f"box{self.made}"] = Mailbox()
            case "delete" if name := self.name(unused=True):
                client.take(client.imap.ok(f"DELETE {name}"))
                del world.mailboxes[name]
            case "rename" if name := self.name(unused=True):
                self.made += 1
                client.take(client.imap.ok(f"RENAME {name} box{self.made}"))
                world.mailboxes[f"box{self.made}"] = world.mailboxes.pop(name)

    def selected_step(self, client):
        rng = self.rng
        client.learn()
        match rng.choice(("noop", "store", "store", "store", "fetch", "fetch", "search", "search", "copy", "move", "expunge", "idle", "leave", "select")):
            case "noop":
                client.sync()
            case "idle":
                client.idle()
            case "select":
                client.select(self.name(), rng.random() < 0.2)
            case "leave":
                client.leave(rng.choice(("CLOSE", "UNSELECT")))
            case "expunge":
                client.expunge(rng)
            case _ if not client.view:
                client.append(rng, client.name)
            case "store":
                client.store(rng)
            case "fetch":
                client.fetch(rng)
            case "search":
                client.search(rng)
            case "copy":
                client.copy(rng, self.small(), False)
            case "move":
                client.copy(rng, self.small(), True)

    def small(self):
        """A mailbox that may still grow."""
        names = sorted(self.world.mailboxes, key=lambda n: len(self.world.mailboxes[n].rows))
        return self.rng.choice(names[:max(1, len(names) // 2)])

    def close(self):
        for client in self.clients:
            client.imap.close()
