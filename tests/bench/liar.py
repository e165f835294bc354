"""A proxy that lies: it stands between the load generator and an honest server and changes what the server says, line by line."""
import re
import socket
import threading


class Lie:
    """From the `nth` line that matches on, each line of the server that matches is replaced; an empty replacement drops it."""

    def __init__(self, pattern, replacement, nth=1, once=True):
        self.pattern = re.compile(pattern, re.S)
        self.replacement = replacement
        self.nth = nth
        self.once = once
        self.matches = 0
        self.told = 0
        self.lock = threading.Lock()

    def __call__(self, line):
        if not self.pattern.search(line):
            return line
        with self.lock:
            self.matches += 1
            if self.matches < self.nth or (self.once and self.told):
                return line
            self.told += 1
        return self.pattern.sub(self.replacement, line, count=1)


class Liar:
    """Listens on a free port of loopback, passes everything on to `port`, and tells the lie."""

    def __init__(self, port, lie):
        self.to = port
        self.lie = lie
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.carry, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, self.lie), daemon=True).start()

    @staticmethod
    def carry(source, sink, lie):
        rest = b""
        try:
            while data := source.recv(65536):
                if lie:
                    *lines, rest = (rest + data).split(b"\n")
                    data = b"".join(lie(line + b"\n") for line in lines)
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
