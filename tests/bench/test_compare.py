"""bench/compare without any server: results and what a resumed run still wants, medians and ratios, the tables, the plots."""
import importlib.machinery
import importlib.util
import json
import pathlib
import types
import xml.etree.ElementTree as xml

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load_script(path):
    loader = importlib.machinery.SourceFileLoader("compare", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


compare = load_script(ROOT / "bench" / "compare")
from comparison import growth, page, plot  # noqa: E402
from comparison.results import Results  # noqa: E402
from comparison.servers import BenchError  # noqa: E402
from comparison.tools import Tools  # noqa: E402
from comparison.works import LIMITS, TASSIS, Work, absent, works  # noqa: E402

DOVECOT, CYRUS, OPENSMTPD = "postfix-dovecot/maildir", "postfix-cyrus", "opensmtpd-dovecot/maildir"
FASTER = Work("in-20", "inbound, 20 connections", "fresh 64", (TASSIS, DOVECOT, CYRUS), None, goal=4)
SOONER = Work("flags", "FETCH FLAGS", "reading", (TASSIS, "postfix-dovecot/mdbox", CYRUS), None, "ms", False, 2)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results.jsonl")


def fill(results, work, **values):
    """values: peer=[one for each round]; a string is an error."""
    for server in (*work.servers, *(f"limit/{name}" for name in LIMITS)):
        peer = server.partition("/")[0] if not server.startswith("limit/") else server
        for round_, value in enumerate(values.get(peer.replace("-", "_").replace("/", "_"), [])):
            results.add(work=work.key, server=server, round=round_, **({"error": value} if isinstance(value, str) else {"value": value}))


# ---- results

def test_results_are_read_again_as_they_were_written(results):
    fill(results, FASTER, tassis=[10.0, 30.0, 20.0], postfix_cyrus=["refused"])
    again = Results(results.path)
    assert again.rows == results.rows and len(again.rows) == 4
    assert again.median("in-20", TASSIS) == 20.0 and again.spread("in-20", TASSIS) == 1.0
    assert again.median("in-20", CYRUS) is None and again.error("in-20", CYRUS) == "refused"
    assert again.servers_of("in-20") == [TASSIS, CYRUS] and again.has_run("postfix-cyrus") and not again.has_run("postfix")
    assert again.has(work="in-20", server=TASSIS, round=2) and not again.has(work="in-20", server=CYRUS, round=0)


def test_one_figure_outweighs_an_error(results):
    fill(results, FASTER, tassis=["refused", 5.0])
    assert results.error("in-20", TASSIS) is None and results.median("in-20", TASSIS) == 5.0


def test_a_line_that_was_cut_is_dropped(results):
    fill(results, FASTER, tassis=[10.0, 30.0])
    results.path.write_text(results.path.read_text()[:-9])
    again = Results(results.path)
    assert [row["round"] for row in again.rows] == [0]
    again.add(work="in-20", server=TASSIS, round=1, value=7.0)
    assert Results(results.path).median("in-20", TASSIS) == 8.5


def test_works_are_forgotten(results):
    fill(results, FASTER, tassis=[1.0])
    fill(results, SOONER, tassis=[2.0])
    results.forget(["in-20"])
    assert [row["work"] for row in Results(results.path).rows] == ["flags"]


# ---- a run that is taken up

class FakeServer:
    def __init__(self, name):
        self.name, self.log = name, []

    def make_state(self, label, accounts):
        self.log.append(f"{label} {accounts}")
        return label

    def start(self, state):
        self.log.append("start")

    def stop(self):
        self.log.append("stop")

    def drop_state(self):
        pass


def make_run(tmp_path, results, **options):
    args = types.SimpleNamespace(servers=[], rounds=2, **options)
    run = compare.Run(args, tmp_path, results, types.SimpleNamespace(works={"smtp"}))
    run.servers = {s: FakeServer(s) for s in FASTER.servers}
    return run


def work_of(function, **options):
    return Work("in-20", "inbound", "fresh 7", FASTER.servers, function, **options)


def test_all_servers_are_measured_in_turn_and_what_is_there_is_kept(tmp_path, results):
    results.add(work="in-20", server=TASSIS, round=0, value=99.0)
    seen = []
    work = work_of(lambda server, tools: seen.append(server.name) or {"value": 3.0})
    run = make_run(tmp_path, results)
    run.all([work])
    assert seen == [DOVECOT, CYRUS, TASSIS, DOVECOT, CYRUS]
    assert results.values("in-20", TASSIS) == [99.0, 3.0] and run.servers[CYRUS].log == ["fresh 7", "start", "stop"] * 2
    run.all([work])
    assert len(seen) == 5


def test_only_the_chosen_servers_and_works_that_there_are(tmp_path, results):
    run = make_run(tmp_path, results)
    run.args.servers = ["postfix-dovecot"]
    assert [s for s in FASTER.servers if run.wanted(work_of(None), s, 0)] == [DOVECOT]
    run.args.servers = []
    assert not run.wanted(work_of(None, needs=("pop3",)), TASSIS, 0)
    assert run.wanted(work_of(None, needs=("smtp",)), TASSIS, 0)
    assert not run.wanted(work_of(None, rounds=1), TASSIS, 1)


def test_what_failed_is_told_and_not_tried_again(tmp_path, results):
    def fail(server, tools):
        raise BenchError("19 messages were found, not 20")

    run = make_run(tmp_path, results)
    run.all([work_of(fail)])
    assert [(row["round"], row["error"]) for row in results.rows] == [(0, "19 messages were found, not 20")] * 3
    assert all(s.log[-1] == "stop" for s in run.servers.values())


def test_limits_are_measured_once_and_know_what_tassis_did(tmp_path, results):
    asked = []

    def limit(value):
        return lambda tools, folder, ours: asked.append(ours["bytes"]) or value

    run = make_run(tmp_path, results)
    run.all([work_of(lambda server, tools: {"value": 3.0, "bytes": 10}, limits={"flush": limit(12.0), "tls": limit(None)})])
    assert results.values("in-20", "limit/flush") == [12.0] and not results.has(work="in-20", server="limit/tls")
    assert asked == [10, 10, 10]  # tls, without a figure, is asked again in the second round


# ---- the load generator's words

@pytest.fixture
def generator(tmp_path):
    """A program that says its words and what the file `answer` tells it to."""
    program = tmp_path / "generator"
    program.write_text('#!/bin/sh\nhere=$(dirname "$0")\n[ $# -gt 0 ] || { printf "usage: x\\n  smtp    inbound\\n  login   logs in\\n  --port N\\n" >&2; exit 1; }\n'
                       'echo "$@" >"$here/words"\n. "$here/answer"\n')
    program.chmod(0o755)
    return program


def test_a_line_of_json_is_the_answer(generator):
    tools = Tools(str(generator), False)
    assert tools.works == {"smtp", "login"} and tools.seconds(3) == 3
    generator.with_name("answer").write_text("""echo '{"work":"smtp","rate":3.5}'""")
    assert tools.bench("smtp", "imaps", per_connection=5, qresync=True)["rate"] == 3.5
    assert generator.with_name("words").read_text().split() == ["smtp", "--port", "993", "--tls", "--per-connection", "5", "--qresync"]
    assert Tools(str(generator), True).seconds(9) == 3


@pytest.mark.parametrize("answer, why", [("echo one >&2; echo 'tassis-bench: two' >&2; exit 1", "tassis-bench: two"), ("exit 3", ": 3")])
def test_an_exit_code_is_no_figure(generator, answer, why):
    generator.with_name("answer").write_text(answer)
    with pytest.raises(BenchError, match=why):
        Tools(str(generator), False).bench("smtp", "smtp")


# ---- tables

@pytest.mark.parametrize("work, ours, dovecot, cyrus, times", [
    (FASTER, [30, 50, 40], [10], [8], 4.0), (FASTER, [40], ["refused"], [8], 5.0), (FASTER, [40], [], [], None), (FASTER, ["refused"], [10], [8], None),
    (SOONER, [2], [6], [3], 1.5), (SOONER, [2], [3], ["refused"], 1.5), (SOONER, [6], [3], [12], 0.5)])
def test_the_ratio_is_to_the_better_peer(results, work, ours, dovecot, cyrus, times):
    fill(results, work, tassis=ours, postfix_dovecot=dovecot, postfix_cyrus=cyrus)
    assert page.ratio(results, work) == times


def test_of_a_peers_variants_the_better_one_counts(results):
    for server, value in (("postfix-dovecot/maildir", 5.0), ("postfix-dovecot/mdbox", 9.0)):
        results.add(work="in-20", server=server, round=0, value=value)
        results.add(work="flags", server=server, round=0, value=value)
    assert page.best(results, FASTER, "postfix-dovecot") == (9.0, "postfix-dovecot/mdbox")
    assert page.best(results, SOONER, "postfix-dovecot") == (5.0, "postfix-dovecot/maildir")


def test_the_table(results):
    fill(results, FASTER, tassis=[3000.0, 5000.0], postfix_dovecot=[1000.0], postfix_cyrus=["refused"], limit_flush=[8000.0])
    fill(results, SOONER, tassis=[20.0], postfix_dovecot=[30.0], limit_tls=[5.0])
    results.add(work="in-20", server=OPENSMTPD, round=0, value=250.0)
    head, rule, *rows = page.main_table(results, [FASTER, SOONER, works()[1]])
    assert rows == [
        "| inbound, 20 connections | /s | **4,000** | 1,000 | 250 | failed | 4.00x | 4x ✓ | 8,000 (50 %) |  |  |",
        "| FETCH FLAGS | ms | **20.0** | 30.0 | as Dovecot |  | 1.50x | 2x |  |  | 5.00 (25 %) |"]
    assert {line.count("|") for line in (head, rule, *rows)} == {head.count("|")}


def test_a_peer_that_cannot_says_why_and_one_that_did_not_run_says_nothing(results):
    by_key = {w.key: w for w in works()}
    assert absent(by_key["submission"], "opensmtpd-dovecot") == absent(by_key["outbound"], "opensmtpd-dovecot") == "no TLS"
    assert absent(by_key["flags"], "opensmtpd-dovecot") == absent(by_key["idle"], "opensmtpd-dovecot") == "as Dovecot"
    assert all(absent(w, "postfix-cyrus") == absent(w, "postfix-dovecot") == "" for w in works())
    assert page.cell(results, by_key["submission"], "opensmtpd-dovecot") == ""


def test_what_senders_see(results):
    results.add(work="in-20", server=DOVECOT, round=0, value=275.0, accepted=277.0, p50_ms=56.1, p99_ms=250.0)
    assert page.delivery_table(results, [FASTER])[2:] == ["| inbound, 20 connections | Postfix + Dovecot | 277 | 275 | 56.1 | 250 |"]
    assert page.delivery_table(results, [SOONER]) == []


def test_growth(results):
    for at, value in ((0, 500.0), (1000, 480.0), (1_000_000, 400.0)):
        results.add(work=f"deliver@{at}", server=TASSIS, round=0, value=value)
    assert page.points(results, "deliver", TASSIS) == [(0, 500.0), (1000, 480.0), (1_000_000, 400.0)]
    lines = page.growth_table(results)
    assert lines[0].endswith("| 0 | 1,000 | 1,000,000 |") and lines[2] == "| Tassis | 500 | 480 | 400 |"
    assert lines[-1] == "- Tassis: a delivery into a mailbox of a million costs 1.25x one into an empty one (goal: at most 1.2x)."


def test_only_what_is_between_the_marks_is_written():
    text = "before\n<!-- table: written by bench/compare -->\nold\n<!-- /table -->\nafter\n"
    assert page.between(text, "table", ["a", "b"]) == text.replace("old", "a\nb")
    assert page.between(text, "other", ["a"]) == text


def test_the_page_has_a_place_for_each_table():
    text = (ROOT / "docs" / "performance.md").read_text()
    for name in ("table", "delivery", "growth"):
        assert page.between(text, name, ["x"]) != text


def test_the_whole_page_is_written_from_results(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "docs").mkdir()
    for name in ("table", "delivery", "growth"):
        with open(tmp_path / "docs" / "performance.md", "a") as f:
            f.write(f"<!-- {name}: written by bench/compare -->\n<!-- /{name} -->\n")
    results, curves = Results(base / "results.jsonl"), Results(base / "growth.jsonl")
    for work in works():
        for server in work.servers:
            results.add(work=work.key, server=server, round=0, value=5.0, accepted=6.0, p50_ms=1.0, p99_ms=2.0)
        for name in work.limits:
            results.add(work=work.key, server=f"limit/{name}", value=50.0)
    for curve in growth.CURVES:
        for at in (0, 1000):
            curves.add(work=growth.key(curve, at), server=TASSIS, round=0, value=5.0)
    base.joinpath("about.json").write_text(json.dumps({
        "date": "2026-01-01", "command": "bench/compare", "rounds": 1, "commit": "abc", "cores": 2, "cpu": "x", "memory_gb": 1, "system": "x", "kernel": "x",
        "file_system": "ext4", "versions": {"tassis": "Tassis 1"}}))
    page.write(tmp_path, base, works(), results, curves)
    text = (tmp_path / "docs" / "performance.md").read_text()
    assert all(f"| {work.title} |" in text for work in works()) and "failed" not in text
    for name in ("ratios", "delivery", "growth"):
        xml.parse(tmp_path / "docs" / "performance" / f"{name}.svg")


# ---- plots

def texts(svg):
    return list(xml.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_three_digits():
    assert [plot.short(v) for v in (1234.5, 100, 12.34, 0.456)] == ["1,234", "100", "12.3", "0.46"]


def test_the_longest_label_has_room():
    titles = page.group_titles(works())
    svg = plot.bars("Title", "axis", [(title, [2.0]) for title in titles.values()], ["Tassis"])
    labels = [t for t in texts(svg) if t.get("text-anchor") == "end"]
    assert [t.text for t in labels] == list(titles.values())
    assert all(float(t.get("x")) - 7 * len(t.text) > 0 for t in labels)


def test_the_legend_names_what_is_drawn():
    svg = plot.bars("Title", "axis", [("a", [2.0, None, 3.0]), ("b", [None, None, 1.0])], ["one", "two", "three"])
    assert [t.text for t in texts(svg) if t.text in ("one", "two", "three")] == ["one", "three"]
    assert plot.bars("Title", "axis", [("a", [None])], ["one"]) is None


@pytest.mark.parametrize("value, goal, moves", [(4.26, 5, True), (2.0, 5, False), (6.0, 5, False)])
def test_a_figure_does_not_stand_under_the_goal(value, goal, moves):
    plain, with_goal = (plot.bars("T", "axis", [("a", [value]), ("b", [100.0])], ["n"], goals) for goals in ({"b": goal}, {"a": goal, "b": goal}))
    at = [next(float(t.get("x")) for t in texts(svg) if t.text == plot.short(value)) for svg in (plain, with_goal)]
    assert (at[1] > at[0]) == moves


def test_figures_of_two_near_curves_stand_apart():
    svg = plot.lines("T", [("p, detail", "x", "y", {"one": [(1, 0.13), (10, 0.13), (100, 5.0)], "two": [(1, 0.12), (10, 0.13), (100, 500.0)]})], ["one", "two"])
    places = [float(t.get("y")) for t in texts(svg) if t.text in ("0.13", "0.12")]
    assert len(places) == 4 and abs(places[0] - places[2]) > 12 and abs(places[1] - places[3]) > 12
