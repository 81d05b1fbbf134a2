"""Concurrent callers who read and write the same few records, and note what they did and saw."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.history.doors import Door, NoAnswerError, Reply
from tools.history.operations import ABSENT, Absent, Kind, Operation, Outcome

EMAIL = "history@example.com"
"""All records of a history have it, so a list filtered by it is the list of all of them."""

LIVING_MIN, LIVING_MAX = 4, 8
_STORM_EVERY, _STORM_LENGTH = 250, 50
_STORM_SHARE, _CALM_SHARE = 0.4, 0.02
_LISTS = (
    f"/clients?email={EMAIL}",
    f"/clients?email={EMAIL}&folder=active",
    f"/clients?email={EMAIL}&per_page=100",
    f"/clients?email={EMAIL}&per_page=3",
)
_WISHES: tuple[Mapping[str, str], ...] = (
    *({},) * 8,
    {"Cache-Control": "no-cache"},
    {"Cache-Control": "max-age=1"},
)
_OUTCOMES = {"applied": Outcome.DONE, "not_applied": Outcome.NOT_DONE}


@dataclass
class History:
    """What was done, and how often what happened that the operations do not tell."""

    operations: list[Operation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer showed, in the words of `Operation`."""

    saw: str | Absent | None = None
    rows: Mapping[int, str] | None = None
    whole: bool = False
    tag: str | None = None


NOTHING = Seen()


class World:
    """What all callers know: which records there are, and what the entity tags that they got stand for."""

    def __init__(self) -> None:
        self._living: list[int] = []
        self._dead: deque[int] = deque(maxlen=12)
        self._lock = threading.Lock()
        self._tags: dict[str, Seen] = {}
        self._last_tags: dict[str, str] = {}

    def living_total(self) -> int:
        return len(self._living)

    def born(self, keys: Iterable[int]) -> None:
        with self._lock:
            self._living += [key for key in keys if key not in self._living and key not in self._dead]

    def died(self, key: int) -> None:
        with self._lock:
            if key in self._living:
                self._living.remove(key)
                self._dead.append(key)

    def someone(self, chance: random.Random, *, dead: bool = False) -> int | None:
        """None when there is nobody."""
        with self._lock:
            keys = list(self._dead if dead else self._living)
        return chance.choice(keys) if keys else None

    def next_born(self) -> int:
        """The id that the next record will have: the upstream counts."""
        with self._lock:
            return max([*self._living, *self._dead], default=0) + 1

    def learn(self, path: str, seen: Seen) -> None:
        if seen.tag is not None:
            self._tags[seen.tag] = seen
            self._last_tags[path] = seen.tag

    def meaning(self, tag: str) -> Seen:
        return self._tags.get(tag, NOTHING)

    def known_tag(self, path: str, header: str) -> dict[str, str]:
        """A precondition with the last tag of a path; nothing when there is none."""
        tag = self._last_tags.get(path)
        return {} if tag is None else {header: tag}


@dataclass(frozen=True, slots=True)
class _Request:
    kind: Kind
    key: int | None
    http_method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    wrote: str | None = None

    @property
    def writes(self) -> bool:
        return self.kind not in (Kind.GET, Kind.LIST)


