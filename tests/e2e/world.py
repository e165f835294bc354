"""The rest of the Internet, for tests of outbound mail: authoritative DNS with signed zones (Knot), and mail servers on loopback addresses.

Every mail server stands at an address of its own (127.0.0.x) and the one port that the config's [relay] port names. The resolver is
pointed at Knot, with the zone's own key as trust anchor.
"""
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from tassis import Talk, free_ports

ZONE = "test"


class Dns:
    """Knot with the zone `test.`, signed. Records are lines of a zone file, names relative to the zone."""

    def __init__(self, directory, records, unsigned=()):
        """unsigned: {name: records} of delegated zones that have no DS."""
        self.dir = pathlib.Path(directory) / "knot"
        self.dir.mkdir()
        self.port = free_ports(1)[0]
        self.process = None
        (self.dir / "test.zone").write_text(self.zone(ZONE, records + [f"{name} NS ns" for name in unsigned]))
        for name in unsigned:
            (self.dir / f"{name}.test.zone").write_text(self.zone(f"{name}.{ZONE}", unsigned[name]))
        zones = "".join(f"  - domain: {name}.{ZONE}\n    file: {name}.test.zone\n" for name in unsigned)
        (self.dir / "knot.conf").write_text(
            f"server:\n  rundir: {self.dir}\n  listen: 127.0.0.1@{self.port}\n"
            f"database:\n  storage: {self.dir}\n"
            f"log:\n  - target: {self.dir}/log\n    any: info\n"
            "policy:\n  - id: quick\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    ksk-lifetime: 0\n    zsk-lifetime: 0\n"
            f"template:\n  - id: default\n    storage: {self.dir}\n    zonefile-load: difference-no-serial\n    journal-content: all\n"
            f"zone:\n  - domain: {ZONE}\n    file: test.zone\n    dnssec-signing: on\n    dnssec-policy: quick\n{zones}")

    @staticmethod
    def zone(origin, records):
        return (f"$ORIGIN {origin}.\n$TTL 1\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 1\n@ NS ns.test.\n"
                + ("ns A 127.0.0.1\n" if origin == ZONE else "") + "\n".join(records) + "\n")

    def start(self):
        self.process = subprocess.Popen(["knotd", "-c", str(self.dir / "knot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while "DNSKEY" not in self.ask("DNSKEY", ZONE):
            if time.monotonic() > deadline:
                raise AssertionError((self.dir / "log").read_text())
            time.sleep(0.1)
        return self

    def ask(self, kind, name):
        """By TCP, which is refused at once while nobody listens yet."""
        done = subprocess.run(["kdig", "@127.0.0.1", "-p", str(self.port), "+tcp", "+noall", "+answer", name, kind], capture_output=True, text=True, timeout=20)
        return done.stdout

    def change(self, records):
        """Other records from now on (those of `unsigned` zones stay)."""
        (self.dir / "test.zone").write_text(self.zone(ZONE, records))
        self.control("zone-reload", ZONE)
        time.sleep(1.2)  # the TTL of what was known

    def control(self, *words):
        subprocess.run(["knotc", "-s", str(self.dir / "knot.sock"), *words], check=True, capture_output=True, timeout=20)

    def anchor(self):
        path = self.dir / "anchor"
        path.write_text(self.ask("DNSKEY", ZONE))
        return path

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)
            self.process = None


def make_certificate(folder, name, names=None, days=2, issuer=None):
    """A key and certificate for these names: self-signed, or by issuer (a pair that this function made). Returns (cert, key)."""
    folder = pathlib.Path(folder)
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    san = ",".join(f"DNS:{n}" for n in (names or [name]))
    ca = ["-addext", "basicConstraints=critical,CA:TRUE"] if names is None and issuer is None else []
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days), "-subj",
               f"/CN={name}", "-keyout", str(key), "-out", str(cert), "-addext", f"subjectAltName={san}", *ca]
    if issuer:
        command += ["-CA", str(issuer[0]), "-CAkey", str(issuer[1])]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


