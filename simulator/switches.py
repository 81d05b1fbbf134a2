"""What nobody outside the vendor knows, as switches: one form at a time, never claimed as fact."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from simulator.refusal import Refused
from simulator.switch_kinds import Allowed, Flag, Names, Number, OneOf

_CODE = Number(10000, 99999, nullable=True)


def _switch(default: object, allowed: Allowed, mark: str, about: str) -> Any:
    return field(default=default, metadata={"allowed": allowed, "mark": mark, "about": about})


@dataclass(frozen=True, slots=True)
class Switches:
    """One setting of every switch. The marks are those of the protocol's fact sheet; `own` marks a test aid."""

    namespace: str = _switch(
        "default",
        OneOf(("default", "none", "prefix")),
        "A",
        "the response namespace: as `xmlns`, left out (before August 2009), or bound to a prefix",
    )
    charset_suffix: bool = _switch(
        False, Flag(), "?", "`Content-Type: application/xml; charset=utf-8` instead of the bare type"
    )
    comments: bool = _switch(False, Flag(), "own", "comments and a processing instruction in records, inside texts too")
    text_form: str = _switch("escaped", OneOf(("escaped", "cdata")), "C", "texts written escaped or as CDATA sections")
    empty_text: str = _switch(
        "pair", OneOf(("pair", "self_closed")), "A", "an empty text as `<x></x>` or, as in older fixtures, `<x/>`"
    )
    empty_container: str = _switch(
        "self_closed", OneOf(("self_closed", "pair")), "A", "an empty container as `<x/>` or `<x></x>`"
    )
    contacts_form: str = _switch(
        "wrapped",
        OneOf(("wrapped", "flat")),
        "A",
        "each contact in a `<contact>` (live) or its fields directly in `<contacts>` (documentation)",
    )
    element_order: str = _switch(
        "live", OneOf(("live", "documentation")), "A", "the order of a record's elements: live capture or documentation"
    )
    credit_attributes: bool = _switch(
        True, Flag(), "A", "`credit` carries `currency` and `deprecated`; off: it lacks them"
    )
    drop_elements: tuple[str, ...] = _switch((), Names(), "own", "elements of a record that are left out of answers")
    extra_elements: tuple[str, ...] = _switch(
        (), Names(), "own", "unknown elements added to every record, contact and list answer"
    )
    fault_detail: str = _switch(
        "none",
        OneOf(("none", "field", "resource")),
        "A",
        "what a fault carries beside error and code: nothing, `<field>` or `<resource>`",
    )
    several_errors: bool = _switch(
        False, Flag(), "?", "a fault holds a second `<error>` (documentation: one or more; only single ones were seen)"
    )
    invalid_node_code: int | None = _switch(40050, _CODE, "?", "code of `Invalid node: NAME.`; null: no code")
    unknown_method_code: int | None = _switch(40020, _CODE, "?", "code for an unknown method; null: no code")
    bad_page: str = _switch(
        "first",
        OneOf(("first", "fault")),
        "?",
        "a page or per_page that is no positive number: the default, or a fault",
    )
    bad_page_code: int | None = _switch(40060, _CODE, "?", "code of that fault, and of a page past the end")
    page_past_end: str = _switch(
        "empty", OneOf(("empty", "last", "fault")), "?", "a page past the end: empty, the last page again, or a fault"
    )
    per_page_echo: str = _switch(
        "capped", OneOf(("capped", "asked")), "?", "`per_page` of the answer when more than 100 were asked for"
    )
    empty_list_root: str = _switch(
        "clients", OneOf(("clients", "invoices")), "B", "root of an empty list: `clients`, or `invoices` as documented"
    )
    unfiltered_list: str = _switch(
        "active_and_archived",
        OneOf(("active", "active_and_archived", "all")),
        "?",
        "the folders that a list without a folder filter holds",
    )
    deleted_listed: bool = _switch(True, Flag(), "?", "`folder=deleted` lists the deleted clients; off: an empty list")
    updated_bounds: str = _switch(
        "both",
        OneOf(("both", "from", "to", "neither")),
        "?",
        "which of updated_from and updated_to include the very second they name",
    )
    contacts_on_update: str = _switch(
        "replace",
        OneOf(("replace", "merge")),
        "?",
        "a supplied contact list replaces the old one, or is merged into it",
    )
    unknown_contact_id: str = _switch(
        "create",
        OneOf(("create", "refuse")),
        "?",
        "a contact_id that the client has not: a new contact, or fault 50010",
    )
    email_required: bool = _switch(True, Flag(), "?", "create without e-mail, or an update that clears it, is 40040")
    email_checked: bool = _switch(True, Flag(), "?", "an e-mail that is none is 40060")
    organization_from_email: bool = _switch(
        True, Flag(), "D", "a client created with an e-mail and no names gets it as organization (one sighting)"
    )
    username_default: str = _switch(
        "name", OneOf(("name", "email")), "B", "default username: first + last name (2010 on) or the e-mail (2008)"
    )
    username_unique: bool = _switch(False, Flag(), "?", "a username that another client has is refused")
    taken_username_code: int | None = _switch(40070, _CODE, "?", "code of that refusal; null: no code")
    client_limit: int | None = _switch(
        None, Number(0, 10**9, nullable=True), "?", "clients that the plan allows; null: no limit"
    )
    client_limit_code: int | None = _switch(50020, _CODE, "?", "code for a full plan; null: no code")
    delete_deleted: str = _switch(
        "deleted", OneOf(("deleted", "not_found", "ok")), "C", "a second delete: 50010 with either text, or success"
    )
    update_deleted: str = _switch(
        "deleted", OneOf(("deleted", "not_found", "ok")), "C", "update of a deleted client: 50010 or success"
    )
    undelete: bool = _switch(False, Flag(), "D", "the method `client.undelete` exists")
    staff_owns_created: bool = _switch(
        True, Flag(), "?", "a client created with a staff token is assigned to that staff"
    )
    unknown_subdomain: str = _switch(
        "fault",
        OneOf(("fault", "redirect")),
        "A",
        "unknown subdomain: fault 10030, or a 302 to a login page (2008-2012)",
    )
    throttle_form: str = _switch(
        "http_429", OneOf(("http_429", "http_503", "fault")), "?", "how the fault `throttle` refuses too many calls"
    )
    throttle_code: int | None = _switch(10040, _CODE, "?", "code of a throttle answer of the form `fault`; null: none")
    keep_alive_idle_s: float = _switch(
        60, Number(0.01, 3600, whole=False), "A", "seconds after which an idle connection is closed without notice"
    )
    clock_offset_s: float = _switch(
        0, Number(-(10**10), 10**10, whole=False), "own", "seconds that the simulator's clock runs ahead"
    )


