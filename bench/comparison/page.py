"""docs/performance.md: the tables between their markers, and the plots beside it."""
import json
import statistics

from . import growth, plot
from .works import LIMITS, TASSIS, absent

NAMES = {"tassis": "Tassis", "postfix-dovecot": "Postfix + Dovecot", "opensmtpd-dovecot": "OpenSMTPD + Dovecot", "postfix-cyrus": "Postfix + Cyrus"}
ORDER = list(NAMES)


def peer_of(server):
    return server.partition("/")[0]


def best(results, work, peer):
    """The better of a peer's variants: (median, server)."""
    found = [(results.median(work.key, s), s) for s in results.servers_of(work.key) if peer_of(s) == peer]
    found = [f for f in found if f[0] is not None]
    return (max if work.more_is_better else min)(found) if found else (None, None)


def ratio(results, work):
    """How many times better than the better of the peers."""
    ours, _ = best(results, work, TASSIS)
    theirs = [v for v in (best(results, work, p)[0] for p in ORDER[1:]) if v]
    if not ours or not theirs:
        return None
    return ours / max(theirs) if work.more_is_better else min(theirs) / ours


def cell(results, work, peer):
    value, _ = best(results, work, peer)
    if value is not None:
        return plot.short(value)
    if any(results.error(work.key, s) for s in results.servers_of(work.key) if peer_of(s) == peer):
        return "failed"
    return absent(work, peer) if results.has_run(peer) else ""


def limit_cell(results, work, name):
    """How much of the limit Tassis reaches, beside the limit."""
    limit = results.median(work.key, "limit/" + name)
    ours, _ = best(results, work, TASSIS)
    if not limit or not ours:
        return ""
    return f"{plot.short(limit)} ({100 * (ours / limit if work.more_is_better else limit / ours):.0f} %)"


def goal_cell(work, times):
    if work.goal_text:
        return work.goal_text
    if not work.goal:
        return ""
    return f"{work.goal:g}x" + (" ✓" if times and times >= work.goal else "")


def main_table(results, works):
    lines = ["| work | | " + " | ".join(f"**{NAMES[p]}**" if p == TASSIS else NAMES[p] for p in ORDER) + " | x the better peer | goal | "
             + " | ".join(LIMITS.values()) + " |", "|---|---|" + "--:|" * len(ORDER) + "--:|---|" + "--:|" * len(LIMITS)]
    for work in works:
        if not results.servers_of(work.key):
            continue
        times = ratio(results, work)
        cells = [cell(results, work, p) for p in ORDER]
        cells[0] = f"**{cells[0]}**" if cells[0] else ""
        lines.append(f"| {work.title} | {work.unit} | " + " | ".join(cells)
                     + f" | {plot.short(times) + 'x' if times else ''} | {goal_cell(work, times)} | "
                     + " | ".join(limit_cell(results, work, name) for name in LIMITS) + " |")
    return lines


def delivery_table(results, works):
    """What a sender sees beside what the reader gets."""
    lines = ["| work | server | accepted/s | in a mailbox/s | p50 ms | p99 ms |", "|---|---|--:|--:|--:|--:|"]
    for work in works:
        for peer in ORDER:
            _, server = best(results, work, peer)
            if server and results.values(work.key, server, "accepted"):
                fields = [results.median(work.key, server, f) for f in ("accepted", "value", "p50_ms", "p99_ms")]
                lines.append(f"| {work.title} | {NAMES[peer]} | " + " | ".join(plot.short(v) for v in fields) + " |")
    return lines if len(lines) > 2 else []


def about(base, results):
    a = json.loads(base.joinpath("about.json").read_text())
    spreads = [results.spread(row["work"], row["server"]) for row in results.rows if "error" not in row and peer_of(row["server"]) != "limit"]
    spread = f" Between rounds figures differ by {100 * statistics.median(spreads):.0f} % in the median." if spreads else ""
    return [f"Taken on {a['date']} with `{a['command'].strip()}` ({a['rounds']} rounds, medians) at commit {a['commit']}; server and load generator share the machine's "
            f"{a['cores']} cores ({a['cpu']}, {a['memory_gb']} GB; {a['system']}, Linux {a['kernel']}, {a['file_system']}). "
            + "; ".join(dict.fromkeys(a["versions"].values())) + "." + spread, ""]


