"""What `make bench` compares with and how it judges; what the figures are is the benchmarks' own business."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import checks, contestants, plot, record, results, table
from benchmarks.__main__ import NAMES, main
from benchmarks.comparison import compare
from benchmarks.contestants import CONTESTANTS, PEERS, Ground
from benchmarks.load import parse
from benchmarks.plan import GATEWAY, GET_XML, PASSED_ON, THRESHOLDS, WORKLOADS, Expected, Request, Threshold, Workload
from benchmarks.results import Comparison, Results, Round, Verdict
from benchmarks.servers import BenchmarkError, Server
from benchmarks.usage import memory_in
from tests.support.gateway import Caller, start_gateway
from tests.support.pages import ROOT
from tools.ports import HeldPort

ONE_CORE = len(os.sched_getaffinity(0)) < 2
SMAPS = """\
7f00-7f01 rw-s 00000000 00:1b 42    /tmp/x/store/cache/data.mdb
Rss:              2048 kB
7f02-7f03 rw-p 00000000 00:00 0
Rss:              1000 kB
7f04-7f05 r-xp 00000000 00:1b 43    /tmp/x/store-like/lib.so
Rss:                24 kB
"""
ROUND = Round(rate=100.0, p50_ms=1.0, p99_ms=2.0, cpu_us=10.0, busy=1.0, calls=0.0)


def at(*rates: float) -> list[Round]:
    return [replace(ROUND, rate=rate) for rate in rates]


@pytest.fixture(scope="module")
def ready_answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The benchmarks' upstream, in a process of its own."""
    port, log = HeldPort(), tmp_path_factory.mktemp("upstream") / "log"
    command, cores = contestants.upstream(port.number), sorted(os.sched_getaffinity(0))
    with Server("the upstream", command, port, cores, log) as running:
        yield running


@pytest.fixture
def caller(ready_answers: Server) -> Caller:
    """A caller of the real gateway in front of the benchmarks' upstream; its answers are held to the document."""
    url = f"{ready_answers.url}/api/2.1/xml-in"
    return start_gateway({"UPSTREAM_URL": url, "UPSTREAM_TOKEN": "bench", "GATEWAY_AUTH": "open"})


class TestTheUpstreamWithReadyAnswers:
    def test_the_gateway_reads_its_record(self, caller: Caller) -> None:
        """The JSON is the one that every contestant is held to, with the id that was asked for."""
        assert caller.get("/clients/4711").json == record.record(4711)

    def test_the_gateway_reads_its_page(self, caller: Caller) -> None:
        """A hundred clients, and the page that was asked for."""
        assert caller.get("/clients?page=12345&per_page=100").json == record.page(12345)

    def test_the_gateway_creates_and_changes(self, caller: Caller) -> None:
        """What the benchmarks send is valid, and the answers to both writes are understood."""
        created = caller.post("/clients", json=record.CREATED)
        changed = caller.patch("/clients/5", json=record.CHANGED)
        assert (created.status_code, changed.status_code) == (201, 200)
        assert (created.headers["Location"], changed.json) == ("/clients/13", record.record(5))

    def test_it_counts_the_calls(self, ready_answers: Server, caller: Caller) -> None:
        """A hit asks nothing, a create twice, nginx by the JSON: so it is seen whether a contestant does the work."""
        caller.get("/clients/77")
        before = int(ready_answers.ask("GET", "/_control/calls").body)
        caller.get("/clients/77")
        caller.post("/clients", json=record.CREATED)
        ready_answers.ask("GET", "/clients/3")
        assert int(ready_answers.ask("GET", "/_control/calls").body) - before == 3

    @pytest.mark.parametrize("cut", [10, 60, 120, 150])
    def test_requests_come_in_pieces_and_two_at_once(self, ready_answers: Server, cut: int) -> None:
        """Each is answered once, in order, wherever the bytes were cut."""
        body = b'<request method="client.get"><client_id>%d</client_id></request>'
        head = b"POST /api/2.1/xml-in HTTP/1.1\r\nHost: a\r\ncontent-length: %d\r\n\r\n"
        sent = b"".join(head % len(one) + one for one in (body % 31, body % 32))
        with socket.create_connection(("127.0.0.1", ready_answers.port), timeout=10) as connection:
            connection.sendall(sent[:cut])
            connection.sendall(sent[cut:])
            received = b""
            while received.count(b"</response>") < 2 and (more := connection.recv(65536)):
                received += more
        assert re.findall(rb"<client_id>(\d+)<", received) == [b"31", b"32"]
        assert received.count(b"HTTP/1.1 200 OK") == 2


