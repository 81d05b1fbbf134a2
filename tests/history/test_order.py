"""Orders of events that callers meet seldom, and then must not see the past: rare cases, made certain."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.support.ground import FolderGround, ahead, gateway_on

CLIENT = {"email": "ada@example.com", "first_name": "Ada"}


@pytest.fixture(scope="module", autouse=True)
def no_gateway_outlives_the_module() -> Iterator[None]:
    """What was dropped here is collected here, not during a test of somebody else."""
    yield
    gc.collect()


def test_a_record_that_a_list_shows_is_found_though_others_still_wait_to_hear_that_it_is_not_there(
    simulator: Simulator, tmp_path: Path
) -> None:
    """A read that set out before the create is on its way back with "not found"; who asks after having seen the record
    in a list must not be given that answer."""
    ground = FolderGround(tmp_path)
    caller = gateway_on(ground, simulator)
    key = max(client["client_id"] for client in simulator.store.dump()) + 1
    simulator.faults.add("gate", gate="early", point="after_commit", methods=["client.get"], times=1)
    early = ahead(caller, "GET", f"/clients/{key}")
    simulator.gates.wait("early")
    simulator.faults.add("gate", gate="create", point="after_commit", methods=["client.create"], times=1)
    create = ahead(caller, "POST", "/clients", json=CLIENT)
    simulator.gates.wait("create")
    listed = caller.get("/clients?email=ada@example.com").get_json()["items"]
    late = ahead(caller, "GET", f"/clients/{key}")
    ground.cache.wait_for(b"flight:", threads=2)
    simulator.gates.open("early")
    assert early.result().status_code == 404
    assert [one["id"] for one in listed] == [key]
    assert late.result().status_code == 200
    simulator.gates.open("create")
    assert create.result().status_code == 201
    ground.close()
