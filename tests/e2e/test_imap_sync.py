"""A client that comes back (RFC 7162): whatever others have done meanwhile, what QRESYNC and CHANGEDSINCE tell it, applied to what it knew, must
be what is there. And a large message that is expunged while it is being sent."""
import random
import re
import time

import pytest

from tassis import text_message

FETCH = rb"\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)\)"
VANISHED = rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)"


def uids_of(text):
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)


class Cache:
    """What a disconnected client keeps: flags by uid, and how far it is."""

    def __init__(self):
        self.flags = {}
        self.validity = self.modseq = None
        self.last = 0  # the greatest uid it has ever heard of

    def open(self, session, match_data=False):
        session.ok("ENABLE QRESYNC")
        if self.modseq is None:
            answer = session.ok("SELECT INBOX")
            self.read(answer)
            self.read(session.ok("UID FETCH 1:* (UID FLAGS MODSEQ)"))
            return
        known = f" {','.join(map(str, sorted(self.flags)))}" if self.flags and random.random() < 0.5 else ""
        if match_data and self.flags:
            sample = sorted(random.sample(range(1, len(self.flags) + 1), min(5, len(self.flags))))
            uids = sorted(self.flags)
            known += f" ({','.join(map(str, sample))} {','.join(str(uids[n - 1]) for n in sample)})"
        answer = session.ok(f"SELECT INBOX (QRESYNC ({self.validity} {self.modseq}{known}))")
        self.read(answer)
        if known[1:2].isdigit():  # what is new was not asked for
            self.fetch_new(session)

    def fetch_new(self, session):
        last = self.last
        self.read(session.ok(f"UID FETCH {last + 1}:* (UID FLAGS MODSEQ)"), only_above=last)

    def read(self, answer, only_above=0):
        highest = answer.all(rb"\* OK \[HIGHESTMODSEQ (\d+)\].*")
        if highest:
            self.modseq = int(highest[-1][1])
        validity = answer.all(rb"\* OK \[UIDVALIDITY (\d+)\].*")
        if validity:
            self.validity = int(validity[0][1])
        for gone in answer.all(VANISHED):
            for uid in uids_of(gone[2]):
                self.flags.pop(uid, None)
        for told in answer.all(FETCH):
            if int(told[2]) > only_above:
                self.flags[int(told[2])] = set(told[3].split()) - {b"\\Recent"}
                self.last = max(self.last, int(told[2]))


def truth(box):
    session = box.imap("INBOX")
    answer = session.ok("UID FETCH 1:* (UID FLAGS)")
    session.close()
    found = answer.all(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)")
    return {int(m[1]): set(m[2].split()) - {b"\\Recent"} for m in found}


def disturb(session, rng):
    """Something that another client does; numbers beyond the mailbox are refused, and that is fine."""
    some = f"{rng.randint(1, 60)}:{rng.randint(1, 60)}"
    match rng.randrange(7):
        case 0:
            session.append(text_message("new"), flags=rng.choice(["", "\\Seen", "$Forwarded"]))
        case 1 | 2:
            flag = rng.choice(["\\Seen", "\\Flagged", "$Junk"])
            session.ok(f"UID STORE {some} {rng.choice('+-')}FLAGS.SILENT ({flag})")
        case 3:
            session.ok(f"UID STORE {rng.randint(1, 60)} +FLAGS.SILENT (\\Deleted)")
        case 4:
            session.ok("EXPUNGE")
        case 5:
            session.command(f"UID MOVE {rng.randint(1, 60)} Archive")
        case 6:
            session.command(f"UID COPY {rng.randint(1, 60)} INBOX")


@pytest.mark.parametrize("seed", range(4))
def test_who_comes_back_knows_all(box, seed):
    rng = random.Random(seed)
    random.seed(seed)
    other = box.imap("INBOX")
    for n in range(20):
        other.append(text_message(f"message {n}"))
    cache = Cache()
    for round in range(15):
        session = box.imap()
        cache.open(session, match_data=round % 3 == 0)
        assert cache.flags == truth(box), f"seed {seed}, round {round}"
        if round % 2:  # stays a while, and hears of it as it happens
            for _ in range(rng.randrange(6)):
                disturb(other, rng)
                if rng.random() < 0.5:
                    answer = session.ok(rng.choice(["NOOP", "UID FETCH 1 (UID)", "UID SEARCH ALL"]))
                    cache.read(answer)
                    told = re.match(rb"OK \[HIGHESTMODSEQ (\d+)\]", answer.tagged)
                    if told:
                        cache.modseq = int(told[1])
            cache.read(session.ok("NOOP"))
            cache.fetch_new(session)
            assert cache.flags == truth(box), f"seed {seed}, round {round}, in session"
        session.close()
        for _ in range(rng.randrange(8)):
            disturb(other, rng)
    other.close()


