"""A full disk under the queue: new mail is refused for now, what was accepted is kept and delivered once, and all goes on by itself when there
is room again."""
import os
import shutil
import subprocess

import pytest

import tassis
from test_relay import message, queue, submit
from world import wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
RECORDS = ["one MX 10 mx.one", "mx.one A 127.0.0.140"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")


@pytest.fixture
def small_disk(world):
    """A server whose queue stands on a disk of 2 MB."""
    server = tassis.temporary_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 1s"))
    server.stop()
    folder = server.data / "queue"
    owner = folder.stat()
    aside = server.dir / "aside"
    shutil.move(folder, aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2m,mode=700,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", str(folder)], check=True)
    for file in aside.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
            os.chown(folder / file.name, owner.st_uid, owner.st_gid)
    server.filler = folder / "filler"
    server.start()
    yield server
    server.stop()
    subprocess.run(["umount", str(folder)], check=True)
    shutil.rmtree(server.dir)


def fill(server):
    with open(server.filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass


def test_full_disk(world, small_disk):
    server = small_disk
    submit(server, "a@one.test", message("before"))  # its host is not there yet
    server.wait_log("deferred .*to=a@one.test")
    fill(server)
    session = server.submission(server.account(ALICE))
    session.expect(250, f"MAIL FROM:<{ALICE}>")
    session.expect(250, "RCPT TO:<b@one.test>")
    session.expect(354, "DATA")
    session.send(message("too much", "x" * 70 + "\r\n" + ("y" * 76 + "\r\n") * 10000).encode().replace(b"\r\n.", b"\r\n..") + b".\r\n")
    assert session.reply()[-1][:3] in ("451", "452")
    submit(server, BOB, message("to a mailbox"))  # which stands on another disk
    wait_for(lambda: server.account(BOB).messages())
    peer = world.peer("127.0.0.140")
    wait_for(lambda: peer.messages)
    server.wait_log("queue-failed queue=")  # that it was sent cannot be written: it stays in the hand of who sent it
    os.unlink(server.filler)
    wait_for(lambda: queue(server) == [])
    submit(server, "c@one.test", message("after"))
    wait_for(lambda: any(b"Subject: after" in body for _, _, body, _ in peer.messages))
    assert len(peer.messages) == 2, "what was before the disk was full came twice"
    peer.stop()
