"""Random commands from several sessions against a model in memory (imap_model.py); any difference is a failure.

IMAP_MODEL_COMMANDS=100000 IMAP_MODEL_SEED=random for more. The seed is printed; the same seed gives the same commands.
"""
import os
import random

import imap_model

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


def test_model_notices_a_lie(box):
    """A world that differs in one flag, or one message, is found out."""
    for lie in ("flag", "message"):
        run = imap_model.Run(box, 1, clients=1)
        client = run.clients[0]
        client.imap.ok("CREATE " + lie)
        run.world.mailboxes[lie] = imap_model.Mailbox()
        client.append(run.rng, lie)
        client.select(lie)
        if lie == "flag":
            run.world.mailboxes[lie].rows[1].flags ^= {"\\Flagged"}
        else:
            del run.world.mailboxes[lie].rows[1]
        try:
            client.sync()
            noticed = False
        except AssertionError:
            noticed = True
        assert noticed, lie
        run.close()
