"""tassis trace: the story of a message in time order across roles, also of what was refused; bounded, pruned, and safe to print."""
import json
import re
import shutil
import sqlite3

import pytest

import tassis
from world import wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
RECORDS = ["one MX 10 mx.one", "mx.one A 127.0.0.41", "two MX 10 mx.two", "mx.two A 127.0.0.42"]


@pytest.fixture(scope="module")
def server(world):
    s = tassis.temporary_server(auth="plaintext = loopback", config=world.config("retry_first = 1s\nretry_longest = 2s"))
    yield s
    s.stop()
    shutil.rmtree(s.dir)


def look(server, word, *options):
    return json.loads(server.cli("trace", word, *options, "--json").stdout)


def story(server, word, *events):
    """The newest story about this word, once it has all these events."""
    def complete():
        found = look(server, word)
        names = [e["event"] for e in found[-1]["events"]] if found else []
        return found[-1] if all(n in names for n in events) else None
    return wait_for(complete)


def one(found, event):
    hits = [e for e in found["events"] if e["event"] == event]
    assert len(hits) == 1, found
    return {**hits[0]["fields"], "role": hits[0]["role"]}


def deliver(server, sender="carol@elsewhere.test", to=(BOB,), text=b"Subject: x\r\nMessage-ID: <m1@elsewhere.test>\r\n\r\nhi\r\n", code=250):
    session = server.smtp()
    session.start_tls() if session.command("STARTTLS")[0].startswith("220") else None
    session.command("EHLO client.elsewhere.test")
    session.command(f"MAIL FROM:<{sender}>")
    for address in to:
        session.command(f"RCPT TO:<{address}>")
    last = session.message(text, code)[-1]
    session.close()
    return re.search(r" id (\w+)$", last)[1] if code == 250 else None


def submit(server, to, text="hello\r\n"):
    session = server.submission(server.account(ALICE))
    session.expect(250, f"MAIL FROM:<{ALICE}>")
    for address in to:
        session.expect(250, f"RCPT TO:<{address}>")
    last = session.message(f"From: <{ALICE}>\r\nSubject: s\r\n\r\n{text}".encode())[-1]
    session.close()
    return re.search(r" id (\w+)$", last)[1]


def test_a_message_from_outside(server):
    trace = deliver(server)
    found = story(server, trace, "accepted", "delivered")
    assert found["trace"] == trace
    accepted, delivered = one(found, "accepted"), one(found, "delivered")
    assert accepted["role"] == "mx" and delivered["role"] == "mail"
    assert (accepted["from"], accepted["to"], accepted["client"], accepted["helo"]) == ("carol@elsewhere.test", BOB, "127.0.0.1", "client.elsewhere.test")
    assert accepted["tls"] == "TLSv1.3" and accepted["cipher"] and int(accepted["size"]) > 0
    assert (delivered["to"], delivered["mailbox"]) == (BOB, "INBOX")
    for word in ("carol@elsewhere.test", "CAROL@Elsewhere.test", BOB, "m1@elsewhere.test", "<m1@elsewhere.test>"):
        assert look(server, word)[-1]["trace"] == trace
    text = server.cli("trace", trace).stdout
    assert text.startswith(trace + "\n  20") and " mx     accepted " in text and " mail   delivered " in text
    times = [e["time"] for e in found["events"]]
    assert times == sorted(times)


def test_attempts_with_the_remotes_words(server, world):
    says = {"RCPT": "450 4.2.1 come \x1b[2Jback \u202elater"}
    peer = world.peer("127.0.0.41", answers=lambda verb, line: says.get(verb))
    trace = submit(server, ["someone@one.test", BOB])
    found = story(server, trace, "accepted", "delivered", "queued", "deferred")
    deferred = [e for e in found["events"] if e["event"] == "deferred"][0]["fields"]
    assert deferred["to"] == "someone@one.test" and deferred["reply"].startswith("450 4.2.1 come ")
    assert deferred["host"] == "mx.one.test" and deferred["tls"] == "none" and deferred["attempt"] == "1"
    assert one(found, "accepted")["account"] == ALICE
    text = server.cli("trace", trace).stdout
    assert "\x1b" not in text and "\u202e" not in text and "\\xe2\\x80\\xae" in text
    says.clear()
    number = one(found, "queued")["queue"]
    server.cli("queue", "retry", number)
    found = story(server, trace, "sent")
    assert one(found, "sent")["reply"] == "250 2.0.0 taken"
    assert look(server, number)[-1]["trace"] == trace
    peer.stop()


def test_a_bounce_is_part_of_the_story(server, world):
    peer = world.peer("127.0.0.42", answers={"RCPT": "550 5.1.1 who is that"})
    trace = submit(server, ["nobody@two.test"])
    found = story(server, trace, "failed", "reported", "handed-over")
    assert one(found, "failed")["reply"] == "550 5.1.1 who is that"
    reported = one(found, "reported")
    assert (reported["to"], reported["about"], reported["action"]) == (ALICE, "nobody@two.test", "failed")
    assert one(found, "delivered")["to"] == ALICE
    assert look(server, "nobody@two.test")[-1]["trace"] == trace
    peer.stop()


