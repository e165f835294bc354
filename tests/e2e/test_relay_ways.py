"""The ways that mail takes to other hosts: address families, source addresses and names of ours, routes with TLS, resumed sessions, domains
beyond ASCII, and DANE in all its forms. One world and one Tassis for all of it."""
import hashlib
import shutil
import ssl
import subprocess

import pytest

import tassis
from test_relay import bounce, message, queue, submit
from test_relay_tls import spki_sha256
from world import World, make_certificate, wait_for

ALICE = "alice@example.test"
HOSTS = ("sixfour", "sixaway", "source", "sourced", "verified", "verifiedbad", "implicit", "resume", "idn", "aged", "rollover", "taroot", "tafull",
         "taname", "tashort", "taother", "stranger", "tlsabogus", "bogus")
AT = {name: f"127.0.0.{100 + i}" for i, name in enumerate(HOSTS)}


def der_sha256(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def chain(folder, name, *certificates):
    """One file of the leaf's certificate and those behind it; with the leaf's key."""
    path = folder / f"{name}.chain"
    path.write_text("".join(c[0].read_text() for c in certificates))
    return path, certificates[0][1]


def expired(folder, name):
    """Its time is over, and its name is nobody's."""
    cert, key, request = folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}.csr"
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", str(key), "-out", str(request)], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", str(request), "-signkey", str(key), "-days", "-1", "-out", str(cert)], check=True, capture_output=True)
    return cert, key


class Ways:
    """What the tests share."""

    def __init__(self, folder):
        root = make_certificate(folder, "root.test")
        middle = make_certificate(folder, "middle.test", issuer=root)
        leaf = make_certificate(folder, "leaf", names=["mx.taroot.test", "mx.tafull.test", "mx.tashort.test", "mx.taother.test"], issuer=middle)
        self.other = make_certificate(folder, "other.test")
        self.good = make_certificate(folder, "good", names=["mx.verified.test", "mx.implicit.test"], issuer=root)
        self.aged = expired(folder, "aged")
        self.whole = chain(folder, "whole", leaf, middle, root)
        self.short = chain(folder, "short", leaf)
        port = tassis.free_ports(1, "127.0.0.10")[0]

        def tlsa(host, record):
            return f"_{port}._tcp.mx.{host} TLSA {record}"

        records = [line for name, address in AT.items() if name not in ("idn", "bogus") for line in (f"{name} MX 10 mx.{name}", f"mx.{name} A {address}")]
        records += ["six MX 10 mx.six", "mx.six AAAA ::1", "mx.sixfour AAAA ::1", "mx.sixaway AAAA 2001:db8::1", "zero MX 10 mx.zero", "mx.zero A 0.0.0.0",
                    "zerosix AAAA ::", f"xn--bcher-kva MX 10 mx.idn", f"mx.idn A {AT['idn']}",
                    tlsa("aged", f"3 1 1 {spki_sha256(self.aged[0])}"), tlsa("rollover", f"3 1 1 {'00' * 32}"), tlsa("rollover", f"3 0 1 {der_sha256(self.other[0])}"),
                    tlsa("taroot", f"2 1 1 {spki_sha256(root[0])}"), tlsa("tafull", f"2 0 1 {der_sha256(middle[0])}"),
                    tlsa("taname", f"2 1 1 {spki_sha256(root[0])}"), tlsa("tashort", f"2 1 1 {spki_sha256(root[0])}"),
                    tlsa("taother", f"2 1 1 {spki_sha256(self.other[0])}"), tlsa("stranger", f"9 1 1 {'22' * 32}"), tlsa("stranger", f"3 1 1 {'22' * 5}")]
        # A chain of trust that is broken: the parent says that the zone is signed, and it is not.
        broken = {"bogus": [f"@ MX 10 mx.one", "mx A 127.0.0.10"], f"_{port}._tcp.mx.tlsabogus": ["@ TLSA 3 1 1 " + "33" * 32]}
        records += [f"{name} DS 12345 13 2 {'44' * 32}" for name in broken]
        self.world = World(records, unsigned=broken, port=port)
        ca = self.world.dir / "ca.pem"
        ca.write_text(root[0].read_text())
        self.server = tassis.temporary_server(auth="plaintext = loopback", config=self.world.config(
            f"retry_first = 1s\nretry_longest = 2s\nconnect_timeout = 3s\nca = {ca}\nsource = 127.0.0.98\nhello = out.example.test",
            route__sourced="recipients = sourced.test\nsource = 127.0.0.99\nhello = special.example.test",
            route__verified="recipients = verified.test verifiedbad.test\ntls = verified",
            route__implicit=f"recipients = implicit.test\nhost = mx.implicit.test:{port}\ntls = implicit"))

    def stop(self):
        self.server.stop()
        self.world.stop()
        shutil.rmtree(self.server.dir)


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    x = Ways(tmp_path_factory.mktemp("certificates"))
    yield x
    x.stop()


