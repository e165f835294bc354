"""The command line beside a running server: what it changes counts at once; what it says can be read by people and by programs."""
import json
import os
import sqlite3

import pytest

from tassis import Account


def can_log_in(server, address, password):
    answer = server.imap().command("LOGIN %s %s", address.encode(), password.encode())
    return answer.tagged.startswith(b"OK")


def rcpt(server, address):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    code = session.command(f"RCPT TO:<{address}>")[-1][:3]
    session.close()
    return int(code)


def test_an_account_from_add_to_remove(server):
    address = "newcomer@example.test"
    assert rcpt(server, address) == 550
    server.add_account(address, "first word")
    assert rcpt(server, address) == 250
    assert can_log_in(server, address, "first word")
    server.cli("account", "passwd", address, "--password-stdin", stdin="second word\n")
    assert not can_log_in(server, address, "first word")
    assert can_log_in(server, address, "second word")
    Account(server, address, "second word").receive(b"Subject: x\r\n\r\nhello\r\n")
    server.cli("account", "remove", address)
    assert rcpt(server, address) == 550
    assert not can_log_in(server, address, "second word")


SECRET = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"  # crypt(3) of "secret"


def test_many_accounts_with_their_passwords_from_another_server(server):
    lines = "# from the old server\n\n" + "".join(f"Mover{i}@example.test {{SHA256-CRYPT}}{SECRET}\n" for i in range(2000))
    assert server.cli("account", "import", stdin=lines).stdout == "2000 accounts, 2000 of them new\n"
    mover = Account(server, "mover1999@example.test", "secret")
    mover.receive(b"Subject: x\r\n\r\nhello\r\n")
    # Repeated with other passwords: the mail stays.
    server.cli("account", "passwd", mover.address, "--password-stdin", stdin="meanwhile\n")
    assert not can_log_in(server, mover.address, "secret")
    assert server.cli("account", "import", stdin=f"{mover.address} {SECRET}\nmover2000@example.test {SECRET}\n").stdout \
        == "2 accounts, 1 of them new\n"
    assert can_log_in(server, mover.address, "secret")
    assert len(mover.messages()) == 1


def test_an_import_with_a_bad_line_changes_nothing(server):
    good = f"perfect@example.test {SECRET}\n"
    for bad in ("perfect@example.test\n", f"no-address {SECRET}\n", "bad@example.test $9$what\n", f"bad@elsewhere.test {SECRET}\n"):
        done = server.cli("account", "import", stdin=good + bad, ok=False)
        assert done.returncode == 1 and "line 2: " in done.stderr, done.stderr
    assert rcpt(server, "perfect@example.test") == 550
    assert server.cli("account", "import", ok=False).returncode == 1


def test_an_account_made_anew_does_not_have_the_old_mail(server):
    address = "again@example.test"
    server.add_account(address, "word one")
    old = Account(server, address, "word one")
    old.receive(b"Subject: private\r\n\r\nhello\r\n")
    held = old.imap("INBOX")
    server.cli("account", "remove", address)
    server.add_account(address, "word two")
    assert Account(server, address, "word two").messages() == []
    answer = held.command("FETCH 1 BODY[]")  # the old session has nothing to look at any more
    assert b"private" not in b"".join(answer.untagged)


def test_aliases(server):
    server.cli("alias", "add", "sales@example.test", "alice@example.test", "bob@example.test")
    assert rcpt(server, "sales@example.test") == 250
    assert {"from": "sales@example.test", "to": "bob@example.test"} in server.cli_json("alias", "list")
    server.cli("alias", "remove", "sales@example.test", "bob@example.test")
    assert rcpt(server, "sales@example.test") == 250
    server.cli("alias", "remove", "sales@example.test")
    assert rcpt(server, "sales@example.test") == 550


def test_domains(server):
    server.cli("domain", "add", "second.example.test")
    assert "second.example.test" in json.dumps(server.cli_json("domain", "list"))
    server.add_account("alice@second.example.test", "another word")
    assert rcpt(server, "alice@second.example.test") == 250
    refused = server.cli("domain", "remove", "second.example.test", ok=False)
    assert refused.returncode == 1 and len(refused.stderr.strip().splitlines()) == 1
    server.cli("account", "remove", "alice@second.example.test")
    server.cli("domain", "remove", "second.example.test")
    assert rcpt(server, "alice@second.example.test") == 550


