"""A Tassis server for the tests: its own data directory, free ports on loopback, two accounts, and the tools to look at it.

The binary is $TASSIS (default: build/tassis). Every server is stopped and checked at the end: an exit that is not clean, a sanitizer's
report or a role that died without being killed by the test fails the test that owns it.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TASSIS", str(ROOT / "build" / "tassis"))
SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
ROLES = ("vault", "gate", "mx", "mail", "relay")
PASSWORDS = {"alice@example.test": "alice's secret", "bob@example.test": "bob's secret"}


def free_ports(count, host="127.0.0.1"):
    """Ports that were free a moment ago."""
    sockets = []
    for _ in range(count):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.bind((host, 0))
        sockets.append(s)
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Server:
    def __init__(self, directory, hosts=("127.0.0.1",), config="", limits="", auth="", env=None):
        self.dir = pathlib.Path(directory)
        self.conf = self.dir / "tassis.conf"
        self.log_path = self.dir / "log"
        self.data = self.dir / "data"
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        self.hosts = hosts
        self.env = env or {}
        self.process = None
        self.killed = 0  # roles that a test killed on purpose
        self.write_config(config, limits, auth)

    def write_config(self, config="", limits="", auth=""):
        listen = "\n".join(
            "{} = {}".format(s, " ".join(("[%s]:%d" if ":" in h else "%s:%d") % (h, self.ports[s]) for h in self.hosts))
            for s in SERVICES)
        self.conf.write_text(
            f"[server]\nhostname = mx.example.test\ndata = {self.data}\n\n[listen]\n{listen}\n\n"
            f"[auth]\n{auth}\n\n[limits]\n{limits}\n\n{config}\n")

    # ---- the command line

    def cli(self, *words, stdin="", ok=True):
        done = subprocess.run([BINARY, *words, "-c", str(self.conf)], input=stdin, capture_output=True, text=True, timeout=60)
        if ok:
            assert done.returncode == 0, f"tassis {' '.join(words)}: exit {done.returncode}: {done.stderr}"
        return done

    def cli_json(self, *words):
        return json.loads(self.cli(*words, "--json").stdout)

    def add_account(self, address, password):
        self.cli("account", "add", address, "--password-stdin", stdin=password + "\n")

    def make_accounts(self):
        self.cli("domain", "add", "example.test")
        for address, password in PASSWORDS.items():
            self.add_account(address, password)

    # ---- the process

    def start(self, wait=True):
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve", "-c", str(self.conf)], stderr=self.log_file, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **self.env})
        if wait:
            self.wait_log(r" ready( |$)", timeout=30)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=15, after=0):
        """Waits until a line of the log (behind character `after`) matches; returns the match."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.log()[after:], re.M)
            if found:
                return found
            if self.process and self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no line matches {pattern!r}:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def children(self):
        """pid by role of the running roles, read from their command lines."""
        found = {}
        if self.process is None:
            return found
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
                words = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(stat.rsplit(")", 1)[1].split()[1]) != self.process.pid:
                continue
            for role in ROLES:
                if role.encode() in words:
                    found[role] = int(entry)
        return found

    def kill_role(self, role):
        """kill -9 of one role; waits until another took its place."""
        old = self.children()[role]
        self.killed += 1
        os.kill(old, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            new = self.children().get(role)
            if new and new != old:
                return new
            time.sleep(0.02)
        raise AssertionError(f"role {role} was not restarted:\n{self.log()[-4000:]}")

    def stop(self, expect=0):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop on SIGTERM:\n{self.log()[-4000:]}")
        finally:
            self.log_file.close()
            self.process = None
        log = self.log()
        for bad in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer", "panic:"):
            assert bad not in log, log[log.index(bad) - 200:][:6000]
        assert code == expect, f"exit {code}:\n{log[-4000:]}"

    # ---- talking to it

    def connect(self, service, host=None, timeout=20):
        return socket.create_connection((host or self.hosts[0], self.ports[service]), timeout=timeout)

    def talk(self, service, host=None, timeout=20):
        """A plain line-wise dialogue; see Talk."""
        return Talk(self.connect(service, host, timeout))


class Talk:
    """A raw dialogue: send bytes, read CRLF lines."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        while b"\r\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(f"closed after {self.buffer!r}")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "replace")

    def until(self, start):
        """Lines up to the first that begins with `start` (a str or a tuple), that one included."""
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(start):
                return lines

    def reply(self):
        """An SMTP reply, all its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def command(self, text):
        """An SMTP command and its reply."""
        self.send(text + "\r\n")
        return self.reply()

    def eof(self):
        """True once the server closed; what it says before is dropped."""
        try:
            while True:
                if not self.sock.recv(65536):
                    return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()


def temporary_server(**options):
    """A started server with alice and bob in a new folder."""
    # Under pytest's own folder other users (the roles' uids, when root runs the tests) could not come through.
    directory = tempfile.mkdtemp(prefix="tassis-e2e-")
    os.chmod(directory, 0o755)
    server = Server(directory, **options)
    server.make_accounts()
    return server.start()
