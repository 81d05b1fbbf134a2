"""The ledger of received calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from simulator.answers import Answer
from simulator.ledger import KEPT_ENTRIES, Entry, Ledger
from simulator.server import Simulator
from simulator.steering import Steering
from tests.simulator.api_caller import ApiCaller, request


def test_what_an_entry_tells(sim: Simulator, admin: ApiCaller) -> None:
    """Method, token by name, id, the elements sent, the headers of interest, what was done and answered."""
    admin.send(
        request("client.update", "<client><client_id>13</client_id><notes>n</notes></client>"),
        User_Agent="tester/1",
        traceparent="00-1-2-01",
        X_Request_Id="abc",
    )
    entry = sim.ledger.calls()[-1]
    assert (entry.method, entry.token, entry.client_id, entry.elements) == (
        "client.update",
        "admin",
        "13",
        ("client_id", "notes"),
    )
    assert {
        "user-agent": "tester/1",
        "traceparent": "00-1-2-01",
        "x-request-id": "abc",
    }.items() <= entry.headers.items()
    assert (entry.applied, entry.outcome, entry.status, entry.fault) == (True, "ok", 200, None)
    assert entry.ended_s is not None
    assert 0 <= entry.started_s <= entry.ended_s


def test_no_credential_is_kept(sim: Simulator, admin: ApiCaller, staff: ApiCaller) -> None:
    """Tokens have names: admin, staff, other, none."""
    admin.list()
    staff.list()
    for token in ("wrong", None):
        with ApiCaller(sim.url, token) as caller:
            caller.list()
    assert [entry.token for entry in sim.ledger.calls()] == ["admin", "staff", "other", "none"]
    assert "Basic" not in repr(sim.ledger.calls())
    assert "demo-admin" not in repr(sim.ledger.calls())


def test_the_id_of_a_created_client(sim: Simulator, admin: ApiCaller) -> None:
    client_id = admin.created()
    assert (sim.ledger.calls()[-1].client_id, sim.ledger.calls()[-1].applied) == (client_id, True)


def test_outcomes(sim: Simulator, admin: ApiCaller) -> None:
    """ok, a fault's code, the HTTP status of a page, the name of an injected fault."""
    sim.switches.set(unknown_subdomain="redirect")
    admin.get(13)
    admin.get(12)
    admin.send("<")
    admin.send(request("client.list"), Host="no.freshbooks.com")
    sim.faults.add("maintenance")
    admin.get(13)
    assert [entry.outcome for entry in sim.ledger.calls()] == ["ok", "50010", "40010", "http 302", "fault maintenance"]
    assert [entry.applied for entry in sim.ledger.calls()] == [False] * 5
    assert sim.ledger.summary()["by_method"] == {"client.get": 3, "unreadable": 1, "client.list": 1}
    assert sim.ledger.summary()["by_outcome"]["ok"] == 1


def test_how_many_at_once(sim: Simulator) -> None:
    """The most calls that were in flight together, and the connections they came on."""
    sim.faults.add("gate", gate="g")
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(one_call, sim.url) for _ in range(4)]
        sim.gates.wait("g", arrived=4)
        assert sim.ledger.summary()["in_flight"] == 4
        sim.gates.open("g")
        for call in calls:
            call.result(30)
    summary = sim.ledger.summary()
    assert (summary["in_flight"], summary["in_flight_max"], summary["connections_opened"]) == (0, 4, 4)


def test_calls_one_after_the_other_are_never_two(sim: Simulator) -> None:
    """Whoever has the answer finds the call ended, even on another connection."""
    for _ in range(50):
        one_call(sim.url)
    assert sim.ledger.summary()["in_flight_max"] == 1


def test_connections_that_steer_are_not_counted(sim: Simulator, admin: ApiCaller) -> None:
    """Only those of the API's callers."""
    with Steering(sim.base_url) as steering:
        admin.get(13).ok()
        assert steering.summary()["connections_opened"] == 1


def test_clearing(sim: Simulator, admin: ApiCaller) -> None:
    """Totals begin again; numbers go on, so that no entry is taken for another."""
    admin.get(13)
    sim.ledger.clear()
    assert sim.ledger.calls() == []
    assert sim.ledger.summary()["total"] == 0
    admin.get(13)
    assert [entry.seq for entry in sim.ledger.calls()] == [2]
    assert (sim.ledger.summary()["total"], sim.ledger.summary()["connections_opened"]) == (1, 0)


def test_clearing_while_a_call_runs(sim: Simulator) -> None:
    """The call that began before is in flight still, and counts nowhere when it ends."""
    sim.faults.add("gate", gate="g")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(one_call, sim.url)
        sim.gates.wait("g")
        sim.ledger.clear()
        assert sim.ledger.summary()["in_flight"] == 1
        sim.gates.open("g")
        call.result(30)
    assert sim.ledger.wait_idle()
    assert (sim.ledger.summary()["total"], sim.ledger.summary()["by_outcome"].get("ok", 0)) == (0, 0)


def test_selecting(sim: Simulator, admin: ApiCaller) -> None:
    admin.get(13)
    admin.list()
    admin.get(13)
    assert [entry.seq for entry in sim.ledger.calls(method="client.get")] == [1, 3]
    assert [entry.seq for entry in sim.ledger.calls(since=1)] == [2, 3]


def test_old_entries_are_dropped_from_the_list_only() -> None:
    """The newest are kept one by one, the totals stay exact."""
    ledger = Ledger()
    for _ in range(KEPT_ENTRIES + 5):
        entry = ledger.begin(Entry(0, 1, "client.get", "admin", "13", ()))
        ledger.end(ledger.note(entry, Answer(200, b"", applied=True)))
    assert len(ledger.calls()) == KEPT_ENTRIES
    assert ledger.calls()[0].seq == 6
    assert ledger.summary()["applied_total"] == ledger.summary()["by_outcome"]["ok"] == KEPT_ENTRIES + 5


def test_waiting_for_calls(sim: Simulator, admin: ApiCaller) -> None:
    assert not sim.ledger.wait_for(1, timeout_s=0.01)
    admin.get(13)
    assert sim.ledger.wait_for(1)
    assert sim.ledger.wait_idle()


def one_call(url: str) -> None:
    with ApiCaller(url) as admin:
        admin.get(13).ok()
