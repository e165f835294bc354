"""COMPRESS=DEFLATE (RFC 4978): the whole server behind it, its limits, and its end by UNAUTHENTICATE (RFC 8437)."""
import base64
import threading
import zlib

import pytest

import tassis

MESSAGE = b"From: <sender@elsewhere.test>\r\nSubject: large\r\n\r\n" + b"".join(b"line %d of a letter\r\n" % n for n in range(60000))


class Packed:
    """A socket whose bytes are compressed both ways."""

    def __init__(self, sock):
        self.sock = sock
        self.packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.unpacker = zlib.decompressobj(-15)
        self.came = 0

    def sendall(self, data):
        self.sock.sendall(self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while True:
            data = self.unpacker.decompress(self.unpacker.unconsumed_tail, size) if self.unpacker.unconsumed_tail else b""
            if data:
                return data
            raw = self.sock.recv(size)
            if not raw:
                return b""
            self.came += len(raw)
            data = self.unpacker.decompress(raw, size)
            if data:
                return data

    def gettimeout(self):
        return self.sock.gettimeout()

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close(self):
        self.sock.close()


def plain(box):
    return base64.b64encode(f"\0{box.address}\0{box.password}".encode()).decode()


def open_packed(server, box, service="imaps"):
    sock = server.connect(service)
    if service == "imaps":
        sock = tassis.tls_context().wrap_socket(sock, server_hostname="mx.example.test")
    im = tassis.Imap(sock)
    im.ok(f"AUTHENTICATE PLAIN {plain(box)}")
    im.ok("COMPRESS DEFLATE")
    im.sock = Packed(sock)
    return im


@pytest.mark.parametrize("service", ["imap", "imaps"])
def test_everything(server, box, service):
    im = open_packed(server, box, service)
    im.bad("COMPRESS DEFLATE")
    im.append(MESSAGE)
    im.append(b"Subject: small\r\n\r\nsmall\r\n")
    im.ok("SELECT INBOX")
    before = im.sock.came
    assert im.body(1).endswith(MESSAGE)
    assert im.sock.came - before < len(MESSAGE) / 2
    tag = im.idle()
    assert im.is_silent()
    box.receive(b"Subject: news\r\n\r\nnews\r\n")
    assert im.until("* 3 EXISTS")
    im.done(tag)
    im.ok("LOGOUT")


def test_slow_reader(server, box):
    """Answers that are larger than all buffers wait for the client, in order."""
    im = open_packed(server, box)
    im.append(MESSAGE)
    im.ok("SELECT INBOX")
    im.send("".join(f"f{n} FETCH 1 BODY.PEEK[]\r\n" for n in range(6)) + "e NOOP\r\n")
    pause = threading.Event()
    total = b""
    while not total.endswith(b"e OK NOOP completed\r\n"):
        pause.wait(0.001)
        total += im.sock.recv(65536)
    assert total.count(b"line 59999 of a letter\r\n") == 6


def test_bomb(server, box):
    """A command's limit is of what it is, not of how it came; other sessions go on."""
    im = open_packed(server, box)
    im.sock.sendall(b"a NOOP " + b"x" * 50_000_000)
    assert im.line() == "* BYE [TOOBIG] Command too long"
    im = open_packed(server, box)
    im.send("a APPEND INBOX {200000000}\r\n")
    assert im.line().startswith("a NO [TOOBIG]")
    im.ok("NOOP")


def test_no_deflate(server, box):
    im = open_packed(server, box)
    im.sock.sock.sendall(b"a NOOP\r\n" * 10)
    assert im.eof()


def test_nothing_follows(server, box):
    """What is sent with COMPRESS could be meant in both ways."""
    im = box.imap()
    im.send("a COMPRESS DEFLATE\r\nb NOOP\r\n")
    assert im.until("a ")[-1].startswith("a BAD ")
    assert im.until("b ")[-1].startswith("b OK ")


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
def test_unauthenticate(server, box, flush):
    """RFC 8437 §4.1: each side's compression ends behind the command and its answer; a login may be there already."""
    im = open_packed(server, box)
    other = server.new_account()
    packed = im.sock
    packed.sock.sendall(packed.packer.compress(b"u UNAUTHENTICATE\r\n") + packed.packer.flush(flush) +
                        f"l AUTHENTICATE PLAIN {plain(other)}\r\n".encode())
    last = b""
    while not last.endswith(b"\0\0\xff\xff"):  # where the server's flush ends
        last += packed.sock.recv(1)
    assert packed.unpacker.decompress(last) == b"u OK Now in not authenticated state\r\n"
    im.sock = packed.sock
    assert im.until("l ")[-1].startswith("l OK [CAPABILITY ")
    im.ok("SELECT INBOX")
