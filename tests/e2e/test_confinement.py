"""Each role tries to do what DESIGN's table of roles denies it, after it has shut itself in (builds with -Dprobe=true)."""
import imaplib
import re
import smtplib
import ssl
import subprocess

import pytest

import tassis

# What a role may do; everything else that it tries must be denied.
MAY = {
    "vault": {"credentials-file", "key-file", "write-vault"},
    "gate": set(),
    "mx": set(),
    "mail": {"account-file", "directory-file", "write-accounts"},
    "relay": {"queue-file", "write-queue", "connect"},
}
FILES = {"account-file", "directory-file", "credentials-file", "key-file", "queue-file", "passwd", "write-data", "write-accounts",
         "write-vault", "write-queue", "bind", "connect", "exec"}
VERBS = {"redeem-forged-ticket", "sasl-without-password", "sign", "unknown-verb"}


def test_signatures_are_not_for_mail_and_relay(attempts):
    for role in ("mail", "relay"):
        assert attempts[role]["sign"] == "denied"


@pytest.fixture(scope="module")
def attempts():
    with open(tassis.BINARY, "rb") as f:
        if b"redeem-forged-ticket" not in f.read():
            pytest.skip("built without -Dprobe=true")
    server = tassis.temporary_server()
    try:
        server.stop()
        # What is to be found, if one could: an account's file, a queue, a key.
        folder = server.data / "accounts" / "example.test"
        subprocess.run(["mkdir", "-p", str(folder)], check=True)
        (folder / "alice.db").touch()
        for path in (folder, folder / "alice.db"):
            subprocess.run(["chown", "--reference", str((server.data / "accounts").resolve()), str(path)], check=True)
        at = len(server.log())
        server.env = {"TASSIS_PROBE": "1"}
        server.start(wait=False)
        server.wait_log(r"master info ready", after=at, timeout=60)
        found = {role: {} for role in tassis.ROLES}
        for role, attempt, result in re.findall(r" (\w+) info probe attempt=(\S+) result=(\S+|\".*\")$", server.log()[at:], re.M):
            found[role][attempt] = result
        yield found
    finally:
        server.stop()


@pytest.mark.parametrize("role", tassis.ROLES)
def test_role_is_confined(attempts, role):
    wanted = {a: "ALLOWED" if a in MAY[role] else "denied" for a in FILES}
    if role != "vault":
        wanted.update({v: "denied" for v in VERBS})
    assert attempts[role] == wanted


def test_charsets_can_still_be_opened(server):
    """iconv's tables are files; `mail` opens them long after it has shut itself in."""
    text = "\u65e5\u672c\u8a9e\u306e\u672c\u6587"
    body = (b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: charsets\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + text.encode("iso-2022-jp") + b"\r\n")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP_SSL(server.hosts[0], server.ports["submissions"], context=context, timeout=20) as client:
        client.login("alice@example.test", tassis.PASSWORDS["alice@example.test"])
        client.sendmail("alice@example.test", ["bob@example.test"], body)
    client = imaplib.IMAP4_SSL(server.hosts[0], server.ports["imaps"], ssl_context=context, timeout=20)
    client.login("bob@example.test", tassis.PASSWORDS["bob@example.test"])
    client.select("INBOX")
    client.literal = text.encode()
    assert client.search("UTF-8", "BODY")[1] != [b""]
    client.logout()
