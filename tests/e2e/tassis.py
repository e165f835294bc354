"""A Tassis server for the tests: its own data directory, free ports on loopback, two accounts, and the tools to look at it.

The binary is $TASSIS (default: build/tassis). Every server is stopped and checked at the end: an exit that is not clean, a sanitizer's
report or a role that died without being killed by the test fails the test that owns it.
"""
import base64
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TASSIS", str(ROOT / "build" / "tassis"))
SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
ROLES = ("vault", "gate", "mx", "mail", "relay")
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|panic:")  # what no log may contain
# Root's command line changes its uid, after which LeakSanitizer may not look at its own process any more.
CLI_ENV = {"ASAN_OPTIONS": "detect_leaks=0"} if os.geteuid() == 0 else {}
BODY_MARK = "the walrus in the body"  # in every body that the tests write; no log may contain it
ACCOUNT_PASSWORD = "a secret %s, \"quoted\""  # of the accounts that tests make for themselves
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
        self.secrets = set()  # every password that was ever set or tried
        self.numbers = itertools.count(1)
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
        done = subprocess.run([BINARY, *words, "-c", str(self.conf)], input=stdin, capture_output=True, text=True, timeout=60,
                              env={**os.environ, **CLI_ENV, **self.env})
        assert not REPORTS.search(done.stderr), done.stderr
        if ok:
            assert done.returncode == 0, f"tassis {' '.join(words)}: exit {done.returncode}: {done.stderr}"
        return done

    def cli_json(self, *words):
        return json.loads(self.cli(*words, "--json").stdout)

    def add_account(self, address, password):
        self.secrets.add(password)
        self.cli("account", "add", address, "--password-stdin", stdin=password + "\n")

    def make_accounts(self):
        self.cli("domain", "add", "example.test")
        for address, password in PASSWORDS.items():
            self.add_account(address, password)

    def certificate(self, folder):
        """The server's certificate as a file, for programs that want to know it."""
        path = pathlib.Path(folder) / "server.pem"
        path.write_text(ssl.get_server_certificate(("127.0.0.1", self.ports["imaps"])))
        return path

    def new_account(self):
        """An account that no other test has seen."""
        name = f"user{next(self.numbers)}"
        box = Account(self, f"{name}@example.test", ACCOUNT_PASSWORD % name)
        self.add_account(box.address, box.password)
        return box

    def account(self, address):
        return Account(self, address, PASSWORDS[address])

    # ---- the process

    def start(self, wait=True):
        before = len(self.log())
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve", "-c", str(self.conf)], stderr=self.log_file, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **self.env})
        if wait:
            self.wait_log(r" ready( |$)", timeout=30, after=before)
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
        report = REPORTS.search(log)
        assert not report, log[max(0, report.start() - 200):][:6000]
        assert code == expect, f"exit {code}:\n{log[-4000:]}"
        died = log.count(" role-died ")
        assert died == self.killed, f"{died} roles died, {self.killed} were killed:\n{log[-4000:]}"
        self.check_log_is_discreet()

    def check_log_is_discreet(self):
        """No password, in clear or as SASL carries it, and no body text stands in the log."""
        log = self.log()
        secrets = self.secrets | set(PASSWORDS.values())
        for secret in secrets:
            for form in (secret, secret.replace('"', '\\"'), base64.b64encode(secret.encode()).decode()):
                assert form not in log, f"the log knows a password: {secret}"
        assert BODY_MARK not in log

    # ---- talking to it

    def connect(self, service, host=None, timeout=20):
        return socket.create_connection((host or self.hosts[0], self.ports[service]), timeout=timeout)

    def talk(self, service, host=None, timeout=20):
        """A plain line-wise dialogue; see Talk."""
        return Talk(self.connect(service, host, timeout))

    def smtp(self, service="smtp", host=None):
        """A dialogue with an SMTP door, past EHLO."""
        return Smtp(self.connect(service, host))

    def submission(self, box, service="submission"):
        """A logged-in dialogue with the submission door (in clear: the server must allow it)."""
        session = self.smtp(service)
        session.login(box.address, box.password)
        return session

    def imap(self, service="imap", host=None):
        """A dialogue with the IMAP door, past its greeting."""
        return Imap(self.connect(service, host))


