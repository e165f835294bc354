"""A small language for IMAP dialogues of several sessions: who sends what, what must and must not come back, in what order.

    # A comment. The first ones say what is tested, and by which RFC.
    message one                           a message, indented, up to the next line that is not
        From: <a@example.test>

        hello
    account friend                        a second account; the first is "owner"
    session A                             a session, logged in as owner
    session F of friend                   … as another
    session N without login

    A: APPEND INBOX (\\Seen) %one          a command (the tag is added); %one is the message as a literal, ~%one as a literal8
        * <n> EXISTS                      a response that must come: <n> stands for a word, ... for anything
        - * <x> EXPUNGE                   none like this may come
        OK [APPENDUID <validity> 1]       how the tagged response must begin; without such a line: OK
    A: FETCH <n> FLAGS                    what a pattern has caught can be said again
        in order                          the responses above and below come in this order
        nothing else                      no responses but those named
        * <n> FETCH (FLAGS (~ \\Recent \\Seen))   (~ … ) is a list in any order
    A> IDLE                               sent without waiting
        + ...                             wait for these, in order, and read no further
    A gets                                wait for these, in order, others before them are dropped
        * 2 EXISTS
    A! DONE                               a line as it is, no tag; what comes up to the tagged response of A> is compared as with ":"
        OK
    A is silent                           nothing comes for a fifth of a second
    A closes                              the client closes
    A is closed                           the server closes
    deliver one to owner                  a message comes in on port 25
    limits of owner: messages=1           what the account may hold, as "tassis account quota" sets it

<owner>, <owner.url> and <owner.password> are the account's. \\r\\n stands for a line end within a command or a response; in patterns %one for a message's literal.
"""
import re

import tassis

WORD = rb"[^ \r\n()\[\]]+"


class Failure(AssertionError):
    pass


class Step:
    def __init__(self, number, text):
        self.number = number
        self.text = text
        self.lines = []


def parse(source):
    """The steps of a script, each with its indented lines; messages apart."""
    steps, messages, message, blanks = [], {}, None, 0
    for number, line in enumerate(source.split("\n"), 1):
        if message is not None and (line.startswith("    ") or not line.strip()):
            if line.strip():
                messages[message] += b"\r\n" * blanks + line[4:].encode() + b"\r\n"
                blanks = 0
            else:
                blanks += 1
            continue
        message, blanks = None, 0
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("    "):
            if not steps:
                raise Failure(f"line {number}: indented, but belongs to nothing")
            if not line.strip().startswith("#"):
                steps[-1].lines.append(line.strip())
        elif line.startswith("message "):
            message = line.split()[1]
            messages[message] = b""
        else:
            steps.append(Step(number, line.rstrip()))
    return steps, messages