def test_the_filled_cache_is_the_gateways_own(ready_answers: Server, tmp_path: Path) -> None:
    """What was put there is a hit for the gateway, and nothing else is."""
    url = f"{ready_answers.url}/api/2.1/xml-in"
    argv = [str(tmp_path), "100000000", url, "2", "3", json.dumps(record.RECORD)]
    subprocess.run([sys.executable, "benchmarks/fill.py", *argv], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True)
    env = {"UPSTREAM_URL": url, "UPSTREAM_TOKEN": "bench", "GATEWAY_AUTH": "open", "STORE_URL": str(tmp_path)}
    answers = [start_gateway(env).get(f"/clients/{key}") for key in (2, 3, 4)]
    assert ["hit" in answer.headers["Cache-Status"] for answer in answers] == [True, True, False]
    assert [answer.json for answer in answers] == [record.record(key) for key in (2, 3, 4)]


class TestRatios:
    def test_the_ratio_is_the_median_of_the_rounds_ratios(self) -> None:
        """Not the ratio of the medians: a slow moment of the machine hits both in its round."""
        comparison = Comparison("any", {GATEWAY: at(100, 10, 300), "nginx": at(50, 5, 600)})
        assert results.ratio(comparison, "nginx") == results.Ratio(2.0, 1.25, 2.0)

    def test_a_round_with_errors_counts_for_nobody(self) -> None:
        """It is left out with its partner, and told."""
        failed = replace(ROUND, rate=9999.0, trouble="3 answers failed, 0 socket errors")
        comparison = Comparison("any", {GATEWAY: at(100, 100), "nginx": [*at(50), failed]})
        assert results.ratio(comparison, "nginx") == results.Ratio(2.0, 2.0, 2.0)
        assert comparison.troubles() == ["any: nginx, round 2, is left out: 3 answers failed, 0 socket errors"]

    def test_no_round_counts(self) -> None:
        """There is no ratio then, and the table says so."""
        failed = replace(ROUND, trouble="no answers")
        comparison = Comparison("cached record", {GATEWAY: at(100), "nginx": [failed]})
        assert results.ratio(comparison, "nginx") is None
        assert re.search(r"\| cached record +\| nginx +\| – +\|", table.whole(whole(comparison)))

    def test_how_far_the_upstream_is_from_its_limit(self) -> None:
        """By the fastest who translates: nginx, which does not, may come near it."""
        rounds = {GATEWAY: at(80, 100, 120), "flask": at(30, 30, 30), PASSED_ON: at(900, 900, 900)}
        found = replace(whole(Comparison("uncached record", rounds)), ceiling={"uncached record": 1000.0})
        assert "answers 10.0 times as often" in table.headroom(found)

    def test_more_is_better_in_every_figure(self) -> None:
        """Half the processor time and half the 99th percentile are a ratio of two."""
        frugal = replace(ROUND, cpu_us=5.0, p99_ms=1.0)
        comparison = Comparison("any", {GATEWAY: [frugal], "flask": [ROUND]})
        figures = [results.ratio(comparison, "flask", of) for of in (results.thrift, results.shortness)]
        assert [figure and figure.median for figure in figures] == [2.0, 2.0]

    def test_ways_are_timed_in_turn_and_held_against_the_first(self) -> None:
        """The parts too: drift hits all alike, and the first has the ratio 1."""
        order: list[str] = []
        ways = {"first": lambda: order.append("first"), "second": lambda: order.append("second")}
        rows = compare(ways, rounds=3, repetitions=2)
        assert order == ["first", "first", "second", "second"] * 3
        assert [row.name for row in rows] == ["first", "second"]
        assert rows[0].ratio == 1.0


def whole(*comparisons: Comparison) -> Results:
    return Results({"processor": "any"}, {}, {}, comparisons)


