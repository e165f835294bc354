"""The master and its roles: a role that dies is replaced and service goes on; reload, stop, IPv6, the command line beside a running server."""
import imaplib
import os
import pathlib
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

import tassis

ALICE, BOB = "alice@example.test", "bob@example.test"


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imap_login(server, user=BOB, password=None, host=None):
    client = imaplib.IMAP4_SSL(host or server.hosts[0], server.ports["imaps"], ssl_context=unverified(), timeout=20)
    client.login(user, password or tassis.PASSWORDS[user])
    return client


def send(server, subject, host=None):
    with smtplib.SMTP(host or server.hosts[0], server.ports["submission"], timeout=20) as client:
        client.starttls(context=unverified())
        client.login(ALICE, tassis.PASSWORDS[ALICE])
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nbody\r\n")


def subjects(server, host=None):
    client = imap_login(server, host=host)
    client.select("INBOX", readonly=True)
    _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [row[1].decode().strip().removeprefix("Subject: ") for row in rows if isinstance(row, tuple)]


def served_certificate(server, service):
    with socket.create_connection((server.hosts[0], server.ports[service]), timeout=20) as sock:
        with unverified().wrap_socket(sock) as tls:
            return tls.getpeercert(binary_form=True)


def make_certificate(folder, name):
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key, ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.mark.parametrize("role", tassis.ROLES)
def test_killed_role_is_replaced(server, role):
    send(server, f"before {role}")
    server.kill_role(role)
    send(server, f"after {role}")
    found = subjects(server)
    assert f"before {role}" in found and f"after {role}" in found


def test_role_that_keeps_dying_is_held_back(make_server):
    server = make_server()
    began = time.monotonic()
    for _ in range(4):
        server.kill_role("relay")
    assert 0.25 < time.monotonic() - began < 15


def test_every_role_has_its_own_user_or_none(server):
    uids = {}
    for role, pid in server.children().items():
        words = pathlib.Path("/proc", str(pid), "status").read_text()
        uids[role] = words.split("Uid:")[1].split()[:4]
        assert len(set(uids[role])) == 1
        assert "NoNewPrivs:\t1" in words and "Seccomp:\t2" in words
        groups = words.split("Groups:")[1].split("\n")[0].split()
        assert os.getuid() != 0 or groups == []
    if os.getuid() == 0:
        assert len({u[0] for u in uids.values()}) == len(tassis.ROLES) and "0" not in {u[0] for u in uids.values()}
    else:
        assert {u[0] for u in uids.values()} == {str(os.getuid())}


def test_roles_inherit_nothing(server):
    if os.getuid() != 0:
        pytest.skip("a role's environment can be read by root alone")
    for role, pid in server.children().items():
        words = pathlib.Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
        names = {w.split(b"=")[0] for w in words if w}
        assert names <= {b"PATH", b"LC_ALL", b"SQLITE_TMPDIR", b"ASAN_OPTIONS", b"UBSAN_OPTIONS"}, (role, names)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_new_certificate_after_sighup(make_server):
    server = make_server()
    first = served_certificate(server, "imaps")
    cert, key, wanted = make_certificate(server.dir, "mx.example.test")
    assert first != wanted
    server.write_config(config=f"[tls]\ncertificate = {cert}\nkey = {key}\n")
    idle = imap_login(server)
    at = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("gate info certificates", after=at)
    assert served_certificate(server, "imaps") == wanted
    assert served_certificate(server, "pop3s") == wanted
    assert idle.noop()[0] == "OK"  # those who are here stay
    server.kill_role("vault")      # and its successor gets the files again
    assert served_certificate(server, "submissions") == wanted
    send(server, "with RSA")


def test_bad_certificate_keeps_the_old_one(make_server):
    server = make_server()
    first = served_certificate(server, "imaps")
    (server.dir / "bad.pem").write_text("not a certificate")
    server.write_config(config="[tls]\ncertificate = bad.pem\nkey = bad.pem\n")
    at = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("certificate-bad", after=at)
    assert served_certificate(server, "imaps") == first


def test_bad_config_keeps_the_old_one(make_server):
    server = make_server()
    server.conf.write_text(server.conf.read_text() + "\n[surprise]\nx = 1\n")
    at = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_log(r"reload-failed.*", after=at).group(0)
    assert "tassis.conf:" in line and "surprise" in line
    send(server, "still here")


def test_reload_says_what_needs_a_restart(make_server):
    server = make_server()
    server.conf.write_text(server.conf.read_text().replace("mx.example.test", "other.example.test"))
    at = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    assert "hostname" in server.wait_log(r"reload-failed.*", after=at).group(0)


def test_limits_are_reloaded(make_server):
    server = make_server()
    server.write_config(limits="message_size = 64K")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("master info reloaded")
    deadline = time.monotonic() + 10
    while True:
        with smtplib.SMTP(server.hosts[0], server.ports["smtp"], timeout=20) as client:
            client.ehlo("client.example.test")
            if client.esmtp_features.get("size") == "65536":
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_sessions_of_an_account_are_limited(make_server):
    server = make_server(limits="sessions_per_account = 2")
    first, second = imap_login(server), imap_login(server)
    with pytest.raises(imaplib.IMAP4.error):
        imap_login(server)
    imap_login(server, ALICE).logout()  # another's are another's
    second.logout()
    deadline = time.monotonic() + 10
    while True:  # a place is free as soon as the session is gone
        try:
            imap_login(server).logout()
            break
        except imaplib.IMAP4.error:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    first.logout()


