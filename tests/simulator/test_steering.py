"""Steering over HTTP: the client class against a simulator in another process, and the bare interface."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulator.server import Simulator
from simulator.steering import Steering, SteeringError
from tests.simulator.api_caller import ApiCaller, dial
from tests.simulator.conftest import Certificates
from tests.simulator.processes import Running, running


@pytest.fixture(scope="module")
def other_process() -> Iterator[Running]:
    with running(steering_bind="127.0.0.1:0") as simulator:
        yield simulator


@pytest.fixture
def steering(other_process: Running) -> Iterator[Steering]:
    with Steering(other_process.steering_url) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def admin(other_process: Running) -> Iterator[ApiCaller]:
    with ApiCaller(other_process.url) as caller:
        yield caller


def test_the_ledger(steering: Steering, admin: ApiCaller) -> None:
    admin.get(13).ok()
    admin.list()
    assert [call["method"] for call in steering.ledger()] == ["client.get", "client.list"]
    assert [call["outcome"] for call in steering.ledger(method="client.get")] == ["ok"]
    assert steering.summary()["total"] == 2
    steering.wait_for_calls(2)
    steering.wait_idle()
    with pytest.raises(TimeoutError, match="2 of 3"):
        steering.wait_for_calls(3, timeout_s=0.01)
    steering.clear_ledger()
    assert steering.ledger() == []


def test_faults(steering: Steering, admin: ApiCaller) -> None:
    steering.add_fault("maintenance", methods=["client.get"], times=2, retry_after="9")
    assert admin.get(13).headers["retry-after"] == "9"
    listed = steering.faults()[0]
    assert (listed["fault"], listed["methods"], listed["times"], listed["remaining"]) == (
        "maintenance",
        ["client.get"],
        2,
        1,
    )
    steering.clear_faults()
    assert steering.faults() == []
    admin.get(13).ok()


def test_gates(steering: Steering, admin: ApiCaller) -> None:
    """A name with odd characters is a name too."""
    steering.add_fault("gate", gate="a/b ?", methods=["client.get"])
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(admin.get, 13)
        assert steering.wait_gate("a/b ?")["waiting"] == 1
        assert steering.gates()[0]["gate"] == "a/b ?"
        steering.open_gate("a/b ?", count=1)
        call.result(30).ok()
    with pytest.raises(TimeoutError, match="1 of 2"):
        steering.wait_gate("a/b ?", arrived=2, timeout_s=0.01)


def test_switches(steering: Steering, admin: ApiCaller) -> None:
    assert steering.set_switches(namespace="none", extra_elements=["vip"])["namespace"] == "none"
    assert b'<response status="ok">' in admin.get(13).body
    assert steering.switches()["extra_elements"] == ["vip"]
    assert steering.reset_switches()["namespace"] == "default"


def test_clients_past_the_api(steering: Steering, admin: ApiCaller) -> None:
    """Created, changed and deleted as in the vendor's web pages: any folder, no checks of the API, no ledger entry."""
    made = steering.create_client(
        email="no address", contacts=[{"email": ""}], credits=[{"currency": "EUR", "amount": "1"}]
    )
    assert admin.get(made["client_id"]).texts()["email"] == "no address"
    before = admin.get(13).texts()
    steering.edit_client(13, first_name="Edited", folder="archived", assigned_to=[])
    after = admin.get(13).texts()
    assert (after["first_name"], after["folder"], after["last_name"]) == ("Edited", "archived", "Doe")
    assert after["updated"] > before["updated"]
    assert steering.edit_client(13, updated="0000-00-00 00:00:00")["updated"] == "0000-00-00 00:00:00"
    steering.delete_client(13)
    assert admin.get(13).fault[1] == "'client_id' not found. Client is deleted."
    assert {record["client_id"]: record["folder"] for record in steering.clients()}[13] == "deleted"
    assert {call["method"] for call in steering.ledger()} == {"client.get"}


def test_reset(steering: Steering, admin: ApiCaller) -> None:
    """Clients, faults, gates, switches and ledger as at the start."""
    before = steering.clients()
    admin.created()
    admin.delete(13)
    steering.set_switches(namespace="none")
    steering.add_fault("maintenance")
    steering.open_gate("g")
    steering.reset()
    assert steering.clients() == before
    assert (steering.faults(), steering.gates(), steering.ledger()) == ([], [], [])
    assert steering.switches()["namespace"] == "default"


def test_steering_while_connections_are_refused(other_process: Running, steering: Steering) -> None:
    """Over the second address a new steering client comes in; the API's port is shut."""
    steering.add_fault("refuse")
    with pytest.raises(ConnectionRefusedError):
        dial(other_process.url)
    with Steering(other_process.steering_url) as another:
        another.clear_faults()
    with ApiCaller(other_process.url) as admin:
        admin.get(13).ok()


