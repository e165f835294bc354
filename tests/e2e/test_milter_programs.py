"""Filters as people run them: Debian's opendkim, which signs at submission and verifies at port 25."""
import re
import shutil
import socket
import subprocess
import time

import pytest
import tassis

OPENDKIM = shutil.which("opendkim", path="/usr/sbin:/usr/bin")
TEXT = b"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: signed\r\n\r\nSome words.\r\n"


def wait_for_port(port, process):
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None, "the filter ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def opendkim(tmp_path):
    """The port of a running opendkim that signs for example.test and knows its public key without the DNS."""
    if not OPENDKIM:
        pytest.skip("opendkim is not installed")
    port, = tassis.free_ports(1)
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
    (tmp_path / "keys").write_text("s._domainkey.example.test v=DKIM1; k=rsa; p=%s\n" % "".join(public.split("\n")[1:-2]))
    (tmp_path / "internal").write_text("192.0.2.1\n")  # by default all of loopback is signed for, and never verified
    conf = tmp_path / "opendkim.conf"
    conf.write_text(f"""Mode sv
Socket inet:{port}@127.0.0.1
Domain example.test
Selector s
KeyFile {key}
RequireSafeKeys no
InternalHosts {tmp_path}/internal
TestPublicKeys {tmp_path}/keys
Canonicalization relaxed/simple
AlwaysAddARHeader yes
Syslog no
""")
    process = subprocess.Popen([OPENDKIM, "-f", "-x", conf], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_opendkim_signs_and_verifies(make_server, opendkim):
    server = make_server(auth="plaintext = loopback", config=f"[milter opendkim]\naddress = 127.0.0.1:{opendkim}\ndoors = smtp submission\n")
    alice, bob = server.account("alice@example.test"), server.account("bob@example.test")
    client = server.submission(bob)
    client.expect(250, "MAIL FROM:<bob@example.test>")
    client.expect(250, "RCPT TO:<alice@example.test>")
    client.message(TEXT)
    session = alice.imap("INBOX")
    mail, = [line for line in session.ok("UID FETCH 1 BODY.PEEK[]").untagged if b"BODY[]" in line]
    signed = mail[mail.index(b"DKIM-Signature:"):mail.index(b"Some words.\r\n") + len(b"Some words.\r\n")]
    assert re.search(rb"d=example.test", signed)

    for text, result in ((signed, b"dkim=pass"), (signed.replace(b"Some", b"Other"), b"dkim=fail"), (TEXT, b"dkim=none")):
        client = server.smtp()
        client.expect(250, "MAIL FROM:<bob@example.test>")
        client.expect(250, "RCPT TO:<alice@example.test>")
        client.message(text)
        client.close()
        session.ok("NOOP")
        mail = [line for line in session.ok("UID FETCH * BODY.PEEK[]").untagged if b"BODY[]" in line][-1]
        assert re.search(rb"Authentication-Results: mx.example.test;\s+" + result, mail), mail
    server.stop()