@pytest.fixture
def peer(ways):
    """peer(host, **options); callers: whom its connections came from."""
    made = []

    def make(host, is_implicit=False, **options):
        def session(talk):
            p.callers.append(talk.sock.getpeername()[0])
            if is_implicit:
                talk.sock = p.context.wrap_socket(talk.sock, server_side=True)
            p.serve(talk)

        p = ways.world.peer(AT.get(host, host), session=session, **options)
        p.callers = []
        made.append(p)
        return p

    yield make
    for p in made:
        p.stop()
    ways.server.cli("queue", "drop", "all")


def arrives(ways, p, to, **options):
    submit(ways.server, to, message(f"to {to}"), **options)
    wait_for(lambda: p.messages)
    return p.messages[-1]


def is_deferred(ways, p, to, words):
    submit(ways.server, to, message(f"to {to}"))
    ways.server.wait_log(rf"deferred .*to={to} .*{words}")
    assert not p or not any(c.startswith("MAIL") for c in p.commands)


# ---- addresses and names

def test_ipv6(ways, peer):
    p = peer("::1")
    arrives(ways, p, "a@six.test")
    ways.server.wait_log("sent .*to=a@six.test .*address=::1 ")


@pytest.mark.parametrize("host", ["sixfour", "sixaway"])
def test_ipv4_where_ipv6_leads_nowhere(ways, peer, host):
    """Refused, or no way there: the same host's other family is tried in the same attempt."""
    p = peer(host)
    arrives(ways, p, f"a@{host}.test")
    assert ways.server.wait_log(rf"sent .*to=a@{host}.test .*attempt=(\d+) .*address={AT[host]} ").group(1) == "1"


def test_source_address_and_hello_name(ways, peer):
    usual, special = peer("source"), peer("sourced")
    arrives(ways, usual, "a@source.test")
    arrives(ways, special, "a@sourced.test")
    assert (usual.callers, special.callers) == (["127.0.0.98"], ["127.0.0.99"])
    assert usual.commands[0] == "EHLO out.example.test" and special.commands[0] == "EHLO special.example.test"


@pytest.mark.parametrize("domain", ["zero", "zerosix"])
def test_the_unspecified_address_is_nobody_elses_host(ways, domain):
    box = ways.server.new_account()
    session = ways.server.submission(box)
    session.expect(250, f"MAIL FROM:<{box.address}>")
    session.expect(250, f"RCPT TO:<a@{domain}.test>")
    session.message(message("in a circle").encode())
    assert "loops back to myself" in bounce(ways.server, box)[0].get_payload()


# ---- TLS by routes, and resumed

def test_verified_route(ways, peer):
    p = peer("verified", certificate=ways.good)
    assert arrives(ways, p, "a@verified.test")[3]
    ways.server.wait_log("sent .*to=a@verified.test .*trust=verified")
    is_deferred(ways, peer("verifiedbad", certificate=ways.other), "a@verifiedbad.test", "certificate is not good")


def test_implicit_route(ways, peer):
    p = peer("implicit", certificate=ways.good, is_implicit=True, start_tls=False)
    arrives(ways, p, "a@implicit.test")
    ways.server.wait_log("sent .*to=a@implicit.test .*tls=TLSv1.3 trust=verified")
    p.stop()
    bad = peer("implicit", certificate=ways.other, is_implicit=True, start_tls=False)
    is_deferred(ways, bad, "b@implicit.test", "certificate is not good")
    bad.stop()
    clear = peer("implicit")
    is_deferred(ways, clear, "c@implicit.test", "4.7.5")
    assert not any(c.startswith("EHLO") for c in clear.commands)


