"""The order of system calls: the bytes of an acknowledgement leave `mail` only after the flush of what they acknowledge.

A killed process shows nothing of this, since the kernel keeps what was written; so the server runs under strace and its trace is read.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import load
import tassis

CALLS = "fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64"
pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class TracedServer(tassis.Server):
    """The whole server under strace from its first call on, so that no role has to be attached to."""

    def start(self, wait=True):
        self.trace_path = self.dir / "trace"
        self.log_file = open(self.log_path, "ab")
        self.strace = subprocess.Popen(
            ["strace", "-f", "-qq", "-y", "-s", "2000", "-e", "trace=" + CALLS, "-e", "signal=none", "-o", str(self.trace_path),
             tassis.BINARY, "serve", "-c", str(self.conf)],
            stderr=self.log_file, stdin=subprocess.DEVNULL,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # looking for leaks is what strace keeps it from
        self.process = self.strace
        self.wait_log(r" ready( |$)", timeout=60)
        return self

    def stop(self, expect=0):
        if self.process is None:
            return
        children = subprocess.run(["pgrep", "-P", str(self.strace.pid)], capture_output=True, text=True).stdout.split()
        for pid in children:
            os.kill(int(pid), signal.SIGTERM)
        code = self.strace.wait(timeout=60)
        self.log_file.close()
        self.process = None
        assert code == expect, self.log()[-4000:]

    def trace(self):
        """The calls in the order of their ends: (pid, name, arguments). One that was interrupted by another's line is put together."""
        begun, calls = {}, []
        for line in self.trace_path.read_text(errors="replace").splitlines():
            whole = re.match(r"(\d+) +(\w+)\((.*)\) += (-?\d+)", line)
            cut = re.match(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$", line)
            end = re.match(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)", line)
            if cut:
                begun[cut[1]] = cut[3]
            elif end:
                calls.append((int(end[1]), end[2], begun.pop(end[1], "") + end[3], int(end[4])))
            elif whole:
                calls.append((int(whole[1]), whole[2], whole[3], int(whole[4])))
        return calls


@pytest.fixture(scope="module")
def server():
    directory = tempfile.mkdtemp(prefix="tassis-trace-")
    os.chmod(directory, 0o755)
    s = TracedServer(directory, auth="plaintext = loopback")
    s.make_accounts()
    s.start()
    yield s
    s.stop()
    shutil.rmtree(directory)


def position(calls, text, name=("sendto", "sendmsg", "write", "writev"), start=0):
    """Where a call with this text ended well, from `start` on."""
    for i in range(start, len(calls)):
        if calls[i][1] in name and text in calls[i][2] and calls[i][3] >= 0:
            return i
    return None


def flushes(calls, path):
    return [i for i, (_, name, args, result) in enumerate(calls) if name in ("fdatasync", "fsync") and path in args and result == 0]


def writes(calls, path):
    return [i for i, (_, name, args, result) in enumerate(calls) if name == "pwrite64" and path in args and result > 0]


def settled(server, text):
    """The trace, once it holds `text` twice at least: said by `mail`, and passed on."""
    until = time.monotonic() + 20
    while True:
        calls = server.trace()
        if position(calls, text) is not None or time.monotonic() > until:
            return calls
        time.sleep(0.1)


def assert_flushed_before(calls, path, begin, reply):
    """Between two calls what was written to `path` was flushed, all of it."""
    flushed = [i for i in flushes(calls, path) if begin < i < reply]
    written = [i for i in writes(calls, path) if begin < i < reply]
    assert written, f"nothing was written to {path}: the trace does not show what this test looks for"
    assert flushed, f"{path} was not flushed before the answer"
    assert flushed[-1] > written[-1], f"{path} was written to behind its last flush, and then the answer was given"


def test_smtp_delivery_is_flushed_before_250(server):
    client = load.Smtp(server, load.Book(), "durable", "1")
    client.places = lambda: [load.ALICE + "/INBOX"]
    client.deliver("flushed")
    assert [a.result for a in client.book.attempts] == [load.ACKED]
    client.drop()
    calls = settled(server, '"250 2.0.0 Ok, id')
    to_client = position(calls, '"250 2.0.0 Ok, id')  # what the stranger reads, from mx
    begin = position(calls, '"354 ')
    assert_flushed_before(calls, "/alice.db-wal", begin, to_client)
    # `mail`'s own answer to mx, too.
    lmtp = [i for i in range(begin, to_client) if calls[i][1] in ("sendto", "sendmsg", "write", "writev") and '"250 2' in calls[i][2]
            and calls[i][0] != calls[to_client][0]]
    assert lmtp, "the answer of `mail` is not in the trace"
    assert_flushed_before(calls, "/alice.db-wal", begin, lmtp[-1])


def test_append_is_flushed_before_ok(server):
    client = load.Append(server, load.Book(), "durable", "2")
    client.deliver("flushed")
    client.drop()
    calls = settled(server, '"b OK [APPENDUID')
    assert_flushed_before(calls, "/bob.db-wal", position(calls, '"+ Ready'), position(calls, '"b OK [APPENDUID'))


@pytest.mark.parametrize("command", ["COPY 1 Copies", "MOVE 1 Copies", "EXPUNGE"])
def test_copy_move_expunge_are_flushed(server, command):
    address = load.BOB
    client = load.Append(server, load.Book(), "for-" + command[:4], "3")
    client.deliver("one")
    client.drop()
    talk = load.login(server, address)
    tag = "t" + command[:4]
    talk.send("m CREATE Copies\r\ns SELECT INBOX\r\nd STORE 1 +FLAGS (\\Deleted)\r\nready-" + command[:4] + " NOOP\r\n")
    talk.until("ready-" + command[:4])
    talk.send(f"{tag} {command}\r\n")
    answer = talk.until(tag)[-1]
    if answer.startswith(tag + " BAD"):
        pytest.skip(f"{command} is not a command here")
    assert answer.startswith(tag + " OK"), answer
    talk.close()
    calls = settled(server, tag + " OK")
    begin = position(calls, f"ready-{command[:4]} OK")
    assert_flushed_before(calls, "/bob.db-wal", begin, position(calls, tag + " OK", start=begin))


def test_flags_are_not_flushed(server):
    client = load.Append(server, load.Book(), "flags", "4")
    client.deliver("flags")
    client.drop()
    talk = load.login(server, load.BOB)
    talk.send("s SELECT INBOX\r\nbegin NOOP\r\n")
    talk.until("begin OK")
    for i in range(20):
        talk.send(f"f{i} STORE 1 {'+-'[i % 2]}FLAGS (\\Flagged)\r\n")
        assert talk.until(f"f{i} ")[-1].startswith(f"f{i} OK")
    talk.send("end NOOP\r\n")
    talk.until("end OK")
    talk.close()
    calls = settled(server, "end OK")
    begin, end = position(calls, "begin OK"), position(calls, "end OK")
    assert [i for i in writes(calls, "/bob.db-wal") if begin < i < end], "the flags were not written at all"
    assert not [calls[i] for i in flushes(calls, "/bob.db") if begin < i < end], "flag changes wait for the disk"
