"""Programs that people use, as Debian ships them, against all seven ports: what they send arrives, what they fetch is what was sent."""
import email
import imaplib
import os
import pathlib
import poplib
import re
import shutil
import smtplib
import subprocess
import tempfile
import time

import pytest

from tassis import Account, tls_context

SENDER = "sender@elsewhere.test"
NOBODY = 65534


def run(*words, stdin=b"", ok=True, env=None, timeout=60, user=None):
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout, env={**os.environ, **(env or {})}, user=user,
                          group=user)
    if ok:
        assert done.returncode == 0, f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done


def program(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def message(subject, body="hello\r\n"):
    return (f"From: <{SENDER}>\r\nTo: <someone@example.test>\r\nSubject: {subject}\r\nDate: Sat, 31 Jan 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{subject.replace(' ', '.')}@elsewhere.test>\r\n\r\n{body}").encode()


def subjects(box, mailbox="INBOX"):
    return [email.message_from_bytes(m)["Subject"] for m in box.messages(mailbox)]


def stripped(stored):
    """A stored message without the trace fields that its way put before it."""
    return stored[stored.index(b"From: <"):]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def box(server):
    """An account whose password needs no quoting in anybody's config file."""
    plain = server.new_account()
    password = "simple-" + plain.address.split("@")[0]
    server.cli("account", "passwd", plain.address, "--password-stdin", stdin=password + "\n")
    return Account(server, plain.address, password)


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


# ---- curl, on all seven ports

@pytest.mark.parametrize("service, scheme, tls", [
    ("smtp", "smtp", []), ("smtp", "smtp", ["--ssl-reqd"]), ("submission", "smtp", ["--ssl-reqd"]), ("submissions", "smtps", [])])
def test_curl_sends(server, box, folder, service, scheme, tls):
    text = message(f"curl {service} {len(tls)}", "dots\r\n.\r\n..\r\nend\r\n")
    (folder / "message").write_bytes(text)
    login = [] if service == "smtp" else ["--user", f"{box.address}:{box.password}"]
    sender = SENDER if service == "smtp" else box.address
    run(program("curl"), "-sS", "-k", *tls, *login, "--url", f"{scheme}://127.0.0.1:{server.ports[service]}/client.example.test",
        "--mail-from", sender, "--mail-rcpt", box.address, "--upload-file", folder / "message")
    assert stripped(box.messages()[0]) == text


@pytest.mark.parametrize("service, scheme, tls", [
    ("imap", "imap", []), ("imap", "imap", ["--ssl-reqd"]), ("imaps", "imaps", []),
    ("pop3", "pop3", []), ("pop3", "pop3", ["--ssl-reqd"]), ("pop3s", "pop3s", [])])
def test_curl_fetches(server, box, service, scheme, tls):
    text = message("for curl", "8-bit \u00fc\r\n.leading dot\r\n")
    box.receive(text)
    path = "INBOX;MAILINDEX=1" if scheme.startswith("imap") else "1"
    got = run(program("curl"), "-sS", "-k", *tls, "--user", f"{box.address}:{box.password}",
              "--url", f"{scheme}://127.0.0.1:{server.ports[service]}/{path}").stdout
    assert stripped(got) == text


# ---- senders

@pytest.mark.parametrize("options", [["--port", "smtp"], ["--port", "smtp", "--tls"], ["--port", "smtp", "--pipeline"],
                                     ["--port", "submission", "--tls", "--auth", "PLAIN"], ["--port", "submission", "--tls", "--auth", "LOGIN"],
                                     ["--port", "submissions", "--tls-on-connect", "--auth", "PLAIN"]])
def test_swaks(server, box, options):
    program("swaks")
    words = [str(server.ports[o]) if o in server.ports else o for o in options]
    logs_in = "--auth" in options
    sender = box.address if logs_in else SENDER
    login = ["--auth-user", box.address, "--auth-password", box.password] if logs_in else []
    run("swaks", "--server", "127.0.0.1", *words, *login, "--from", sender, "--to", box.address, "--header", "Subject: swaks", "--body", "swaks says hello")
    assert subjects(box) == ["swaks"]


def test_swaks_with_a_wrong_password(server, box):
    program("swaks")
    done = run("swaks", "--server", "127.0.0.1", "--port", str(server.ports["submission"]), "--tls", "--auth", "PLAIN", "--auth-user", box.address,
               "--auth-password", "wrong", "--from", box.address, "--to", box.address, ok=False)
    assert done.returncode == 28  # swaks: authentication failed
    assert b"535 5.7.8" in done.stdout


@pytest.mark.parametrize("service, starttls", [("submission", "on"), ("submissions", "off")])
def test_msmtp(server, box, folder, service, starttls):
    config = private(folder / "msmtprc", f"""
account default
host 127.0.0.1
port {server.ports[service]}
auth plain
tls on
tls_starttls {starttls}
tls_certcheck off
user {box.address}
password "{box.password}"
from {box.address}
""")
    text = message("msmtp")
    run(program("msmtp"), "-C", config, box.address, stdin=text.replace(b"\r\n", b"\n"))
    assert stripped(box.messages()[0]) == text


# ---- collectors

def test_mbsync_both_ways(server, box, folder):
    """Mail, flags, deletions and folders go in both directions."""
    program("mbsync")
    for n in range(5):
        box.receive(message(f"number {n}"))
    (folder / "mail").mkdir()
    config = private(folder / "mbsyncrc", f"""
IMAPAccount there
Host 127.0.0.1
Port {server.ports["imaps"]}
User {box.address}
Pass "{box.password}"
SSLType IMAPS
CertificateFile {server.certificate(folder)}

IMAPStore far
Account there

MaildirStore near
SubFolders Verbatim
Path {folder}/mail/
Inbox {folder}/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")
    sync = lambda: run("mbsync", "-c", config, "-a")  # noqa: E731
    sync()
    inbox = folder / "mail" / "INBOX"
    found = sorted((inbox / "new").iterdir()) + sorted((inbox / "cur").iterdir())
    assert len(found) == 5
    assert (folder / "mail" / "Sent").is_dir()

    by_subject = {email.message_from_bytes(p.read_bytes())["Subject"]: p for p in found}
    by_subject["number 0"].unlink()  # deleted here
    seen = by_subject["number 1"]
    seen.rename(inbox / "cur" / (seen.name.split(":")[0] + ":2,FS"))  # flagged and read here
    (inbox / "new" / "1.1.here").write_bytes(message("written here").replace(b"\r\n", b"\n"))
    (folder / "mail" / "made here" / "new").mkdir(parents=True)
    (folder / "mail" / "made here" / "cur").mkdir()
    (folder / "mail" / "made here" / "tmp").mkdir()
    (folder / "mail" / "made here" / "new" / "1.2.here").write_bytes(message("in a new folder").replace(b"\r\n", b"\n"))
    session = box.imap("INBOX")
    session.ok("STORE 3 +FLAGS (\\Answered)")
    session.ok("CREATE far-made")
    session.ok("COPY 4 far-made")
    sync()
    assert sorted(subjects(box)) == ["number 1", "number 2", "number 3", "number 4", "written here"]
    assert subjects(box, '"made here"') == ["in a new folder"]
    session.ok("NOOP")
    flags = [m[0] for m in session.ok("UID FETCH 1:* (UID FLAGS)").all(rb"\* \d+ FETCH \(.*\)")]
    assert any(b"\\Flagged" in f and b"\\Seen" in f for f in flags)
    assert len(list((folder / "mail" / "far-made" / "new").iterdir()) + list((folder / "mail" / "far-made" / "cur").iterdir())) == 1
    assert any(",R" in p.name for p in (inbox / "cur").iterdir())
    before = box.imap("INBOX").ok("STATUS INBOX (UIDNEXT MESSAGES)").untagged
    sync()  # and then there is nothing more to do
    assert box.imap("INBOX").ok("STATUS INBOX (UIDNEXT MESSAGES)").untagged == before


def test_getmail(server, box):
    """Collects what is new, leaves it on the server, and knows it again. getmail delivers nothing as root, so it runs as nobody then."""
    program("getmail")
    for n in range(3):
        box.receive(message(f"getmail {n}"))
    user = NOBODY if os.geteuid() == 0 else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tassis-getmail-"))
    for part in ("new", "cur", "tmp"):
        (folder / "box" / part).mkdir(parents=True)
    private(folder / "getmailrc", f"""
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = {server.ports["pop3s"]}
username = {box.address}
password = {box.password}
[destination]
type = Maildir
path = {folder}/box/
[options]
delete = false
read_all = false
""")
    if user:
        run("chown", "-R", str(user), folder)
    for _ in range(2):
        run("getmail", "--getmaildir", folder, "--rcfile", "getmailrc", env={"HOME": str(folder)}, user=user)
        found = [email.message_from_bytes(p.read_bytes())["Subject"] for p in (folder / "box" / "new").iterdir()]
        assert sorted(found) == ["getmail 0", "getmail 1", "getmail 2"]
        assert len(box.messages()) == 3
    shutil.rmtree(folder)


@pytest.mark.parametrize("protocol, service", [("POP3", "pop3s"), ("IMAP", "imaps")])
@pytest.mark.parametrize("keep", [True, False])
def test_fetchmail(server, box, folder, protocol, service, keep):
    program("fetchmail")
    for n in range(3):
        box.receive(message(f"fetchmail {n}"))
    config = private(folder / "fetchmailrc", f"""
set no bouncemail
poll 127.0.0.1 protocol {protocol} service {server.ports[service]} uidl
  user "{box.address}" password "{box.password}" ssl no sslcertck {"keep" if keep else "nokeep"}
  mda "/bin/sh -c 'cat >> {folder}/got'"
""" if protocol == "POP3" else f"""
set no bouncemail
poll 127.0.0.1 protocol {protocol} service {server.ports[service]}
  user "{box.address}" password "{box.password}" ssl no sslcertck {"keep" if keep else "nokeep"}
  mda "/bin/sh -c 'cat >> {folder}/got'"
""")
    fetch = lambda: run("fetchmail", "-f", config, "--pidfile", folder / "pid", "-i", folder / "ids", env={"HOME": str(folder), "LC_ALL": "C"}, ok=False)  # noqa: E731
    done = fetch()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(rb"(?m)^Subject: fetchmail \d", (folder / "got").read_bytes())) == 3
    assert len(box.messages()) == (3 if keep else 0)
    assert fetch().returncode == 1  # nothing new
    assert len(re.findall(rb"(?m)^Subject: fetchmail \d", (folder / "got").read_bytes())) == 3


# ---- mutt, reading, copying, deleting and sending

def test_mutt(server, box, folder):
    program("mutt")
    program("expect")
    try:
        for end in os.openpty():
            os.close(end)
    except OSError as reason:
        pytest.skip(f"no terminal to be had: {reason}")
    box.receive(message("read me", "the text that mutt shows\r\n"))
    box.receive(message("delete me"))
    user = box.address.replace("@", "%40")
    config = private(folder / "muttrc", f"""
set folder="imaps://{user}@127.0.0.1:{server.ports["imaps"]}/"
set spoolfile="+INBOX"
set imap_pass="{box.password}"
set smtp_url="smtps://{user}@127.0.0.1:{server.ports["submissions"]}/"
set smtp_pass="{box.password}"
set from="{box.address}"
set record="+Sent"
set ssl_verify_host=no
set ssl_verify_dates=no
set certificate_file={server.certificate(folder)}
set ssl_ca_certificates_file={server.certificate(folder)}
set delete=yes
set confirmappend=no
set wait_key=no
set sort=mailbox-order
set header_cache=""
set sleep_time=0
""")
    env = {"HOME": str(folder), "TERM": "vt100", "LC_ALL": "C.UTF-8"}
    sent = run("mutt", "-F", config, "-s", "mutt sends", box.address, stdin=b"written in mutt\n", env=env)
    assert sent.returncode == 0
    assert subjects(box) == ["read me", "delete me", "mutt sends"]
    assert subjects(box, "Sent") == ["mutt sends"]

    script = folder / "script.exp"
    script.write_text(f"""
set timeout 30
spawn mutt -F {config}
expect "delete me"
send "1\\r"
send "\\r"
expect "the text that mutt shows"
send "i"
send "C=Archive\\r"
expect -re "Copying|Archive"
send "2\\r"
send "d"
send "q"
expect eof
""")
    run("expect", script, env=env)
    assert subjects(box) == ["read me", "mutt sends"]
    assert subjects(box, "Archive") == ["read me"]
    flags = box.imap("INBOX").ok("FETCH 1 FLAGS").untagged[0]
    assert b"\\Seen" in flags


# ---- Python's own

def test_smtplib_imaplib_poplib(server, box):
    text = message("from smtplib").replace(f"<{SENDER}>".encode(), f"<{box.address}>".encode(), 1)
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
        smtp.starttls(context=tls_context())
        smtp.login(box.address, box.password)
        assert smtp.sendmail(box.address, [box.address], text) == {}
        with pytest.raises(smtplib.SMTPSenderRefused):
            smtp.sendmail("bob@example.test", [box.address], text)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(box.address, ["nobody.there@example.test"], text)

    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.starttls(tls_context())
        imap.login(box.address, box.password)
        assert imap.select("INBOX") == ("OK", [b"1"])
        assert imap.search(None, "SUBJECT", '"smtplib"') == ("OK", [b"1"])
        via_imap = imap.fetch("1", "(BODY.PEEK[])")[1][0][1]
        assert imap.append("Drafts", "\\Draft", imaplib.Time2Internaldate(time.time()), b"Subject: draft\r\n\r\n")[0] == "OK"
        assert imap.copy("1", "Archive")[0] == "OK"
        assert imap.status("Archive", "(MESSAGES)") == ("OK", [b'"Archive" (MESSAGES 1)'])
        assert imap.store("1", "+FLAGS", "\\Deleted")[0] == "OK"

    pop = poplib.POP3("127.0.0.1", server.ports["pop3"])
    pop.stls(tls_context())
    pop.user(box.address)
    pop.pass_(box.password)
    assert pop.stat()[0] == 1
    lines = pop.retr(1)[1]
    assert b"\r\n".join(lines) + b"\r\n" == via_imap
    assert via_imap.endswith(text.split(b"\r\n\r\n", 1)[1])
    uid = pop.uidl(1)
    pop.quit()
    pop = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=tls_context())
    pop.user(box.address)
    pop.pass_(box.password)
    assert pop.uidl(1) == uid
    pop.dele(1)
    pop.quit()
    assert box.messages() == []
