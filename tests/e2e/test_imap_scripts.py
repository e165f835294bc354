"""Every dialogue in scripts/ (imap_script.py says how they are written), and the language itself: it must be able to fail."""
import pathlib

import pytest

import imap_script

SCRIPTS = sorted(pathlib.Path(__file__).parent.glob("scripts/*.imap"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_script(server, path):
    script = imap_script.Script(server, path.read_text())
    try:
        script.run()
    finally:
        script.close()


MESSAGE = """message one
    Subject: one

    hello
session A
A: APPEND INBOX (\\Seen) %one
A: SELECT INBOX
"""


@pytest.mark.parametrize("lines, problem", [
    ("A: NOOP\n    * 2 EXISTS", "is missing"),
    ("A: FETCH 1 FLAGS\n    - * 1 FETCH ...", "came"),
    ("A: FETCH 1 FLAGS\n    nothing else", "more than"),
    ("A: FETCH 1 FLAGS\n    * 1 FETCH (FLAGS (~ \\Flagged \\Recent))", "is missing"),
    ("A: FETCH 1 FLAGS\n    * 1 FETCH (FLAGS (~ \\Seen))", "is missing"),
    ("A: FETCH 1 (UID)\n    * 1 FETCH (UID 1)\n    NO", "was expected"),
    ("A: FETCH 2 (UID)\n    OK", "was expected"),
    ("A: FETCH 1 (UID)\n    * <n> FETCH (UID <n>)\nA: FETCH 1 (RFC822.SIZE)\n    * 1 FETCH (RFC822.SIZE <n>)", "is missing"),
    ("A: LIST \"\" (Drafts Sent\n    BAD\nA: LIST \"\" \"*\"\n    in order\n    * LIST ... \"Sent\"\n    * LIST ... \"Drafts\"", "out of order"),
    ("A: FETCH 1 BODY.PEEK[]\n    * 1 FETCH (BODY[] {5}\\r\\nhello)", "is missing"),
    ("A: NOOP\n    what is this", "what is"),
    ("A walks", "not a step"),
])
def test_scripts_can_fail(server, lines, problem):
    script = imap_script.Script(server, MESSAGE + lines)
    with pytest.raises(imap_script.Failure, match=problem):
        script.run()
    script.close()