def test_what_was_refused(server):
    session = server.smtp()
    session.expect(250, "MAIL FROM:<refused1@elsewhere.test>")
    session.expect(550, "RCPT TO:<nobody-here@example.test>")
    session.expect(250, f"RCPT TO:<{BOB}>")
    session.message(b"Subject: x\r\n\r\nbare\rcr\r\n", 550)
    session.expect(552, "MAIL FROM:<refused2@elsewhere.test> SIZE=999999999")
    session.close()
    refused = [e["fields"] for e in story(server, "refused1@elsewhere.test", "refused")["events"]]
    assert [(r["code"], r.get("to")) for r in refused] == [("550", "nobody-here@example.test"), ("550", BOB)]
    assert refused[1]["reason"] == "Message has a bare CR or LF" and refused[0]["client"] == "127.0.0.1"
    assert one(story(server, "refused2@elsewhere.test", "refused"), "refused")["code"] == "552"
    assert look(server, "nobody-here@example.test")[-1]["events"][0]["fields"]["from"] == "refused1@elsewhere.test"


def test_limit_and_since(server):
    for _ in range(5):
        deliver(server, sender="often@elsewhere.test")
    wait_for(lambda: len(look(server, "often@elsewhere.test")) == 5)
    assert len(look(server, "often@elsewhere.test", "--limit", "2")) == 2
    assert "newest 2" in server.cli("trace", "often@elsewhere.test", "--limit", "2").stderr
    assert look(server, "often@elsewhere.test", "--since", "2099-01-01T00:00:00Z") == []
    assert len(look(server, "often@elsewhere.test", "--since", "1h")) == 5
    for words in (("--limit", "0"), ("--limit", "x"), ("--since", "soon")):
        assert server.cli("trace", BOB, *words, ok=False).returncode == 1
    assert "nothing is known" in server.cli("trace", "never@seen.test", ok=False).stderr


def test_it_outlives_restarts_and_dead_roles(server):
    before = deliver(server)
    story(server, before, "delivered")
    server.kill_role("relay")
    during = deliver(server)
    story(server, during, "accepted", "delivered")
    server.stop()
    server.start()
    after = deliver(server)
    for trace in (before, during, after):
        story(server, trace, "accepted", "delivered")
    last = deliver(server)
    server.stop()  # what was said last is written
    assert {e["event"] for e in look(server, last)[0]["events"]} >= {"accepted", "delivered"}
    server.start()


def test_control_characters_of_strangers_are_escaped(server):
    session = server.smtp()
    session.command("EHLO h\u00e9.example")
    session.expect(250, 'MAIL FROM:<"quoted,comma"@elsewhere.test>')
    session.expect(550, "RCPT TO:<nobody-odd@example.test>")
    session.close()
    found = story(server, "nobody-odd@example.test", "refused")
    assert one(found, "refused")["from"] == '"quoted,comma"@elsewhere.test'


def test_off_keeps_nothing_and_the_size_is_bounded(make_server):
    server = make_server(config="[trace]\nsize = 1M\n")
    trace = deliver(server)
    story(server, trace, "delivered")
    server.stop()
    with sqlite3.connect(server.data / "trace" / "trace.db") as db:  # as if there had been much mail
        row = db.execute("SELECT first_ms, last_ms, keys, lines FROM batch ORDER BY id LIMIT 1").fetchone()
        filler = b"2026-01-01T00:00:00.000Z mx info accepted trace=filler from=x@y.test\n" * 500
        db.executemany("INSERT INTO batch(first_ms, last_ms, keys, lines) VALUES(?,?,?,?)", [(row[0], row[1], b"", filler)] * 100)
    db.close()
    size = lambda: (server.data / "trace" / "trace.db").stat().st_size
    assert size() > 3 << 20
    server.start()
    wait_for(lambda: size() < 1 << 20)
    server.stop()
    server.write_config("[trace]\nkeep = off\n", "", "")
    server.start()
    deliver(server)
    server.wait_log("delivered ")

    def rows():
        with sqlite3.connect(server.data / "trace" / "trace.db") as db:
            return db.execute("SELECT count(*) FROM batch").fetchone()[0]

    wait_for(lambda: rows() == 0)


def test_what_is_too_old_goes(make_server):
    server = make_server(config="[trace]\nkeep = 1h\n")
    trace = deliver(server)
    story(server, trace, "delivered")
    server.stop()
    with sqlite3.connect(server.data / "trace" / "trace.db") as db:
        db.execute("UPDATE batch SET last_ms = last_ms - 7200000")
    db.close()
    server.start()
    wait_for(lambda: look(server, trace) == [])
