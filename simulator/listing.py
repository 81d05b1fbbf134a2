"""client.list: filters and pages."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from simulator.answers import Answer, Fault, list_answer
from simulator.fields import PER_PAGE, PER_PAGE_CEILING, read_count, read_filters
from simulator.record import Client
from simulator.record_xml import RecordWriter
from simulator.switches import Switches


def list_clients(root: Element, visible: list[Client], form: Switches, records: RecordWriter) -> Answer:
    """One page of the visible clients, which come in descending order of their ids (Source: documentation)."""
    filters = read_filters(root, form)
    page = read_count(filters, "page", 1, form)
    asked = read_count(filters, "per_page", PER_PAGE, form)
    per_page = min(asked, PER_PAGE_CEILING)
    found = [client for client in visible if _matches(client, filters, form)]
    pages = -(-len(found) // per_page)
    page = _page_to_show(page, pages, form)
    shown = found[(page - 1) * per_page : page * per_page]
    echo = asked if form.per_page_echo == "asked" else per_page
    lines = [records.lines(client, form, "    ") for client in shown]
    return list_answer(form, lines, page, echo, pages, len(found))


def _page_to_show(page: int, pages: int, form: Switches) -> int:
    if page <= max(pages, 1) or form.page_past_end == "empty":
        return page
    if form.page_past_end == "fault":
        raise Fault(form.bad_page_code, "Invalid value for field 'page'.", field="page")
    return max(pages, 1)


def _matches(client: Client, filters: dict[str, str], form: Switches) -> bool:
    return (
        _in_folder(client, filters.get("folder"), form)
        and _same(client, filters, "email")
        and _same(client, filters, "username")
        and filters.get("notes", "").casefold() in client.texts.get("notes", "").casefold()
        and _in_time(client.updated, filters, form)
    )


def _in_folder(client: Client, folder: str | None, form: Switches) -> bool:
    if folder is None:
        folders = {"active": ("active",), "active_and_archived": ("active", "archived")}
        return form.unfiltered_list == "all" or client.folder in folders[form.unfiltered_list]
    return client.folder == folder and (folder != "deleted" or form.deleted_listed)


def _same(client: Client, filters: dict[str, str], name: str) -> bool:
    return name not in filters or client.texts.get(name, "").casefold() == filters[name].casefold()


def _in_time(updated: str, filters: dict[str, str], form: Switches) -> bool:
    """Wall times compare as texts; the zero date is before every other."""
    earliest, latest = filters.get("updated_from"), filters.get("updated_to")
    if earliest is not None and not (updated > _second(earliest) or _includes(updated, earliest, form, "from")):
        return False
    return latest is None or updated < _second(latest) or _includes(updated, latest, form, "to")


def _second(bound: str) -> str:
    return bound if len(bound) > len("2009-01-01") else f"{bound} 00:00:00"


def _includes(updated: str, bound: str, form: Switches, side: str) -> bool:
    return updated == _second(bound) and form.updated_bounds in ("both", side)
