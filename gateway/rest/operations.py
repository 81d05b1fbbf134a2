"""The operations that every resource has: the one table of routes."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.resource import Resource

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of ours: its route and what it needs.

    `status` is that of its success. `media_types` are those of the body it reads; none when it reads none.
    """

    name: str
    http_method: str
    on_record: bool
    status: int
    media_types: tuple[str, ...] = ()
    writes: bool = True

    def path(self, resource: Resource) -> str:
        """The route as the document has it."""
        return f"/{resource.plural}" + ("/{id}" if self.on_record else "")

    def label(self, resource: Resource) -> str:
        """The operation's name in logs, metrics and the document: `client.patch`."""
        return f"{resource.name}.{self.name}"

    @property
    def traits(self) -> frozenset[str]:
        """What decides which problems it can meet (see `Problem.when`)."""
        held = {"any": True, "body": bool(self.media_types), "item": self.on_record, "list": self.name == "list"}
        held["change"] = self.on_record and self.writes
        held |= {"write": self.writes, "create": self.name == "create", "read": not self.writes}
        return frozenset(trait for trait, holds in held.items() if holds)


OPERATIONS: tuple[Operation, ...] = (
    Operation("list", "GET", on_record=False, status=200, writes=False),
    Operation("create", "POST", on_record=False, status=201, media_types=(JSON,)),
    Operation("get", "GET", on_record=True, status=200, writes=False),
    Operation("patch", "PATCH", on_record=True, status=200, media_types=(MERGE_PATCH, JSON)),
    Operation("replace", "PUT", on_record=True, status=200, media_types=(JSON,)),
    Operation("delete", "DELETE", on_record=True, status=204),
)