def test_stop_says_goodbye(make_server):
    server = make_server()
    idle = imap_login(server)
    fresh = server.talk("smtp")
    fresh.reply()
    process = server.process
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert fresh.reply()[0].startswith("421")
    assert b"BYE" in idle.readline()  # through gate, from mail
    fresh.close()
    idle.shutdown()
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - began < 10
    assert "killed" not in server.log()


def test_roles_end_when_the_master_is_gone(make_server):
    server = make_server()
    children = server.children()
    assert len(children) == len(tassis.ROLES)
    server.process.kill()
    server.process.wait()
    deadline = time.monotonic() + 15
    while any(pathlib.Path("/proc", str(pid)).exists() for pid in children.values()):
        assert time.monotonic() < deadline, "roles outlive their master"
        time.sleep(0.05)
    server.log_file.close()
    server.process = None
    at = len(server.log())
    server.start(wait=False)  # nothing is left in the way
    server.wait_log(r" ready( |$)", after=at)
    send(server, "again")


def test_ipv6(make_server):
    if not socket.has_ipv6 or not pathlib.Path("/proc/net/if_inet6").exists() or \
            "00000000000000000000000000000001" not in pathlib.Path("/proc/net/if_inet6").read_text():
        pytest.skip("no IPv6 on loopback here")
    server = make_server(hosts=("127.0.0.1", "::1"))
    send(server, "over v6", host="::1")
    assert "over v6" in subjects(server, host="::1")
    assert "over v6" in subjects(server, host="127.0.0.1")


def test_port_in_use_is_said(make_server):
    server = make_server()
    other = server.dir / "other.conf"
    other.write_text(server.conf.read_text().replace(str(server.data), str(server.dir / "data2")))
    done = subprocess.run([tassis.BINARY, "serve", "-c", str(other)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "cannot bind" in done.stderr and "in use" in done.stderr


def test_config_errors_have_a_line(tmp_path):
    conf = tmp_path / "tassis.conf"
    conf.write_text("[server]\nhostname = mx.example.test\ndata = data\n[listen]\nimap = nowhere\n")
    done = subprocess.run([tassis.BINARY, "serve", "-c", str(conf)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "tassis.conf:5:" in done.stderr


def test_start_is_quick(make_server):
    if "asan" in tassis.BINARY:
        pytest.skip("with sanitizers a start takes what it takes")
    server = make_server()
    server.stop()
    began = time.monotonic()
    at = len(server.log())
    server.start(wait=False)
    server.wait_log(r" ready( |$)", after=at)
    assert time.monotonic() - began < 0.5  # 0.2 s on a machine that has nothing else to do


# ---- the command line beside a running server


def test_password_change_counts_at_once(make_server):
    server = make_server()
    imap_login(server, ALICE).logout()
    server.cli("account", "passwd", ALICE, "--password-stdin", stdin="another one\n")
    with pytest.raises(imaplib.IMAP4.error):
        imap_login(server, ALICE)
    imap_login(server, ALICE, "another one").logout()


def test_imported_verifier(make_server):
    server = make_server()
    made = subprocess.run(["openssl", "passwd", "-6", "from elsewhere"], check=True, capture_output=True, text=True).stdout
    server.cli("account", "add", "third@example.test", "--verifier-stdin", stdin="{SHA512-CRYPT}" + made)
    imap_login(server, "third@example.test", "from elsewhere").logout()
    done = server.cli("account", "add", "fourth@example.test", "--verifier-stdin", stdin="{SSHA}AAAA\n", ok=False)
    assert done.returncode == 1 and "SCHEME" in done.stderr
    assert "fourth@example.test" not in server.cli("account", "list").stdout  # no half of an account


def test_account_comes_and_goes(make_server):
    server = make_server()
    server.add_account("third@example.test", "third one")
    imap_login(server, "third@example.test", "third one").logout()
    server.cli("account", "remove", "third@example.test")
    with pytest.raises(imaplib.IMAP4.error):
        imap_login(server, "third@example.test", "third one")
    assert [a["address"] for a in server.cli_json("account", "list")] == [ALICE, BOB]


def test_aliases(make_server):
    server = make_server()
    server.cli("alias", "add", "info@example.test", ALICE, BOB)
    assert server.cli_json("alias", "list") == [{"from": "info@example.test", "to": ALICE}, {"from": "info@example.test", "to": BOB}]
    assert server.cli_json("account", "show", BOB)["aliases"] == ["info@example.test"]
    server.cli("alias", "remove", "info@example.test", BOB)
    assert len(server.cli_json("alias", "list")) == 1


@pytest.mark.parametrize("words", [
    ("account", "add", "nobody"), ("account", "add", "x@"), ("account", "show", "ghost@example.test"), ("domain", "add", "-bad-"),
    ("domain", "add", "example.test"), ("domain", "remove", "example.test"), ("queue", "show", "x"), ("queue", "show", "99"), ("fly",),
    ("account", "list", "--fly"), ("alias", "add", "a@example.test")])
def test_errors_are_one_line(server, words):
    done = server.cli(*words, stdin="password\n", ok=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("tassis: ") and done.stderr.count("\n") == 1


def test_check(server):
    done = server.cli("check", "--json", ok=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers" in done.stdout
    send(server, "to be checked")
    done = server.cli("check", "--accounts")
    assert f"ok       account      {BOB}" in done.stdout


def test_queue_is_listed(make_server):
    server = make_server()
    assert server.cli_json("queue", "list") == []
    server.cli("queue", "retry", "all")
