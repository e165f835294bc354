"""Mailboxes that several users have: access control lists (RFC 4314) on every command, groups, and everybody's own \\Seen."""
import pytest

from tassis import text_message, wait_until

ALL = "lrswipkxte"


class Pair:
    """Who shares a mailbox "work" with a child, and who is given it."""

    def __init__(self, server):
        self.owner, self.guest = server.new_account(), server.new_account()
        self.a, self.b = self.owner.imap(), self.guest.imap()
        self.name = f'"Other Users/{self.owner.address}/work"'
        self.a.ok("CREATE work/below")
        for n in range(2):
            self.a.append(text_message(f"message {n + 1}"), "work")

    def give(self, rights, mailbox="work"):
        self.a.ok(f"SETACL {mailbox} {self.guest.address} {rights}")


@pytest.fixture
def pair(server):
    p = Pair(server)
    yield p
    p.a.close()
    p.b.close()


def code(answer):
    return answer.tagged.split(b"[")[1].split(b"]")[0].split()[0] if b"[" in answer.tagged else None


def names(session, pattern='"*"'):
    return [line.split(b'"/" ')[1].strip(b'"').decode() for line in session.ok(f'LIST "" {pattern}').untagged]


def test_what_is_given_is_listed_and_what_is_taken_is_gone(pair):
    path = pair.name.strip('"')
    assert not any(n.startswith("Other Users") for n in names(pair.b))
    assert code(pair.b.no(f"SELECT {pair.name}")) == b"NONEXISTENT"
    pair.give("lr")
    parent = path.rsplit("/", 1)[0]
    assert {"Other Users", parent, path} == {n for n in names(pair.b) if n.startswith("Other")}
    assert "Other Users" in names(pair.b, '"%"') and path not in names(pair.b, '"%"')
    assert names(pair.b, '"Other Users/%"') == [parent]
    assert path + "/below" not in names(pair.b)
    pair.a.ok(f"DELETEACL work {pair.guest.address}")
    assert not any(n.startswith("Other Users") for n in names(pair.b))
    assert b'"Other Users/"' in pair.b.ok("NAMESPACE").untagged[0]


# What each command needs (RFC 4314 §4); {m} is the shared mailbox. Of each right that is taken away, the commands that need it
# answer NO, and the others go on to work.
COMMANDS = [
    ("r", "SELECT {m}"), ("r", "STATUS {m} (MESSAGES UNSEEN)"), ("k", "CREATE {m}/new"), ("xk", "RENAME {m}/below {m}/moved"),
    ("x", "DELETE {m}/below"), ("a", "GETACL {m}"), ("a", "SETACL {m} anyone p"), ("a", "DELETEACL {m} anyone"),
    ("a", "LISTRIGHTS {m} anyone"), ("", "MYRIGHTS {m}"), ("i", "COPY 1 {m}"), ("i", "APPEND {m} %s"),
    ("s", "STORE 1 +FLAGS (\\Seen)"), ("w", "STORE 1 +FLAGS (\\Flagged)"), ("t", "STORE 1 +FLAGS (\\Deleted)"),
    ("e", "EXPUNGE"), ("et", "MOVE 1 INBOX"),
]
SELECTS = {"STORE", "EXPUNGE", "MOVE"}  # the shared mailbox, before


@pytest.mark.parametrize("missing", ["", *ALL, "a"])
def test_every_right_taken_away(server, missing):
    p = Pair(server)
    p.b.append(text_message("mine"))
    for needs, command in COMMANDS:
        for box in ("work", "work/below"):
            p.a.command(f"CREATE {box}")
            p.give((ALL + "a").replace(missing, "") if missing else ALL + "a", box)
        p.a.append(text_message("more"), "work")
        if command.split()[0] in SELECTS and missing == "r":
            continue  # SELECT has been refused
        p.b.ok(f"SELECT {p.name if command.split()[0] in SELECTS else 'INBOX'}")
        path = p.name.strip('"')
        words = [f'"{w.format(m=path)}"' if "{m}" in w else w for w in command.split(" ")]
        literals = [text_message("appended")] if "%s" in command else []
        answer = p.b.command(" ".join(words), *literals)
        is_refused = bool(missing) and missing in needs
        assert answer.tagged.startswith(b"NO" if is_refused else b"OK"), (missing, command, answer)
        if is_refused:
            # Without "l" nothing may say that there is such a mailbox, but what was selected is known.
            assert code(answer) == b"NOPERM", (missing, command, answer)
        p.a.command("DELETE work/moved")
        p.a.command("DELETE work/new")
    p.a.close()
    p.b.close()


def test_without_lookup_a_mailbox_does_not_exist(pair):
    pair.give("p")
    for command in ("SELECT {}", "GETACL {}", "STATUS {} (MESSAGES)", "MYRIGHTS {}", "DELETE {}"):
        secret = pair.b.no(command.format(pair.name))
        nothing = pair.b.no(command.format(pair.name.replace("work", "none")))
        assert secret.tagged == nothing.tagged