class TestVerdicts:
    @pytest.mark.parametrize(
        "measured, words",
        [
            (None, "not measured"),
            (0.6, "not reached, 0.20 short (75% of it)"),
            (0.8, "reached; 0.20 short of the goal"),
            (1.0, "reached, the goal too"),
        ],
    )
    def test_a_threshold_with_a_goal(self, measured: float | None, words: str) -> None:
        """Short of it, reached, and beyond."""
        threshold = next(one for one in THRESHOLDS if one.goal == 1.0)
        assert Verdict(threshold, measured).words == words

    @pytest.mark.parametrize("gateway_rate, words", [(199, "not reached"), (200, "reached"), (201, "reached")])
    def test_the_table_says_what_is_reached(self, gateway_rate: int, words: str) -> None:
        """By the rate, beside what is needed and what was measured."""
        comparison = Comparison("cached record", {GATEWAY: at(gateway_rate), "fastify": at(100)})
        row = next(line for line in table.reached(whole(comparison)).splitlines() if "| fastify " in line)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[:4] == ["cached record", "fastify", "2", f"{gateway_rate / 100:.2f}"]
        assert cells[5].partition(",")[0] == words

    @pytest.mark.parametrize("own_mb, words", [(None, "not measured"), (95.0, "kept"), (101.0, "not kept, 6 MB over")])
    def test_the_memory_of_the_worker(self, own_mb: float | None, words: str) -> None:
        """Its bound is one above."""
        assert results.memory_verdict(own_mb) == words

    def test_pages_of_the_store_are_told_apart(self) -> None:
        """They are the kernel's and the same for all workers."""
        memory = memory_in(SMAPS, Path("/tmp/x/store"))
        assert (memory.resident_bytes, memory.own_bytes) == (3072 * 1024, 1024 * 1024)


class TestTheLoad:
    SAID = 'Running 1s test\n{"requests": 500, "duration_us": 2000000, "failed": 0, "socket_errors": 0, "p50_us": 900, '

    def test_what_wrk_tells(self) -> None:
        """Answers a second and the percentiles in ms."""
        load = parse(self.SAID + '"p99_us": 4500}\n')
        assert (load.rate, load.p50_ms, load.p99_ms, load.trouble) == (250.0, 0.9, 4.5, None)

    @pytest.mark.parametrize("field", ["failed", "socket_errors"])
    def test_errors_are_trouble(self, field: str) -> None:
        """One is enough for the run not to count."""
        load = parse((self.SAID + '"p99_us": 1}').replace(f'"{field}": 0', f'"{field}": 1'))
        assert load.trouble

    @pytest.mark.parametrize("output", ["unable to connect", "{}", '{"requests": 1'])
    def test_wrk_tells_nothing(self, output: str) -> None:
        """That is an error with wrk's own words in it, never a figure."""
        with pytest.raises(BenchmarkError, match=re.escape(output)):
            parse(output)


class TestChecksBeforeTiming:
    def test_right_answers_pass(self, ready_answers: Server) -> None:
        """The upstream's JSON is what nginx caches; its XML is what nginx passes on."""
        for request in (
            Request(Expected.RECORD, "/clients/{n}"),
            Request(Expected.PAGE, "/clients?page={n}&per_page=100"),
            GET_XML,
        ):
            assert checks.wrong(ready_answers, request) is None

    @pytest.mark.parametrize(
        "request_",
        [
            Request(Expected.RECORD, "/clients?page=7"),
            Request(Expected.PAGE, "/clients/{n}?as&page={n}"),
            Request(Expected.CREATED, "/clients", "POST", "{}"),
            Request(Expected.NOT_MODIFIED, "/clients/13", conditional=True),
            replace(GET_XML, body='<request method="client.create"/>'),
        ],
        ids=lambda request: request.expected.name,
    )
    def test_wrong_answers_do_not(self, ready_answers: Server, request_: Request) -> None:
        """Another record, a 200 for a 304, no Location: each is refused in words."""
        assert "is not" in (checks.wrong(ready_answers, request_) or "")

    def test_nobody_is_there(self, tmp_path: Path) -> None:
        """A contestant that is gone is told, and the others go on."""
        gone = Server("gone", contestants.upstream(1), HeldPort(), [0], tmp_path / "log")
        assert "refused" in (checks.wrong(gone, GET_XML) or "")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_every_workload_is_between_the_gateway_and_others_that_exist(workload: Workload) -> None:
    """A name that nobody has would be left out without a word."""
    assert GATEWAY in workload.entries
    assert {entry.contestant for entry in workload.entries.values()} <= set(CONTESTANTS)
    assert len(workload.entries) > 1
    assert workload.name in NAMES
    assert "," not in workload.name


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda one: f"{one.workload}, {one.against}")
def test_what_must_be_reached_is_measured(threshold: Threshold) -> None:
    """Each threshold names a workload and an entry of it."""
    workload = next(one for one in WORKLOADS if one.name == threshold.workload)
    assert threshold.against in workload.entries