def test_a_kept_connection_steers_while_connections_are_refused(sim: Simulator) -> None:
    """Without a second address, one that was open before goes on."""
    with Steering(sim.base_url) as steering:
        steering.add_fault("refuse")
        with pytest.raises(ConnectionRefusedError):
            dial(sim.url)
        steering.clear_faults()
        with ApiCaller(sim.url) as caller:
            caller.get(13).ok()


def test_the_second_address_has_no_api(other_process: Running) -> None:
    with ApiCaller(f"{other_process.steering_url}/api/2.1/xml-in") as caller:
        assert caller.get(13).status == 404


def test_over_tls(certificates: Certificates) -> None:
    files = {"tls_cert_file": certificates.cert_file, "tls_key_file": certificates.key_file}
    with Simulator(**files) as sim, Steering(sim.base_url) as steering:  # type: ignore[arg-type]
        assert len(steering.clients()) == 60


def test_after_a_restart(sim: Simulator) -> None:
    """The steering client finds the simulator again on the same port, with the same clients."""
    with Steering(sim.base_url) as steering:
        steering.edit_client(13, first_name="Kept")
        sim.restart()
        assert next(record for record in steering.clients() if record["client_id"] == 13)["first_name"] == "Kept"


BAD: list[tuple[str, str, Any, str]] = [
    ("POST", "/faults", {"fault": "nonsense"}, "commit_then_drop"),
    ("POST", "/faults", {}, "commit_then_drop"),
    ("POST", "/faults", {"fault": "slow", "delay": 1}, "delay_s"),
    ("POST", "/faults", {"fault": "slow", "self": 1}, "delay_s"),
    ("POST", "/faults", [], "a JSON object"),
    ("POST", "/faults", "{not json", "a JSON object"),
    ("PUT", "/switches", {"nonsense": 1}, "namespace"),
    ("PUT", "/switches", {"namespace": "x"}, "prefix"),
    ("PUT", "/switches", "[" * 100_000, "a JSON object"),
    ("GET", "/ledger?from=1", None, "since"),
    ("GET", "/ledger?since=x", None, "a number"),
    ("GET", "/gates/g?arrived=many", None, "a number"),
    ("POST", "/gates/g/open", {"count": 0}, "count"),
    ("POST", "/gates/g/open", {"number": 1}, "count"),
    ("POST", "/clients", {"client_id": 12, "notes": "x"}, "leave client_id out"),
    ("POST", "/clients", {"client_id": "13"}, "leave client_id out"),
    ("POST", "/clients", {"first": "x"}, "first_name"),
    ("POST", "/clients", {"client_id": 13, "notes": 5}, "a text"),
    ("POST", "/clients", {"client_id": 13, "notes": "\x00"}, "XML 1.0"),
    ("POST", "/clients", {"client_id": 13, "folder": "bin"}, "archived"),
    ("POST", "/clients", {"client_id": 13, "updated": "now"}, "YYYY-MM-DD"),
    ("POST", "/clients", {"client_id": 13, "contacts": [5]}, "a list of objects"),
    ("POST", "/clients", {"client_id": 13, "contacts": [{"fax": "1"}]}, "phone1"),
    ("POST", "/clients", {"client_id": 13, "contacts": [{"contact_id": 0}]}, "positive"),
    ("POST", "/clients", {"client_id": 13, "credits": [{"currency": "EUR"}]}, "a text"),
    ("POST", "/clients", {"client_id": 13, "assigned_to": "staff"}, "a list of staff names"),
    ("DELETE", "/clients/12", None, "leave client_id out"),
    ("DELETE", "/clients/x", None, "a number"),
]


@pytest.mark.parametrize("method, path, body, told", BAD)
def test_bad_input(sim: Simulator, method: str, path: str, body: Any, told: str) -> None:
    """400 with JSON that says what is allowed; nothing is changed."""
    before = sim.store.dump()
    data = body if isinstance(body, str) else None if body is None else json.dumps(body)
    status, answer = exchange(sim, method, path, data)
    assert status == 400
    assert set(answer) == {"error", "allowed"}
    assert told in json.dumps(answer)
    assert (sim.store.dump(), sim.faults.listing()) == (before, [])


@pytest.mark.parametrize("method, path", [("GET", "/nonsense"), ("PATCH", "/clients"), ("POST", "/ledger")])
def test_an_unknown_route(sim: Simulator, method: str, path: str) -> None:
    """404 with the routes there are."""
    status, answer = exchange(sim, method, path, None)
    assert status == 404
    assert "POST /_simulator/faults" in answer["allowed"]


def test_a_refusal_in_the_client_class(sim: Simulator) -> None:
    with Steering(sim.base_url) as steering, pytest.raises(SteeringError, match="no such fault") as refused:
        steering.add_fault("nonsense")
    assert refused.value.status == 400
    assert "slow" in refused.value.answer["allowed"]


def exchange(sim: Simulator, method: str, path: str, data: str | None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=30)
    connection.request(method, f"/_simulator{path}", data)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body
