"""The search index from outside: tassis index beside a running server, and a search that is right before, while and after."""
import imaplib
import time

from tassis import PASSWORDS

ALICE = "alice@example.test"


def login(server):
    imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    imap.login(ALICE, PASSWORDS[ALICE])
    return imap


def search(server, keys):
    imap = login(server)
    imap.select("INBOX")
    kind, data = imap.uid("SEARCH", None, *keys)
    assert kind == "OK"
    imap.logout()
    return data[0].split()


def wait_for_index(server, count):
    for _ in range(300):
        row = server.cli_json("index", "status", ALICE)[0]
        if row["indexed"] == count:
            return row
        time.sleep(0.1)
    raise AssertionError(f"not indexed: {row}")


def test_index_is_made_looked_at_and_made_anew(server):
    imap = login(server)
    for i in range(100):
        word = "needle" if i % 10 == 3 else "hay"
        imap.append("INBOX", None, None, f"Subject: s{i}\r\n\r\nsome {word}stack here\r\n".encode())
    imap.logout()
    found = search(server, ["BODY", "needle"])
    assert len(found) == 10
    row = wait_for_index(server, 100)
    assert row["messages"] == 100 and row["gone"] == 0 and 0 < row["bytes"]
    assert search(server, ["BODY", "eedlest"]) == found
    server.cli("index", "check", ALICE)
    server.cli("index", "check")
    server.cli("index", "rebuild", ALICE)
    assert search(server, ["BODY", "needle"]) == found  # a long search asks for the index
    wait_for_index(server, 100)
    assert search(server, ["BODY", "needle"]) == found
    assert server.cli("index", "status", "nobody@example.test", ok=False).returncode == 1
