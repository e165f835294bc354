"""[rates]: messages, recipients and connections in an hour, counted over all sessions and threads of a role."""
import threading

import tassis

TEXT = "Subject: rate\r\n\r\nhello\r\n.\r\n"


def submit(server, box, to):
    """The reply that ended it: of MAIL, or of the message."""
    talk = server.submission(box)
    reply = talk.command(f"MAIL FROM:<{box.address}>")[-1]
    if reply.startswith("250"):
        assert talk.command(f"RCPT TO:<{to}>")[-1].startswith("250")
        assert talk.command("DATA")[-1].startswith("354")
        talk.send(TEXT)
        reply = talk.reply()[-1]
    talk.close()
    return reply


def test_messages_of_an_account(make_server):
    server = make_server(auth="plaintext = loopback", config="[rates]\nmessages_per_account = 5\nexempt_accounts = bob@example.test")
    alice, bob = server.account("alice@example.test"), server.account("bob@example.test")
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(submit(server, alice, bob.address))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([r for r in replies if r.startswith("250")]) == 5
    assert len([r for r in replies if r.startswith("451 4.7.1")]) == 3
    assert len(bob.messages()) == 5
    for _ in range(6):
        assert submit(server, bob, alice.address).startswith("250")
    assert submit(server, alice, bob.address).startswith("451 4.7.1")
    bob.receive(b"Subject: x\r\n\r\nfrom outside, which is counted elsewhere\r\n")
    server.wait_log(r"refused .*account=alice@example\.test.*Too many messages of this account")


def test_recipients_of_an_account(make_server):
    server = make_server(auth="plaintext = loopback", config="[rates]\nrecipients_per_account = 3")
    alice, bob = server.account("alice@example.test"), server.account("bob@example.test")
    talk = server.submission(alice)
    talk.expect("250", "MAIL FROM:<alice@example.test>")
    for code in ("250", "250", "250", "451", "451"):
        talk.expect(code, "RCPT TO:<bob@example.test>")
    talk.message(b"Subject: x\r\n\r\nthose that were taken get it\r\n")
    talk.close()
    assert len(bob.messages()) == 1


def test_a_client_of_port_25(make_server):
    server = make_server(auth="plaintext = loopback", config="[rates]\nconnections_per_address = 3\nmessages_per_address = 2")
    talks = [server.smtp() for _ in range(3)]
    replies = [talk.command("MAIL FROM:<a@elsewhere.test>")[-1] for talk in talks]
    assert [r[:9] for r in replies] == ["250 2.1.0", "250 2.1.0", "451 4.7.1"]
    refused = server.talk("smtp")
    assert refused.line().startswith("421 4.7.0")
    assert refused.eof()
    for talk in talks:
        assert talk.command("NOOP")[-1].startswith("250")  # who is in stays in
        talk.close()


def test_who_is_exempt(make_server):
    server = make_server(auth="plaintext = loopback",
                         config="[rates]\nconnections_per_address = 1\nmessages_per_address = 1\nexempt = 127.0.0.0/8 [2001:db8::]/32")
    bob = server.account("bob@example.test")
    for _ in range(3):
        bob.receive(b"Subject: x\r\n\r\nhello\r\n")


def test_who_is_behind_a_filter_is_counted(make_server):
    """XCLIENT: the filter has no limit of its own, its clients have theirs."""
    server = make_server(auth="plaintext = loopback",
                         config="[rates]\nconnections_per_address = 1\nmessages_per_address = 1\n\n[proxy]\nxclient = 127.0.0.1")
    replies = {}
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        talk = server.talk("smtp")
        talk.line()
        talk.command("EHLO filter.example.test")
        assert talk.command(f"XCLIENT ADDR={address}")[-1].startswith("220")
        talk.command("EHLO client.example.test")
        replies.setdefault(address, []).append(talk.command("MAIL FROM:<a@elsewhere.test>")[-1][:3])
        talk.close()
    assert replies == {"192.0.2.1": ["250", "451"], "192.0.2.2": ["250"]}
