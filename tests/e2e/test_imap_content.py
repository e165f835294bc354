"""What IMAP says of messages: structure, envelope, sections, search in several charsets; and real mail, against Python's own reading."""
import base64
import email
import email.policy
import quopri
import re
import tarfile

import pytest

HARD = (
    b"From: =?iso-8859-1?Q?Alic=E9?= <alice@example.test>\r\n"
    b"To: team: bob@example.test, \"B. Quoted\" <b.quoted@example.test>;\r\n"
    b"Subject: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=\r\n"
    b"Date: Sat, 31 Jan 2026 12:00:00 +0100\r\n"
    b"Message-ID: <hard@example.test>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=outer\r\n"
    b"\r\n"
    b"preamble\r\n"
    b"--outer\r\n"
    b"Content-Type: multipart/alternative; boundary=\"outer.inner\"\r\n"
    b"\r\n"
    b"--outer.inner\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"na=EFve plain\r\n"
    b"--outer.inner\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    + base64.b64encode("<p>na\u00efve <b>ht</b>ml</p><script>hidden()</script>".encode()) + b"\r\n"
    b"--outer.inner--\r\n"
    b"--outer\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"Content-Description: a message within\r\n"
    b"\r\n"
    b"From: bob@example.test\r\n"
    b"Subject: within\r\n"
    b"Content-Type: multipart/mixed; boundary=deep\r\n"
    b"\r\n"
    b"--deep\r\n"
    b"\r\n"
    b"deep text\r\n"
    b"--deep\r\n"
    b"Content-Type: application/pdf; name*0*=utf-8''%C3%BCber; name*1=sicht.pdf\r\n"
    b"Content-Disposition: attachment; filename=\"report.pdf\"; size=3\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"Content-Language: de, en\r\n"
    b"\r\n"
    b"UERG\r\n"
    b"--deep--\r\n"
    b"--outer--\r\n"
    b"epilogue\r\n"
)


@pytest.fixture(scope="module")
def hard(server):
    box = server.new_account()
    session = box.imap("INBOX")
    session.append(HARD)
    session.ok("NOOP")
    return session


def test_bodystructure(hard):
    structure = hard.ok("FETCH 1 BODYSTRUCTURE").one(rb"\* 1 FETCH \(BODYSTRUCTURE (.*)\)")[1]
    assert structure.startswith(b'((("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" 13 ')
    lower = structure.lower()
    assert b'"alternative" ("boundary" "outer.inner")' in lower
    assert b'("message" "rfc822" nil nil "a message within" "7bit"' in lower
    assert b'"report.pdf"' in lower and b'("attachment" ' in lower and b'("de" "en")' in lower
    assert lower.count(b"(") == lower.count(b")")
    plain = hard.ok("FETCH 1 BODY").one(rb"\* 1 FETCH \(BODY (.*)\)")[1].lower()
    assert b"attachment" not in plain and b'"mixed")' in plain


def test_envelope(hard):
    envelope = hard.ok("FETCH 1 ENVELOPE").one(rb"\* 1 FETCH \(ENVELOPE (.*)\)")[1]
    assert envelope.startswith(b'("Sat, 31 Jan 2026 12:00:00 +0100" "=?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=" (("=?iso-8859-1?Q?Alic=E9?=" NIL "alice" "example.test"))')
    # RFC 3501 7.4.2: a group is a start with its name, its members, and an end
    assert b'((NIL NIL "team" NIL)(NIL NIL "bob" "example.test")("B. Quoted" NIL "b.quoted" "example.test")(NIL NIL NIL NIL))' in envelope
    assert envelope.endswith(b'NIL NIL NIL "<hard@example.test>")')


