"""The model of an IMAP account: what every mailbox holds, and what SEARCH and SORT must find there.

Time is counted in ticks, one a change. What a mod-sequence means is learnt, not foretold: when the server says that HIGHESTMODSEQ of a
mailbox is now V, then all that has changed up to this tick has at most V, and all that changes later has more.
"""
import base64
import datetime
import unicodedata

SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
FLAGS = SYSTEM + ("$Forwarded", "work")
WORDS = ("walrus", "carpenter", "oyster", "Übermut", "Straße", "日本語", "поезд", "sand", "cabbage", "kings")
PREFIXES = ("", "", "", "Re: ", "RE: ", "Fwd: ", "[list] ", "Re: [list] ")
PEOPLE = ("walrus", "Carpenter", "oyster", "alice", "Queen")
MARKS_MAX = 24


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


def word(text):
    """A header's text, encoded where it must be."""
    return text if text.isascii() else "=?utf-8?B?%s?=" % base64.b64encode(text.encode()).decode()


class Message:
    def __init__(self, number, rng):
        self.number = number
        self.base_subject = " ".join(rng.sample(WORDS, 2))
        prefix = rng.choice(PREFIXES)
        self.subject = prefix + self.base_subject
        self.body = " ".join(rng.choices(WORDS, k=rng.randint(3, 40)))
        self.day = rng.randint(1, 28)  # of the INTERNALDATE, in January 2026
        zone = rng.choice((0, 0, 5, -7))
        self.sent = datetime.datetime(2026, 1, rng.randint(1, 28), rng.randint(0, 23), 30, tzinfo=datetime.timezone(datetime.timedelta(hours=zone)))
        if rng.random() < 0.1:
            self.sent = None
        self.sender, self.to, self.cc = f"sender{number % 5}", rng.choice(PEOPLE), rng.choice((None,) + PEOPLE)
        self.display = rng.choice((None, "Zoë", "alfred", "Émile"))  # of the sender
        encoding = rng.choice(("8bit", "base64"))
        body = self.body if encoding == "8bit" else base64.encodebytes(self.body.encode()).decode().replace("\n", "\r\n").strip()
        lines = [f"From: {word(self.display) + ' ' if self.display else ''}<{self.sender}@elsewhere.test>", f"To: <{self.to}@example.test>",
                 f"Subject: {prefix}{word(self.base_subject)}", f"Message-ID: <{number}@model.test>", "MIME-Version: 1.0",
                 "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"]
        if self.cc:
            lines.append(f"Cc: <{self.cc}@example.test>, <other@example.test>")
        if self.sent:
            lines.append(self.sent.strftime("Date: %d Jan 2026 %H:%M:%S %z"))
        self.raw = ("\r\n".join(lines) + f"\r\n\r\n{body}\r\n").encode()


class Row:
    """A message's place in a mailbox."""

    def __init__(self, uid, message, flags, tick=0):
        self.uid = uid
        self.message = message
        self.flags = set(flags)
        self.tick = tick  # of its last change
        self.modseqs = {}  # tick: what the server said


class Mailbox:
    def __init__(self):
        self.rows = {}  # uid: Row, ascending
        self.uidnext = 1
        self.tick = 0
        self.gone = {}  # uid: the tick when it went
        self.marks = {}  # HIGHESTMODSEQ as told: the tick when it was told
        self.highest = 0
        self.validity = None

    def add(self, message, flags):
        self.tick += 1
        row = Row(self.uidnext, message, flags, self.tick)
        self.rows[row.uid] = row
        self.uidnext += 1
        return row.uid

    def remove(self, uid):
        self.tick += 1
        del self.rows[uid]
        self.gone[uid] = self.tick

    def set_flags(self, uid, flags):
        row = self.rows[uid]
        if row.flags != flags:
            self.tick += 1
            row.flags, row.tick = flags, self.tick

    def is_told(self, highest):
        """The server says that this is HIGHESTMODSEQ: it may not go back, and not stay where something has changed."""
        assert highest >= self.highest, f"HIGHESTMODSEQ went back from {self.highest} to {highest}"
        assert self.marks.get(highest, self.tick) == self.tick, f"HIGHESTMODSEQ {highest} stays, {self.tick - self.marks[highest]} changes later"
        self.highest = highest
        self.marks[highest] = self.tick
        if len(self.marks) > MARKS_MAX:
            del self.marks[min(self.marks)]

    def is_modseq_told(self, uid, modseq):
        """Of a message as it is now: the same as long as it does not change, more when it has changed."""
        row = self.rows[uid]
        assert row.modseqs.setdefault(row.tick, modseq) == modseq, f"MODSEQ {modseq} of {uid} was {row.modseqs[row.tick]}"
        assert all(m < modseq for t, m in row.modseqs.items() if t < row.tick), f"MODSEQ {modseq} of {uid} after {row.modseqs}"
        for highest, tick in self.marks.items():
            assert (modseq > highest) == (row.tick > tick), f"MODSEQ {modseq} of {uid}, HIGHESTMODSEQ was {highest}, changed since then: {row.tick > tick}"

    def changed_since(self, modseq):
        return {uid for uid, row in self.rows.items() if row.tick > self.marks[modseq]}

    def gone_since(self, modseq):
        return {uid for uid, tick in self.gone.items() if tick > self.marks[modseq]}