@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_contestant_is_started_with_one_worker_from_a_folder_that_is_there(name: str, tmp_path: Path) -> None:
    """And is told where the upstream is."""
    command = CONTESTANTS[name](Ground(1, "127.0.0.1:2", tmp_path))
    assert command.folder.is_dir()
    assert "127.0.0.1:2" in " ".join([*command.env.values(), *read_all(tmp_path)])
    workers = [command.env.get("GATEWAY_WORKERS"), option(command.argv, "--workers"), *workers_in(tmp_path)]
    assert name == "fastify" or [one for one in workers if one] == ["1"]


def read_all(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


def workers_in(folder: Path) -> list[str]:
    return re.findall(r"worker_processes (\d+);", "".join(read_all(folder)))


def option(argv: Sequence[str], name: str) -> str | None:
    return argv[argv.index(name) + 1] if name in argv else None


def test_the_locks_of_the_peers_hold_hashes_and_no_host() -> None:
    """Where packages come from is the business of whoever installs them."""
    packages = json.loads((PEERS / "fastify" / "package-lock.json").read_text())["packages"]
    named = {name: one for name, one in packages.items() if name}
    assert named
    assert [name for name, one in named.items() if "resolved" in one or not one["integrity"]] == []
    lock = (PEERS.parent / "requirements.txt").read_text()
    assert not re.findall(r"://|--(?:extra-)?index|--find-links", lock)
    pins = [line for line in lock.replace("\\\n", " ").splitlines() if "==" in line and not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if "--hash=sha256:" not in pin and not pin.lstrip().startswith("#")] == []


@pytest.mark.parametrize("arguments", [["--only", "no such"], ["--peers", "apache"]], ids=" ".join)
def test_a_name_that_there_is_not(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with those that there are."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert f"{arguments[1]!r} is none of: " in capsys.readouterr().err


@pytest.mark.skipif(ONE_CORE, reason="two cores are needed to compare")
@pytest.mark.timeout(600)
def test_a_short_run_with_the_gateway_and_nginx(tmp_path: Path) -> None:
    """It checks, measures, prints the table and keeps the figures, and leaves nothing out; here callers need a key."""
    chosen = ["--only", "cached record,304", "--peers", "nginx", "--rounds", "1", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks", "--keys", *chosen]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kept = json.loads((tmp_path / "latest.json").read_text())
    assert [one["workload"] for one in kept["comparisons"]] == ["cached record", "304"]
    assert kept["settings"]["GATEWAY_AUTH"] == "keys"
    again = plot.read_comparisons((tmp_path / "latest.json").read_text())
    assert [sorted(one.rounds) for one in again] == [[GATEWAY, "nginx"]] * 2
    assert [line for one in again for line in one.troubles()] == []
    assert all(rounds[0].rate > 0 and rounds[0].calls < 0.02 for one in again for rounds in one.rounds.values())
    assert (tmp_path / "table.md").read_text() in ended.stdout
    assert re.search(r"\| cached record +\| nginx +\| 1 +\| \d+\.\d\d ", ended.stdout)


def test_the_commands_of_the_page_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is parsed as it stands; `--help` ends it before anything is measured."""
    page = (ROOT / "docs" / "performance.md").read_text()
    commands = re.findall(r"^ {4}\.venv/bin/python -m benchmarks(.*)$", page, re.MULTILINE)
    commands += re.findall(r"^ {4}make bench ARGS=\"(.*)\"$", page, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(command), "--help"])
        assert ended.value.code == 0, capsys.readouterr().err