def test_verifiers_of_other_servers(server):
    """Hashes with the names that other servers write before them."""
    crypt = pytest.importorskip("crypt")  # Debian 12's Python has it still
    for n, method in enumerate((crypt.METHOD_SHA512, crypt.METHOD_BLOWFISH)):
        name = {crypt.METHOD_SHA512: "SHA512-CRYPT", crypt.METHOD_BLOWFISH: "BLF-CRYPT"}[method]
        address = f"moved{n}@example.test"
        server.cli("account", "add", address, "--verifier-stdin", stdin="{%s}%s\n" % (name, crypt.crypt("moved in", method)))
        assert can_log_in(server, address, "moved in")
        assert not can_log_in(server, address, "moved on")


@pytest.mark.parametrize("words, stdin", [
    (["account", "add", "no-domain", "--password-stdin"], "x\n"),
    (["account", "add", "who@elsewhere.test", "--password-stdin"], "x\n"),
    (["account", "add", "alice@example.test", "--password-stdin"], "x\n"),
    (["account", "add", "empty@example.test", "--password-stdin"], "\n"),
    (["account", "remove", "nobody.there@example.test"], ""),
    (["account", "show", "nobody.there@example.test"], ""),
    (["account", "passwd", "nobody.there@example.test", "--password-stdin"], "x\n"),
    (["domain", "add", "not a domain"], ""),
    (["domain", "remove", "elsewhere.test"], ""),
    (["alias", "remove", "nobody.there@example.test"], ""),
    (["queue", "show", "4711"], ""),
    (["queue", "retry", "4711"], ""),
    (["queue", "show", "x"], ""),
    (["fly"], ""),
    (["account"], ""),
])
def test_mistakes_are_one_line(server, words, stdin):
    done = server.cli(*words, stdin=stdin, ok=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("tassis: "), done.stderr


def test_lists(server):
    accounts = server.cli_json("account", "list")
    assert [a["address"] for a in accounts] == sorted(a["address"] for a in accounts)
    assert "alice@example.test" in [a["address"] for a in accounts]
    assert "alice@example.test" in server.cli("account", "list").stdout.splitlines()
    assert server.cli_json("account", "show", "alice@example.test")["address"] == "alice@example.test"
    assert server.cli_json("queue", "list") == []


def test_check_says_what_is_well(server):
    done = server.cli("check", ok=False)
    assert "error" not in done.stdout, done.stdout
    findings = server.cli_json("check")
    assert {"ok"} <= {f["result"] for f in findings}


def test_check_finds_a_damaged_account(make_server):
    server = make_server(auth="plaintext = loopback")
    alice = server.account("alice@example.test")
    for n in range(3):
        alice.receive(b"Subject: %d\r\n\r\nhello\r\n" % n)
    assert server.cli("check", "--accounts").returncode == 0
    server.stop()
    with sqlite3.connect(server.data / "mail" / "accounts" / "example.test" / "alice.db") as db:
        db.execute("UPDATE mailbox SET messages = 7 WHERE name = 'INBOX'")
    db.close()
    done = server.cli("check", "--accounts", ok=False)
    assert done.returncode == 1
    assert "alice@example.test" in done.stdout + done.stderr
    server.start()


def test_wrong_configs_are_told_with_their_line(server, tmp_path):
    for text, where in (("[server]\nhostname = mx.example.test\ndata = x\ncolour = red\n", ":4: unknown key 'colour'"),
                        ("[server]\nhostname = mx.example.test\ndata = x\n[weather]\nrain = yes\n", ":5: unknown section [weather]"),
                        ("[server]\nhostname = not a name\n", ":2: "),
                        ("[server]\nhostname = mx.example.test\ndata = x\n[limits]\nmessage_size = huge\n", ":5: ")):
        conf = tmp_path / "tassis.conf"
        conf.write_text(text)
        before, server.conf = server.conf, conf
        try:
            done = server.cli("domain", "list", ok=False)
        finally:
            server.conf = before
        assert done.returncode == 1 and where in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_leaves_the_files_to_the_server(server):
    for folder, _, files in os.walk(server.data / "mail"):
        owner = os.stat(server.data / "mail").st_uid
        for name in files:
            assert os.lstat(os.path.join(folder, name)).st_uid == owner, name
