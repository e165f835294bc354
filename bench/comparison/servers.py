"""The servers that are compared: bench/peers/NAME/server has the same few commands for each (bench/peers/README.md). One runs at a time."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
PORTS = {"smtp": 25, "lmtp": 24, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3s": 995}  # in our own network namespace
GREETINGS = {"smtp": b"220", "submission": b"220", "imap": b"* OK"}  # without TLS: who greets there is ready
PATIENCE = 60  # seconds for a start or a stop
# crypt(3) of "secret": cheap on purpose, and the same for all; hashing passwords is not what is compared.
VERIFIER = "{SHA256-CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"


class BenchError(Exception):
    pass


class Server:
    """One server: its layer of packages, and where it keeps its data. `name` is a folder of bench/peers, with a variant behind a slash."""

    def __init__(self, name, base, certificate):
        self.name = name
        self.peer, _, self.variant = name.partition("/")
        self.base = base
        self.script = str(PEERS / self.peer / "server")
        self.layer = base / "layers" / self.peer
        self.certificate = certificate
        self.process = None
        self.start_seconds = None
        self.state = None

    def prepare(self):
        self.layer.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([self.script, "prepare", str(self.layer)], check=True)

    def versions(self):
        return subprocess.run([self.script, "versions", str(self.layer)], check=True, capture_output=True, text=True).stdout.strip()

    def state_folder(self, label):
        return self.base / "state" / f"{self.name.replace('/', '-')}-{label}"

    def make_state(self, label, accounts):
        """A folder with the certificate and `accounts` accounts, empty otherwise."""
        state = self.state_folder(label)
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        for file in ("cert.pem", "key.pem"):
            shutil.copy(self.certificate / file, state / file)
        state.joinpath("accounts").write_text("".join(f"user{i}@example.test:{VERIFIER}\n" for i in range(accounts)))
        return state

    def start(self, state):
        self.state = state
        log = open(state / "server.log", "ab")
        words = [self.script, "run", str(self.layer), str(state)] + ([self.variant] if self.variant else [])
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        for line in self.process.stdout:
            if line.strip() == b"starting":
                break
        else:
            raise BenchError(f"{self.name} did not start, see {state}/server.log")
        begin = time.monotonic()
        for service, greeting in GREETINGS.items():
            self._wait_for(service, greeting, begin + PATIENCE)
        self.start_seconds = time.monotonic() - begin

    def _wait_for(self, service, greeting, until):
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", PORTS[service]), timeout=5) as s:
                    if s.recv(200).startswith(greeting):
                        return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        raise BenchError(f"{self.name} does not answer on {service}, see {self.state}/server.log")

    def stop(self):
        """Its stdin ends, it stops what it started; whatever is left ends with its pid namespace."""
        if not self.process:
            return
        process, self.process = self.process, None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        process.stdout.close()

    def drop_state(self):
        if self.state:
            shutil.rmtree(self.state, ignore_errors=True)

    # ---- looking at it from outside

    def pids(self):
        """All processes below the one we started."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as f:
                        parent = int(f.read().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry))
                except OSError:
                    pass
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found += children.get(pid, [])
            todo += children.get(pid, [])
        return found

    def memory_kb(self):
        """(PSS, RSS) of all its processes. PSS counts a page that several share once."""
        pss = rss = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    fields = dict(line.split(None, 1) for line in f.readlines()[1:])
                pss += int(fields["Pss:"].split()[0])
                rss += int(fields["Rss:"].split()[0])
            except (OSError, KeyError):
                pass
        return pss, rss

    def queued(self):
        """Messages that were acknowledged and are not in a mailbox yet."""
        return sum(len(files) for folder in QUEUES.get(self.peer, ()) for _, _, files in os.walk(self.state / folder))

    def wait_until_drained(self, timeout):
        until = time.monotonic() + timeout
        while self.queued():
            if time.monotonic() > until:
                raise BenchError(f"{self.name}: {self.queued()} messages are still in the queue after {timeout} s")
            time.sleep(0.02)


POSTFIX_QUEUES = ("spool/maildrop", "spool/incoming", "spool/active", "spool/deferred")
QUEUES = {"postfix-dovecot": POSTFIX_QUEUES, "postfix-cyrus": POSTFIX_QUEUES,
          "opensmtpd-dovecot": ("spool/incoming", "spool/queue", "spool/corrupt")}
