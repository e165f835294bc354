"""Growth: the same work against larger mailboxes and more accounts. The curve is the result; a flat one is the aim."""
from .servers import PORTS, BenchError
from .tools import fill_mailbox, say
from .works import DELIVERY, READING, TASSIS, inbound, user

SIZES = (1000, 10_000, 100_000, 1_000_000)
ACCOUNTS = (1, 64, 1000, 10_000)
DOVECOT = "postfix-dovecot/mdbox"
SERVERS = (TASSIS, DOVECOT)
EMPTY = 100  # user100, user101, …: an empty mailbox for each round
BODY_SEARCH_MAX = 100_000

CURVES = {  # key -> title, unit
    "deliver": ("delivery into one mailbox that has … messages, 20 connections, 10 KB", "/s"),
    "select": ("SELECT", "ms"),
    "flags": ("FETCH FLAGS of all", "ms"),
    "resync": ("resync after 10 changes", "ms"),
    "unseen": ("SEARCH UNSEEN", "ms"),
    "body": ("SEARCH BODY, no hit", "ms"),
    "accounts": ("inbound to mailbox over … accounts, 20 connections, 10 KB", "/s"),
}


def key(curve, at):
    return f"{curve}@{at}"


def deliver(server, tools, number):
    answer = tools.bench("smtp", "smtp", connections=20, size=10240, to=f"user{number}", accounts=1, seconds=tools.seconds(2))
    server.wait_until_drained(300)
    return answer["rate"]


def at_size(tools, number, size):
    """The reading curves at one size: name -> function. Each takes the mailbox as it is."""
    def timed(work, repeat, **options):
        return lambda: tools.bench(work, "imaps", user=user(number), repeat=repeat, **options)["p50_ms"]
    curves = {"select": timed("select", 10), "flags": timed("fetch", 3, what="flags")}
    if "resync" in tools.works:
        curves["resync"] = timed("resync", 5, changes=10, qresync=True)
    if "search" in tools.works:
        curves["unseen"] = timed("search", 3, keys="UNSEEN")
        if size <= BODY_SEARCH_MAX:
            curves["body"] = timed("search", 1, keys='BODY "qzxwvutsr"')
    return curves


class Growth:
    def __init__(self, run):
        self.run_, self.tools, self.results = run, run.tools, run.results
        self.sizes = SIZES[:2] if run.args.quick else SIZES

    def record(self, curve, at, server, round_, measure):
        if self.results.has(work=key(curve, at), server=server.name, round=round_):
            return
        row = {"work": key(curve, at), "server": server.name, "round": round_}
        try:
            row["value"] = measure()
        except (BenchError, KeyError) as why:
            row["error"] = str(why)
        self.results.add(**row)
        say(f"  {row['work']:20} {server.name:28} {row.get('value', row.get('error'))}")

    def start(self, server):
        state = server.state_folder("growth")
        if not state.joinpath("filled").exists():
            server.start(server.make_state("growth", 200))
            for number, size in enumerate(self.sizes):
                say(f"  filling {size:,} messages of {server.name}")
                fill_mailbox(self.tools, number, size)
            state.joinpath("filled").touch()
            server.stop()
        server.start(state)

    def sizes_of(self, server, round_):
        """Reading first: it needs the sizes as they were made. Then deliveries, empty and full in turn."""
        self.start(server)
        for number, size in enumerate(self.sizes):
            for curve, measure in at_size(self.tools, number, size).items():
                self.record(curve, size, server, round_, measure)
        self.record("deliver", 0, server, round_, lambda: deliver(server, self.tools, EMPTY + round_))
        for number, size in reversed(list(enumerate(self.sizes))):
            self.record("deliver", size, server, round_, lambda n=number: deliver(server, self.tools, n))
        server.stop()

    def accounts_of(self, name, round_):
        for accounts in ACCOUNTS:
            server = self.run_.server(name)
            if self.results.has(work=key("accounts", accounts), server=name, round=round_):
                continue
            server.start(server.make_state("accounts", accounts))
            self.record("accounts", accounts, server, round_, lambda n=accounts: inbound(accounts=n)(server, self.tools)["value"])
            server.stop()
            server.drop_state()


def run(run_):
    g = Growth(run_)
    for round_ in range(run_.args.rounds):
        for name in SERVERS:
            peer = name.partition("/")[0]
            if run_.args.servers and peer not in run_.args.servers:
                continue
            server = run_.server(name)
            try:
                g.sizes_of(server, round_)
            except BenchError as why:
                say(f"  {name}: {why}")
            finally:
                server.stop()
        for name in DELIVERY:
            if not run_.args.servers or name.partition("/")[0] in run_.args.servers:
                g.accounts_of(name, round_)