ALLOWED: Mapping[str, Allowed] = {switch.name: switch.metadata["allowed"] for switch in fields(Switches)}


class SwitchBoard:
    """The switches in force; a change takes effect with the next call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Switches()

    @property
    def now(self) -> Switches:
        return self._now

    def set(self, /, **changes: object) -> Switches:
        """Change the named switches and leave the others; raises Refused, changing nothing, on a bad one."""
        for name, value in changes.items():
            _check(name, value)
        tidy: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}
        with self._lock:
            self._now = replace(self._now, **tidy)
        return self._now

    def reset(self) -> None:
        self._now = Switches()

    def as_json(self) -> dict[str, object]:
        now = self._now
        return {name: list(v) if isinstance(v := getattr(now, name), tuple) else v for name in ALLOWED}


def _check(name: str, value: object) -> None:
    if name not in ALLOWED:
        raise Refused(f"no such switch: {name}", sorted(ALLOWED))
    if not ALLOWED[name].accepts(value):
        raise Refused(f"bad value for the switch {name}: {value!r}", str(ALLOWED[name]))


def table() -> str:
    """The switches as a Markdown table, for the README."""
    rows = ["| switch | forms | default | mark | what it decides |", "|---|---|---|---|---|"]
    for switch in fields(Switches):
        default = _shown(switch.default)
        meta = switch.metadata
        rows.append(f"| `{switch.name}` | {meta['allowed']} | `{default}` | {meta['mark']} | {meta['about']} |")
    return "\n".join(rows)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[]" if value == () else str(value)
