"""What the works use: the load generator, mailboxes of a given size, and a few lines of IMAP."""
import imaplib
import json
import os
import ssl
import subprocess
import sys

from .servers import PORTS, BenchError

DOMAIN = "example.test"
BASE_MESSAGES = 2000  # different messages in a large mailbox; the others are the server's own copies of them


def say(text):
    print(text, file=sys.stderr, flush=True)


class Tools:
    def __init__(self, bench, quick):
        self.program = bench
        self.is_quick = quick
        usage = subprocess.run([bench], capture_output=True, text=True).stderr
        self.works = {line.split()[0] for line in usage.splitlines() if line.startswith("  ") and "--" not in line.split()[0:1][0]}

    def bench(self, work, service=None, timeout=120, **options):
        """Runs one work of tassis-bench; its line of JSON. Options by name: per_connection=5 is --per-connection 5."""
        words = [self.program, work]
        if service:
            words += ["--port", str(PORTS[service])]
            if service.endswith("s"):
                words.append("--tls")
        for key, value in options.items():
            flag = "--" + key.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise BenchError(f"{' '.join(words[1:])}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
        return json.loads(done.stdout)

    def seconds(self, full):
        return max(1, full / 3) if self.is_quick else full


def imap_login(user):
    context = ssl._create_unverified_context()
    imaplib._MAXLINE = 100_000_000
    session = imaplib.IMAP4_SSL("127.0.0.1", PORTS["imaps"], ssl_context=context)
    session.login(f"{user}@{DOMAIN}", "secret")
    return session


def must(answer, what):
    kind, data = answer
    if kind != "OK":
        raise BenchError(f"{what}: {kind} {data}")
    return data


def grow_mailbox(user, messages, mailbox="INBOX"):
    """Brings a mailbox that has some messages to `messages`, by COPY within the server: a million in seconds."""
    session = imap_login(user)
    have = int(must(session.select(mailbox), "SELECT")[0])
    if have == 0:
        raise BenchError(f"{user}: nothing to copy")
    while have < messages:
        step = min(have, messages - have, 50_000)
        must(session.copy(f"1:{step}", mailbox), "COPY")
        must(session.noop(), "NOOP")
        have = int(must(session.select(mailbox), "SELECT")[0])
    session.logout()


def fill_mailbox(tools, number, messages, size=4096):
    """user<number>'s INBOX: different messages by LMTP, then copies of them."""
    base = min(messages, BASE_MESSAGES)
    for connections, count in ((1, 1), (4, base - 1)):  # the first message makes the mailbox: not two at once
        tools.bench("lmtp", "lmtp", connections=connections, count=count, size=size, to=f"user{number}", accounts=1)
    grow_mailbox(f"user{number}", messages)


def machine():
    """Where the figures were taken."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))) // (1 << 20)
    system = next(line.split("=")[1].strip().strip('"') for line in open("/etc/os-release") if line.startswith("PRETTY_NAME"))
    return {"cores": os.cpu_count(), "cpu": cpu, "memory_gb": memory, "system": system, "kernel": os.uname().release}


def file_system(path):
    best = ("", "?")
    for line in open("/proc/mounts"):
        _, point, kind, *_ = line.split()
        if str(path).startswith(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
