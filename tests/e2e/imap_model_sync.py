"""What a client of the model does with mod-sequences (RFC 7162): conditional STORE, coming back with QRESYNC, asking for changes."""
import re

from imap_world import expand, ranges

GONE_EARLIER = rb"\* VANISHED \(EARLIER\) ([\d,:]+)"
MODIFIED = re.compile(rb"(?:OK|NO) \[MODIFIED ([\d,:]+)\]")


def stored(flags, how, change):
    return flags | change if how == "+" else flags - change if how == "-" else set(change)


class Cache:
    """What is left of a selected mailbox when the connection breaks."""

    def __init__(self, client):
        self.validity = client.mailbox.validity
        self.modseq = client.modseq
        self.view = list(client.view)
        self.flags = {uid: client.flags[uid] for uid in client.view if uid in client.flags}


class Resync:
    def cache_of(self, name):
        cache = self.caches.pop(name, None)
        return cache if self.has_qresync and cache and cache.modseq else None

    def open(self, name, how, cache):
        """SELECT or EXAMINE, from what is known still or from nothing."""
        known = cache and self.world.rng.choice(("", "uids", "matches"))
        answer = self.imap.ok(f"{how} {name}" + (self.parameters(cache, known) if cache else ""))
        self.name, self.is_read_only, self.view, self.flags = name, how == "EXAMINE", [], {}
        self.modseq = self.heard = self.tick = 0
        self.check_numbers(answer)
        if cache and cache.validity == self.mailbox.validity:
            self.resume(answer, cache, known)
        else:
            assert not answer.all(GONE_EARLIER), answer
            self.take(answer)
            assert len(self.view) == len(self.mailbox.rows)
            if self.view:
                self.take(self.imap.ok("UID FETCH 1:* FLAGS"))
        return answer

    def parameters(self, cache, known):
        uids = sorted(cache.flags)
        text = f" (QRESYNC ({cache.validity} {cache.modseq}"
        if known and uids:
            text += " " + ranges(uids)
        if known == "matches" and uids:  # numbers and uids as they were; those not known yet are the last
            pairs = sorted(self.world.rng.sample(list(enumerate(cache.view[:len(uids)], 1)), min(3, len(uids))))
            text += " (%s %s)" % (",".join(str(n) for n, _ in pairs), ",".join(str(uid) for _, uid in pairs))
        return text + "))"

    def check_numbers(self, answer):
        mailbox = self.mailbox
        validity = int(answer.one(rb"\* OK \[UIDVALIDITY (\d+)\].*")[1])
        assert mailbox.validity in (None, validity), f"UIDVALIDITY was {mailbox.validity}: {answer}"
        assert mailbox.validity or validity > self.world.deleted.get(self.name, 0), f"the old UIDVALIDITY of a deleted mailbox: {answer}"
        mailbox.validity = validity
        highest = answer.all(rb"\* OK \[HIGHESTMODSEQ (\d+)\].*")
        assert highest or not self.has_qresync, answer  # §3.1.2.1: others must have asked for something of CONDSTORE first
        if highest:
            mailbox.is_told(int(highest[0][1]))
            self.heard = int(highest[0][1])

    def resume(self, answer, cache, known):
        """The cache and what the server says has changed must be the mailbox; of what is new, if the known uids were named, UID FETCH tells."""
        rows = self.mailbox.rows
        gone = {uid for m in answer.all(GONE_EARLIER) for uid in expand(m[1])}
        assert not gone & set(rows), f"VANISHED, but there: {gone & set(rows)}: {answer}"
        self.flags = {uid: flags for uid, flags in cache.flags.items() if uid not in gone}
        told = self.told(answer)
        if cache.modseq in self.mailbox.marks:
            changed = self.mailbox.changed_since(cache.modseq)
            assert set(told) == (changed & set(cache.flags) if known and cache.flags else changed), f"changed since {cache.modseq}: {changed}: {answer}"
        self.flags.update(told)
        if known and cache.flags:
            self.flags.update(self.told(self.imap.ok(f"UID FETCH {max(cache.flags) + 1}:* (FLAGS MODSEQ)")))
        self.view = sorted(self.flags)
        assert int(answer.one(rb"\* (\d+) EXISTS")[1]) == len(rows)

    def told(self, answer):
        """uid: flags, of the FETCH responses; their message numbers must be right."""
        uids, told = list(self.mailbox.rows), {}
        for line in answer.all(rb"\* (\d+) FETCH \((.*)\)"):
            uid = int(re.search(rb"\bUID (\d+)", line[2])[1])
            assert uids[int(line[1]) - 1] == uid, f"{uids}: {line}"
            told[uid] = set(re.search(rb"FLAGS \(([^)]*)\)", line[2])[1].decode().split()) - {"\\Recent"}
            self.mailbox.is_modseq_told(uid, int(re.search(rb"MODSEQ \((\d+)\)", line[2])[1]))
        return told

    def drop(self):
        """The connection breaks."""
        self.imap.close()
        self.caches[self.name] = Cache(self)

    def changes(self, rng):
        """UID FETCH with CHANGEDSINCE, and VANISHED where it is allowed."""
        self.settle()
        modseq, mailbox = rng.choice(sorted(self.mailbox.marks)), self.mailbox
        answer = self.imap.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq}{' VANISHED' if self.has_qresync else ''})")
        assert set(self.told(answer)) == mailbox.changed_since(modseq), f"since {modseq}: {mailbox.changed_since(modseq)}: {answer}"
        gone = {uid for m in answer.all(GONE_EARLIER) for uid in expand(m[1])}
        assert not gone & set(mailbox.rows), answer
        assert not self.has_qresync or gone >= mailbox.gone_since(modseq), f"gone since {modseq}: {mailbox.gone_since(modseq)}: {answer}"

    # ---- UNCHANGEDSINCE

    def unchanged_since(self, rng):
        """A modifier of STORE, and its limit."""
        if rng.random() < 0.6 or not self.mailbox.marks:
            return "", None
        limit = rng.choice((0, *sorted(self.mailbox.marks)[-4:]))
        return f"(UNCHANGEDSINCE {limit}) ", limit

    def modified(self, answer, prefix, uids, limit, how, flags):
        """Which messages STORE left alone since they have changed: exactly those. But where the client has not heard yet of a change, and
        what it asks for does not touch that, +FLAGS and -FLAGS may go on (§3.1.12)."""
        if limit is None:
            assert b"MODIFIED" not in answer.tagged, answer
            return set()
        rows = self.mailbox.rows
        right = {uid for uid in uids if uid in rows and (limit == 0 or rows[uid].tick > self.mailbox.marks[limit])}
        untouched = {uid for uid in right if how and limit and self.is_untold(uid) and not (self.flags[uid] ^ rows[uid].flags) & flags}
        found = MODIFIED.match(answer.tagged)
        told = expand(found[1]) if found else []
        told = set(told if prefix else (self.view[n - 1] for n in told)) & set(rows)
        assert right - untouched <= told <= right, f"UNCHANGEDSINCE {limit}, changed since then: {right}, of this untold: {untouched}: {answer}"
        return told

    def is_untold(self, uid):
        """Whether the message may have changed without the client's knowledge."""
        return self.mailbox.rows[uid].tick > self.tick
