"""Every work of the load generator, for correctness and never for time: against an honest server it succeeds and says what it did; against the same
server behind a proxy that tells one lie (liar.py) it ends with exit code 1. A work that a liar can please would let a server cheat."""
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import tassis  # noqa: E402
from liar import Lie, Liar  # noqa: E402

BENCH = pathlib.Path(tassis.BINARY).resolve().parent / "bench" / "tassis-bench"
ACCOUNTS = 4
BIG = 40  # messages of the mailbox Big


def run(*words, stdin="", background=False):
    command = [str(BENCH), *map(str, words)]
    if background:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def succeed(*words, **options):
    done = run(*words, **options)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return check_result(done.stdout, words[0])


def check_result(text, work):
    lines = text.splitlines()
    assert len(lines) == 1, text
    result = json.loads(lines[0])
    assert result["work"] == work
    for field in ("count", "seconds", "rate", "bytes", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"):
        assert field in result
    assert result["p50_ms"] <= result["p90_ms"] <= result["p99_ms"] <= result["p999_ms"] <= result["max_ms"]
    return result


@pytest.fixture(scope="module")
def server():
    s = tassis.temporary_server(auth="plaintext = loopback", limits="sessions_per_address = 1000\nsessions_per_account = 1000")
    s.stop()
    s.ports["lmtp"] = tassis.free_ports(1)[0]
    s.conf.write_text(s.conf.read_text().replace("[auth]", f"lmtp = 127.0.0.1:{s.ports['lmtp']}\n\n[auth]", 1))
    s.start()
    for i in range(ACCOUNTS):
        s.add_account(f"user{i}@example.test", "secret")
    succeed("fill", "--port", s.ports["imap"], "--accounts", ACCOUNTS, "--connections", 2, "--messages", BIG, "--mailbox", "Big", "--size", 7000)
    succeed("fill", "--port", s.ports["imap"], "--accounts", ACCOUNTS, "--messages", 30, "--mailbox", "INBOX", "--size", 2000)
    yield s
    s.stop()
    shutil.rmtree(s.dir)


ON_BIG = ("--mailbox", "Big", "--messages", BIG, "--accounts", ACCOUNTS, "--connections", 2)

# work, service, further words, what the result must say
HONEST = [
    ("smtp", "smtp", ("--accounts", ACCOUNTS, "--connections", 5, "--count", 60), {"count": 60}),
    ("smtp", "smtp", ("--to", "user1", "--connections", 2, "--count", 30, "--per-connection", 7, "--size", 1024), {"count": 30, "bytes": 30 * 1024}),
    ("smtp", "smtp", ("--accounts", 1, "--count", 2, "--size", 3_000_000), {"count": 2}),
    ("lmtp", "lmtp", ("--accounts", ACCOUNTS, "--connections", 3, "--count", 30), {"count": 30}),
    ("submission", "submissions", ("--tls", "--accounts", ACCOUNTS, "--connections", 3, "--count", 12), {"count": 12}),
    ("submission", "submission", ("--starttls", "--accounts", ACCOUNTS, "--count", 4, "--resume"), {"count": 4}),
    ("submission", "submission", ("--per-connection", 3, "--accounts", ACCOUNTS, "--connections", 2, "--count", 11), {"count": 11}),
    ("verify", "imap", ("--mailbox", "Big", "--accounts", ACCOUNTS, "--expect", BIG * ACCOUNTS, "--sample", 7), {"sampled": 7 * ACCOUNTS}),
    ("login", "imaps", ("--tls", "--accounts", ACCOUNTS, "--connections", 3, "--count", 12), {"count": 12}),
    ("login", "imap", ("--starttls", "--count", 4), {"count": 4}),
    ("pop3", "pop3", ("--accounts", ACCOUNTS, "--connections", 2, "--repeat", 2), {"sessions": 4}),
    ("pop3", "pop3s", ("--tls",), {"sessions": 1}),
    ("mixed", "imap", ("--accounts", ACCOUNTS, "--connections", ACCOUNTS, "--count", 400), {"count": 400}),
    ("mixed", "imaps", ("--tls", "--accounts", 2, "--connections", 6, "--count", 300), {"count": 300}),
    ("fetch", "imap", ("--what", "flags", "--repeat", 2, *ON_BIG), {"count": 4, "messages": 4 * BIG}),
    ("fetch", "imap", ("--what", "envelope", *ON_BIG), {"count": 2}),
    ("fetch", "imap", ("--what", "bodystructure", *ON_BIG), {"count": 2}),
    ("fetch", "imaps", ("--what", "body", "--tls", *ON_BIG), {"bytes": 2 * 7000 * BIG}),
    ("select", "imap", ("--repeat", 5, *ON_BIG), {"count": 10}),
    ("resync", "imap", ("--mailbox", "Big", "--repeat", 3, "--changes", 5), {"count": 3, "method": "flags"}),
    ("resync", "imap", ("--mailbox", "Big", "--repeat", 3, "--changes", 5, "--qresync"), {"count": 3, "method": "qresync"}),
    ("search", "imap", ("--keys", 'SUBJECT "walrus"', "--repeat", 2, *ON_BIG), {"count": 4, "found": 5}),
    ("append", "imap", ("--accounts", ACCOUNTS, "--connections", 3, "--count", 30, "--pipeline", 4), {"count": 30}),
    ("store", "imap", ("--repeat", 3, *ON_BIG), {"count": 6}),
    ("copy", "imap", ("--repeat", 3, *ON_BIG), {"count": 6}),
    ("move", "imap", ("--repeat", 2, *ON_BIG), {"count": 8}),
    ("notify", "imap", ("--watchers", 20, "--accounts", 2, "--count", 6), {"count": 60}),
]


@pytest.mark.parametrize("work, service, words, expected", HONEST, ids=lambda v: v if isinstance(v, str) else None)
def test_an_honest_server_is_measured(server, work, service, words, expected):
    result = succeed(work, "--port", server.ports[service], *words)
    assert {k: result.get(k) for k in expected} == expected


def test_notify_by_smtp_and_lmtp(server):
    for words in (("--smtp-port", server.ports["smtp"]), ("--smtp-port", server.ports["lmtp"], "--lmtp")):
        assert succeed("notify", "--port", server.ports["imap"], "--watchers", 9, "--count", 4, *words)["count"] == 36


def test_idle_waits_for_a_line(server):
    p = run("idle", "--port", server.ports["imaps"], "--tls", "--sessions", 50, "--accounts", ACCOUNTS, background=True)
    assert any(line.strip() == "open" for line in p.stderr)
    out, _ = p.communicate("\n", timeout=30)
    assert p.returncode == 0 and check_result(out, "idle")["sessions"] == 50


def test_the_limits_of_the_machine(tmp_path):
    succeed("limit-flush", "--connections", 3, "--files", 2, "--count", 30, "--dir", tmp_path)
    succeed("limit-flush", "--count", 20, "--dir", tmp_path, "--wrap", 50000)
    for words in ((), ("--tls",), ("--tls", "--per-connection", 1)):
        succeed("limit-loopback", "--connections", 3, "--count", 30, *words)


def start_sink(*words):
    port = tassis.free_ports(1)[0]
    p = run("sink", "--listen", port, *words, background=True)
    assert any("listening" in line for line in p.stderr)
    return p, port


def test_the_sink_counts_what_comes():
    p, port = start_sink("--count", 50, "--seconds", 20)
    succeed("smtp", "--port", port, "--connections", 4, "--count", 50)
    out, _ = p.communicate(timeout=30)
    assert p.returncode == 0 and check_result(out, "sink")["count"] == 50


# ---- lies

FETCHED = rb"^\* \d+ FETCH .*\r\n"
LIES = [  # work, service, further words, the lie, from which match on
    ("smtp", "smtp", (), rb"^354 .*\r\n", b"250 ok\r\n", 1),
    ("smtp", "smtp", (), rb"^250 2\.1\.5.*\r\n", b"550 5.1.1 nobody\r\n", 3),
    ("smtp", "smtp", (), rb"^250 2\.[06]\.0.*\r\n", b"451 4.3.0 later\r\n", 2),
    ("smtp", "smtp", (), rb"^250 2\.[06]\.0.*\r\n", b"", 5),
    ("smtp", "smtp", (), rb"^221 ", b"250 ", 1),
    ("smtp", "smtp", (), rb"\r\n", b"\n", 4),
    ("lmtp", "lmtp", (), rb"^250 2\.[06]\.0.*\r\n", b"552 5.2.2 full\r\n", 2),
    ("submission", "submission", ("--starttls",), rb"^220 (?!mx).*\r\n", b"454 4.7.0 no TLS\r\n", 1),
    ("submission", "submission", (), rb"AUTH .*\r\n", b"HELP\r\n", 1),
    ("submission", "submission", (), rb"^235 .*\r\n", b"535 5.7.8 no\r\n", 2),
    ("verify", "imap", ("--mailbox", "Big", "--expect", BIG), rb"^\* (\d+) EXISTS", b"* 39 EXISTS", 1),
    ("verify", "imap", ("--mailbox", "Big", "--expect", BIG), rb"this line begins", b"that line begins", 3),
    ("verify", "imap", ("--mailbox", "Big", "--expect", BIG), rb"RFC822.SIZE 7000", b"RFC822.SIZE 7001", 2),
    ("verify", "imap", ("--mailbox", "Big", "--expect", BIG), FETCHED, b"* 0 FETCH (FLAGS ())\r\n", 2),
    ("login", "imap", (), rb"^b1 OK", b"b1 NO", 3),
    ("login", "imap", (), rb"^\* BYE.*\r\n", b"", 2),
    ("login", "imap", ("--starttls",), rb"^b1 OK", b"b1 BAD", 1),
    ("idle", "imap", ("--sessions", 10), rb"^\+ .*\r\n", b"", 5),
    ("fill", "imap", ("--mailbox", "Fill1", "--messages", 10), rb"MESSAGES 10", b"MESSAGES 9", 1),
    ("fill", "imap", ("--mailbox", "Fill2", "--messages", 10), rb"OK \[APPENDUID [^]]*\]", b"OK", 1),
    ("append", "imap", ("--count", 20), rb"MESSAGES (\d+)", b"MESSAGES 20", 2),
    ("append", "imap", ("--count", 20), rb"^b(\d+) OK \[APPENDUID", rb"b\1 NO [OVERQUOTA", 7),
    ("pop3", "pop3", (), rb"this line begins", b"that line begins", 3),
    ("pop3", "pop3", (), rb"^\.\.this", b".this", 2),
    ("pop3", "pop3", (), rb"^\+OK (\d+) \d+\r\n", rb"+OK \1 12345\r\n", 1),
    ("pop3", "pop3", (), rb"^2 (\S+)\r\n", b"", 1),
    ("pop3", "pop3", (), rb"^-ERR|^\+OK .*octets.*\r\n", b"-ERR no such message\r\n", 4),
    ("select", "imap", ON_BIG, rb"^\* 40 EXISTS", b"* 41 EXISTS", 3),
    ("select", "imap", ON_BIG, rb"^\* 40 EXISTS\r\n", b"", 3),
    ("fetch", "imap", ("--what", "flags", *ON_BIG), rb"^\* 17 FETCH .*\r\n", b"", 1),
    ("fetch", "imap", ("--what", "flags", *ON_BIG), rb"^\* 40 FETCH .*\r\n", b"", 1),
    ("fetch", "imap", ("--what", "flags", *ON_BIG), rb"^(\* 9 FETCH .*\r\n)", rb"\1\1", 1),
    ("fetch", "imap", ("--what", "flags", *ON_BIG), rb"^(\* 9 FETCH).*\r\n", rb"\1 (UID 2 FLAGS ())\r\n", 1),
    ("fetch", "imap", ("--what", "flags", *ON_BIG), rb"FLAGS \(", b"FLOGS (", 5),
    ("fetch", "imap", ("--what", "envelope", *ON_BIG), rb'"<[^"]*@elsewhere.test>"', b"NIL", 7),
    ("fetch", "imap", ("--what", "envelope", *ON_BIG), rb"meeting", b"heating", 2),
    ("fetch", "imap", ("--what", "bodystructure", *ON_BIG), rb'(?i)"base64"', b'"7bit"', 7),
    ("fetch", "imap", ("--what", "body", *ON_BIG), rb"this line begins", b"that line begins", 30),
    ("fetch", "imap", ("--what", "body", *ON_BIG), rb"X-Bench: ", b"X-Other: ", 30),
    ("search", "imap", ("--keys", "ALL", "--expect", BIG, *ON_BIG), rb"^\* SEARCH \d+ ", b"* SEARCH ", 1),
    ("search", "imap", ("--keys", "ALL", "--repeat", 2, *ON_BIG), rb"^\* SEARCH \d+ ", b"* SEARCH ", 2),
    ("search", "imap", ("--keys", "ALL", "--expect", BIG, *ON_BIG), rb"^\* SEARCH (\d+) (\d+) ", rb"* SEARCH \2 \1 ", 1),
    ("search", "imap", ("--keys", "ALL", *ON_BIG), rb"^\* SEARCH.*\r\n", b"", 1),
    ("store", "imap", ("--repeat", 2, *ON_BIG), rb"\\Flagged", b"\\\\Seen", 20),
    ("store", "imap", ("--repeat", 2, *ON_BIG), FETCHED, b"", 50),
    ("copy", "imap", ("--target", "Copies", *ON_BIG), rb"MESSAGES 40", b"MESSAGES 39", 1),
    ("copy", "imap", ("--target", "Copies2", *ON_BIG), rb"OK \[COPYUID", b"NO [COPYUID", 1),
    ("move", "imap", ("--target", "Moved", "--mailbox", "Moving", "--accounts", 1, "--connections", 1), rb"^\* \d+ EXPUNGE\r\n", b"", 5),
    ("mixed", "imap", ("--count", 400), rb"this line begins", b"that line begins", 5),
    ("mixed", "imap", ("--count", 400), FETCHED, b"", 40),
    ("mixed", "imap", ("--count", 400), rb"^\* SEARCH.*\r\n", b"", 2),
    ("notify", "imap", ("--watchers", 10, "--count", 3), rb"^\* \d+ EXISTS\r\n", b"", 15),
    ("notify", "imap", ("--watchers", 10, "--count", 3), rb"^(\* \d+ EXISTS\r\n)", rb"\1\1", 15),
    ("resync", "imap", ("--mailbox", "Big", "--qresync"), rb"^\* 1 FETCH .*Flagged.*\r\n", b"", 1),
    ("resync", "imap", ("--mailbox", "Big", "--changes", 5), FETCHED, b"", 11),
]


@pytest.mark.parametrize("work, service, words, pattern, replacement, nth", LIES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_liar_is_found_out(server, work, service, words, pattern, replacement, nth):
    if work == "move":
        succeed("fill", "--port", server.ports["imap"], "--messages", 20, "--mailbox", "Moving", "--size", 1500)
    if work in ("smtp", "lmtp", "submission", "login"):
        words = ("--count", 10, *words)
    lie = Lie(pattern, replacement, nth)
    liar = Liar(server.ports[service], lie)
    done = run(work, "--port", liar.port, "--timeout", 1, *words, stdin="\n")
    liar.close()
    assert lie.told, f"the lie was never told: {lie.matches} matches; {done.stderr}"
    assert done.returncode == 1 and done.stdout == "", done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("tassis-bench: ")


def test_mail_that_was_acknowledged_and_lost_is_missed(server):
    for number in range(2):
        server.add_account(f"lost{number}@example.test", "secret")
    words = ("--user", "lost%u@example.test", "--accounts", 2)
    succeed("smtp", "--port", server.ports["smtp"], "--count", 20, *words)
    succeed("verify", "--port", server.ports["imap"], "--expect", 20, *words)
    imap = tassis.Account(server, "lost1@example.test", "secret").imap("INBOX")
    imap.ok("STORE 3 +FLAGS (\\Deleted)")
    imap.ok("EXPUNGE")
    done = run("verify", "--port", server.ports["imap"], "--expect", 20, *words)
    assert done.returncode == 1 and "19 messages were found, not 20" in done.stderr


def test_mail_that_is_there_twice_is_found(server):
    server.add_account("twice0@example.test", "secret")
    succeed("smtp", "--port", server.ports["smtp"], "--count", 5, "--user", "twice%u@example.test")
    tassis.Account(server, "twice0@example.test", "secret").imap("INBOX").ok("COPY 2 INBOX")
    done = run("verify", "--port", server.ports["imap"], "--user", "twice%u@example.test")
    assert done.returncode == 1 and "is there twice" in done.stderr


def test_the_sink_wants_whole_messages_and_all_of_them():
    p, port = start_sink("--count", 5, "--seconds", 1)
    succeed("smtp", "--port", port, "--count", 4)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 1 and out == "" and "4 messages came of 5" in err
    p, port = start_sink("--count", 5, "--seconds", 10)
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nSubject: x\r\n\r\nnot ours\r\n.\r\n")
        out, err = p.communicate(timeout=30)
    assert p.returncode == 1 and out == "" and "not whole" in err


def test_a_server_that_closes_or_is_silent_is_no_result():
    for answer in (b"", b"220 mx.example.test\r\n", None):
        listener = socket.create_server(("127.0.0.1", 0))
        held = []

        def serve():
            s = listener.accept()[0]
            held.append(s)
            if answer is not None:
                s.sendall(answer)
                s.close()

        threading.Thread(target=serve, daemon=True).start()
        done = run("smtp", "--port", listener.getsockname()[1], "--count", 1, "--timeout", 1)
        listener.close()
        assert done.returncode == 1 and done.stdout == ""


def test_wrong_usage_is_an_error():
    for words in ((), ("nothing",), ("smtp", "--count"), ("smtp", "--nothing", "1"), ("smtp", "--count", "x"), ("smtp", "--port", "70000"),
                  ("smtp", "--connections", "0"), ("fetch", "--what", "nothing"), ("fill",), ("search",)):
        done = run(*words)
        assert done.returncode == 1 and done.stdout == "" and done.stderr, words