class Peer:
    """A mail server that does what the test says. Each message it took: (mail line, rcpt lines, body, was TLS)."""

    extensions = ["PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN"]

    def __init__(self, host, port, certificate=None, extensions=None, answers=None, start_tls=True, session=None):
        """answers: {verb: reply}, or a function (verb, line) -> reply or None. session: replaces the whole dialogue."""
        self.messages, self.sessions, self.commands, self.talks = [], 0, [], []
        self.lock = threading.Lock()
        if extensions is not None:
            self.extensions = extensions
        self.answers = answers or {}
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.start_tls = start_tls
        self.session = session or self.serve
        self.listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512)
        self.host, self.port = host, port
        self.is_open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.is_open:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sessions += 1
            threading.Thread(target=self.run, args=(sock,), daemon=True).start()

    def run(self, sock):
        talk = Talk(sock)
        with self.lock:
            self.talks.append(talk)
        try:
            self.session(talk)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            with self.lock:
                self.talks.remove(talk)
            talk.close()

    def answer(self, verb, line, usual):
        said = self.answers(verb, line) if callable(self.answers) else self.answers.get(verb)
        return said or usual

    def serve(self, talk):
        is_tls = False
        mail, rcpts = None, []
        talk.send(self.answer("GREETING", "", f"220 {self.host} ESMTP") + "\r\n")
        while True:
            line = talk.line()
            verb = line.split(" ")[0].upper()
            with self.lock:
                self.commands.append(line)
            if verb in ("EHLO", "LHLO"):
                words = [self.host, *self.extensions]
                if self.context and self.start_tls and not is_tls:
                    words.append("STARTTLS")
                usual = "\r\n".join(f"250-{w}" for w in words[:-1]) + ("\r\n" if words[1:] else "") + f"250 {words[-1]}"
            elif verb == "STARTTLS":
                talk.send(self.answer(verb, line, "220 go") + "\r\n")
                talk.sock = self.context.wrap_socket(talk.sock, server_side=True)
                is_tls = True
                continue
            elif verb == "MAIL":
                mail, rcpts, usual = line, [], "250 2.1.0 ok"
            elif verb == "RCPT":
                usual = self.answer(verb, line, "250 2.1.5 ok")
                if usual.startswith("250"):
                    rcpts.append(line)
            elif verb == "DATA":
                said = self.answer(verb, line, "354 go" if rcpts else "554 5.5.1 nobody")
                talk.send(said + "\r\n")
                if not said.startswith("354"):
                    continue
                body = self.body(talk)
                self.done(talk, mail, rcpts, body, is_tls)
                continue
            elif verb == "BDAT":
                body = talk.octets(int(line.split(" ")[1]))
                if rcpts:
                    self.done(talk, mail, rcpts, body, is_tls)
                else:
                    talk.send("554 5.5.1 nobody\r\n")
                continue
            elif verb == "QUIT":
                talk.send("221 bye\r\n")
                return
            else:
                usual = "250 2.0.0 ok"
            talk.send((usual if verb == "RCPT" else self.answer(verb, line, usual)) + "\r\n")

    @staticmethod
    def body(talk):
        lines = []
        while True:
            line = talk.bytes_line()
            if line == b".":
                return b"".join(part + b"\r\n" for part in lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def done(self, talk, mail, rcpts, body, is_tls):
        said = self.answer("END", mail, "250 2.0.0 taken")
        if said.startswith("250"):
            with self.lock:
                self.messages.append((mail, list(rcpts), body, is_tls))
        talk.send(said + "\r\n")

    def stop(self):
        self.is_open = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for talk in self.talks:
                try:
                    talk.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class World:
    """DNS and peers of one test module, ended together."""

    def __init__(self, records, unsigned=None, port=None):
        """port: the mail servers', where records name it."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tassis-world-"))
        self.dir.chmod(0o755)  # the role reads the trust anchor with a uid of its own
        self.port = port or free_ports(1, "127.0.0.10")[0]
        self.peers = []
        self.dns = Dns(self.dir, records, unsigned or {}).start()

    def config(self, relay="", **sections):
        """The config's lines for a server in this world."""
        text = f"[dns]\nresolver = 127.0.0.1:{self.dns.port}\ntrust_anchor = {self.dns.anchor()}\n\n[relay]\nport = {self.port}\n{relay}\n"
        return text + "".join(f"\n[{name.replace('__', ' ')}]\n{lines}\n" for name, lines in sections.items())

    def peer(self, host, **options):
        peer = Peer(host, self.port, **options)
        self.peers.append(peer)
        return peer

    def certificate(self, name, **options):
        return make_certificate(self.dir, name, **options)

    def stop(self):
        for peer in self.peers:
            peer.stop()
        self.dns.stop()
        shutil.rmtree(self.dir)


def wait_for(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("waited in vain")
