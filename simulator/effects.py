"""What each fault does to a call it strikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.answers import Answer
from simulator.connection import Connection
from simulator.effect_answers import GARBLED, REPLACED
from simulator.faults import Rule
from simulator.switches import Switches
from simulator.xml_io import DECLARATION, NAMESPACE

_STEP_BYTES = 64 * 1024
_HUGE_HEAD = f'{DECLARATION}<response xmlns="{NAMESPACE}" status="ok">\n'.encode()
_HUGE_TAIL = b"</response>\n"


@dataclass(frozen=True, slots=True)
class Struck:
    """A call under a fault. `work(deny)` has the API do it, `skip()` does nothing; both pass the gates.

    `finish()` closes the ledger's entry; it is called before the last byte, or the reset, goes out.
    """

    connection: Connection
    rule: Rule
    form: Switches
    work: Callable[[bool], Answer]
    skip: Callable[[], None]
    finish: Callable[[], None]

    @property
    def params(self) -> Mapping[str, Any]:
        return self.rule.params

    def done(self) -> Answer:
        """The API's answer, after the work is done."""
        return self.work(self.rule.name == "deny_action")

    def send_answer(self, answer: Answer) -> None:
        self.finish()
        self.connection.send_answer(answer)

    def reset(self) -> None:
        """Raises Gone."""
        self.finish()
        self.connection.reset()

    def done_if_asked(self) -> None:
        """What the parameter `commit` says."""
        if self.params["commit"]:
            self.done()
        else:
            self.skip()


def strike(struck: Struck) -> None:
    """Answer the call as its fault has it; raises Gone when the connection is ended."""
    name = struck.rule.name
    if name in REPLACED:
        struck.done_if_asked()
        struck.send_answer(REPLACED[name](struck.params, struck.form))
    elif name in GARBLED:
        struck.send_answer(GARBLED[name](struck.done(), struck.params))
    else:
        _BROKEN[name](struck)


def _reset_before(struck: Struck) -> None:
    struck.skip()
    struck.reset()


def _commit_then_drop(struck: Struck) -> None:
    struck.done()
    struck.reset()


def _reset_in_headers(struck: Struck) -> None:
    answer = struck.done()
    struck.connection.send(struck.connection.head(answer, len(answer.body))[: struck.params["bytes_sent"]])
    struck.reset()


def _cut_body(struck: Struck) -> None:
    answer = struck.done()
    sent = answer.body[: int(len(answer.body) * min(struck.params["fraction"], 1))]
    head = struck.connection.head(answer, len(answer.body) if struck.params["declare_length"] else None)
    struck.connection.close_after_answer = True
    struck.finish()
    struck.connection.send(head + sent)


def _blackhole(struck: Struck) -> None:
    struck.done_if_asked()
    struck.connection.close_after_answer = True
    struck.rule.release.hold(struck.connection)


def _slow(struck: Struck) -> None:
    if not struck.params["commit"]:
        struck.rule.release.sleep(struck.params["delay_s"])
    answer = struck.done()
    if struck.params["commit"]:
        struck.rule.release.sleep(struck.params["delay_s"])
    struck.send_answer(answer)


def _slow_headers(struck: Struck) -> None:
    answer = struck.done()
    last = _drip_bytes(struck, struck.connection.head(answer, len(answer.body)) + answer.body[:1])
    struck.finish()
    struck.connection.send(last + answer.body[1:])


def _drip(struck: Struck) -> None:
    answer = struck.done()
    struck.connection.send(struck.connection.head(answer, len(answer.body)))
    last = _drip_bytes(struck, answer.body)
    struck.finish()
    struck.connection.send(last)


def _drip_bytes(struck: Struck, data: bytes) -> bytes:
    """Send one step after the other; returns the last step, or all that is left when the fault is cleared."""
    step = struck.params["bytes_per_step"]
    sent = 0
    while len(data) - sent > step and not struck.rule.release.is_over:
        struck.connection.send(data[sent : sent + step])
        sent += step
        struck.rule.release.sleep(struck.params["interval_s"])
    return data[sent:]


def _huge(struck: Struck) -> None:
    answer = struck.done()
    length = struck.params["bytes"]
    struck.connection.send(struck.connection.head(answer, length if struck.params["declare_length"] else None))
    for part in _huge_parts(length):
        struck.connection.send(part)
    struck.finish()
    struck.connection.send(_HUGE_TAIL)


def _huge_parts(length_bytes: int) -> Iterator[bytes]:
    yield _HUGE_HEAD
    left = length_bytes - len(_HUGE_HEAD) - len(_HUGE_TAIL)
    while left > 0:
        yield b" " * min(left, _STEP_BYTES)
        left -= _STEP_BYTES


def _close_idle(struck: Struck) -> None:
    if struck.params["when"] == "on_next_use":
        struck.connection.reset_on_reuse = True
    else:
        struck.connection.close_after_answer = True
    struck.send_answer(struck.done())


def _deny_action(struck: Struck) -> None:
    struck.send_answer(struck.done())


_BROKEN: Mapping[str, Callable[[Struck], None]] = {
    "reset_before": _reset_before,
    "commit_then_drop": _commit_then_drop,
    "reset_in_headers": _reset_in_headers,
    "cut_body": _cut_body,
    "blackhole": _blackhole,
    "slow": _slow,
    "slow_headers": _slow_headers,
    "drip": _drip,
    "huge": _huge,
    "close_idle": _close_idle,
    "deny_action": _deny_action,
}