class Script:
    def __init__(self, server, source):
        self.server = server
        self.steps, self.messages = parse(source)
        self.accounts = {}
        self.sessions = {}
        self.pending = {}  # session: its tag
        self.values = {}
        self.add_account("owner")

    def add_account(self, name):
        box = self.server.new_account()
        self.accounts[name] = box
        self.values[name.encode()] = box.address.encode()
        self.values[name.encode() + b".password"] = b'"' + box.password.encode().replace(b'"', b'\\"') + b'"'
        self.values[name.encode() + b".url"] = box.address.encode().replace(b"@", b"%40")

    # ---- texts

    def fill(self, text):
        """A command's bytes: what was caught is put in, messages become literals."""
        text = re.sub(rb"<([a-z][a-z0-9_.-]*)>", lambda m: self.values.get(m[1], m[0]), text.encode()).replace(rb"\r\n", b"\r\n")
        return re.sub(rb"(~?)%([a-z][a-z0-9_]*)",
                      lambda m: m[1] + b"{%d+}\r\n" % len(self.messages[m[2].decode()]) + self.messages[m[2].decode()], text)

    def pattern(self, text):
        """A regular expression for a response; returns it and the names it catches."""
        out, caught = b"", []
        for token in re.findall(rb"<[a-z][a-z0-9_.-]*>|\.\.\.|~?%[a-z][a-z0-9_]*|\(~[^)]*\)|\\r\\n|.", text.encode(), re.S):
            name = token[1:-1]
            if token == b"...":
                out += b".*"
            elif token == b"\\r\\n":
                out += b"\r\n"
            elif token.startswith(b"(~"):
                words = token[2:-1].split()
                out += b"\\(" + b"".join(b"(?=(?:[^)]* )?%s[ )])" % re.escape(w) for w in words)
                out += b"[^ )]+" * bool(words) + b"(?: [^ )]+){%d}" % max(0, len(words) - 1) + b"\\)"
            elif len(token) > 1 and token.startswith((b"%", b"~%")):
                message = self.messages[token.split(b"%")[1].decode()]
                out += re.escape(token.split(b"%")[0] + b"{%d}\r\n" % len(message) + message)
            elif len(token) > 2 and token.startswith(b"<"):
                if name in self.values:
                    out += re.escape(self.values[name])
                elif name in caught:
                    out += b"(?P=" + group(name) + b")"
                else:
                    caught.append(name)
                    out += b"(?P<" + group(name) + b">" + WORD + b")"
            else:
                out += re.escape(token)
        return out, caught

    def matches(self, text, response, is_prefix=False):
        expression, caught = self.pattern(text)
        found = (re.match if is_prefix else re.fullmatch)(expression, response, re.S)
        if found:
            for name in caught:
                self.values[name] = found[group(name).decode()]
        return found is not None

    # ---- steps

    def run(self):
        for step in self.steps:
            try:
                self.step(step)
            except (AssertionError, EOFError, OSError, KeyError) as problem:
                raise Failure(f"line {step.number}: {step.text}\n{type(problem).__name__}: {problem}") from None

    def step(self, step):
        words = step.text.split()
        found = re.fullmatch(r"([A-Z][A-Z0-9]*)([:>!]) (.*)", step.text)
        if found:
            return self.talk(step, *found.groups())
        match words:
            case ["account", name]:
                self.add_account(name)
            case ["session", name, *rest]:
                self.open(name, rest)
            case ["deliver", message, "to", name]:
                self.accounts[name].receive(self.messages[message])
            case ["limits", "of", name, *limits]:
                self.server.cli("account", "quota", self.accounts[name.rstrip(":")].address, *limits)
            case [name, "gets"]:
                self.gets(self.sessions[name], step.lines)
            case [name, "is", "silent"]:
                assert self.sessions[name].is_silent(), f"{name} got {self.sessions[name].buffer!r}"
            case [name, "closes"]:
                self.sessions[name].close()
            case [name, "is", "closed"]:
                assert self.sessions[name].eof()
            case _:
                raise Failure("not a step")

    def open(self, name, rest):
        if rest == ["without", "login"]:
            self.sessions[name] = self.server.imap()
        else:
            self.sessions[name] = self.accounts[rest[1] if rest else "owner"].imap()

    def talk(self, step, name, how, text):
        session = self.sessions[name]
        if how == "!":
            session.send(self.fill(text) + b"\r\n")
            if name in self.pending:
                self.compare(session.finish(self.pending.pop(name)), step.lines)
            return
        tag = session.start(self.fill(text))
        if how == ">":
            self.pending[name] = tag
            self.gets(session, step.lines)
        else:
            self.compare(session.finish(tag), step.lines)

    def gets(self, session, lines):
        for line in lines:
            dropped = []
            while True:
                try:
                    response = session.response()
                except TimeoutError:
                    raise Failure(f"{line!r} did not come, but {dropped}") from None
                if self.matches(line, response):
                    break
                dropped.append(response)

    def compare(self, answer, lines):
        is_ordered, is_all = "in order" in lines, "nothing else" in lines
        wanted = [line for line in lines if line.startswith(("* ", "+ "))]
        unwanted = [line[2:] for line in lines if line.startswith("- ")]
        tagged = [line for line in lines if re.match(r"(OK|NO|BAD)\b", line)] or ["OK"]
        unknown = set(lines) - set(wanted) - {"- " + u for u in unwanted} - set(tagged) - {"in order", "nothing else"}
        assert not unknown, f"what is {unknown}?"
        rest = list(answer.untagged)
        assert self.matches(tagged[0], answer.tagged, is_prefix=True), f"{tagged[0]!r} was expected: {answer}"
        for line in wanted:
            at = next((i for i, response in enumerate(rest) if self.matches(line, response)), None)
            assert at is not None, f"{line!r} is missing or out of order: {answer}"
            rest = rest[at + 1:] if is_ordered and not is_all else rest[:at] + rest[at + 1:]
            assert not (is_ordered and is_all and at), f"{line!r} is out of order: {answer}"
        for line in unwanted:
            assert not any(self.matches(line, response) for response in answer.untagged), f"{line!r} came: {answer}"
        assert not (is_all and rest), f"more than was expected: {rest}"

    def close(self):
        for session in self.sessions.values():
            session.close()


def group(name):
    return re.sub(rb"[^a-z0-9]", b"_", b"g_" + name)
