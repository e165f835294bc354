"""The works of the table: what is measured, on which data, for which servers, and what is aimed at.

A work's function gets the running server and the tools and returns a dict with "value" and whatever else is worth keeping. It raises BenchError where
an answer was wrong: then there is no figure.
"""
import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from .servers import PORTS, BenchError
from .tools import fill_mailbox, grow_mailbox

TASSIS = "tassis"
# What a program reaches that does nothing else: key -> how the page calls it.
LIMITS = {"flush": "raw flushes", "loopback": "raw loopback", "tls": "raw TLS"}
# Dovecot keeps mail as the group likes it best: deliveries into maildir, reading from mdbox (measured, see docs/performance.md).
DELIVERY = (TASSIS, "postfix-dovecot/maildir")
LOGIN = DELIVERY + ("postfix-cyrus",)  # Debian's OpenSMTPD can't speak TLS (bench/peers/opensmtpd-dovecot/smtpd.conf), and has logins over TLS only
DELIVERY_ALL = LOGIN + ("opensmtpd-dovecot/maildir",)
READING = (TASSIS, "postfix-dovecot/mdbox", "postfix-cyrus")
MEMORY = (TASSIS, "postfix-dovecot/mdbox+hibernate", "postfix-dovecot/mdbox", "postfix-cyrus")

# The mailboxes of the data "reading": number of the account -> messages.
SMALL, MAIL, LARGE, HUGE = 1000, 1001, 1002, 1003
MAILBOXES = {SMALL: 1000, MAIL: 10_000, LARGE: 100_000}
MIXED_ACCOUNTS, MIXED_MESSAGES = 1000, 40


@dataclass
class Work:
    key: str
    title: str
    data: str                       # "fresh N": N empty accounts; "reading": filled mailboxes, kept between the rounds
    servers: tuple
    run: Callable
    unit: str = "/s"
    more_is_better: bool = True
    goal: Optional[float] = None    # times the better of the peers
    goal_text: str = ""             # where the goal is something else
    limits: dict = field(default_factory=dict)  # key of LIMITS -> function(tools, folder, Tassis's row or None), in the work's unit
    needs: tuple = ()               # works of tassis-bench
    rounds: int = 99                # at most


def user(number):
    return f"user{number}@example.test"


def absent(work, peer):
    """Why a peer that took part has no figure here: it never could."""
    if peer in {server.partition("/")[0] for server in work.servers}:
        return ""
    return "no TLS" if work.data.startswith("fresh") and work.key != "idle" else "as Dovecot"


# ---- delivery

def inbound(connections=20, size=10240, accounts=64, seconds=3):
    def run(server, tools):
        answer = tools.bench("smtp", "smtp", connections=connections, size=size, accounts=accounts, seconds=tools.seconds(seconds))
        begin = time.monotonic()
        server.wait_until_drained(300)
        drained = time.monotonic() - begin
        tools.bench("verify", "imaps", accounts=min(accounts, answer["count"]), expect=answer["count"])
        return {"value": answer["count"] / (answer["seconds"] + drained), "accepted": answer["rate"], "p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"],
                "drain_seconds": drained, "count": answer["count"]}
    return run


def submission(server, tools):
    answer = tools.bench("submission", "submissions", connections=20, accounts=64, size=10240, seconds=tools.seconds(3))
    begin = time.monotonic()
    server.wait_until_drained(300)
    drained = time.monotonic() - begin
    tools.bench("verify", "imaps", accounts=64, expect=answer["count"])
    return {"value": answer["count"] / (answer["seconds"] + drained), "accepted": answer["rate"], "p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"]}


