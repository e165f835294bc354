"""Filters as people run them, Debian's, at one server: opendkim signs at submission and verifies at port 25; rspamd refuses spam and adds
what it thinks of the rest; clamav-milter refuses viruses."""
import base64
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
import tassis

TEXT = b"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: signed\r\n\r\nSome words.\r\n"
# In pieces, so that no scanner takes this file for what it is about.
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def program(name):
    return shutil.which(name, path="/usr/sbin:/usr/bin")


def start(folder, name, *arguments):
    """What it says goes to the folder's NAME.out."""
    with open(folder / f"{name}.out", "wb") as out:
        return subprocess.Popen([program(name), *map(str, arguments)], stdout=out, stderr=out, cwd=folder)


def wait_for(process, what, connect):
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None, f"{what} ended"
        try:
            return connect()
        except OSError:
            assert time.monotonic() < deadline, f"{what} does not listen"
            time.sleep(0.02)


def wait_for_port(process, what, port):
    wait_for(process, what, lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close())


def opendkim(folder, port):
    """Signs for example.test and knows its public key without the DNS."""
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
    (folder / "keys").write_text("s._domainkey.example.test v=DKIM1; k=rsa; p=%s\n" % "".join(public.split("\n")[1:-2]))
    (folder / "internal").write_text("192.0.2.1\n")  # by default all of loopback is signed for, and never verified
    (folder / "opendkim.conf").write_text(f"""Mode sv
Socket inet:{port}@127.0.0.1
Domain example.test
Selector s
KeyFile {key}
RequireSafeKeys no
InternalHosts {folder}/internal
TestPublicKeys {folder}/keys
Canonicalization relaxed/simple
AlwaysAddARHeader yes
Syslog no
""")
    process = start(folder, "opendkim", "-f", "-x", "opendkim.conf")
    wait_for_port(process, "opendkim", port)
    return [process]


def rspamd(folder, port):
    """The proxy worker scans by itself: no network, no Redis, and of its rules only the test pattern's."""
    (folder / "tlds").write_text("com\norg\ntest\n")
    (folder / "rspamd.conf").write_text(f"""lua = "$RULESDIR/rspamd.lua"
options {{
  filters = "";
  tempdir = "{folder}"; dbdir = "{folder}"; rundir = "{folder}"; hs_cache_dir = "{folder}/";
  control_socket = "{folder}/rspamd.sock mode=0600"; pidfile = "{folder}/rspamd.pid";
  url_tld = "{folder}/tlds";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "warning"; }}
actions {{ reject = 15; add_header = 6; }}
modules {{ path = "$PLUGINSDIR/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-bar", "x-spam-status"]; skip_local = false; skip_authenticated = false; }}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{port}";
  milter = yes; timeout = 10s; count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
""")
    process = start(folder, "rspamd", "-f", "-i", "-c", folder / "rspamd.conf")
    wait_for_port(process, "rspamd", port)
    return [process]


def clamav(folder, port):
    """Its whole database is the signature of EICAR's test file."""
    database = folder / "signatures"
    database.mkdir()
    (database / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
    user = pathlib.Path(folder).owner()
    (folder / "clamd.conf").write_text(f"DatabaseDirectory {database}\nLocalSocket {folder}/clamd.sock\nForeground yes\nUser {user}\n")
    (folder / "clamav-milter.conf").write_text(
        f"MilterSocket inet:{port}@127.0.0.1\nClamdSocket unix:{folder}/clamd.sock\nForeground yes\nUser {user}\n"
        "OnInfected Reject\nRejectMsg 5.7.1 A virus: %v\nAddHeader Replace\n")
    daemon = start(folder, "clamd", "-c", folder / "clamd.conf")
    wait_for(daemon, "clamd", lambda: socket.socket(socket.AF_UNIX).connect(str(folder / "clamd.sock")))
    process = start(folder, "clamav-milter", "-c", folder / "clamav-milter.conf")
    wait_for_port(process, "clamav-milter", port)
    return [process, daemon]


PROGRAMS = {  # section: what must be installed, how it is started, whose mail
    "rspamd": (["rspamd"], rspamd, "smtp"),
    "clamav": (["clamd", "clamav-milter"], clamav, "smtp"),
    "opendkim": (["opendkim"], opendkim, "smtp submission"),
}


@pytest.fixture(scope="module")
def world():
    """A server with a section for each program that is installed."""
    processes, sections = [], []
    with tempfile.TemporaryDirectory(prefix="milters-") as root:
        try:
            for name, (names, run, doors) in PROGRAMS.items():
                if all(map(program, names)):
                    folder = pathlib.Path(root) / name
                    folder.mkdir()
                    port, = tassis.free_ports(1)
                    processes += run(folder, port)
                    sections.append(f"[milter {name}]\naddress = 127.0.0.1:{port}\ndoors = {doors}\n")
            server = tassis.temporary_server(auth="plaintext = loopback", config="\n".join(sections))
            yield server
            server.stop()
            assert "milter-failed" not in server.log()
            shutil.rmtree(server.dir)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(timeout=1)
                except subprocess.TimeoutExpired:  # opendkim takes five seconds
                    process.kill()
                    process.wait()


def need(name):
    missing = [p for p in PROGRAMS[name][0] if not program(p)]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")


def send(client, text, code=250):
    client.expect(250, "MAIL FROM:<bob@example.test>")
    client.expect(250, "RCPT TO:<alice@example.test>")
    return client.message(text, code)


def newest(server):
    session = server.account("alice@example.test").imap("INBOX")
    mail = [line for line in session.ok("UID FETCH * BODY.PEEK[]").untagged if b"BODY[]" in line][-1]
    session.close()
    return mail


def test_opendkim_signs_and_verifies(world):
    need("opendkim")
    client = world.submission(world.account("bob@example.test"))
    send(client, TEXT)
    mail = newest(world)
    signed = mail[mail.index(b"DKIM-Signature:"):mail.index(b"Some words.\r\n") + len(b"Some words.\r\n")]
    assert re.search(rb"d=example.test", signed)
    for text, result in ((signed, b"dkim=pass"), (signed.replace(b"Some", b"Other"), b"dkim=fail"), (TEXT, b"dkim=none")):
        send(world.smtp(), text)
        assert re.search(rb"Authentication-Results: mx.example.test;\s+" + result, newest(world))


def test_rspamd_refuses_and_comments(world):
    need("rspamd")
    client = world.smtp()
    reply = send(client, TEXT.replace(b"Some words.", GTUBE), code=554)
    assert "Gtube" in reply[-1]
    send(client, TEXT.replace(b"Subject: signed", b"Subject: not spam"))
    mail = newest(world)
    assert b"Subject: not spam" in mail and re.search(rb"\r\nX-Spamd-Bar: ", mail) and re.search(rb"\r\nX-Spam-Status: No", mail)


def test_clamav_refuses_a_virus(world):
    need("clamav")
    client = world.smtp()
    reply = send(client, TEXT.replace(b"Some words.", EICAR), code=550)
    assert "Eicar-Test-Signature" in reply[-1]
    attached = (b"From: bob@example.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(EICAR) + b"\r\n")
    send(client, attached, code=550)
    send(client, TEXT.replace(b"Subject: signed", b"Subject: no virus"))
    mail = newest(world)
    assert b"Subject: no virus" in mail and re.search(rb"\r\nX-Virus-Status: Clean", mail)
