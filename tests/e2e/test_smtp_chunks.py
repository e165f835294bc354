"""BDAT and BINARYMIME (RFC 3030) at the doors, as the mailbox shows them."""
import base64
import email
import os

from tassis import text_message, without_trace


def bdat(session, *chunks):
    """The replies to these chunks, the last marked so, all sent at once."""
    session.send(b"".join(b"BDAT %d%s\r\n%s" % (len(c), b" LAST" if n == len(chunks) - 1 else b"", c) for n, c in enumerate(chunks)))
    return [session.reply()[-1] for _ in chunks]


def begin(session, sender, to, parameters=""):
    session.expect(250, f"MAIL FROM:<{sender}>{parameters}")
    session.expect(250, f"RCPT TO:<{to}>")


def test_what_comes_in_chunks_is_what_was_sent(server, box):
    session = server.smtp()
    assert {"CHUNKING", "BINARYMIME"} <= set(session.capabilities)
    text = text_message("chunks", body=".\r\n..dots are not stuffed\r\n" + "x" * 300 + "\r\n")
    for pieces in ([text], [text[:1], text[1:]], [text[n:n + 7] for n in range(0, len(text), 7)], [text, b""]):
        begin(session, "sender@elsewhere.test", box.address)
        replies = bdat(session, *pieces)
        assert all(r.startswith("250") for r in replies), replies
    assert [without_trace(m) for m in box.messages()] == [text] * 4
    assert box.messages() == box.messages_pop3()


def test_submission_takes_chunks_too(server, box):
    session = server.submission(box)
    text = text_message("chunks").replace(b"sender@elsewhere.test", box.address.encode())
    begin(session, box.address, box.address)
    assert bdat(session, text[:50], text[50:])[1].startswith("250")
    assert box.messages()[0].endswith(text)


def test_binary_parts_are_whole_in_the_mailbox(server, box):
    picture = bytes(range(256)) * 40 + b"\n\r\0.\r\n.\r\n"
    text = (b"From: <sender@elsewhere.test>\r\nSubject: binary\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n"
            b"Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
            b"--bound\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + picture + b"\r\n--bound--\r\n")
    session = server.smtp()
    begin(session, "sender@elsewhere.test", box.address, " BODY=BINARYMIME")
    session.expect(503, "DATA")
    assert bdat(session, text[:500], text[500:])[1].startswith("250")
    stored, = box.messages()
    parts = email.message_from_bytes(stored).get_payload()
    assert parts[1]["Content-Transfer-Encoding"] == "base64"
    assert base64.b64decode(parts[1].get_payload()) == picture
    assert b"\0" not in stored and stored.replace(b"\r\n", b"").count(b"\n") == 0
    # Without the parameter the same octets are refused.
    begin(session, "sender@elsewhere.test", box.address)
    assert bdat(session, text)[0].startswith("550")


def test_a_large_message_in_large_chunks(server, box):
    text = text_message("large", body="\r\n".join([os.urandom(36).hex()] * 100000) + "\r\n")
    session = server.smtp()
    begin(session, "sender@elsewhere.test", box.address, f" SIZE={len(text)}")
    assert bdat(session, text[:3000000], text[3000000:])[1].startswith("250")
    assert without_trace(box.messages()[0]) == text


def test_who_hangs_up_in_a_chunk_sends_nothing(server, box):
    session = server.smtp()
    begin(session, "sender@elsewhere.test", box.address)
    session.send(b"BDAT 1000 LAST\r\nSubject: half")
    session.close()
    box.receive(text_message("whole"))
    assert len(box.messages()) == 1
