"""How other domains' TLS policies are kept: DANE (RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689); and the reports about it
(RFC 8460). Zones are signed, certificates are made here."""
import email
import gzip
import hashlib
import http.server
import json
import shutil
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

import tassis
from tassis import PASSWORDS
from test_relay import message, queue, submit
from world import World, make_certificate, wait_for

ALICE = "alice@example.test"


def spki_sha256(certificate):
    public = subprocess.run(["openssl", "x509", "-in", str(certificate), "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


class PolicyServer:
    """HTTPS for mta-sts.DOMAIN, and for posted reports."""

    def __init__(self, host, certificate):
        self.answers, self.asked, self.posted = {}, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.headers["Host"].split(":")[0]
                outer.asked.append(name)
                status, kind, text = outer.answers.get(name, (404, "text/plain", ""))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if status == 301:
                    self.send_header("Location", text)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self):
                outer.posted.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def policy(self, domain, mode, *mx, max_age=86400, kind="text/plain"):
        lines = ["version: STSv1", f"mode: {mode}", *[f"mx: {m}" for m in mx], f"max_age: {max_age}"]
        self.answers[f"mta-sts.{domain}"] = (200, kind, "\r\n".join(lines) + "\r\n")


class Setting:
    pass


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """The world, its certificates by what they are for, the policy server, and Tassis."""
    folder = tmp_path_factory.mktemp("certificates")
    x = Setting()
    x.ca = make_certificate(folder, "ca.test")
    x.good = make_certificate(folder, "good", names=["mx.sts.test", "mx.testing.test", "mx.require.test", "mx.wrong.test"], issuer=x.ca)
    x.other = make_certificate(folder, "other.test")
    web = make_certificate(folder, "web", names=[f"mta-sts.{d}.test" for d in ("sts", "testing", "wrong", "moved")] + ["reports.test"], issuer=x.ca)
    x.web = PolicyServer("127.0.0.30", web)
    x.dane_name = make_certificate(folder, "dane", names=["mx.dane.test"])
    tlsa = spki_sha256(x.other[0])
    records = []
    for i, name in enumerate(["dane", "danebad", "danenone", "sts", "testing", "require", "wrong", "moved", "plain", "ta", "unusable"]):
        records += [f"{name} MX 10 mx.{name}", f"mx.{name} A 127.0.0.{40 + i}"]
        setattr(x, name, f"127.0.0.{40 + i}")
    port = None
    for name in ("sts", "testing", "wrong", "moved"):
        records += [f"mta-sts.{name} A 127.0.0.30", f'_mta-sts.{name} TXT "v=STSv1; id=1;"']
    records += ["reports A 127.0.0.30", f'_smtp._tls.sts TXT "v=TLSRPTv1;rua=mailto:tls@plain.test,https://reports.test:{x.web.port}/tls"']
    x.records = records
    x.world = World(records)
    port = x.world.port
    ca_spki = spki_sha256(x.ca[0])
    x.records = records + [f"_{port}._tcp.mx.dane TLSA 3 1 1 {tlsa}", f"_{port}._tcp.mx.danebad TLSA 3 1 1 {'00' * 32}",
                           f"_{port}._tcp.mx.danenone TLSA 3 1 1 {tlsa}", f"_{port}._tcp.mx.ta TLSA 2 1 1 {ca_spki}",
                           f"_{port}._tcp.mx.unusable TLSA 1 1 1 {'11' * 32}"]
    x.world.dns.change(x.records)
    ca_file = x.world.dir / "ca.pem"
    ca_file.write_text(x.ca[0].read_text())
    x.server = tassis.temporary_server(auth="plaintext = loopback", config=x.world.config(
        f"retry_first = 1s\nretry_longest = 2s\nconnect_timeout = 5s\nca = {ca_file}\nhttps_port = {x.web.port}"))
    yield x
    x.server.stop()
    x.world.stop()
    shutil.rmtree(x.server.dir)


@pytest.fixture
def peer(setting):
    made = []

    def make(host, **options):
        made.append(setting.world.peer(host, **options))
        return made[-1]

    yield make
    for p in made:
        p.stop()
    setting.server.cli("queue", "drop", "all")


def deferred(setting, domain, words):
    setting.server.wait_log(rf"deferred .*to=a@{domain} .*{words}")


def test_dane_takes_a_certificate_that_matches(setting, peer):
    p = peer(setting.dane, certificate=setting.other)
    submit(setting.server, "a@dane.test", message("dane"))
    wait_for(lambda: p.messages)
    assert p.messages[0][3]
    setting.server.wait_log(r"sent .*to=a@dane.test .*trust=verified")


def test_dane_refuses_another_certificate(setting, peer):
    p = peer(setting.danebad, certificate=setting.other)
    submit(setting.server, "a@danebad.test", message("dane, wrong"))
    deferred(setting, "danebad.test", "certificate is not good")
    assert not p.messages


def test_dane_is_not_stripped(setting, peer):
    """A host with TLSA records that offers no STARTTLS is not spoken to in clear."""
    p = peer(setting.danenone)
    submit(setting.server, "a@danenone.test", message("dane, stripped"))
    deferred(setting, "danenone.test", "does not offer STARTTLS")
    assert not p.messages and not any(c.startswith("MAIL") for c in p.commands)


def test_dane_with_unusable_records_encrypts(setting, peer):
    p = peer(setting.unusable, certificate=setting.other)
    submit(setting.server, "a@unusable.test", message("dane, unusable"))
    wait_for(lambda: p.messages)
    assert p.messages[0][3]


def test_sts_enforced(setting, peer):
    setting.web.policy("sts.test", "enforce", "mx.sts.test")
    p = peer(setting.sts, certificate=setting.good)
    submit(setting.server, "a@sts.test", message("sts"))
    wait_for(lambda: p.messages)
    setting.server.wait_log(r"sent .*to=a@sts.test .*trust=verified")
    p.stop()
    peer(setting.sts, certificate=setting.other)
    submit(setting.server, "a@sts.test", message("sts, wrong certificate"))
    deferred(setting, "sts.test", "certificate is not good")


def test_sts_policy_outlives_a_restart_and_its_server(setting, peer):
    setting.web.policy("sts.test", "enforce", "mx.sts.test")
    p = peer(setting.sts, certificate=setting.good)
    submit(setting.server, "a@sts.test", message("sts, first"))
    wait_for(lambda: p.messages)
    p.stop()
    del setting.web.answers["mta-sts.sts.test"]
    setting.server.stop()
    setting.server.start()
    p = peer(setting.sts)
    submit(setting.server, "b@sts.test", message("sts, remembered"))
    deferred(setting, "sts.test", "|to=b@sts.test .*does not offer STARTTLS")
    setting.server.wait_log(r"deferred .*to=b@sts.test .*does not offer STARTTLS")
    assert not p.messages


def test_sts_testing_delivers_and_counts(setting, peer):
    setting.web.policy("testing.test", "testing", "mx.testing.test")
    p = peer(setting.testing, certificate=setting.other)
    submit(setting.server, "a@testing.test", message("testing"))
    wait_for(lambda: p.messages)
    wait_for(lambda: counted(setting, "testing.test", "certificate-not-trusted"))


def test_sts_host_that_is_not_in_the_policy(setting, peer):
    setting.web.policy("wrong.test", "enforce", "elsewhere.wrong.test")
    p = peer(setting.wrong, certificate=setting.good)
    submit(setting.server, "a@wrong.test", message("not in the policy"))
    deferred(setting, "wrong.test", "not in the domain's MTA-STS policy")
    assert not p.messages


def test_sts_redirects_are_not_followed(setting, peer):
    setting.web.answers["mta-sts.moved.test"] = (301, "text/plain", f"https://mta-sts.sts.test:{setting.web.port}/.well-known/mta-sts.txt")
    p = peer(setting.moved)
    submit(setting.server, "a@moved.test", message("redirected"))
    wait_for(lambda: p.messages)  # no policy is known: as without
    wait_for(lambda: counted(setting, "moved.test", "sts-policy-fetch-error"))


def counted(setting, domain, result):
    with sqlite3.connect(setting.server.data / "queue" / "queue.db") as db:
        return db.execute("SELECT sum(sessions) FROM tls_session WHERE domain = ? AND result = ?", (domain, result)).fetchone()[0]


def test_reports_are_sent(setting, peer):
    """What was counted yesterday goes to whom the domain names."""
    p = peer(setting.plain)
    setting.server.stop()
    yesterday = int(time.time()) // 86400 - 1
    with sqlite3.connect(setting.server.data / "queue" / "queue.db") as db:
        policy = "version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400"
        db.execute("INSERT INTO tls_session VALUES(?, 'sts.test', 'sts', ?, '', '', '', 7)", (yesterday, policy))
        db.execute("INSERT INTO tls_session VALUES(?, 'sts.test', 'sts', ?, 'mx.sts.test', '127.0.0.43', 'certificate-expired', 2)",
                   (yesterday, policy))
    setting.server.start()
    wait_for(lambda: p.messages and setting.web.posted)
    mail = email.message_from_bytes(p.messages[0][2])
    assert mail["TLS-Report-Domain"] == "sts.test" and mail["TLS-Report-Submitter"] == "mx.example.test"
    assert mail.get_content_type() == "multipart/report"
    packed = mail.get_payload()[1]
    assert packed.get_content_type() == "application/tlsrpt+gzip"
    kind, body = setting.web.posted[0]
    assert kind == "application/tlsrpt+gzip" and body == packed.get_payload(decode=True)
    report = json.loads(gzip.decompress(body))
    policy = report["policies"][0]
    assert policy["summary"] == {"total-successful-session-count": 7, "total-failure-session-count": 2}
    assert policy["policy"]["policy-type"] == "sts" and policy["policy"]["mx-host"] == ["mx.sts.test"]
    assert policy["failure-details"][0]["result-type"] == "certificate-expired"