def points(results, curve, server):
    rows = {}
    for row in results.rows:
        name, _, at = row["work"].partition("@")
        if name == curve and row["server"] == server and "value" in row:
            rows.setdefault(int(at), []).append(row["value"])
    return [(at, statistics.median(values)) for at, values in sorted(rows.items())]


def growth_table(results):
    lines = []
    for curve, (title, unit) in growth.CURVES.items():
        curves = {s: dict(points(results, curve, s)) for s in dict.fromkeys(row["server"] for row in results.rows)}
        at = sorted({x for c in curves.values() for x in c})
        if not at:
            continue
        lines += [f"| {title}, {unit} | " + " | ".join(f"{x:,}" for x in at) + " |", "|---|" + "--:|" * len(at)]
        for server, c in curves.items():
            if c:
                lines.append(f"| {NAMES[peer_of(server)]} | " + " | ".join(plot.short(c[x]) if x in c else "" for x in at) + " |")
        lines.append("")
    return lines + cost_of_a_million(results)


def cost_of_a_million(results):
    lines = []
    for server in growth.SERVERS:
        c = dict(points(results, "deliver", server))
        if c.get(0) and c.get(1_000_000):
            lines.append(f"- {NAMES[peer_of(server)]}: a delivery into a mailbox of a million costs {c[0] / c[1_000_000]:.2f}x one into an empty one"
                         + (" (goal: at most 1.2x)." if server == TASSIS else "."))
    return lines


def plots(folder, results, works, curves):
    folder.mkdir(parents=True, exist_ok=True)
    shown = [w for w in works if ratio(results, w)]
    title_of = group_titles(works)
    pictures = {
        "ratios": plot.bars("Tassis against the better of its peers (1 = the same; the line is the goal)", "times as fast, or times less", [
            (title_of[w.key], [ratio(results, w)]) for w in shown], ["Tassis"], {title_of[w.key]: w.goal for w in shown if w.goal}),
        "delivery": plot.bars("Messages to a mailbox, each flushed", "messages a second (logarithmic)", [
            (title_of[w.key], [best(results, w, p)[0] for p in ORDER] + [results.median(w.key, "limit/flush")])
            for w in works if w.key.startswith(("in-", "submission"))], [NAMES[p] for p in ORDER] + ["raw flushes of the same bytes"]),
        "growth": plot.lines("Growth", [
            (title, "messages in the mailbox" if c != "accounts" else "accounts", "per second" if unit == "/s" else unit,
             {NAMES[p]: [pt for s in dict.fromkeys(r["server"] for r in curves.rows) if peer_of(s) == p for pt in points(curves, c, s)] for p in ORDER})
            for c, (title, unit) in growth.CURVES.items()], [NAMES[p] for p in ORDER[:2]]),
    }
    for name, svg in pictures.items():
        if svg:
            folder.joinpath(name + ".svg").write_text(svg)


def group_titles(works):
    """A title that begins with "…" stands under another one in the table; alone it needs its head."""
    titles, head = {}, ""
    for work in works:
        if not work.title.startswith("…"):
            head = work.title.split(",")[0]
        titles[work.key] = work.title.replace("…", head + ",") if work.title.startswith("…") else work.title
    return titles


def between(text, name, lines):
    begin, end = f"<!-- {name}: written by bench/compare -->", f"<!-- /{name} -->"
    head, found, rest = text.partition(begin)
    if not found:
        return text
    return head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2]


def write(root, base, works, results, curves, to_docs=True):
    table = about(base, results) + main_table(results, works)
    more = delivery_table(results, works)
    print("\n".join(table + [""] + more + [""] + growth_table(curves)))
    if not to_docs:
        return
    path = root / "docs" / "performance.md"
    text = path.read_text()
    if results.rows:
        text = between(text, "table", table)
        text = between(text, "delivery", more)
    if curves.rows:
        text = between(text, "growth", growth_table(curves))
    path.write_text(text)
    plots(root / "docs" / "performance", results, works, curves)