def make_history(
    open_doors: Callable[[], list[Door]],
    operations_total: int,
    callers_total: int,
    seed: int,
    before_each: Callable[[int], None] = lambda _: None,
) -> History:
    """Lets `callers_total` threads do `operations_total` operations in all.

    Each caller has doors of its own and goes through any of them. What a caller would do follows from `seed`; which
    caller comes next does not. `before_each` is called with the number of each operation before it is done.
    """
    world, numbers = World(), itertools.count(1)
    callers = [Caller(world, open_doors(), random.Random(f"{seed}.{place}")) for place in range(callers_total)]
    errors: list[BaseException] = []

    def call(caller: Caller) -> None:
        try:
            while not errors and (number := next(numbers)) <= operations_total:
                before_each(number)
                caller.act(number)
        except BaseException as error:  # noqa: BLE001  raised again by who asked for the history
            errors.append(error)
        finally:
            caller.close()

    threads = [threading.Thread(target=call, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    operations = [one for caller in callers for one in caller.history.operations]
    counts = sum((caller.history.counts for caller in callers), Counter())
    return History(sorted(operations, key=lambda one: one.began_s), counts)


class Caller:
    """One caller, who does one thing after the other."""

    def __init__(self, world: World, doors: list[Door], chance: random.Random) -> None:
        self.history = History()
        self._world = world
        self._doors = doors
        self._chance = chance

    def close(self) -> None:
        for door in self._doors:
            door.close()

    def act(self, number: int) -> None:
        """Writes come in storms, with calms between them in which the cache can work."""
        share = _STORM_SHARE if number % _STORM_EVERY < _STORM_LENGTH else _CALM_SHARE
        wants_to_write = self._chance.random() < share or self._world.living_total() < LIVING_MIN
        self._perform(number, self._write(f"mark {number}") if wants_to_write else self._read())

    def _read(self) -> _Request:
        key, what = self._whom_to_read(), self._chance.random()
        if key is None or what < 0.25:
            path = self._chance.choice(_LISTS)
            return _Request(Kind.LIST, None, "GET", path, self._reading_headers(path))
        path = f"/clients/{key}"
        return _Request(Kind.GET, key, "GET", path, self._reading_headers(path))

    def _whom_to_read(self) -> int | None:
        """Now and then one who is gone, or one who is not there yet: it may come while it is read."""
        what = self._chance.random()
        return self._world.next_born() if what < 0.04 else self._world.someone(self._chance, dead=what > 0.92)

    def _reading_headers(self, path: str) -> dict[str, str]:
        headers = dict(self._chance.choice(_WISHES))
        return headers | self._world.known_tag(path, "If-None-Match") if self._chance.random() < 0.3 else headers

    def _write(self, mark: str) -> _Request:
        key, living_total, what = self._world.someone(self._chance), self._world.living_total(), self._chance.random()
        whole = {"email": EMAIL, "first_name": "Ada", "notes": mark}
        if key is None or living_total < LIVING_MIN or (what < 0.12 and living_total < LIVING_MAX):
            return _Request(Kind.CREATE, None, "POST", "/clients", {}, whole, mark)
        path = f"/clients/{key}"
        if what < 0.24 or living_total > LIVING_MAX:
            self._world.died(key)
            return _Request(Kind.DELETE, key, "DELETE", path)
        if what < 0.4:
            return _Request(Kind.CHANGE, key, "PUT", path, {}, whole, mark)
        condition = self._world.known_tag(path, "If-Match") if what > 0.8 else {}
        return _Request(Kind.CHANGE, key, "PATCH", path, condition, {"notes": mark}, mark)

    def _perform(self, number: int, asked: _Request) -> None:
        """A read without an answer says nothing and is not kept; such a write may have been done."""
        place = self._chance.randrange(len(self._doors))
        reply = None
        began_s = time.monotonic()
        try:
            reply = self._doors[place].ask(asked.http_method, asked.path, asked.headers, asked.body)
        except NoAnswerError:
            pass
        ended_s = time.monotonic()
        seen = NOTHING if reply is None else self._look(asked, reply)
        outcome = _outcome(asked, reply)
        self._count(asked, reply, outcome)
        if asked.writes or seen is not NOTHING:
            key = _made(asked, reply, outcome) or asked.key
            sight = (seen.saw, seen.rows, seen.whole, seen.tag)
            how = _how(asked, reply, place)
            done = Operation(number, asked.kind, key, began_s, ended_s, outcome, asked.wrote, *sight, how)
            self.history.operations.append(done)
            self._world.born(seen.rows or ([key] if asked.kind is Kind.CREATE and key is not None else []))

    def _look(self, asked: _Request, reply: Reply) -> Seen:
        tag = reply.headers.get("etag")
        if reply.status in (304, 412) and tag is not None:
            return self._world.meaning(tag)
        if reply.status == 404 and asked.key is not None:
            return Seen(ABSENT)
        if reply.status not in (200, 201) or tag is None:
            return NOTHING
        if asked.kind is Kind.LIST:
            rows = {row["id"]: row["notes"] for row in reply.body["items"]}
            seen = Seen(rows=rows, whole=reply.body["total"] == len(rows), tag=tag)
        else:
            seen = Seen(reply.body["notes"], tag=tag)
        self._world.learn(asked.path, seen)
        return seen

    def _count(self, asked: _Request, reply: Reply | None, outcome: Outcome) -> None:
        counts = self.history.counts
        if asked.writes:
            counts[f"write {outcome.value}"] += 1
        else:
            counts[f"read {_cache_event(reply)}"] += 1
        counts["no answer" if reply is None else f"status {reply.status}"] += 1


def _outcome(asked: _Request, reply: Reply | None) -> Outcome:
    if not asked.writes:
        return Outcome.DONE
    if reply is None:
        return Outcome.UNKNOWN
    if reply.status < 400:
        return Outcome.DONE
    return _OUTCOMES.get(reply.body["outcome"], Outcome.UNKNOWN)


def _made(asked: _Request, reply: Reply | None, outcome: Outcome) -> int | None:
    """The id of the record that a create has made, if it said so."""
    if asked.kind is not Kind.CREATE or outcome is not Outcome.DONE or reply is None:
        return None
    return int(reply.body["id"])


def _cache_event(reply: Reply | None) -> str:
    """How the cache took part: `hit`, `stale`, `stored`, `collapsed`, `bypass`, or `failed` for what is no answer."""
    status = "" if reply is None or reply.status >= 500 else reply.headers.get("cache-status", "gateway; hit")
    for word, event in (("upstream-sick", "stale"), ("; hit", "hit"), ("stored", "stored"), ("collapsed", "collapsed")):
        if word in status:
            return event
    return "bypass" if status else "failed"


def _how(asked: _Request, reply: Reply | None, place: int) -> str:
    headers = "".join(f" [{name}: {value}]" for name, value in asked.headers.items())
    answer = "no answer" if reply is None else f"{reply.status} {reply.headers.get('cache-status', '')}".strip()
    return f"{asked.http_method} {asked.path}{headers} at gateway {place + 1}: {answer}"
