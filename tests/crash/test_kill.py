"""Roles, and the whole server, are killed under load: nothing that was acknowledged is lost or doubled.

CRASH_KILLS sets how many kills there are, CRASH_SEED which ones.
"""
import os
import random
import re
import signal
import time

import load
import tassis

KILLS = int(os.environ.get("CRASH_KILLS", "50"))
SEED = os.environ.get("CRASH_SEED") or str(random.SystemRandom().randrange(10**9))
PAUSE = (0.05, 1.2)  # seconds between two kills


def kill_one(server, role, deadline=30):
    """kill -9 of a role as soon as there is one."""
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        pid = server.children().get(role)
        if pid:
            os.kill(pid, signal.SIGKILL)
            server.killed += 1
            return
        time.sleep(0.02)
    raise AssertionError(f"{role} was not started again:\n{server.log()[-3000:]}")


def check_accounts(server):
    done = server.cli("check", "--accounts", ok=False)
    assert "error" not in done.stdout.lower().replace("0 errors", ""), done.stdout
    for address in tassis.PASSWORDS:
        assert re.search(rf"ok +account +.*{address}", done.stdout), done.stdout


def deaths(server):
    return re.findall(r"role-died.*", server.log())


def test_roles_killed_under_load(make_server):
    print(f"CRASH_SEED={SEED} CRASH_KILLS={KILLS}")
    rng = random.Random(SEED)
    server = make_server()
    book, clients = load.start(server, SEED)
    time.sleep(1)
    plan = [tassis.ROLES[i % len(tassis.ROLES)] for i in range(KILLS)]
    rng.shuffle(plan)
    for role in plan:
        time.sleep(rng.uniform(*PAUSE))
        kill_one(server, role)
    load.finish(clients)
    counts = load.check(server, book)
    print(dict(counts), "kills by role:", {r: plan.count(r) for r in tassis.ROLES})
    assert counts[load.ACKED] >= KILLS, "the clients came to nothing"
    died = deaths(server)
    assert len(died) == KILLS and all("signal=9" in d for d in died), "\n".join(died)
    check_accounts(server)
    server.stop()  # clean, and no sanitizer has said anything


def kill_all(server):
    """Power off: the master first, then every role, all within a moment."""
    pids = list(server.children().values())
    os.kill(server.process.pid, signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait()
    server.log_file.close()
    until = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{p}") for p in pids) and time.monotonic() < until:
        time.sleep(0.02)


def test_whole_server_killed(make_server):
    print(f"CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    server = make_server()
    book, clients = load.start(server, SEED)
    for _ in range(3):
        time.sleep(rng.uniform(1, 3))
        kill_all(server)
        server.start()
    load.finish(clients)
    counts = load.check(server, book)
    print(dict(counts))
    assert counts[load.ACKED] >= 20
    check_accounts(server)


def test_master_killed_alone(make_server):
    """The roles see that the master is gone, end by themselves, and leave the ports to the next server."""
    server = make_server()
    book, clients = load.start(server, SEED)
    time.sleep(1)
    pids = list(server.children().values())
    assert len(pids) == len(tassis.ROLES)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server.log_file.close()
    until = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{p}") for p in pids):
        assert time.monotonic() < until, "a role lives on without its master"
        time.sleep(0.05)
    server.start()
    load.finish(clients)
    counts = load.check(server, book)
    assert counts[load.ACKED] > 0
    check_accounts(server)


def frozen(server, role):
    pid = server.children()[role]
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_frozen_relay_does_not_stop_local_delivery(make_server):
    server = make_server()
    pid = frozen(server, "relay")
    try:
        outside = server.talk("submission")  # hangs at the frozen relay, or is told to come again
        sender = load.Submission(server, load.Book(), "outside", SEED)
        sender.talk = outside
        sender.login()
        outside.send("MAIL FROM:<alice@example.test>\r\nRCPT TO:<someone@elsewhere.example>\r\nDATA\r\n")
        began = time.monotonic()
        book, clients = load.start(server, SEED)
        time.sleep(4)
        load.finish(clients)
        assert time.monotonic() - began < 15, "local delivery waits for relay"
        counts = load.check(server, book)
        assert set(counts) == {load.ACKED}, f"{dict(counts)}: nothing had to fail"
    finally:
        os.kill(pid, signal.SIGCONT)
        outside.close()


def test_frozen_vault_does_not_stop_those_who_are_logged_in(make_server):
    server = make_server()
    talk = load.login(server, load.ALICE)
    pid = frozen(server, "vault")
    try:
        stranger = load.Smtp(server, load.Book(), "stranger", SEED)
        stranger.deliver("while-the-vault-sleeps")
        assert stranger.book.attempts[0].result == load.ACKED
        talk.send("a SELECT INBOX\r\nb UID FETCH 1:* FLAGS\r\n")
        assert talk.until("b ")[-1].startswith("b OK")
    finally:
        os.kill(pid, signal.SIGCONT)
    load.login(server, load.BOB).close()