def test_negative_rights_and_virtual_rights(pair):
    guest = pair.guest.address
    pair.a.ok("SETACL work anyone lrswi")
    pair.a.ok(f"SETACL work -{guest} w")
    assert pair.b.ok(f"MYRIGHTS {pair.name}").untagged[0].endswith(b" lrsi")
    pair.a.ok(f"SETACL work {guest} +cd")
    rights = pair.b.ok(f"MYRIGHTS {pair.name}").untagged[0].split()[-1].strip(b'"')
    assert set(rights.decode()) == set("lrsikxtecd")
    acl = pair.a.ok("GETACL work").untagged[0].decode()
    assert f"-{guest}" in acl and "anyone" in acl and pair.owner.address in acl
    pair.a.bad(f"SETACL work {guest} lq")
    pair.a.bad(f"SETACL work {guest} lR")
    pair.a.no("SETACL work nobody@example.test lr")


def test_seen_is_everybodys_own(pair):
    pair.give("lrswte")
    pair.a.ok("SELECT work")
    pair.b.ok(f"SELECT {pair.name}")
    pair.b.ok("STORE 1 +FLAGS (\\Seen \\Flagged)")
    told = b" ".join(pair.a.ok("NOOP").untagged)
    assert b"\\Flagged" in told and b"\\Seen" not in told
    assert b"UNSEEN 2" in pair.a.ok("STATUS work (UNSEEN)").untagged[0]
    assert b"UNSEEN 1" in pair.b.ok(f"STATUS {pair.name} (UNSEEN)").untagged[0]
    assert pair.b.ok("SEARCH SEEN").untagged[-1].split()[2:] == [b"1"]
    assert pair.a.ok("SEARCH SEEN").untagged[-1].split()[2:] == []
    pair.a.ok("STORE 2 +FLAGS (\\Seen)")
    pair.b.ok("NOOP")
    assert pair.b.ok("SEARCH SEEN").untagged[-1].split()[2:] == [b"1"]
    pair.b.ok("STORE 1 -FLAGS (\\Seen)")
    assert b"UNSEEN 2" in pair.b.ok(f"STATUS {pair.name} (UNSEEN)").untagged[0]


def test_idle_tells_across_accounts(pair):
    pair.give("lr")
    pair.b.ok(f"SELECT {pair.name}")
    tag = pair.b.idle()
    pair.a.append(text_message("three"), "work")
    pair.b.until("* 3 EXISTS")
    pair.b.done(tag)


def test_copy_and_move_between_accounts(pair):
    pair.give("lrite")
    pair.b.ok(f"SELECT {pair.name}")
    pair.b.ok("COPY 1 INBOX")
    pair.b.ok("MOVE 2 INBOX")
    assert len(pair.guest.messages()) == 2 and len(pair.owner.messages("work")) == 1
    pair.b.ok("SELECT INBOX")
    pair.b.ok(f"MOVE 1:2 {pair.name}")
    assert len(pair.guest.messages()) == 0 and len(pair.owner.messages("work")) == 3


def test_a_right_that_is_taken_works_at_once(pair):
    pair.give("lrw")
    pair.b.ok(f"SELECT {pair.name}")
    pair.b.ok("STORE 1 +FLAGS (\\Flagged)")
    pair.give("lr")
    assert code(pair.b.no("STORE 1 +FLAGS (\\Answered)")) == b"NOPERM"


def test_a_group_has_mailboxes_that_its_members_share(server):
    one, two, other = (server.new_account() for _ in range(3))
    server.cli("group", "add", "sales@example.test")
    for box in (one, two):
        server.cli("group", "member", "sales@example.test", "add", box.address)
    assert server.cli("group", "members", "sales@example.test").stdout.split() == sorted([one.address, two.address])
    one.receive(text_message("for all of us"), to="sales@example.test")
    a, b, c = one.imap(), two.imap(), other.imap()
    inbox = '"Shared/sales@example.test/INBOX"'
    wait_until(lambda: b"MESSAGES 1" in a.ok(f"STATUS {inbox} (MESSAGES)").untagged[0])
    a.ok(f"SELECT {inbox}")
    a.ok("STORE 1 +FLAGS (\\Seen)")
    assert b"UNSEEN 1" in b.ok(f"STATUS {inbox} (UNSEEN)").untagged[0]
    c.no(f"SELECT {inbox}")
    a.ok('CREATE "Shared/sales@example.test/plans"')
    assert "Shared/sales@example.test/plans" in names(b)
    server.cli("group", "member", "sales@example.test", "remove", two.address)
    b.no(f"SELECT {inbox}")
    assert not any(n.startswith("Shared") for n in names(b))
    d = other.imap()
    one.imap().ok(f"SETACL {inbox} {other.address} lr")
    d.ok(f"EXAMINE {inbox}")


def test_an_account_made_anew_has_nothing_of_the_old_one(pair, server):
    pair.give("lr")
    server.cli("account", "remove", pair.guest.address)
    server.add_account(pair.guest.address, pair.guest.password)
    fresh = pair.guest.imap()
    fresh.no(f"SELECT {pair.name}")
    assert pair.guest.address.encode() not in pair.a.ok("GETACL work").untagged[0]