@pytest.mark.parametrize("section, expected", [
    ("1.1", b"na=EFve plain"),
    ("1.1.MIME", b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    ("2.HEADER", b"From: bob@example.test\r\nSubject: within\r\nContent-Type: multipart/mixed; boundary=deep\r\n\r\n"),
    ("2.1", b"deep text"),
    ("2.2", b"UERG"),
    ("2.HEADER.FIELDS (subject)", b"Subject: within\r\n\r\n"),
    ("2.HEADER.FIELDS.NOT (from content-type)", b"Subject: within\r\n\r\n"),
    ("HEADER.FIELDS (MESSAGE-ID X-NONE)", b"Message-ID: <hard@example.test>\r\n\r\n"),
    ("2.TEXT", HARD[HARD.index(b"--deep\r\n"):HARD.index(b"\r\n--outer--")]),
    ("TEXT", HARD[HARD.index(b"preamble"):]),
    ("HEADER", HARD[:HARD.index(b"preamble")]),
    ("", HARD),
])
def test_sections(hard, section, expected):
    def get(partial):
        line = hard.ok(f"FETCH 1 BODY.PEEK[{section}]{partial}").untagged[0]
        found = re.search(rb"\](?:<\d+>)? (?:\{\d+\}\r\n(.*)|\"(.*)\"|(NIL))\)$", line, re.S)
        assert found, line
        return found[1] if found[1] is not None else found[2] if found[2] is not None else None

    assert get("") == expected
    for start, size in ((0, 1), (3, 5), (len(expected) - 1, 10), (0, len(expected)), (len(expected), 5), (len(expected) + 9, 5)):
        assert get(f"<{start}.{size}>") == expected[start:start + size]


def test_sections_that_are_not_there(hard):
    for section in ("3", "1.3", "2.3", "1.1.1.1", "2.1.1.1", "9.HEADER"):
        line = hard.ok(f"FETCH 1 BODY.PEEK[{section}]").untagged[0]
        assert line.endswith((b"] NIL)", b'] "")', b"] {0}\r\n)")), line


@pytest.mark.parametrize("program, literals, found", [
    ('SUBJECT "aus"', [], True),
    ("CHARSET UTF-8 SUBJECT %s", ["gr\u00fc\u00dfe".encode()], True),
    ("CHARSET UTF-8 SUBJECT %s", ["GR\u00dc\u00dfE".encode()], True),
    ("CHARSET UTF-8 SUBJECT %s", ["GR\u00dcSSE".encode()], False),  # RFC 5051: a letter is never compared as two
    ("CHARSET ISO-8859-1 SUBJECT %s", ["K\u00f6ln".encode("latin-1")], True),
    ("CHARSET UTF-8 BODY %s", ["na\u00efve plain".encode()], True),
    ("CHARSET UTF-8 BODY %s", ["NA\u00cfVE HTML".encode()], True),
    ("BODY hidden", [], False),
    ('BODY "deep text"', [], True),
    ("BODY preamble", [], False),
    ("CHARSET UTF-8 FROM %s", ["alic\u00e9".encode()], True),
    ("TO b.quoted", [], True),
    ("TEXT within", [], True),
    ('HEADER Message-ID "<hard@"', [], True),
    ('HEADER Message-ID ""', [], True),
    ('HEADER X-None ""', [], False),
    ("SENTON 31-Jan-2026", [], True),
    ("SENTSINCE 1-Feb-2026", [], False),
    ("NOT SENTBEFORE 31-Jan-2026 LARGER 100 SMALLER 100000", [], True),
    ("OR SUBJECT nothing (SUBJECT aus FROM alic)", [], True),
    ("UNKEYWORD $Forwarded UID 1:* 1", [], True),
])
def test_search(hard, program, literals, found):
    assert hard.ok(f"SEARCH {program}", *literals).numbers() == ([1] if found else [])


def test_search_in_an_unknown_charset(hard):
    answer = hard.no("SEARCH CHARSET X-NO-SUCH SUBJECT %s", b"x")
    assert answer.tagged.startswith(b"NO [BADCHARSET (")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-15", "windows-1251", "koi8-r", "shift_jis", "iso-2022-jp", "gb2312", "big5", "euc-kr"])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_search_finds_text_in_any_charset(server, charset, encoding):
    words = {"utf-8": "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac", "iso-8859-15": "\u20ac uro caf\u00e9", "windows-1251": "\u041f\u0440\u0438\u0432\u0435\u0442",
             "koi8-r": "\u041c\u043e\u0441\u043a\u0432\u0430", "shift_jis": "\u6771\u4eac\u30bf\u30ef\u30fc", "iso-2022-jp": "\u65e5\u672c\u8a9e",
             "gb2312": "\u5317\u4eac\u5e02", "big5": "\u81fa\u5317\u5e02", "euc-kr": "\uc11c\uc6b8\uc2dc"}
    word = words[charset]
    raw = f"before {word} after".encode(charset)
    body = {"8bit": raw, "base64": base64.encodebytes(raw).replace(b"\n", b"\r\n"), "quoted-printable": quopri.encodestring(raw)}[encoding]
    session = server.new_account().imap("INBOX")
    session.append(f"Subject: x\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body + b"\r\n")
    session.append(b"Subject: another\r\n\r\nsomething else\r\n")
    session.ok("NOOP")
    assert session.ok("SEARCH CHARSET UTF-8 BODY %s", word.encode()).numbers() == [1]


def test_search_of_many_messages_that_finds_nothing(server):
    """A search reads some hundred messages at a time and may have nothing to say for long."""
    session = server.new_account().imap("INBOX")
    session.append(b"Subject: one of many\r\n\r\nhello\r\n")
    session.ok("NOOP")
    for _ in range(14):
        session.ok("COPY 1:* INBOX")
        session.ok("NOOP")
    assert session.ok('SEARCH SUBJECT "walrus"').numbers() == []
    assert len(session.ok('SEARCH SUBJECT "of many"').numbers()) == 2 ** 14


def test_real_mail(server, corpus):
    """Real messages: the octets come back as they went in; Subject and From in the ENVELOPE are what Python reads."""
    box = server.new_account()
    session = box.imap("INBOX")
    kept = []
    with tarfile.open(corpus) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        for member in members[::len(members) // 300]:
            raw = re.sub(rb"\r?\n", b"\r\n", archive.extractfile(member).read()).replace(b"\0", b"")
            if raw.startswith(b"From "):
                raw = raw[raw.index(b"\r\n") + 2:]
            session.append(raw)
            kept.append((member.name, raw))
    session.ok("NOOP")
    assert len(kept) >= 290
    for n, (name, raw) in enumerate(kept, 1):
        assert session.body(n) == raw, name
        line = session.ok(f"FETCH {n} (ENVELOPE BODYSTRUCTURE)").untagged[0]
        parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
        subject = parsed["Subject"]
        if subject is not None and "\\" not in str(subject) and '"' not in str(subject) and str(subject).isascii():
            unfolded = re.sub(r"\r\n(?=[ \t])", "", str(subject)).strip()
            assert unfolded.encode() in line, (name, unfolded, line)
    assert session.ok("SEARCH ALL").numbers() == list(range(1, len(kept) + 1))
