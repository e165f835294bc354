"""SCRAM-SHA-256 and -PLUS (RFC 5802, 7677, 9266) at all doors: with GNU SASL, and by hand for what a client should not do."""
import base64
import hashlib
import hmac
import shutil
import subprocess

import pytest

import tassis

GSASL = shutil.which("gsasl")


@pytest.fixture(scope="module")
def server():
    s = tassis.temporary_server(auth="plaintext = loopback\nscram = bound")
    yield s
    s.stop()
    shutil.rmtree(s.dir)


def b64(data):
    return base64.b64encode(data).decode()


class Proof:
    """A client's half of an exchange, without channel binding."""

    def __init__(self, user, password, gs2="n,,", nonce="fyko+d2lbbFgONRv9qkxdawL"):
        self.gs2, self.password = gs2, password
        self.bare = f"n={user},r={nonce}"
        self.first = b64((gs2 + self.bare).encode())

    def final(self, challenge):
        server_first = base64.b64decode(challenge).decode()
        self.fields = dict(f.split("=", 1) for f in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(self.fields["s"]), int(self.fields["i"]))
        client = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c={b64(self.gs2.encode())},r={self.fields['r']}"
        auth = f"{self.bare},{server_first},{without}".encode()
        proof = bytes(a ^ b for a, b in zip(client, hmac.digest(hashlib.sha256(client).digest(), auth, "sha256")))
        self.signature = "v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256"))
        return b64(f"{without},p={b64(proof)}".encode())

    def check(self, last):
        assert base64.b64decode(last).decode() == self.signature


def over_tls(server, service):
    return tassis.tls_context().wrap_socket(server.connect(service), server_hostname="mx.example.test")


def imap_exchange(im, proof, mechanism="SCRAM-SHA-256"):
    """The tagged answer; what the server says last is checked."""
    im.send(f"s AUTHENTICATE {mechanism} {proof.first}\r\n")
    line = im.line()
    if line.startswith("+ "):
        im.send(proof.final(line[2:]) + "\r\n")
        line = im.line()
    if line.startswith("+ "):
        proof.check(line[2:])
        im.send("\r\n")
        line = im.line()
    return line


def test_imap(server, box):
    im = tassis.Imap(over_tls(server, "imaps"))
    assert " AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS" in im.greeting.decode()
    assert imap_exchange(im, Proof(box.address, "wrong")).startswith("s NO [AUTHENTICATIONFAILED]")
    assert imap_exchange(im, Proof(box.address.upper(), box.password)).startswith("s OK [CAPABILITY ")
    im.ok("SELECT INBOX")


def test_downgrade(server, box):
    """RFC 5802 §6: "y" where -PLUS is on offer means that somebody has changed the list."""
    im = tassis.Imap(over_tls(server, "imaps"))
    assert imap_exchange(im, Proof(box.address, box.password, "y,,")).startswith("s NO ")
    assert imap_exchange(im, Proof(box.address, box.password), "SCRAM-SHA-256-PLUS").startswith("s NO ")
    assert imap_exchange(im, Proof(box.address, box.password)).startswith("s OK ")
    im = server.imap()
    assert "-PLUS" not in im.greeting.decode()
    assert imap_exchange(im, Proof(box.address, box.password, "y,,")).startswith("s OK ")


def test_submission(server, box):
    s = tassis.Smtp(over_tls(server, "submissions"))
    assert any("AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS" in line for line in s.command("EHLO client.example.test"))
    proof = Proof(box.address, box.password)
    challenge = s.command(f"AUTH SCRAM-SHA-256 {proof.first}")[0]
    assert challenge.startswith("334 ")
    last = s.command(proof.final(challenge[4:]))[0]
    assert last.startswith("334 ")
    proof.check(last[4:])
    assert s.command("")[0].startswith("235 ")
    assert s.command(f"MAIL FROM:<{box.address}>")[0].startswith("250 ")


def test_pop3(server, box):
    p = tassis.Talk(over_tls(server, "pop3s"))
    p.line()
    p.send("CAPA\r\n")
    assert "SASL PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS" in p.until(".")
    proof = Proof(box.address, box.password)
    p.send("AUTH SCRAM-SHA-256\r\n")
    assert p.line() == "+ "
    p.send(proof.first + "\r\n")
    p.send(proof.final(p.line()[2:]) + "\r\n")
    proof.check(p.line()[2:])
    p.send("\r\n")
    assert p.line().startswith("+OK")


def challenge_for(server, user):
    im = tassis.Imap(over_tls(server, "imaps"))
    im.send(f"s AUTHENTICATE SCRAM-SHA-256 {Proof(user, 'x').first}\r\n")
    fields = dict(f.split("=", 1) for f in base64.b64decode(im.line()[2:]).decode().split(","))
    im.close()
    return fields["s"], fields["i"], len(fields["r"])


def test_who_exists_is_not_told(make_server):
    """The salt of an account that is not there is the same each time, after a restart of the vault too."""
    server = make_server()
    box = server.new_account()
    names = [box.address, "nobody@example.test", "no-address", "other@example.test"]
    first = [challenge_for(server, name) for name in names]
    server.kill_role("vault")
    server.wait_log("ready|started|role", timeout=5)
    again = [challenge_for(server, name) for name in names]
    assert first == again
    assert len({salt for salt, _, _ in first}) == 4
    assert len({(rounds, size, len(salt)) for salt, rounds, size in first}) == 1
    im = tassis.Imap(over_tls(server, "imaps"))
    assert imap_exchange(im, Proof("nobody@example.test", box.password)).startswith("s NO [AUTHENTICATIONFAILED]")


def test_keys_follow_the_password(server, box):
    """A new password has new keys, and the old one's are gone."""
    old = box.password
    server.cli("account", "passwd", box.address, "--password-stdin", stdin="renewed\n")
    im = tassis.Imap(over_tls(server, "imaps"))
    assert imap_exchange(im, Proof(box.address, old)).startswith("s NO ")
    assert imap_exchange(im, Proof(box.address, "renewed")).startswith("s OK ")


@pytest.mark.skipif(not GSASL, reason="no gsasl")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize("protocol,service", [("imap", "imap"), ("smtp", "submission")])
def test_gsasl(server, box, mechanism, protocol, service):
    r = subprocess.run([GSASL, f"--{protocol}", "--connect", f"localhost:{server.ports[service]}", "--starttls", "--mechanism", mechanism,
                        "--authentication-id", box.address, "--authorization-id", box.address, "--password", box.password,
                        *([] if mechanism.endswith("-PLUS") else ["--no-cb"]), "--x509-ca-file=", "--verbose", "127.0.0.1"],
                       input="", capture_output=True, text=True, timeout=60)
    assert "Client authentication finished (server trusted)" in r.stdout + r.stderr, r.stdout + r.stderr
