"""Clients that keep a cache from what the server tells them, and random commands from several of them.

The world (imap_world.py) knows what every mailbox holds, since all changes go through it. A client (Client) believes only what the server
said: EXISTS, EXPUNGE, FETCH, VANISHED. Whenever a client has been told everything (after NOOP), its cache must be what the world knows.
Every answer of a command is compared with the world as well. What a client does with mod-sequences is in imap_model_sync.py.
"""
import collections
import random
import re

import imap_model_sync
from imap_world import FLAGS, Mailbox, Row, World, expand, in_order, key_matches, key_text, random_key, ranges, SORT_KEYS

FETCH = re.compile(rb"\* (\d+) (?:UID)?FETCH \((.*)\)", re.S)
COPYUID = re.compile(rb"COPYUID \d+ ([\d,:]+) ([\d,:]+)\]")


class Client(imap_model_sync.Resync):
    """One session and what it has been told."""

    def __init__(self, world, connect):
        self.world = world
        self.connect = connect
        self.caches = {}  # of mailboxes that were selected when the connection broke
        self.come(False)

    def come(self, has_qresync):
        """A new connection."""
        self.imap = self.connect()
        self.has_qresync = has_qresync
        if has_qresync:
            self.imap.ok("ENABLE QRESYNC")
        self.name = None  # of the selected mailbox
        self.modseq = self.heard = self.tick = 0
        self.is_read_only = False
        self.view = []  # uids, None where not known yet
        self.flags = {}  # uid: flags as told

    @property
    def mailbox(self):
        return self.world.mailboxes[self.name]

    # ---- what the server says

    def take(self, answer, may_expunge=True):
        """The untagged responses of an answer go into the cache."""
        for line in answer.untagged:
            self.take_line(line, may_expunge)
        if highest := re.match(rb"OK \[HIGHESTMODSEQ (\d+)\]", answer.tagged):
            self.heard = max(self.heard, int(highest[1]))
        return answer

    def take_line(self, line, may_expunge):
        if found := re.fullmatch(rb"\* (\d+) EXISTS", line):
            count = int(found[1])
            assert count >= len(self.view), f"EXISTS may not shrink {len(self.view)}: {line}"
            self.view += [None] * (count - len(self.view))
        elif found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            assert may_expunge and not self.has_qresync, f"EXPUNGE when none is allowed: {line}"
            assert 1 <= int(found[1]) <= len(self.view), f"there is no {line} of {len(self.view)}"
            self.flags.pop(self.view.pop(int(found[1]) - 1), None)
        elif found := re.fullmatch(rb"\* VANISHED ([\d,:]+)", line):
            assert may_expunge and self.has_qresync, f"VANISHED when none is allowed: {line}"
            for uid in expand(found[1]):
                self.view.remove(uid if uid in self.view else None)
                self.flags.pop(uid, None)
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
        if modseq := re.search(rb"MODSEQ \((\d+)\)", items):
            self.heard = max(self.heard, int(modseq[1]))
            uid = self.view[seq - 1]
            if uid in self.mailbox.rows and not self.is_untold(uid):  # else it may be the one that the client knows the flags of
                self.mailbox.is_modseq_told(uid, int(modseq[1]))

    def learn(self):
        """Asks for what is not known of new messages."""
        while unknown := [n for n, uid in enumerate(self.view, 1) if uid is None]:
            self.take(self.imap.ok(f"FETCH {ranges(unknown)} (UID FLAGS)"), may_expunge=False)

    def sync(self, how="NOOP"):
        """After this the cache must be the truth."""
        self.take(self.imap.ok(how))
        self.compare()

    def settle(self):
        """The same, where there is something to be told."""
        if self.mailbox.tick != self.tick or None in self.view:
            self.sync()

    def compare(self):
        self.learn()
        rows = self.mailbox.rows
        assert self.view == list(rows), f"{self.name}: told {self.view}, there are {list(rows)}"
        for uid, row in rows.items():
            assert self.flags[uid] == row.flags, f"{self.name} {uid}: told {self.flags[uid]}, it has {row.flags}"
        self.modseq = max(self.modseq, self.heard)  # all that has happened up to here is known
        self.tick = self.mailbox.tick

    # ---- what a client does

    def select(self, name, read_only=False):
        answer = self.open(name, "EXAMINE" if read_only else "SELECT", self.cache_of(name))
        assert answer.one(rb"\* OK \[UIDNEXT (\d+)\].*")[1] == b"%d" % self.mailbox.uidnext
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
            mailbox.remove(uid)

    def some(self, rng):
        """A few messages of the view: how they are said, and their uids."""
        uids = rng.sample(self.view, min(len(self.view), rng.choice((1, 1, 2, 5, 20))))
        if rng.random() < 0.5:
            return "UID ", ranges(uids), uids
        return "", ranges(self.view.index(u) + 1 for u in uids), uids

    def append(self, rng, name):
        message, flags = self.world.message(), rng.sample(FLAGS, rng.randint(0, 2))
        answer = self.imap.ok(f'APPEND {name} ({" ".join(flags)}) "{message.day:2d}-Jan-2026 12:00:00 +0000" %s', message.raw)
        uid = self.world.mailboxes[name].add(message, flags)
        self.take(answer)
        assert re.search(rb"APPENDUID \d+ %d\]" % uid, answer.tagged), f"{uid}: {answer}"

    def store(self, rng):
        prefix, wanted, uids = self.some(rng)
        how, flags, silent = rng.choice(("+", "-", "")), set(rng.sample(FLAGS, rng.randint(1, 3))), rng.choice(("", ".SILENT"))
        modifier, limit = self.unchanged_since(rng)
        answer = self.imap.command(f'{prefix}STORE {wanted} {modifier}{how}FLAGS{silent} ({" ".join(sorted(flags))})')
        if self.is_read_only:
            assert answer.tagged.startswith(b"NO"), answer
            self.take(answer, bool(prefix))
            return
        modified = self.modified(answer, prefix, uids, limit, how, flags)
        assert answer.tagged[:2] in (b"OK", b"NO"), answer
        for uid in uids:
            row = self.mailbox.rows.get(uid)
            if row and uid not in modified:
                self.mailbox.set_flags(uid, imap_model_sync.stored(row.flags, how, flags))
                if silent and self.flags.get(uid) is not None:
                    self.flags[uid] = imap_model_sync.stored(self.flags[uid], how, flags)
        self.take(answer, bool(prefix))

    def fetch(self, rng):
        prefix, wanted, uids = self.some(rng)
        items = rng.choice(("FLAGS", "(UID FLAGS)", "(UID RFC822.SIZE)", "(UID BODY.PEEK[])", "(UID INTERNALDATE)", "(UID MODSEQ)"))
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
            assert "MODSEQ" not in items or b"MODSEQ (" in got[uid], answer

    def search(self, rng):
        keys = [random_key(rng, self.view, self.mailbox.marks) for _ in range(rng.randint(1, 3))]
        prefix = rng.choice(("", "UID "))
        before, told = list(self.view), dict(self.flags)
        answer = self.imap.ok(f"{prefix}SEARCH CHARSET UTF-8 " + " ".join(map(key_text, keys)))
        numbers, highest = answer.one(rb"\* SEARCH((?: \d+)*)(?: \(MODSEQ (\d+)\))?").groups()
        got = {int(n) if prefix else before[int(n) - 1] for n in numbers.split()}
        for seq, uid in enumerate(before, 1):
            row = self.mailbox.rows.get(uid)
            if row and not ("MODSEQ" in str(keys) and self.is_untold(uid)):  # what is gone and not yet told may be there; flags may be as told
                right = {all(key_matches(k, r, seq, self.mailbox) for k in keys) for r in (row, Row(uid, row.message, told[uid], row.tick))}
                assert (uid in got) in right, f"{keys}: {uid} of {before}: {answer}"
        assert got <= set(before), answer
        assert bool(highest) == (bool(got) and "MODSEQ" in str(keys)), answer
        self.take(answer, bool(prefix))

    def found(self, keys):
        """Rows in the order of the mailbox, where all is known."""
        return [r for n, r in enumerate(self.mailbox.rows.values(), 1) if all(key_matches(k, r, n, self.mailbox) for k in keys)]

    def esearch(self, rng):
        """RFC 4731, RFC 9394, RFC 5182."""
        self.settle()
        keys, prefix = [random_key(rng, self.view, self.mailbox.marks) for _ in range(2)], rng.choice(("", "UID "))
        wanted = rng.sample(("MIN", "MAX", "COUNT", rng.choice(("ALL", "PARTIAL 2:4", "PARTIAL -1:-3"))), rng.randint(1, 4))
        answer = self.imap.ok(f"{prefix}SEARCH RETURN ({' '.join(wanted)} SAVE) CHARSET UTF-8 " + " ".join(map(key_text, keys)))
        rows = self.found(keys)
        numbers = [r.uid if prefix else self.view.index(r.uid) + 1 for r in rows]
        self.is_esearch(answer, prefix, {
            "MIN": (numbers or [None])[0], "MAX": (numbers or [None])[-1], "COUNT": len(numbers), "ALL": ranges(numbers) or None,
            "PARTIAL 2:4": f"(2:4 {ranges(numbers[1:4]) or 'NIL'})", "PARTIAL -1:-3": f"(-1:-3 {ranges(numbers[-3:]) or 'NIL'})"}, wanted)
        if "ALL" in wanted or wanted == ["COUNT"]:
            assert self.imap.ok("UID SEARCH $").numbers() == [r.uid for r in rows]

    def is_esearch(self, answer, prefix, right, wanted):
        line = answer.one(rb'\* ESEARCH \(TAG "t\d+"\)( UID)?(.*)')
        assert bool(line[1]) == bool(prefix), answer
        told = dict(m.groups() for m in re.finditer(r" (MIN|MAX|COUNT|ALL|PARTIAL) (\([^)]*\)|\S+)", re.sub(r" MODSEQ \d+| \(MODSEQ \d+\)", "", line[2].decode())))
        should = {w.split()[0]: str(right[w]) for w in wanted if right[w] is not None}
        assert told == should, f"{answer}, should be {should}"

    def sort(self, rng):
        self.settle()
        keys, prefix = [random_key(rng, self.view, self.mailbox.marks)], rng.choice(("", "UID "))
        order = [rng.choice(("", "REVERSE ")) + k for k in rng.sample(sorted(SORT_KEYS), rng.randint(1, 3))]
        answer = self.imap.ok(f"{prefix}SORT ({' '.join(order)}) UTF-8 " + " ".join(map(key_text, keys)))
        got = [int(n) for n in answer.one(rb"\* SORT((?: \d+)*)(?: \(MODSEQ \d+\))?")[1].split()]
        right = [r.uid if prefix else self.view.index(r.uid) + 1 for r in in_order(self.found(keys), order)]
        assert got == right, f"{order} {keys}: {got}, should be {right}"

    def replace(self, rng, name):
        """RFC 8508: the old one goes where the new one has come."""
        self.settle()
        if not self.view:
            return
        uid, message, flags = rng.choice(self.view), self.world.message(), rng.sample(FLAGS, rng.randint(0, 2))
        prefix, number = rng.choice((("UID ", uid), ("", self.view.index(uid) + 1)))
        answer = self.imap.command(f'{prefix}REPLACE {number} {name} ({" ".join(flags)}) "{message.day:2d}-Jan-2026 12:00:00 +0000" %s', message.raw)
        assert answer.tagged.startswith(b"NO" if self.is_read_only else b"OK"), answer
        if not self.is_read_only:
            new = self.world.mailboxes[name].add(message, flags)
            assert any(re.search(rb"APPENDUID \d+ %d\]" % new, line) for line in (*answer.untagged, answer.tagged)), f"{new}: {answer}"
            self.mailbox.remove(uid)
        self.take(answer)
        self.sync()

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
                self.mailbox.remove(uid)
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
        answer = self.take(self.imap.ok(f"STATUS {name} (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)"))
        unseen = sum("\\Seen" not in r.flags for r in mailbox.rows.values())
        found = answer.one(rb"\* STATUS \S+ \(MESSAGES (\d+) UIDNEXT (\d+) UNSEEN (\d+) HIGHESTMODSEQ (\d+)\)")
        *numbers, highest = map(int, found.groups())
        assert numbers == [len(mailbox.rows), mailbox.uidnext, unseen], f"{name}: {answer}"
        mailbox.is_told(highest)

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
        self.clients = [Client(self.world, lambda n=n: self.recorded(n, box.imap())) for n in range(clients)]
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

    def new_name(self):
        """One that was never there, or one whose mailbox was deleted."""
        old = sorted(set(self.world.deleted) - set(self.world.mailboxes))
        if old and self.rng.random() < 0.5:
            return self.rng.choice(old)
        self.made += 1
        return f"box{self.made}"

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
                name = self.new_name()
                client.take(client.imap.ok(f"CREATE {name}"))
                world.mailboxes[name] = Mailbox()
            case "delete" if name := self.name(unused=True):
                client.take(client.imap.ok(f"DELETE {name}"))
                world.leave(name)
            case "rename" if name := self.name(unused=True):
                new = self.new_name()
                client.take(client.imap.ok(f"RENAME {name} {new}"))
                world.mailboxes[new] = world.leave(name)  # its UIDVALIDITY is another one

    def selected_step(self, client):
        rng = self.rng
        client.learn()
        match rng.choice(("noop", "store", "store", "store", "fetch", "fetch", "search", "search", "copy", "move", "expunge", "idle", "leave", "select",
                          "esearch", "sort", "changes", "replace", "drop")):
            case "noop":
                client.sync()
            case "idle":
                client.idle()
            case "select":
                client.select(self.name(), rng.random() < 0.2)
            case "leave":
                client.leave(rng.choice(("CLOSE", "UNSELECT")))
            case "drop":
                client.drop()
                client.come(rng.random() < 0.7)
            case "changes" if client.mailbox.marks:
                client.changes(rng)
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
            case "esearch":
                client.esearch(rng)
            case "sort":
                client.sort(rng)
            case "replace":
                client.replace(rng, self.small() if rng.random() < 0.5 else client.name)
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
