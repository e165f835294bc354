"""UNAUTHENTICATE (RFC 8437): one connection, one login after the other."""
import base64

import pytest

import tassis


def plain(box, password=None):
    return base64.b64encode(f"\0{box.address}\0{password or box.password}".encode()).decode()


def over_tls(server):
    sock = tassis.tls_context().wrap_socket(server.connect("imaps"), server_hostname="mx.example.test")
    return tassis.Imap(sock)


@pytest.mark.parametrize("service", ["imap", "imaps"])
def test_pipelined(server, service):
    """§3: the next AUTHENTICATE, with what follows it, may come in the same packet."""
    boxes = [server.new_account() for _ in range(2)]
    im = server.imap() if service == "imap" else over_tls(server)
    if service == "imap":
        im.command("STARTTLS")
        im.start_tls()
    im.ok(f"AUTHENTICATE PLAIN {plain(boxes[0])}")
    for turn in range(1, 12):
        box = boxes[turn % 2]
        im.send(f"u UNAUTHENTICATE\r\nl AUTHENTICATE PLAIN {plain(box)}\r\n"
                f"c CREATE box{turn}\r\ns SELECT box{turn}\r\n")
        assert im.until("u ") == ["u OK Now in not authenticated state"]
        assert im.until("l ")[-1].startswith("l OK [CAPABILITY ")
        assert im.until("c ")[-1].startswith("c OK ")
        assert im.until("s ")[-1].startswith("s OK ")
    assert len(im.ok('LIST "" box%').untagged) == 6  # those of its own
    im.close()


def test_sessions_are_counted(make_server):
    """A session that was given back counts for its account no more, at once."""
    server = make_server(limits="sessions_per_account = 1")
    box = server.new_account()
    im = over_tls(server)
    im.ok(f"AUTHENTICATE PLAIN {plain(box)}")
    for _ in range(30):
        im.send(f"u UNAUTHENTICATE\r\nl AUTHENTICATE PLAIN {plain(box)}\r\n")
        assert im.until("l ")[-1].startswith("l OK ")
    im.close()


def test_guessing_is_counted(server):
    """Good logins in between are no way to guess on without end."""
    box = server.new_account()
    im = over_tls(server)
    closed = False
    for _ in range(8):
        im.ok(f"AUTHENTICATE PLAIN {plain(box)}")
        im.ok("UNAUTHENTICATE")
        im.no(f"AUTHENTICATE PLAIN {plain(box, 'wrong')}")
        im.send("n NOOP\r\n")
        if im.line().startswith("* BYE Too many failed logins"):
            closed = True
            break
    assert closed
