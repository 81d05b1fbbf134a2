"""Answers of the API, and the faults that become one."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.record_xml import root_attributes, write_extra, writer_for
from simulator.switches import Switches

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `outcome` is `ok`, a fault's code, or `http STATUS`; `applied`: a change was committed."""

    status: int
    body: bytes
    headers: Headers = ()
    outcome: str = "ok"
    applied: bool = False
    client_id: int | None = None


class Fault(Exception):
    """A refusal in the envelope of the API. `code` None: the answer has no `<code>`."""

    def __init__(self, code: int | None, text: str, field: str = "", status: int = 200) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.field = field
        self.status = status


def authentication_failed() -> Fault:
    """Observed: 401 with this XML body and a Basic challenge."""
    return Fault(20010, "Authentication failed.", status=401)


def missing(name: str) -> Fault:
    """Observed: an empty field is a missing one."""
    return Fault(40040, f"Missing required field: '{name}'.", field=name)


def invalid_value(name: str) -> Fault:
    """Observed for `type`, a bad enumeration value."""
    return Fault(40060, f"Invalid value for field '{name}'.", field=name)


def not_found(resource: str = "client") -> Fault:
    """Observed, for a non-numeric id as well."""
    return Fault(50010, f"'{resource}_id' not found. {resource.capitalize()} not found.", field=f"{resource}_id")


def deleted() -> Fault:
    """Observed: client.get after client.delete."""
    return Fault(50010, "'client_id' not found. Client is deleted.", field="client_id")


def action_failed(action: str) -> Fault:
    """Observed for delete: the service refused the action."""
    return Fault(50020, f"Failed to {action} client. Request failed.")


def content_type(form: Switches) -> tuple[str, str]:
    return ("Content-Type", "application/xml; charset=utf-8" if form.charset_suffix else "application/xml")


def fault_answer(fault: Fault, form: Switches) -> Answer:
    writer = writer_for(form)
    writer.open("response", root_attributes(form, "fail"))
    writer.text("error", fault.text)
    if form.several_errors:
        writer.text("error", "There may be more.")
    if fault.code is not None:
        writer.text("code", str(fault.code))
    if form.fault_detail == "field" and fault.field:
        writer.text("field", fault.field)
    if form.fault_detail == "resource":
        writer.text("resource", "client")
    writer.close("response")
    challenge = (("WWW-Authenticate", 'Basic realm="FreshBooks"'),) if fault.status == 401 else ()
    return Answer(fault.status, writer.document(), (content_type(form), *challenge), str(fault.code))


def empty_answer(form: Switches, client_id: int | None, applied: bool = True) -> Answer:
    """Observed: update and delete answer an empty response."""
    writer = writer_for(form)
    writer.empty("response", root_attributes(form, "ok"))
    return Answer(200, writer.document(), (content_type(form),), applied=applied, client_id=client_id)


def created_answer(form: Switches, client_id: int) -> Answer:
    """Observed: create answers the id and nothing more."""
    writer = writer_for(form)
    writer.open("response", root_attributes(form, "ok"))
    writer.text("client_id", str(client_id))
    write_extra(writer, form)
    writer.close("response")
    return Answer(200, writer.document(), (content_type(form),), applied=True, client_id=client_id)


def client_answer(form: Switches, record: str, client_id: int) -> Answer:
    writer = writer_for(form)
    writer.open("response", root_attributes(form, "ok"))
    writer.block(record)
    write_extra(writer, form)
    writer.close("response")
    return Answer(200, writer.document(), (content_type(form),), client_id=client_id)


def list_answer(form: Switches, records: list[str], page: int, per_page: int, pages: int, total: int) -> Answer:
    writer = writer_for(form)
    counts = {"page": str(page), "per_page": str(per_page), "pages": str(pages), "total": str(total)}
    writer.open("response", root_attributes(form, "ok"))
    if records:
        writer.open("clients", counts)
        for record in records:
            writer.block(record)
        writer.close("clients")
    else:
        writer.empty(form.empty_list_root if not total else "clients", counts)
    write_extra(writer, form)
    writer.close("response")
    return Answer(200, writer.document(), (content_type(form),))


def html_answer(status: int, title: str, headers: Headers = ()) -> Answer:
    """A page for people: what stands in front of the API answers in HTML."""
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(
        status, body.encode(), (("Content-Type", "text/html; charset=utf-8"), *headers), outcome=f"http {status}"
    )
