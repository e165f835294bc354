"""Connections by a proxy (PROXY protocol 1 and 2) and XCLIENT: the client that they tell of is the one that counts and is logged."""
import re
import socket
import struct
import time

import pytest

import tassis
from tassis import Imap, Smtp, text_message, tls_context

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address, port=40000):
    family = 6 if ":" in address else 4
    return f"PROXY TCP{family} {address} {'::1' if family == 6 else '127.0.0.1'} {port} 25\r\n".encode()


def v2(address, port=40000, extra=b""):
    if ":" in address:
        body = socket.inet_pton(socket.AF_INET6, address) + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", port, 25)
        return V2 + b"\x21\x21" + struct.pack(">H", len(body + extra)) + body + extra
    body = socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, 25)
    return V2 + b"\x21\x11" + struct.pack(">H", len(body + extra)) + body + extra


@pytest.fixture(scope="module")
def proxied():
    s = tassis.temporary_server(auth="plaintext = loopback", limits="sessions_per_address = 3",
                                config="[proxy]\nprotocol = 127.0.0.1 [::1]/128")
    yield s
    s.stop()


def clients(server, after):
    return re.findall(r"protocol=smtp client=(\S+)", server.log()[after:])


@pytest.mark.parametrize("header", [v1("192.0.2.1"), v2("192.0.2.1"), v2("192.0.2.1", extra=b"\x04\0\x03abc")])
def test_the_client_is_who_the_proxy_says(proxied, header):
    after = len(proxied.log())
    sock = proxied.connect("smtp")
    sock.sendall(header)
    session = Smtp(sock)
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect(250, "RCPT TO:<alice@example.test>")
    session.message(text_message("by proxy"))
    session.close()
    assert set(clients(proxied, after)) == {"192.0.2.1"}
    assert b"([192.0.2.1])" in proxied_message(proxied)


def proxied_message(server):
    """alice's last message. Who logs in by a proxy does so over TLS: the client is not of this machine."""
    sock = server.connect("imaps")
    sock.sendall(v1("192.0.2.77"))
    session = Imap(tls_context().wrap_socket(sock, server_hostname="mx.example.test"))
    session.ok("LOGIN %s %s", b"alice@example.test", tassis.PASSWORDS["alice@example.test"].encode())
    count = session.ok("EXAMINE INBOX").one(rb"\* (\d+) EXISTS")[1].decode()
    body = session.body(count)
    session.ok("LOGOUT")
    session.close()
    return body


@pytest.mark.parametrize("step", [1, 5, 20])
def test_a_header_may_come_in_pieces_and_with_what_follows(proxied, step):
    whole = v2("2001:db8::7") + b"EHLO client.example.test\r\n"
    sock = proxied.connect("smtp")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for n in range(0, len(whole), step):
        sock.sendall(whole[n:n + step])
        time.sleep(0.002)
    talk = tassis.Talk(sock)
    assert talk.reply()[0].startswith("220") and talk.reply()[-1].startswith("250")
    talk.close()


def test_plaintext_by_proxy_is_not_of_this_machine(proxied):
    for header, may in ((v1("192.0.2.1"), False), (v1("127.0.0.1"), True), (V2 + b"\x20\0\0\0", True)):
        sock = proxied.connect("imap")
        sock.sendall(header)
        session = Imap(sock)
        assert (b"LOGINDISABLED" in session.ok("CAPABILITY").untagged[0]) == (not may)
        session.close()


@pytest.mark.parametrize("start", [b"EHLO client.example.test\r\n", b"\x16\x03\x01\x02\0", b"PROXY TCP4 192.0.2.1\r\n", V2 + b"\x21\x11\xff\xff"])
def test_who_must_send_a_header_and_does_not_is_let_go(proxied, start):
    after = len(proxied.log())
    sock = proxied.connect("smtp")
    sock.sendall(start)
    assert tassis.Talk(sock).eof()
    proxied.wait_log("proxy-refused", after=after)


def test_sessions_are_counted_by_client(proxied):
    def enter(address):
        sock = proxied.connect("smtp")
        sock.sendall(v1(address))
        return sock

    first = [Smtp(enter("192.0.2.50")) for _ in range(3)]
    assert tassis.Talk(enter("192.0.2.50")).eof()  # the fourth of that client
    other = Smtp(enter("192.0.2.51"))
    for session in [*first, other]:
        session.close()
    tassis.wait_until(lambda: try_one(enter), what="a place to be free again")


def try_one(enter):
    talk = tassis.Talk(enter("192.0.2.50"))
    try:
        return talk.reply()[0].startswith("220")
    except EOFError:
        return False
    finally:
        talk.close()


def test_without_the_config_a_header_is_no_command(server):
    talk = server.talk("smtp")
    talk.reply()
    assert talk.command("PROXY TCP4 192.0.2.1 192.0.2.2 1 2")[0].startswith("500")
    talk.close()


# ---- XCLIENT

@pytest.fixture(scope="module")
def filtered():
    s = tassis.temporary_server(auth="plaintext = loopback", config="[proxy]\nxclient = 127.0.0.0/8")
    yield s
    s.stop()


def test_xclient(filtered):
    box = filtered.new_account()
    session = filtered.smtp()
    assert any(c.startswith("XCLIENT NAME ADDR") for c in session.capabilities)
    after = len(filtered.log())
    assert session.command("XCLIENT NAME=client.elsewhere.test ADDR=IPV6:2001:db8::9 PORT=4711 HELO=+5Bx+5D")[0].startswith("220")
    session.expect(503, "MAIL FROM:<sender@elsewhere.test>")  # it begins anew
    session.expect(250, "EHLO client.elsewhere.test")
    session.expect(250, "MAIL FROM:<sender@elsewhere.test>")
    session.expect(503, "XCLIENT ADDR=192.0.2.1")
    session.expect(250, f"RCPT TO:<{box.address}>")
    session.message(text_message("for another"))
    assert b"([IPv6:2001:db8::9])" in box.messages()[0]
    assert "client=2001:db8::9" in filtered.log()[after:]
    assert session.command("XCLIENT ADDR=192.0.2.8 PORT=[UNAVAILABLE]")[0].startswith("220")
    for bad in ("XCLIENT", "XCLIENT ADDR", "XCLIENT ADDR=example.test", "XCLIENT LOGIN=alice", "XCLIENT PORT=70000", "XCLIENT ADDR=+0", "XCLIENT ADDR=",
                "XCLIENT NAME=+0D+0A"):
        session.expect(501, bad)
    session.close()


def test_xclient_is_for_trusted_addresses_only(server):
    session = server.smtp()
    assert not any(c.startswith("XCLIENT") for c in session.capabilities)
    session.expect(550, "XCLIENT ADDR=192.0.2.1")
    session.close()
