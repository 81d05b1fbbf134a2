"""The store and its state file."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from simulator.refusal import Refused
from simulator.server import Simulator
from simulator.store import Store
from tests.simulator.api_caller import ApiCaller

ONE: list[dict[str, Any]] = [
    {"client_id": 7, "email": "a@b.example", "contacts": [{"contact_id": 3, "email": "c@d.example"}]}
]


def test_a_torn_last_line(tmp_path: Path) -> None:
    """Is dropped: the change it was about was never answered."""
    path = tmp_path / "state"
    store = Store(lambda: ONE, path)
    store.edit({"client_id": 7, "notes": "kept"})
    store.close()
    with path.open("ab") as file:
        file.write(b'{"client":{"client_id":7,"notes":"to')
    assert Store(list, path).dump()[0]["notes"] == "kept"


@pytest.mark.parametrize(
    "content", ["", "{}\n", "nonsense\n", '["a"]\n', '{"format":"simulator-state","version":99}\n']
)
def test_a_file_that_is_not_ours(tmp_path: Path, content: str) -> None:
    """Is refused and left as it is."""
    path = tmp_path / "state"
    path.write_text(content)
    with pytest.raises(Refused, match="not a state file"):
        Store(lambda: ONE, path)
    assert path.read_text() == content


def test_the_file_shrinks_at_the_next_start(tmp_path: Path) -> None:
    """One line a client; the ids of contacts that are gone are not used again."""
    path = tmp_path / "state"
    store = Store(lambda: ONE, path)
    store.edit({"client_id": 7, "contacts": [{"email": "x@y.example"}]})
    store.edit({"client_id": 7, "contacts": []})
    store.close()
    assert len(path.read_text().splitlines()) == 5
    again = Store(list, path)
    assert len(path.read_text().splitlines()) == 3
    assert again.next_contact_id() == 5
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_reset_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "state"
    store = Store(lambda: ONE, path)
    store.edit({"email": "more@b.example"})
    store.reset()
    store.close()
    assert [record["client_id"] for record in Store(list, path).dump()] == [7]


def test_no_password_in_the_file(tmp_path: Path) -> None:
    """Only its digest."""
    path = tmp_path / "state"
    with Simulator(state_file=path) as sim, ApiCaller(sim.url) as admin:
        admin.created(password="seCret!7")
    assert "seCret!7" not in path.read_text()


def test_the_file_is_one_change_a_line(tmp_path: Path) -> None:
    """Written before the call is answered."""
    path = tmp_path / "state"
    with Simulator(state_file=path, clients=ONE) as sim, ApiCaller(sim.url) as admin:
        for number in range(5):
            admin.update(7, notes=f"line\n{number}").ok()
            last = json.loads(path.read_text().splitlines()[-1])
            assert last["client"]["notes"] == f"line\n{number}"


def test_creates_at_the_same_time(sim: Simulator) -> None:
    """Every client gets an id of its own, and none is lost."""

    def create(number: int) -> str:
        with ApiCaller(sim.url) as admin:
            return admin.created(email=f"{number}@many.example")

    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(create, range(100)))
    assert len(set(ids)) == 100
    assert len(sim.store.dump()) == 160


def test_staff_by_name() -> None:
    """Any number of tokens; each name sees the clients assigned to it."""
    clients = [
        {"client_id": 1, "email": "a@b.example", "assigned_to": ["ann"]},
        {"client_id": 2, "email": "a@b.example", "assigned_to": ["ann", "bob"]},
    ]
    tokens = {"t0": "admin", "t1": "ann", "t2": "bob", "t3": "cid"}
    with Simulator(clients=clients, tokens=tokens) as sim:
        seen = {}
        for token, name in tokens.items():
            with ApiCaller(sim.url, token) as caller:
                seen[name] = caller.list().ids()
    assert seen == {"admin": [2, 1], "ann": [2, 1], "bob": [2], "cid": []}


@pytest.mark.parametrize("clients", [[{"email": "a"}], [{"client_id": True}], [{"client_id": 1, "links": {}}]])
def test_records_to_begin_with_that_are_none(clients: list[dict[str, Any]]) -> None:
    with pytest.raises(Refused):
        Simulator(clients=clients)
