"""Random commands from several sessions against a model in memory (imap_model.py); any difference is a failure.

IMAP_MODEL_COMMANDS=100000 IMAP_MODEL_SEED=random for more. The seed is printed; the same seed gives the same commands.
"""
import functools
import os
import random

import imap_model
import imap_world

COMMANDS = int(os.environ.get("IMAP_MODEL_COMMANDS", 10000))
SEED = os.environ.get("IMAP_MODEL_SEED", "20260131")


def test_server_and_model_agree(server):
    seed = random.randrange(1 << 32) if SEED == "random" else int(SEED)
    done = 0
    while done < COMMANDS:
        run = imap_model.Run(server.new_account(), seed + done)
        for number in range(min(5000, COMMANDS - done)):
            try:
                run.step()
            except (AssertionError, EOFError, OSError, KeyError, ValueError) as problem:
                history = "\n".join(run.history)
                raise AssertionError(f"IMAP_MODEL_SEED={seed + done}, command {number}: {type(problem).__name__} {problem}\n{history}") from problem
        for client in run.clients:
            if client.name is not None:
                client.sync()
        run.close()
        done += 5000


def notices(check):
    try:
        check()
    except AssertionError:
        return True
    return False


def test_model_notices_a_lie(box):
    """A world that differs in one flag, one message, or one change that the server never made, is found out."""
    for lie in ("flag", "message", "change", "resync"):
        run = imap_model.Run(box, 1, clients=1)
        client = run.clients[0]
        client.come(True)
        client.imap.ok("CREATE " + lie)
        mailbox = run.world.mailboxes[lie] = imap_world.Mailbox()
        client.append(run.rng, lie)
        client.select(lie)
        client.status(lie)
        check = client.sync
        match lie:
            case "flag":
                mailbox.rows[1].flags ^= {"\\Flagged"}
            case "message":
                del mailbox.rows[1]
            case "change":
                mailbox.tick += 1
                check = functools.partial(client.status, lie)
            case "resync":
                client.drop()
                mailbox.set_flags(1, mailbox.rows[1].flags ^ {"\\Flagged"})
                client.come(True)
                check = functools.partial(client.select, lie)
        assert notices(check), lie
        run.close()
