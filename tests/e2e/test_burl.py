"""BURL (RFC 4468): what lies in a mailbox is sent from there, by URLs that IMAP has made for it (RFC 4467)."""
import pytest

from tassis import text_message, without_trace


def url_of(box, path, access=None):
    """A URL of this account: made for its own submission, or for whom `access` says."""
    user = box.address.replace("@", "%40")
    rump = f"imap://{user}@mail.example.test/{path};URLAUTH={access or 'submit+' + user}"
    found = box.imap().ok(f'GENURLAUTH "{rump}" INTERNAL').one(rb'\* GENURLAUTH "([^"]*)"')
    return found[1].decode()


@pytest.fixture
def letter(box):
    """A message in the mailbox Drafts, as who wants to send it has put it there."""
    text = text_message("from the drafts", body="hello\r\n.\r\nthere\r\n").replace(b"sender@elsewhere.test", box.address.encode())
    box.imap().append(text, "Drafts", "\\Draft")
    return text


def begin(session, sender, to):
    session.expect(250, f"MAIL FROM:<{sender}>")
    session.expect(250, f"RCPT TO:<{to}>")


def test_it_is_offered_to_who_has_logged_in(server, box):
    before = server.smtp("submission")
    assert "BURL" in before.capabilities and "BURL imap" not in before.capabilities
    before.expect(530, "BURL imap://example.test/INBOX/;UID=1 LAST")
    session = server.submission(box)
    assert any(line.endswith("BURL imap") for line in session.command("EHLO client.example.test"))
    assert not any("BURL" in line for line in server.smtp().capabilities)
    server.smtp().expect(500, "BURL imap://example.test/INBOX/;UID=1 LAST")


def test_a_draft_is_sent(server, box, letter):
    to, session = server.new_account(), server.submission(box)
    begin(session, box.address, to.address)
    session.expect(250, f"BURL {url_of(box, 'Drafts/;UID=1')} LAST")
    received, = to.messages()
    assert received.endswith(letter)
    # The session goes on, and pipelining works.
    url = url_of(box, "Drafts/;UID=1", "authuser")
    session.send(f"MAIL FROM:<{box.address}>\r\nRCPT TO:<{to.address}>\r\nBURL {url} LAST\r\nNOOP\r\n")
    assert [session.reply()[-1][:3] for _ in range(4)] == ["250"] * 4
    assert len(to.messages()) == 2


def test_a_new_message_with_a_part_of_an_old_one(server, box, letter):
    to, session = server.new_account(), server.submission(box)
    begin(session, box.address, to.address)
    head = f"From: <{box.address}>\r\nSubject: forwarded\r\n\r\n".encode()
    session.send(b"BDAT %d\r\n" % len(head) + head + f"BURL {url_of(box, 'Drafts/;UID=1/;SECTION=TEXT')}\r\n".encode() +
                 b"BDAT 5 LAST\r\nend\r\n")
    assert [session.reply()[-1][:3] for _ in range(3)] == ["250"] * 3
    received, = to.messages()
    assert received.endswith(head + letter.split(b"\r\n\r\n", 1)[1] + b"end\r\n")


def test_what_is_not_ones_own_to_send(server, box, letter):
    other = server.new_account()
    mine, theirs = url_of(box, "Drafts/;UID=1"), server.submission(other)
    begin(theirs, other.address, other.address)
    assert "5.7.0" in theirs.command(f"BURL {mine} LAST")[-1]
    # The transaction is over.
    theirs.expect(503, "BDAT 0 LAST")
    for url, code in ((url_of(box, "Drafts/;UID=1", "user+" + other.address.replace("@", "%40")), "5.7.0"),
                      (mine[:-1] + ("0" if mine[-1] != "0" else "1"), "5.7.0"),
                      (mine.split(";URLAUTH")[0], "5.7.0"), ("http://example.test/", "5.7.0"), ("imap://" + "x" * 9000, "5.7.0")):
        begin(theirs, other.address, other.address)
        assert code in theirs.command(f"BURL {url} LAST")[-1], url
    assert other.messages() == []
    session = server.submission(box)
    for path, code in (("Drafts/;UID=7", "5.6.6"), ("Drafts/;UID=1/;SECTION=9", "5.6.6"),
                       ("Drafts/;UID=1;EXPIRE=2020-01-01T00:00:00Z", "5.7.0")):
        begin(session, box.address, other.address)
        assert code in session.command(f"BURL {url_of(box, path)} LAST")[-1], path
    box.imap().ok("RESETKEY")
    begin(session, box.address, other.address)
    assert "5.7.0" in session.command(f"BURL {mine} LAST")[-1]
    assert other.messages() == []
