"""A secret shows itself only when asked by name."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
from collections.abc import Callable
from io import BytesIO

import pytest

from gateway.secret import Secret
from gateway.telemetry import open_log

CANARY = "canary-7f3a"
SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda secret: f"{secret} {secret!r} {secret!s:>20} {secret:}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "in a list": lambda secret: str([secret, {"token": secret}]),
    "in an exception": lambda secret: repr(ValueError(secret)) + str(ValueError(secret)),
    "in a log record": lambda secret: logging.makeLogRecord({"msg": "%s", "args": (secret,)}).getMessage(),
    "as JSON text": lambda secret: json.dumps({"token": secret}, default=str),
    "in a dataclass": lambda secret: repr(dataclasses.make_dataclass("Holder", ["token"])(secret)),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN.keys())
def test_a_secret_that_is_shown_is_not_told(show: Callable[[Secret], str]) -> None:
    """Neither the text nor how long it is."""
    assert CANARY not in show(Secret(CANARY))
    assert show(Secret(CANARY)) == show(Secret("x"))


def test_a_secret_in_the_log_is_not_told() -> None:
    """The log's encoder takes objects apart; it gets nothing out of this one."""
    stream = BytesIO()
    open_log("debug", stream).info("event", token=Secret(CANARY), nested={"tokens": [Secret(CANARY)]})
    line = json.loads(stream.getvalue())
    assert (line["token"], line["nested"]) == ("[secret]", {"tokens": ["[secret]"]})
    assert CANARY.encode() not in stream.getvalue()


def test_a_secret_has_no_fields_to_list() -> None:
    """Nothing that walks over an object's fields comes by its text."""
    assert not dataclasses.is_dataclass(Secret(CANARY))
    assert not hasattr(Secret(CANARY), "__dict__")


def test_a_secret_is_told_to_whoever_asks() -> None:
    """And is equal to what holds the same text, and to nothing else."""
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY) == copy.copy(secret)
    assert len({secret, Secret(CANARY), Secret("x")}) == 2
    assert secret != CANARY