class World:
    def __init__(self, rng):
        self.rng = rng
        self.mailboxes = {name: Mailbox() for name in ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive")}
        self.messages = 0
        self.deleted = {}  # names that mailboxes have had: the last UIDVALIDITY

    def leave(self, name):
        """A mailbox that has its name no more."""
        mailbox = self.mailboxes.pop(name)
        self.deleted[name] = mailbox.validity or self.deleted.get(name, 0)
        mailbox.validity = None
        return mailbox

    def message(self):
        self.messages += 1
        return Message(self.messages, self.rng)


def key_matches(key, row, seq, mailbox=None):
    """One SEARCH key, as random_key() makes them."""
    kind, value = key
    m = row.message
    match kind:
        case "ALL":
            return True
        case "FLAG":
            return value in row.flags
        case "NOT":
            return not key_matches(value, row, seq, mailbox)
        case "OR":
            return key_matches(value[0], row, seq, mailbox) or key_matches(value[1], row, seq, mailbox)
        case "AND":
            return all(key_matches(k, row, seq, mailbox) for k in value)
        case "UID":
            return row.uid in value
        case "SEQ":
            return seq in value
        case "SUBJECT":
            return value.casefold() in m.subject.casefold()
        case "BODY":
            return value.casefold() in m.body.casefold()
        case "FROM":
            return value in f"{m.sender}@elsewhere.test"
        case "LARGER":
            return len(m.raw) > value
        case "SMALLER":
            return len(m.raw) < value
        case "SINCE":
            return m.day >= value
        case "BEFORE":
            return m.day < value
        case "MODSEQ":
            return row.tick > mailbox.marks[value]
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
    if kind == "MODSEQ":
        value += 1
    return f"{kind} {value}"


def random_key(rng, view, marks=(), depth=0):
    kind = rng.choice(("ALL", "FLAG", "FLAG", "UID", "SEQ", "SUBJECT", "BODY", "FROM", "LARGER", "SMALLER", "SINCE", "BEFORE")
                      + (("NOT", "OR", "AND") * 2 if depth < 3 else ()) + (("MODSEQ",) if marks else ()))
    match kind:
        case "FLAG":
            return kind, rng.choice(FLAGS)
        case "NOT":
            return kind, random_key(rng, view, marks, depth + 1)
        case "OR" | "AND":
            return kind, [random_key(rng, view, marks, depth + 1) for _ in range(2)]
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
        case "MODSEQ":
            return kind, rng.choice(sorted(marks))
    return kind, None


def collated(text):
    """i;unicode-casemap (RFC 5051)."""
    titled = "".join(t if len(t := c.title()) == 1 else c for c in text)
    return unicodedata.normalize("NFKD", titled).encode()


SORT_KEYS = {  # RFC 5256 §3, RFC 5957
    "ARRIVAL": lambda m: m.day,
    "CC": lambda m: collated(m.cc or ""),
    "DATE": lambda m: m.sent or datetime.datetime(2026, 1, m.day, 12, tzinfo=datetime.timezone.utc),
    "FROM": lambda m: collated(m.sender),
    "SIZE": lambda m: len(m.raw),
    "SUBJECT": lambda m: collated(m.base_subject),
    "TO": lambda m: collated(m.to),
    "DISPLAYFROM": lambda m: collated(m.display or f"{m.sender}@elsewhere.test"),
    "DISPLAYTO": lambda m: collated(f"{m.to}@example.test"),
}


def in_order(rows, keys):
    """Rows sorted; a key may begin with "REVERSE "."""
    for key in reversed(keys):
        *is_reverse, name = key.split()
        rows = sorted(rows, key=lambda r: SORT_KEYS[name](r.message), reverse=bool(is_reverse))
    return rows