def test_changedsince_tells_the_same(box):
    session, other = box.imap(), box.imap("INBOX")
    for n in range(30):
        other.append(text_message(f"message {n}"))
    session.ok("ENABLE QRESYNC")
    modseq = int(session.ok("SELECT INBOX").one(rb"\* OK \[HIGHESTMODSEQ (\d+)\].*")[1])
    other.ok("UID STORE 3,7 +FLAGS.SILENT (\\Flagged)")
    other.ok("UID STORE 10:12 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    session.ok("NOOP")
    answer = session.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert answer.untagged[0] == b"* VANISHED (EARLIER) 10:12"
    assert [int(m[2]) for m in answer.all(FETCH)] == [3, 7]
    assert session.ok(f"UID SEARCH MODSEQ {modseq + 1}").untagged[0].startswith(b"* SEARCH 3 7 (MODSEQ ")
    session.close()
    other.close()


def test_a_literal_that_was_announced_is_sent_whole(box):
    """Another session expunges the message while a slow client is still reading it."""
    reader, other = box.imap("INBOX"), box.imap("INBOX")
    message = text_message("large", body="0123456789" * 500_000)
    other.append(message)
    reader.ok("NOOP")
    tag = reader.start("FETCH 1 (BODY.PEEK[])")
    time.sleep(0.3)  # the server fills what the sockets hold, and waits
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert other.ok("EXPUNGE").untagged == [b"* 1 EXPUNGE"]
    line = reader.response()
    assert line == b"* 1 FETCH (BODY[] {%d}\r\n" % len(message) + message + b")"
    assert reader.finish(tag).tagged.startswith(b"OK")
    assert reader.ok("NOOP").untagged == [b"* 1 EXPUNGE"]
    reader.close()
    other.close()


def test_a_reader_that_hangs_up_leaves_nothing(box):
    reader, other = box.imap("INBOX"), box.imap("INBOX")
    other.append(text_message("large", body="0123456789" * 500_000))
    reader.ok("NOOP")
    reader.start("FETCH 1 (BODY.PEEK[])")
    time.sleep(0.3)
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    reader.close()
    other.append(text_message("after"))
    assert other.ok("FETCH 1 (UID)").untagged == [b"* 1 FETCH (UID 2)"]
    other.close()


@pytest.mark.parametrize("line", [
    "SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))",
    "SELECT INBOX (QRESYNC (4294967295 9223372036854775807 1,3,5,7 (1,2 4294967294:4294967295)))",
    "UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 1 VANISHED PARTIAL -1:-4294967295)",
    "UID FETCH 4294967295:1 (UID) (CHANGEDSINCE 9223372036854775807)",
    "UID STORE 1:* (UNCHANGEDSINCE 9223372036854775807) +FLAGS ($a $b $c)",
    "UIDBATCHES 4294967295 1:4294967295",
    "STATUS INBOX (HIGHESTMODSEQ MAILBOXID APPENDLIMIT SIZE DELETED HIGHESTMODSEQ)",
    "UID SEARCH UIDAFTER 4294967295 MODSEQ 9223372036854775807",
])
def test_extremes_are_answered(box, line):
    session = box.imap()
    for n in range(3):
        session.append(text_message(f"{n}"))
    session.ok("ENABLE QRESYNC")
    session.ok("SELECT INBOX")
    session.ok(line)
    assert session.ok("NOOP")
    session.close()


@pytest.mark.parametrize("line", [
    "SELECT INBOX (QRESYNC (1 1 1:*))", "SELECT INBOX (QRESYNC (1 1 $))", "SELECT INBOX (QRESYNC (0 1))", "SELECT INBOX (QRESYNC (1 1 (1:3 1:2)))",
    "SELECT INBOX (QRESYNC 1 1)", "SELECT INBOX (", "SELECT INBOX (CONDSTORE", "UID FETCH 1 FLAGS (CHANGEDSINCE -1)",
    "UID FETCH 1 FLAGS (CHANGEDSINCE 18446744073709551616)", "STORE 1 (UNCHANGEDSINCE) FLAGS ()", "ENABLE", "ENABLE (QRESYNC)", "UIDBATCHES 0",
    "UIDBATCHES 500 1", "FETCH 1 (PREVIEW (LAZY)", "SEARCH EMAILID", "SEARCH MODSEQ \"/flags/\\Seen\" all 1", "STATUS INBOX (HIGHESTMODSEQ",
])
def test_nonsense_is_refused(box, line):
    session = box.imap()
    session.append(text_message("one"))
    session.ok("ENABLE QRESYNC")
    session.ok("SELECT INBOX")
    session.bad(line)
    assert session.ok("FETCH 1 (UID)").all(rb"\* 1 FETCH \(UID 1\)")
    session.close()
