"""A milter for the tests, written from the protocol: it records what it is told and answers by a script."""
import socket
import struct
import threading

# SMFIP_*
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADERS, NO_EOH, NR_HEADER, NO_UNKNOWN, NO_DATA, SKIP, RCPT_REJECTED = (1 << n for n in range(12))
NR_BODY, HEADER_SPACE = 0x80000, 0x100000
NO_ALL = 0x37f  # nothing but the end of a message
ALL_ACTIONS = 0xdf  # all but quarantine and the lists of macros


def packet(letter, data=b""):
    return struct.pack(">I", len(data) + 1) + letter + data


def strings(*words):
    return b"".join(w.encode() + b"\0" if isinstance(w, str) else w + b"\0" for w in words)


class Heard:
    """What a filter was told."""

    def __init__(self):
        self.events = []  # (letter, data)
        self.macros = []  # (letter, {name: value})
        self.connections = 0


class FakeMilter:
    """answers: {letter: bytes, list of bytes, or a function(data) of them}; what is not there is answered "continue".
    An empty answer is silence; None closes the connection."""

    def __init__(self, answers=None, path=None, steps=0, actions=ALL_ACTIONS, port=0):
        self.open = set()
        self.reset(answers, steps, actions)
        self.path, self.port = path, port
        self.listen()

    def listen(self):
        """Again, too, behind close()."""
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.path))
            self.path.chmod(0o777)
            self.address = str(self.path)
        else:
            self.listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        self.listener.listen(50)
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self, answers=None, steps=0, actions=ALL_ACTIONS):
        """For the next test. What connections of before are told is not recorded any more."""
        self.answers = answers or {}
        self.by_connection = None  # answers of the n-th connection: a function of n, from 0
        self.steps, self.actions = steps, actions
        self.heard = Heard()

    @property
    def connections(self):
        return self.heard.connections

    def section(self, name="fake", **keys):
        lines = "".join(f"{k} = {v}\n" for k, v in keys.items())
        return f"[milter {name}]\naddress = {self.address}\n{lines}\n"

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            heard = self.heard
            answers = self.by_connection(heard.connections) if self.by_connection else None
            heard.connections += 1
            threading.Thread(target=self.serve, args=(connection, heard, answers), daemon=True).start()

    def close(self):
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which would keep it open
        self.listener.close()
        self.hang_up()

    def hang_up(self):
        """Ends the connections that there are."""
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself

    def serve(self, connection, heard, answers):
        with connection:
            self.open.add(connection)
            try:
                self.talk(connection, heard, answers)
            except ConnectionError:
                pass  # the server had enough of it
            finally:
                self.open.discard(connection)

    def talk(self, connection, heard, answers):
        with connection.makefile("rb") as stream:
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    return
                body = stream.read(struct.unpack(">I", head)[0])
                letter, data = body[:1], body[1:]
                if letter == b"Q":
                    heard.events.append((letter, data))
                    return
                if not self.answer(connection, letter, data, heard, self.answers if answers is None else answers):
                    return

    def answer(self, connection, letter, data, heard, answers):
        if letter == b"D":
            words = data[1:].split(b"\0")[:-1]
            heard.macros.append((data[:1], dict(zip(words[::2], words[1::2]))))
            return True
        heard.events.append((letter, data))
        if letter == b"O" and b"O" not in answers:
            reply = packet(b"O", struct.pack(">III", 6, self.actions, self.steps))
        elif letter == b"A" or (letter == b"L" and self.steps & NR_HEADER) or (letter == b"B" and self.steps & NR_BODY):
            return True
        else:
            reply = answers.get(letter, packet(b"c"))
        if callable(reply):
            reply = reply(data)
        if reply is None:
            return False
        for piece in reply if isinstance(reply, list) else [reply]:
            connection.sendall(piece)
        return True

    def told(self, letter):
        return [data for what, data in self.heard.events if what == letter]

    def letters(self):
        """What was told, in order, without the goodbyes: they come when the client's socket happens to be gone."""
        return b"".join(what for what, _ in self.heard.events if what != b"Q")

    def macro(self, letter, name):
        """The values under this name, one for each time it was given with the stage."""
        return [values[name].decode() for what, values in self.heard.macros if what == letter and name in values]