def outbound(connections=20, size=10240, per_connection=1, count=2000):
    """Submitted for another domain, handed over to a sink that takes everything; between the first and the last message there."""
    def run(server, tools):
        messages = min(count, 300) if tools.is_quick else count
        sink = subprocess.Popen([tools.program, "sink", "--listen", "2600", "--count", str(messages), "--seconds", "60"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        try:
            time.sleep(0.2)
            tools.bench("submission", "submissions", connections=connections, accounts=64, size=size, count=messages, per_connection=per_connection,
                        rcpt="user%u@elsewhere.test")
            answer, why = sink.communicate(timeout=120)
        finally:
            sink.kill()
            sink.wait()
        if sink.returncode != 0:
            raise BenchError(f"sink: {why.strip()}")
        return {"value": json.loads(answer)["rate"]}
    return run


# ---- the machine's limits

def flushes(connections, size, files):
    """Writes the same bytes and flushes them, with as many threads as there are connections, into as many files as there are accounts."""
    return lambda tools, folder, ours: tools.bench("limit-flush", connections=connections, size=size, files=files, dir=folder, seconds=tools.seconds(2))["rate"]


def exchanges(connections, size, **options):
    """A client sends as many bytes, a trivial server answers with a line."""
    return lambda tools, folder, ours: tools.bench("limit-loopback", connections=connections, size=size, seconds=tools.seconds(1), **options)["rate"]


def for_delivery(connections=20, size=10240, accounts=64):
    return {"flush": flushes(connections, size, accounts), "loopback": exchanges(connections, size)}


def for_login(connections, size, **more):
    """A TLS connection and a handshake for each."""
    return {"tls": exchanges(connections, size, tls=True, per_connection=1), **more}


def carried(is_tls):
    """One connection carries as many bytes as the work's answers had: milliseconds for a command, or messages a second."""
    def run(tools, folder, ours):
        if not ours or not ours.get("bytes"):
            return None
        rate = tools.bench("limit-loopback", connections=1, size=1 << 20, seconds=tools.seconds(1), **({"tls": True} if is_tls else {}))["rate"]
        seconds = ours["bytes"] / (rate * (1 << 20))
        return 1 / seconds if ours.get("is_rate") else 1000 * seconds
    return run


def round_trip(is_tls):
    """A short line there and one back."""
    return lambda tools, folder, ours: tools.bench("limit-loopback", connections=1, size=64, seconds=tools.seconds(1), **({"tls": True} if is_tls else {}))["p50_ms"]


CARRIED = {"loopback": carried(False), "tls": carried(True)}
ROUND_TRIP = {"loopback": round_trip(False), "tls": round_trip(True)}


# ---- mailboxes

def rate_of(work, **options):
    def run(server, tools):
        answer = tools.bench(work, "imaps", **options)
        return {"value": answer["rate"], "p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"]}
    return run


def timed(work, repeat=5, **options):
    """Milliseconds, median of `repeat`; the first is told beside it."""
    def run(server, tools):
        answer = tools.bench(work, "imaps", repeat=repeat, **options)
        return {"value": answer["p50_ms"], "first": answer.get("first_p50_ms"), "bytes": answer["bytes"] / answer["count"]}
    return run


def pop3(server, tools):
    answer = tools.bench("pop3", "pop3s", user=user(MAIL), messages=MAILBOXES[MAIL], connections=1, count=1)
    return {"value": MAILBOXES[MAIL] / answer["seconds"], "bytes": answer["bytes"] / MAILBOXES[MAIL], "is_rate": True}


def login(server, tools):
    return rate_of("login", connections=20, accounts=64, seconds=tools.seconds(3))(server, tools)


def mixed(clients):
    def run(server, tools):
        return rate_of("mixed", connections=clients, accounts=clients, seconds=tools.seconds(4))(server, tools)
    return run


def append(server, tools):
    return rate_of("append", connections=1, pipeline=16, size=4096, seconds=tools.seconds(2), accounts=1)(server, tools)


def notify(server, tools):
    answer = tools.bench("notify", "imaps", timeout=45, watchers=1000, accounts=1, count=10 if tools.is_quick else 40)
    return {"value": answer["p99_ms"], "p50_ms": answer["p50_ms"], "max_ms": answer["max_ms"]}


# ---- processes

def start_time(server, tools):
    return {"value": server.start_seconds * 1000}


def resident(server, tools):
    time.sleep(1)
    pss, rss = server.memory_kb()
    return {"value": pss / 1024, "rss": rss / 1024, "processes": len(server.pids())}


def resident_after(server, tools):
    tools.bench("smtp", "smtp", connections=20, size=10240, accounts=64, seconds=tools.seconds(5))
    server.wait_until_drained(300)
    return resident(server, tools)


def idle_memory(server, tools):
    """PSS of all its processes, before and with the sessions open."""
    sessions = 500 if tools.is_quick else 5000
    tools.bench("login", "imaps", connections=20, accounts=64, count=200) if "login" in tools.works else None
    time.sleep(1)
    before, _ = server.memory_kb()
    words = [tools.program, "idle", "--port", str(PORTS["imaps"]), "--tls", "--sessions", str(sessions), "--accounts", "64", "--timeout", "300"]
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    line = client.stderr.readline().strip()
    if line != "open":
        client.kill()
        raise BenchError(f"idle: {line}")
    time.sleep(15 if server.variant.endswith("+hibernate") else 3)
    after, _ = server.memory_kb()
    client.stdin.write("\n")
    client.stdin.close()
    if client.wait(300) != 0:
        raise BenchError(f"idle: {client.stderr.read().strip()}")
    return {"value": (after - before) / sessions, "before_kb": before, "after_kb": after, "sessions": sessions}


# ---- the data that is kept

def fill_reading(tools):
    scale = 100 if tools.is_quick else 1
    for number, messages in MAILBOXES.items():
        fill_mailbox(tools, number, messages)
    accounts = MIXED_ACCOUNTS // scale
    for count in (accounts, accounts * 4):  # the first message makes an account's mailbox: not two at once
        tools.bench("lmtp", "lmtp", connections=20, count=count, size=4096, accounts=accounts)
    for number in range(accounts):
        grow_mailbox(f"user{number}", MIXED_MESSAGES)


def works():
    r, f, fresh = READING, DELIVERY_ALL, "fresh 64"
    delivery = dict(needs=("smtp", "verify"))
    return [
        Work("in-20", "inbound to mailbox, 20 connections, 10 KB, 64 accounts", fresh, f, inbound(), goal=15, limits=for_delivery(), **delivery),
        Work("in-1", "… 1 connection", fresh, f, inbound(connections=1), limits=for_delivery(connections=1), **delivery),
        Work("in-200", "… 200 connections", fresh, f, inbound(connections=200), limits=for_delivery(connections=200), **delivery),
        Work("in-1k", "… 1 KB", fresh, f, inbound(size=1024), limits=for_delivery(size=1024), **delivery),
        Work("in-100k", "… 100 KB", fresh, f, inbound(size=102400), limits=for_delivery(size=102400), **delivery),
        Work("in-10m", "… 10 MB", fresh, f, inbound(size=10 << 20), limits=for_delivery(size=10 << 20), **delivery),
        Work("in-one", "… all to one account", fresh, f, inbound(accounts=1), limits=for_delivery(accounts=1), **delivery),
        Work("in-many", "… 10,000 accounts", "fresh 10000", f, inbound(accounts=10_000), limits=for_delivery(accounts=10_000), **delivery),
        Work("submission", "submission over TLS with login each time, to mailbox, 20 connections", fresh, LOGIN, submission, goal=5,
             limits=for_login(20, 10240, flush=flushes(20, 10240, 64)), needs=("submission", "verify")),
        Work("outbound", "outbound: submitted over TLS, handed over to another server", fresh, LOGIN, outbound(), goal=5,
             limits=for_login(20, 10240, flush=flushes(20, 10240, 64)), needs=("submission", "sink")),
        Work("out-20", "outbound: 100 messages for each login, 20 senders, 10 KB", fresh, LOGIN, outbound(per_connection=100), goal=5,
             limits={"flush": flushes(20, 10240, 1)}, needs=("submission", "sink")),
        Work("out-1", "… 1 sender", fresh, LOGIN, outbound(connections=1, per_connection=100), limits={"flush": flushes(1, 10240, 1)},
             needs=("submission", "sink")),
        Work("out-100", "… 100 senders", fresh, LOGIN, outbound(connections=100, per_connection=100, count=6000),
             limits={"flush": flushes(100, 10240, 1)}, needs=("submission", "sink")),
        Work("out-1k", "… 1 KB", fresh, LOGIN, outbound(size=1024, per_connection=100), limits={"flush": flushes(20, 1024, 1)},
             needs=("submission", "sink")),
        Work("out-100k", "… 100 KB", fresh, LOGIN, outbound(size=102400, per_connection=100, count=1000),
             limits={"flush": flushes(20, 102400, 1)}, needs=("submission", "sink")),
        Work("pop3", "POP3 over TLS: 10,000 messages collected", "reading", r, pop3, goal=3, limits=CARRIED, needs=("pop3",)),
        Work("login", "IMAP logins over TLS, 20 at a time", "reading", r, login, goal=3, limits=for_login(20, 64), needs=("login",)),
        Work("mixed-20", "IMAP mixed load, 20 clients", "reading", r, mixed(20), goal=5, limits={"tls": exchanges(20, 256, tls=True)}, needs=("mixed",)),
        Work("mixed-100", "… 100 clients", "reading", r, mixed(100), goal=5, limits={"tls": exchanges(100, 256, tls=True)}, needs=("mixed",)),
        Work("mixed-1000", "… 1,000 clients", "reading", r, mixed(1000), goal=5, limits={"tls": exchanges(1000, 256, tls=True)}, needs=("mixed",)),
        Work("flags", "FETCH FLAGS of 100,000", "reading", r, timed("fetch", what="flags", user=user(LARGE), messages=MAILBOXES[LARGE]), "ms", False, 2,
             limits=CARRIED, needs=("fetch",)),
        Work("envelope", "FETCH ENVELOPE of 10,000", "reading", r, timed("fetch", what="envelope", user=user(MAIL), messages=MAILBOXES[MAIL]), "ms", False, 2,
             limits=CARRIED, needs=("fetch",)),
        Work("body", "FETCH BODY[] of 10,000", "reading", r, timed("fetch", what="body", user=user(MAIL), messages=MAILBOXES[MAIL]), "ms", False,
             limits=CARRIED, needs=("fetch",)),
        Work("select-1k", "SELECT, 1,000 messages", "reading", r, timed("select", 20, user=user(SMALL), messages=1000), "ms", False, limits=ROUND_TRIP,
             needs=("select",)),
        Work("select-100k", "… 100,000 messages", "reading", r, timed("select", 20, user=user(LARGE), messages=100_000), "ms", False, limits=ROUND_TRIP,
             needs=("select",)),
        Work("resync-100k", "resync of 100,000 by CONDSTORE/QRESYNC, 10 changes", "reading", r,
             timed("resync", 5, user=user(LARGE), messages=100_000, changes=10, qresync=True), "ms", False, limits=ROUND_TRIP, needs=("resync",)),
        Work("search", "SEARCH BODY in 10,000, no hit", "reading", r, timed("search", 3, user=user(MAIL), keys='BODY "qzxwvutsr"', expect=0), "ms", False,
             limits=ROUND_TRIP, needs=("search",)),
        Work("append", "APPEND, 1 connection, pipelined, 4 KB", "reading", r, append, limits={"flush": flushes(1, 4096, 1), "tls": exchanges(1, 4096, tls=True)},
             needs=("append",)),
        Work("store", "STORE +FLAGS on 10,000", "reading", r, timed("store", 5, user=user(MAIL), messages=MAILBOXES[MAIL]), "ms", False, needs=("store",)),
        Work("copy", "COPY of 10,000", "reading", r, timed("copy", 3, user=user(MAIL), messages=MAILBOXES[MAIL]), "ms", False, needs=("copy",)),
        Work("notify", "IDLE: from the commit to 1,000 watchers, p99", "reading", r, notify, "ms", False, goal_text="< 5 ms", needs=("notify",)),
        Work("start", "start, until all ports greet", fresh, f, start_time, "ms", False),
        Work("resident", "resident, idle (PSS of all processes)", fresh, f, resident, "MB", False),
        Work("resident-after", "… after load", fresh, f, resident_after, "MB", False, needs=("smtp",)),
        Work("idle", "memory of an idle TLS session in IDLE, 5,000 open", fresh, MEMORY, idle_memory, "KB", False, goal_text="20 KB", needs=("idle",), rounds=1),
    ]
