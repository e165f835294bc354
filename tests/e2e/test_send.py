"""Mail of local programs: `tassis send`, also under the name of sendmail(8), and the socket behind it. Who calls is what the kernel says."""
import email
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from tassis import BINARY, REPORTS, Smtp, temporary_server

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 64, 65, 67, 69, 75, 77, 78
ALICE, BOB = "alice@example.test", "bob@example.test"
NOBODY = 65534
MESSAGE = b"From: <root@example.test>\nTo: alice@example.test\nSubject: hello\n\nline one\n.dotted\nthe end\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user can be played by root alone")


class Local:
    """A server with a socket for local programs that every user can reach, and a copy of its config and of the binary likewise."""

    def __init__(self, settings=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tassis-local-"))
        self.folder.chmod(0o755)
        self.path = self.folder / "local.sock"
        self.server = temporary_server(auth="plaintext = loopback",
                                       config=f"[dns]\nresolver = 127.0.0.1:9\n[listen]\nlocal = {self.path}\n\n[local]\n{settings}\n")
        self.conf = self.folder / "tassis.conf"
        shutil.copy(self.server.conf, self.conf)
        self.conf.chmod(0o644)
        self.binary = self.folder / "sendmail"
        shutil.copy(BINARY, self.binary)
        self.binary.chmod(0o755)

    def send(self, *words, text=MESSAGE, uid=None, code=0):
        done = subprocess.run([str(self.binary), *words], input=text, capture_output=True, timeout=60, cwd="/",
                              env={"TASSIS_CONFIG": str(self.conf), "ASAN_OPTIONS": "detect_leaks=0" if uid else ""},
                              **({"user": uid, "group": uid, "extra_groups": []} if uid else {}))
        stderr = done.stderr.decode(errors="replace")
        assert not REPORTS.search(stderr), stderr
        assert done.returncode == code, f"{words}: exit {done.returncode}: {stderr}"
        return done.stdout.decode(), stderr

    def inbox(self, address=ALICE):
        imap = self.server.account(address).imap("INBOX")
        exists = len(imap.command("UID SEARCH ALL").untagged[-1].split()) - 2
        return imap.body("*") if exists else None, exists

    def stop(self):
        self.server.stop()
        assert not self.path.exists()
        shutil.rmtree(self.server.dir)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def local():
    made = Local("domain = example.test\nsenders = nobody=@shop.test nobody=info@example.test")
    yield made
    made.stop()


def newest(local, address=ALICE):
    raw, _ = local.inbox(address)
    assert raw is not None
    return email.message_from_bytes(raw), raw


def test_addresses_on_the_command_line(local):
    local.send("-i", ALICE)
    message, raw = newest(local)
    assert message["Return-Path"] == "<root@example.test>"
    assert raw.endswith(b"line one\r\n.dotted\r\nthe end\r\n")
    assert "(local user root)" in message["Received"]
    assert message["Date"] and message["Message-ID"]


def test_a_lone_dot_ends_the_message_but_not_with_i(local):
    text = b"Subject: dot\n\none\n.\ntwo\n"
    local.send(ALICE, text=text)
    assert newest(local)[1].endswith(b"one\r\n")
    for option in ("-i", "-oi"):
        local.send(option, ALICE, text=text)
        assert newest(local)[1].endswith(b"one\r\n.\r\ntwo\r\n")


def test_recipients_of_the_header_and_no_bcc(local):
    before = local.inbox(BOB)[1]
    local.send("-t", "-i", "-fbounces@example.test", text=b"From: x@example.test\nTo: Alice <alice@example.test>,\n \"no one\" <alice@example.test>\nBcc: bob@example.test\n"
               b"Subject: blind\n\nhi\n")
    for address in (ALICE, BOB):
        message, raw = newest(local, address)
        assert message["Subject"] == "blind"
        assert message["Return-Path"] == "<bounces@example.test>"
        assert message["Bcc"] is None and b"bob" not in raw.split(b"\r\n\r\n")[0].replace(b"Delivered-To: bob@example.test", b"")
    assert local.inbox(BOB)[1] == before + 1


def test_resent_fields_count_where_they_are(local):
    before = local.inbox(BOB)[1]
    local.send("-ti", text=b"From: x@example.test\nTo: bob@example.test\nResent-Bcc: alice@example.test\nSubject: again\n\nhi\n")
    message, _ = newest(local)
    assert message["Subject"] == "again" and message["Resent-Bcc"] is None
    assert local.inbox(BOB)[1] == before


def test_from_is_written_where_there_is_none(local):
    local.send("-F", "Günther Müller", "-fpostmaster@example.test", ALICE, text=b"no header at all\n")
    message, raw = newest(local)
    name, address = email.utils.parseaddr(str(email.header.make_header(email.header.decode_header(message["From"]))))
    assert address == "postmaster@example.test" and name == "Günther Müller"
    assert raw.endswith(b"\r\n\r\nno header at all\r\n")


def test_names_get_the_domain(local):
    local.send("alice", text=b"Subject: short\n\n")
    assert newest(local)[0]["Subject"] == "short"


def test_what_is_refused_has_its_code(local):
    local.send("nobody-at-all@example.test", code=EX_NOUSER)
    local.send(code=EX_USAGE)
    local.send("-t", text=b"Subject: to nobody\n\n", code=EX_USAGE)
    local.send("-Z", ALICE, code=EX_USAGE)
    local.send("-bd", code=EX_USAGE)
    local.send("alice@example..test", code=EX_USAGE)
    local.send(ALICE, text=b"Subject: x\n\na\0b\n", code=EX_DATAERR)
    local.send(ALICE, text=b"Subject: x\n\na\rb\n", code=EX_DATAERR)
    local.send("-C", "/nonexistent", ALICE, code=EX_CONFIG)


def test_some_recipients_are_refused_and_the_others_get_it(local):
    _, said = local.send("nobody-at-all@example.test", ALICE, text=b"Subject: half\n\n", code=EX_NOUSER)
    assert "nobody-at-all@example.test" in said
    assert newest(local)[0]["Subject"] == "half"


def test_options_that_mean_nothing_are_taken(local):
    local.send("-oem", "-oi", "-bm", "-O", "DeliveryMode=b", "-B8BITMIME", "-G", "-m", "--", ALICE, text=b"Subject: old\n\n")
    assert newest(local)[0]["Subject"] == "old"
    for words in (("-bi",), ("-q",), ("-q30m",)):
        local.send(*words)


def test_an_address_is_never_an_option_behind_the_first(local):
    _, said = local.send(ALICE, "-C/etc/passwd", code=EX_NOUSER)
    assert said.startswith("tassis send: -C/etc/passwd@example.test: 550 ")


def test_other_names(local):
    for name in ("mailq", "newaliases"):
        link = local.folder / name
        link.symlink_to(local.binary)
        done = subprocess.run([str(link)], capture_output=True, text=True, env={"TASSIS_CONFIG": str(local.server.conf), "ASAN_OPTIONS": "detect_leaks=0"})
        assert done.returncode == 0, done.stderr


def test_success_is_reported_when_asked_for(local):
    before = local.inbox(BOB)[1]
    local.send("-N", "success", "-R", "hdrs", "-V", "my id", "-f", BOB, ALICE, text=b"Subject: tell me\n\n")
    server = local.server
    server.wait_log("handed-over .*to=bob@example.test")
    assert local.inbox(BOB)[1] == before + 1
    report = newest(local, BOB)[0]
    assert report.get_content_type() == "multipart/report"
    assert report.get_payload()[1].get_payload()[0]["Original-Envelope-Id"] == "my id"
    assert report.get_payload()[1].get_payload()[1]["Action"] == "delivered"


def test_smtp_on_stdin(local):
    text = (b"EHLO x\r\nMAIL FROM:<root@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: by -bs\r\n\r\nhi\r\n.\r\nQUIT\r\n")
    said, _ = local.send("-bs", text=text)
    assert said.startswith("220 ") and "\r\n250 2.0.0 Ok, id " in said and "\r\n221 " in said
    assert newest(local)[0]["Subject"] == "by -bs"


def test_huge_header_is_bounded(local):
    many = b",\n ".join(b"user%d@example.test" % i for i in range(1500))
    local.send("-t", text=b"To: " + many + b"\nSubject: x\n\n", code=EX_UNAVAILABLE)
    local.send("-t", text=b"To: " + b"a" * 2_000_000 + b"@example.test\n\n", code=EX_UNAVAILABLE)
    local.send("-t", text=b"To: " + b"(" * 500_000 + b"\n\n", code=EX_USAGE)
    local.send("-t", text=b"To: a\0b@example.test\n\nx\n", code=EX_DATAERR)


@needs_root
def test_a_user_sends_as_itself_and_as_the_config_says(local):
    local.send(ALICE, uid=NOBODY)
    assert newest(local)[0]["Return-Path"] == "<nobody@example.test>"
    for sender in ("nobody+tag@example.test", "orders@shop.test", "info@example.test", "<>"):
        local.send("-f", sender, ALICE, uid=NOBODY)
    for sender in (ALICE, "root@example.test", "info2@example.test", "nobody@elsewhere.test", "orders@sub.shop.test"):
        _, said = local.send("-f", sender, ALICE, uid=NOBODY, code=EX_NOPERM)
        assert "Not your address" in said
    local.server.wait_log("refused .*user=nobody from=alice@example.test code=553")


@needs_root
def test_a_user_without_a_name_has_no_address(local):
    local.send(ALICE, uid=54321, code=EX_NOUSER)
    local.send("-f", "54321@example.test", ALICE, uid=54321, code=EX_NOPERM)


@needs_root
def test_by_default_a_name_is_no_account_of_the_same_name():
    local = Local()
    local.server.cli("domain", "add", "mx.example.test")
    local.send("-f", "nobody@mx.example.test", ALICE, uid=NOBODY)
    local.server.add_account("nobody@mx.example.test", "a password of nobody")
    local.send("-f", "nobody@mx.example.test", ALICE, uid=NOBODY, code=EX_NOPERM)
    local.stop()


def test_the_socket_speaks_smtp_and_no_more(local):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(local.path))
    talk = Smtp(sock)
    assert "DSN" in talk.capabilities and not any(c.startswith(("AUTH", "STARTTLS", "XTRACE", "XCLIENT")) for c in talk.capabilities)
    talk.expect(500, "AUTH PLAIN AGEAYg==")
    talk.expect(555, "MAIL FROM:<root@example.test> XTRACE=abc")
    talk.close()


def test_without_a_server_the_caller_keeps_the_message():
    local = Local()
    local.server.stop()
    local.send(ALICE, code=EX_TEMPFAIL)
    local.server.start()
    local.send(ALICE)
    local.stop()
