"""Limits on sessions: given back at every end of a session, and told in the protocol's words when reached."""
import imaplib
import ssl

from tassis import PASSWORDS

ALICE = "alice@example.test"


def login(server):
    imap = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=ssl._create_unverified_context())
    imap.login(ALICE, PASSWORDS[ALICE])
    return imap


def test_ended_sessions_do_not_count(make_server):
    server = make_server(limits="sessions_per_account = 5")
    for n in range(30):
        imap = login(server)
        if n % 2:
            imap.logout()
        else:
            imap.shutdown()  # the connection just goes away


def test_the_account_limit_is_told(make_server):
    server = make_server(limits="sessions_per_account = 3")
    held = [login(server) for _ in range(3)]
    try:
        login(server)
        raise AssertionError("a fourth session was let in")
    except imaplib.IMAP4.error as refused:
        assert "LIMIT" in str(refused)
    for imap in held:
        imap.logout()
    login(server).logout()