class Talk:
    """A raw dialogue: send bytes, read CRLF lines."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.buffer!r}")
        self.buffer += data

    def bytes_line(self):
        """One line without its CRLF."""
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def line(self):
        return self.bytes_line().decode("utf-8", "replace")

    def octets(self, count):
        pieces = [self.buffer[:count]]
        self.buffer = self.buffer[count:]
        count -= len(pieces[0])
        while count:
            data = self.sock.recv(min(count, 1 << 20))
            if not data:
                raise EOFError(f"closed, {count} octets are missing")
            pieces.append(data)
            count -= len(data)
        return b"".join(pieces)

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

    def start_tls(self):
        """The handshake; nothing may be left of what was said in clear."""
        assert self.buffer == b""
        self.sock = tls_context().wrap_socket(self.sock, server_hostname="mx.example.test")

    def is_silent(self, seconds=0.2):
        """True where nothing comes for a while."""
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.more()
            return False
        except socket.timeout:
            return self.buffer == b""
        finally:
            self.sock.settimeout(before)

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


class Smtp(Talk):
    """A raw dialogue with an SMTP door, past greeting and EHLO."""

    def __init__(self, sock):
        super().__init__(sock)
        self.greeting = self.reply()
        self.capabilities = [line[4:] for line in self.command("EHLO client.example.test")]

    def expect(self, code, text):
        """A command that must be answered with this code (or its beginning)."""
        lines = self.command(text)
        assert lines[-1].startswith(str(code)), f"{text!r}: {lines}"
        return lines

    def login(self, address, password):
        plain = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        return self.expect(235, f"AUTH PLAIN {plain}")

    def message(self, raw, code=250):
        """DATA with this message, CRLF at its end included; returns the reply."""
        self.expect(354, "DATA")
        self.send(re.sub(rb"(?m)^\.", b"..", raw) + b".\r\n")
        lines = self.reply()
        assert lines[-1].startswith(str(code)), lines
        return lines


class Answer:
    """What an IMAP command brought: the untagged responses (bytes, literals within) and the tagged one."""

    def __init__(self, untagged, tagged):
        self.untagged = untagged
        self.tagged = tagged

    def __repr__(self):
        return f"{self.untagged} {self.tagged}"

    def all(self, pattern):
        """The matches of a regular expression against whole untagged responses."""
        found = (re.fullmatch(pattern, line, re.S) for line in self.untagged)
        return [m for m in found if m]

    def one(self, pattern):
        found = self.all(pattern)
        assert len(found) == 1, f"{pattern!r} in {self.untagged}"
        return found[0]

    def numbers(self):
        """Of SEARCH."""
        return [int(n) for n in self.one(rb"\* SEARCH((?: \d+)*)")[1].split()]


class Imap(Talk):
    """A raw IMAP dialogue."""

    def __init__(self, sock):
        super().__init__(sock)
        self.tags = itertools.count(1)
        self.greeting = self.bytes_line()

    def response(self):
        """One response, with the literals that are part of it as they came."""
        whole = b""
        while True:
            line = self.bytes_line()
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole
            whole += b"\r\n" + self.octets(int(literal[1]))

    def start(self, text, literals=()):
        """Sends a command; each literal stands for a "%s" in the text and goes without waiting (RFC 7888). Returns the tag."""
        tag = b"t%d" % next(self.tags)
        parts = (text.encode() if isinstance(text, str) else text).split(b"%s") if literals else [
            text.encode() if isinstance(text, str) else text]
        whole = tag + b" " + parts[0]
        for literal, part in zip(literals, parts[1:]):
            whole += b"{%d+}\r\n" % len(literal) + literal + part
        self.send(whole + b"\r\n")
        return tag

    def finish(self, tag):
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag + b" "):
                return Answer(untagged, line[len(tag) + 1:])
            untagged.append(line)

    def command(self, text, *literals):
        return self.finish(self.start(text, literals))

    def ok(self, text, *literals):
        answer = self.command(text, *literals)
        assert answer.tagged.startswith(b"OK"), f"{text!r}: {answer}"
        return answer

    def no(self, text, *literals):
        answer = self.command(text, *literals)
        assert answer.tagged.startswith(b"NO"), f"{text!r}: {answer}"
        return answer

    def bad(self, text, *literals):
        answer = self.command(text, *literals)
        assert answer.tagged.startswith(b"BAD"), f"{text!r}: {answer}"
        return answer

    def append(self, message, mailbox="INBOX", flags=""):
        return self.ok(f"APPEND {mailbox} {flags}%s" if not flags else f"APPEND {mailbox} ({flags}) %s", message)

    def body(self, message, what="BODY.PEEK[]"):
        """The octets of one FETCH item with a literal (or a string, or NIL)."""
        line = self.ok(f"FETCH {message} {what}").one(rb"\* \d+ FETCH \(.*\)")[0]
        literal = re.search(rb"\] ?(?:<\d+>)? \{(\d+)\}\r\n", line) or re.search(rb"\{(\d+)\}\r\n", line)
        assert literal, line
        return line[literal.end():literal.end() + int(literal[1])]

    def idle(self):
        tag = self.start("IDLE")
        line = self.response()
        assert line.startswith(b"+"), line
        return tag

    def done(self, tag):
        self.send("DONE\r\n")
        answer = self.finish(tag)
        assert answer.tagged.startswith(b"OK"), answer
        return answer


class Account:
    """An account of a running server, and the doors to it."""

    def __init__(self, server, address, password):
        self.server = server
        self.address = address
        self.password = password

    def imap(self, mailbox=None, service="imap"):
        """A logged-in raw session, with a mailbox selected if wanted."""
        sock = self.server.connect(service)
        if service == "imaps":
            sock = tls_context().wrap_socket(sock, server_hostname="mx.example.test")
        session = Imap(sock)
        session.ok("LOGIN %s %s", self.address.encode(), self.password.encode())
        if mailbox:
            session.ok(f"SELECT {mailbox}")
        return session

    def pop3(self):
        """A logged-in raw session."""
        session = self.server.talk("pop3")
        assert session.line().startswith("+OK")
        for line in (f"USER {self.address}", f"PASS {self.password}"):
            session.send(line + "\r\n")
            answer = session.line()
            assert answer.startswith("+OK"), answer
        return session

    def receive(self, raw, sender="sender@elsewhere.test", parameters=" BODY=8BITMIME", to=None):
        """A message comes in by the mx door, as it is."""
        session = self.server.smtp()
        session.expect(250, f"MAIL FROM:<{sender}>{parameters}")
        session.expect(250, f"RCPT TO:<{to or self.address}>")
        answer = session.message(raw)
        session.close()
        return answer

    def messages(self, mailbox="INBOX"):
        """All messages as IMAP gives them."""
        session = self.imap()
        exists = session.ok(f"EXAMINE {mailbox}").all(rb"\* (\d+) EXISTS")[-1]  # mail may arrive within the command
        found = [session.body(n + 1) for n in range(int(exists[1]))]
        session.ok("LOGOUT")
        session.close()
        return found

    def messages_pop3(self):
        """All messages as POP3 gives them."""
        session = self.pop3()
        session.send("STAT\r\n")
        found = []
        for n in range(int(session.line().split()[1])):
            session.send(f"RETR {n + 1}\r\n")
            found.append(multiline(session))
        session.send("QUIT\r\n")
        assert session.line().startswith("+OK")
        session.close()
        return found


def multiline(talk):
    """The octets of a POP3 answer of several lines, dots taken away."""
    first = talk.bytes_line()
    assert first.startswith(b"+OK"), first
    raw = bytearray(b"\r\n" + talk.buffer)
    at = 0
    while (end := raw.find(b"\r\n.\r\n", at)) < 0:
        at = max(0, len(raw) - 4)
        data = talk.sock.recv(1 << 20)
        if not data:
            raise EOFError(f"closed after {len(raw)} octets")
        raw += data
    talk.buffer = bytes(raw[end + 5:])
    raw = bytes(raw[2:end + 2])
    return re.sub(rb"(?m)^\.", b"", raw)


def tls_context():
    """The servers' certificates are self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def without_trace(raw):
    """A delivered message without the header fields that delivery put before it; these must be there, in this order."""
    found = re.match(rb"Return-Path: <[^\r\n]*>\r\nDelivered-To: [^\r\n]+\r\nReceived: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*", raw)
    assert found, raw[:500]
    return raw[found.end():]


def text_message(subject="a test", body="", **fields):
    """A small message, CRLF and all. Fields: To="…", Message_ID="…"."""
    fields = {"From": "<sender@elsewhere.test>", "To": "<somebody@example.test>", "Subject": subject,
              "Date": "Sat, 31 Jan 2026 12:00:00 +0000", "Message-ID": "<%d@elsewhere.test>" % next(_message_ids), **fields}
    header = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (header + "\r\n" + (body or BODY_MARK + "\r\n")).encode()


_message_ids = itertools.count(1)


def wait_until(condition, timeout=20, what="the condition"):
    """Waits until condition() is true; returns what it was."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.02)


def temporary_server(**options):
    """A started server with alice and bob in a new folder."""
    # Under pytest's own folder other users (the roles' uids, when root runs the tests) could not come through.
    directory = tempfile.mkdtemp(prefix="tassis-e2e-")
    os.chmod(directory, 0o755)
    server = Server(directory, **options)
    server.make_accounts()
    return server.start()