def test_tls_sessions_are_resumed(ways, peer):
    """The second connection goes on with the first one's session; a host that does not know it makes a new one."""
    def watched():
        p = peer("resume", certificate=ways.other, extensions=["PIPELINING", "LIMITS MAILMAX=1"])  # a connection for each message
        p.resumed = []
        take = p.done

        def done(talk, *rest):
            p.resumed.append(talk.sock.session_reused)
            take(talk, *rest)

        p.done = done
        return p

    p = watched()
    for n in range(3):
        submit(ways.server, "a@resume.test", message(f"number {n}"))
        wait_for(lambda: len(p.messages) == n + 1)
    assert p.resumed == [False, True, True] and p.sessions == 3
    p.stop()
    p = watched()
    arrives(ways, p, "a@resume.test")
    assert p.resumed == [False]


# ---- domains beyond ASCII (RFC 5890, RFC 6531)

def test_a_u_label_is_looked_up_as_a_label(ways, peer):
    p = peer("idn")
    mail, rcpts, _, _ = arrives(ways, p, "a@b\u00fccher.test", parameters=" SMTPUTF8")
    assert mail.endswith(" SMTPUTF8") and rcpts == ["RCPT TO:<a@b\u00fccher.test>"]
    p.messages.clear()
    mail, rcpts, _, _ = arrives(ways, p, "a@xn--bcher-kva.test")
    assert "SMTPUTF8" not in mail and rcpts == ["RCPT TO:<a@xn--bcher-kva.test>"]


def test_smtputf8_is_bounced_by_who_does_not_know_it(ways, peer):
    p = peer("idn", extensions=["PIPELINING", "8BITMIME"])
    box = ways.server.new_account()
    session = ways.server.submission(box)
    session.expect(250, f"MAIL FROM:<{box.address}> SMTPUTF8")
    session.expect(250, "RCPT TO:<b\u00fc@b\u00fccher.test>")
    session.message(message("beyond ASCII").encode())
    report = wait_for(lambda: [m for m in box.messages() if b"multipart/report" in m])[0]
    assert b"\r\nStatus: 5.6.7\r\n" in report and b"\r\nFinal-Recipient: utf-8; " in report
    assert not any(c.startswith("MAIL") for c in p.commands)
    arrives(ways, p, "c@xn--bcher-kva.test", parameters=" SMTPUTF8")  # what is ASCII after all may go
    assert "SMTPUTF8" not in p.messages[0][0]


# ---- DANE (RFC 7672)

@pytest.mark.parametrize("host,certificate", [
    ("aged", "aged"),        # DANE-EE: neither its time nor its name counts (§3.1.1)
    ("rollover", "other"),   # one of two records is enough
    ("taroot", "whole"),     # DANE-TA: the root, by its key, in the chain that was sent
    ("tafull", "whole"),     # an authority in the middle, by its certificate
    ("stranger", "other"),   # none usable (unknown usage, wrong length): encrypted, to whomever (§2.2)
])
def test_dane_passes(ways, peer, host, certificate):
    p = peer(host, certificate=getattr(ways, certificate))
    assert arrives(ways, p, f"a@{host}.test")[3]
    if host != "stranger":
        ways.server.wait_log(rf"sent .*to=a@{host}.test .*trust=verified")


@pytest.mark.parametrize("host,certificate", [
    ("taname", "whole"),   # DANE-TA: the name counts (§3.1.2)
    ("tashort", "short"),  # the authority's certificate was not sent (§3.1.2)
    ("taother", "whole"),  # not this authority's
])
def test_dane_refuses(ways, peer, host, certificate):
    is_deferred(ways, peer(host, certificate=getattr(ways, certificate)), f"a@{host}.test", "certificate is not good")


def test_bogus_answers_are_waited_out(ways, peer):
    """DNSSEC that does not hold is an attack or a mistake: no mail by such an answer, and none around it (§2.1.3, §2.2)."""
    is_deferred(ways, peer("bogus"), "a@bogus.test", "4.4.3 the DNS does not answer about bogus.test")
    is_deferred(ways, peer("tlsabogus", certificate=ways.other), "a@tlsabogus.test", "the TLSA records of mx.tlsabogus.test cannot be had")
