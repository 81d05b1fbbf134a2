"""The clients of the account, in memory and, where a file is given, on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.clock import now_eastern
from simulator.journal import Journal
from simulator.record import Client, changed, from_json, to_json
from simulator.refusal import Refused


class Store:
    """Clients by id. Reads need no lock; a change is made under `changing()`.

    `demo` gives the records to begin with. With a `path`, the state there is taken up instead, if there is one.
    """

    def __init__(
        self,
        demo: Callable[[], Iterable[Mapping[str, Any]]],
        path: Path | None = None,
        clock_offset_s: Callable[[], float] = lambda: 0,
    ) -> None:
        self._demo = demo
        self._clock_offset_s = clock_offset_s
        self._lock = threading.RLock()
        self._clients: dict[int, Client] = {}
        self._last_client_id = self._last_contact_id = 0
        self._journal = Journal(path) if path else None
        kept = self._journal.read() if self._journal else None
        if kept is None:
            self._take([from_json(given) for given in demo()])
        else:
            self._replay(kept)
        self._rewrite()

    def now(self) -> str:
        """US/Eastern wall time, by the simulator's clock."""
        return now_eastern(self._clock_offset_s())

    def find(self, client_id: int) -> Client | None:
        """The client, a deleted one too; None when there never was one."""
        return self._clients.get(client_id)

    def newest_first(self) -> list[Client]:
        clients = self._clients
        return [clients[client_id] for client_id in sorted(clients, reverse=True)]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Everything inside happens at one instant, as far as other changes can tell."""
        with self._lock:
            yield

    def next_client_id(self) -> int:
        with self._lock:
            self._last_client_id += 1
            return self._last_client_id

    def next_contact_id(self) -> int:
        with self._lock:
            self._last_contact_id += 1
            return self._last_contact_id

    def put(self, client: Client) -> None:
        with self._lock:
            self._count_ids(client)
            if self._journal:
                self._journal.append({"client": to_json(client), "last_contact_id": self._last_contact_id})
            self._clients[client.client_id] = client

    def reset(self) -> None:
        """Back to the records it began with, ids too."""
        with self._lock:
            self._take([from_json(given) for given in self._demo()])
            self._rewrite()

    def close(self) -> None:
        with self._lock:
            if self._journal:
                self._journal.close()

    def dump(self) -> list[dict[str, Any]]:
        """Every client as JSON, deleted ones too, by ascending id."""
        return [to_json(client) for client in reversed(self.newest_first())]

    def edit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Create (no `client_id`) or change a client as the vendor's own web pages would; returns it as JSON.

        `updated` becomes now unless given. Raises Refused on an unknown key, a bad value or an unknown client.
        """
        changes = {key: value for key, value in given.items() if key != "client_id"}
        with self._lock:
            if "contacts" in changes:
                changes["contacts"] = self._with_contact_ids(changes["contacts"])
            client = changed(self._known_or_new(given), {"updated": self.now(), **changes})
            self.put(client)
        return to_json(client)

    def delete(self, client_id: object) -> dict[str, Any]:
        """Move a client to the folder `deleted`; raises Refused when there is none."""
        if client_id is None:
            raise Refused("client_id is missing")
        return self.edit({"client_id": client_id, "folder": "deleted"})

    def _known_or_new(self, given: Mapping[str, Any]) -> Client:
        if "client_id" not in given:
            return Client(self._last_client_id + 1, {"language": "en", "currency_code": "USD"})
        client_id = given["client_id"]
        client = self.find(client_id) if isinstance(client_id, int) else None
        if client is None:
            raise Refused(f"there is no client {client_id!r}; leave client_id out to create one")
        return client

    def _with_contact_ids(self, contacts: object) -> object:
        if not isinstance(contacts, list):
            return contacts
        return [
            {"contact_id": self.next_contact_id(), **contact}
            if isinstance(contact, Mapping) and "contact_id" not in contact
            else contact
            for contact in contacts
        ]

    def _replay(self, entries: Iterable[dict[str, Any]]) -> None:
        entries = list(entries)
        self._take([from_json(entry["client"]) for entry in entries if "client" in entry])
        self._last_contact_id = max([self._last_contact_id, *(entry.get("last_contact_id", 0) for entry in entries)])

    def _take(self, clients: Iterable[Client]) -> None:
        self._clients = {client.client_id: client for client in clients}
        self._last_client_id = self._last_contact_id = 0
        for client in self._clients.values():
            self._count_ids(client)

    def _count_ids(self, client: Client) -> None:
        self._last_client_id = max(self._last_client_id, client.client_id)
        self._last_contact_id = max([self._last_contact_id, *(contact.contact_id for contact in client.contacts)])

    def _rewrite(self) -> None:
        if self._journal:
            ids = {"last_contact_id": self._last_contact_id}
            self._journal.rewrite([ids, *({"client": to_json(client)} for client in self._clients.values())])
