"""What the store may hold of a request. Over both stores."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulator.server import Simulator
from tests.keys.ground import another, with_key
from tests.support.gateway import Caller
from tests.support.ground import Ground

PASSWORD, TOKEN, API_KEY, KEY = "canary-password", "demo-admin", "canary-api-key", "canary-idempotency-key"
ADA: dict[str, Any] = {"email": "ada@engines.example", "first_name": "canary-name", "password": PASSWORD}
SECRETS = (PASSWORD, TOKEN, API_KEY, KEY)
DIGEST = hashlib.sha256(API_KEY.encode()).hexdigest()


def held(ground: Ground) -> bytes:
    """Everything stored, and what of it is base64 once more in plain."""
    stored = ground.stored()
    packed = re.findall(rb"[A-Za-z0-9+/]{24,}={0,2}", stored)
    return stored + b"".join(base64.b64decode(one + b"===") for one in packed if len(one.rstrip(b"=")) % 4 != 1)


def secrets_in(ground: Ground) -> list[str]:
    """Which secrets the store holds, as they are or as a plain hash that could be looked up."""
    stored = held(ground)
    return [secret for secret in SECRETS if any(form in stored for form in forms(secret))]


def forms(secret: str) -> tuple[bytes, ...]:
    digest = hashlib.sha256(secret.encode())
    return secret.encode(), digest.hexdigest().encode(), digest.digest()


def asking(make: Callable[..., Caller], **settings: Any) -> Caller:
    caller = make(gateway_auth="keys", gateway_api_keys=DIGEST, **settings)
    caller.headers = with_key(KEY, Authorization=f"Bearer {API_KEY}")
    return caller


def test_a_create_in_flight_and_done(make: Callable[..., Caller], ground: Ground, simulator: Simulator) -> None:
    """At every stage its record holds no password, token, API key or Idempotency-Key; done, it holds the answer."""
    caller = asking(make)
    for stage in ("client.list", "client.create", "client.get"):
        simulator.faults.add("gate", gate=stage, methods=[stage])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(another(caller).post, "/clients", json=ADA)
        for stage in ("client.list", "client.create", "client.get"):
            simulator.gates.wait(stage)
            assert ground.stored()
            assert secrets_in(ground) == []
            simulator.gates.open(stage)
        assert answer.result(20).status_code == 201
    assert secrets_in(ground) == []
    assert b"canary-name" in held(ground), "the search would find what is there"


def test_a_create_of_unknown_outcome(make: Callable[..., Caller], ground: Ground, simulator: Simulator) -> None:
    """Its record holds none of them, nor anything else of the body."""
    simulator.faults.add("reset_before", methods=["client.create"])
    assert asking(make).post("/clients", json=ADA).status_code == 504
    assert secrets_in(ground) == []
    assert b"canary-name" not in held(ground)
    assert ADA["email"].encode() not in held(ground)


def test_changes(make: Callable[..., Caller], ground: Ground) -> None:
    """A patch and a replacement with a password leave none of them."""
    caller = asking(make)
    assert caller.patch("/clients/13", json=ADA).status_code == 200
    assert caller.put("/clients/14", json=ADA).status_code == 200
    assert caller.delete("/clients/13").status_code == 204
    assert secrets_in(ground) == []


def test_creates_without_a_key(make: Callable[..., Caller], ground: Ground, simulator: Simulator) -> None:
    """Leave nothing that was submitted, but for the copy of the record where there is a cache."""
    caller = make(cache_ttl_s=0)
    assert caller.post("/clients", json=ADA).status_code == 201
    simulator.faults.add("commit_then_drop", methods=["client.create"])
    assert caller.post("/clients", json=ADA | {"email": "eve@engines.example"}).status_code == 201
    assert secrets_in(ground) == []
    for text in (b"canary-name", b"engines.example"):
        assert text not in held(ground)
