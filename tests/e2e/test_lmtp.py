"""[listen] lmtp: local programs deliver without login, by TCP and by a Unix socket; one reply for each recipient (RFC 2033)."""
import socket

import tassis


def deliver(sock, number):
    talk = tassis.Talk(sock)
    assert talk.line().startswith("220 mx.example.test LMTP")
    assert talk.command("EHLO client.example.test")[-1].startswith("500")  # RFC 2033 section 4.1
    assert "250-PIPELINING" in [line.split(" ")[0] for line in talk.command("LHLO client.example.test")]
    talk.send("MAIL FROM:<sender@elsewhere.test>\r\nRCPT TO:<alice+x@example.test>\r\nRCPT TO:<nobody.there@example.test>\r\n"
              "RCPT TO:<bob@example.test>\r\nDATA\r\n")
    assert [talk.line()[:3] for _ in range(5)] == ["250", "250", "550", "250", "354"]
    talk.send(f"Subject: by lmtp {number}\r\n\r\nhello\r\n.\r\nQUIT\r\n")
    assert [talk.line()[:3] for _ in range(3)] == ["250", "250", "221"]
    talk.close()


def test_lmtp_by_tcp_and_by_path(make_server):
    port = tassis.free_ports(1)[0]
    server = make_server(auth="plaintext = loopback")
    server.stop()
    path = server.dir / "lmtp.sock"
    text = server.conf.read_text()
    server.conf.write_text(text.replace("[auth]", f"lmtp = 127.0.0.1:{port} {path}\n\n[auth]", 1))
    server.start()
    alice, bob = server.account("alice@example.test"), server.account("bob@example.test")
    deliver(socket.create_connection(("127.0.0.1", port), timeout=20), 0)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(20)
    local.connect(str(path))
    deliver(local, 1)
    stored = alice.messages()
    assert len(stored) == len(bob.messages()) == 2
    for message in stored:
        assert message.startswith(b"Return-Path: <sender@elsewhere.test>\r\nDelivered-To: alice@example.test\r\nReceived: from client.example.test")
        assert b"with LMTP" in message
