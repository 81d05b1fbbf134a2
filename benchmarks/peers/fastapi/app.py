# mypy: ignore-errors
# What it imports lives in an environment of its own, benchmarks/.venv, which the type check does not see.
"""A gateway of the same shape as a Python team would write it today: FastAPI, httpx, pydantic, on uvicorn."""

from __future__ import annotations

import hashlib
import os
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import httpx
from cachetools import TTLCache
from fastapi import FastAPI, Path, Query, Request, Response
from lxml import etree
from pydantic import BaseModel, ConfigDict

ZONE = ZoneInfo("America/New_York")
SPACE = "{http://www.freshbooks.com/api/}"
ADDRESS = {name: name for name in ("street1", "street2", "city", "state", "country")} | {"postal_code": "code"}


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")
    street1: str | None = None
    street2: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    postal_code: str | None = None


class Contact(BaseModel):
    id: int
    username: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    phone1: str | None
    phone2: str | None


class Credit(BaseModel):
    amount: str
    currency: str | None


class Links(BaseModel):
    client_view: str | None
    view: str | None
    statement: str | None


class Change(BaseModel):
    """What callers may write."""

    model_config = ConfigDict(extra="forbid")
    first_name: str | None = None
    last_name: str | None = None
    organization: str | None = None
    email: str | None = None
    username: str | None = None
    work_phone: str | None = None
    home_phone: str | None = None
    mobile: str | None = None
    fax: str | None = None
    language: str | None = None
    currency_code: str | None = None
    notes: str | None = None
    primary_address: Address | None = None
    secondary_address: Address | None = None
    vat_name: str | None = None
    vat_number: str | None = None


class Creation(Change):
    email: str


class Client(Change):
    id: int
    contacts: list[Contact]
    credits: list[Credit]
    links: Links
    folder: str | None
    updated_at: datetime | None


class Page(BaseModel):
    items: list[Client]
    page: int
    per_page: int
    pages: int
    total: int


TEXTS = [name for name, field in Change.model_fields.items() if field.annotation == str | None]


class Copies:
    """Ready bytes with their entity tags, for 30 seconds."""

    def __init__(self) -> None:
        self._kept = TTLCache(maxsize=10_000, ttl=30)

    async def get(self, name, fetch) -> tuple[bytes, str]:
        found = self._kept.get(name)
        if found is None:
            found = self._kept[name] = ready(await fetch())
        return found

    def put(self, name, value: BaseModel) -> tuple[bytes, str]:
        found = self._kept[name] = ready(value)
        return found


def ready(value: BaseModel) -> tuple[bytes, str]:
    body = value.model_dump_json().encode()
    return body, f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def text(row, name):
    return row.findtext(SPACE + name) or None


def address(row, prefix) -> dict:
    return {name: text(row, prefix + element) for name, element in ADDRESS.items()}


def record(row) -> dict:
    updated, links = text(row, "updated"), row.find(f"{SPACE}links")
    known = not (updated is None or updated.startswith("0000"))
    return {
        **{name: text(row, name) for name in TEXTS},
        "id": text(row, "client_id"),
        "primary_address": address(row, "p_"),
        "secondary_address": address(row, "s_"),
        "contacts": [
            {"id": text(one, "contact_id"), **{name: text(one, name) for name in Contact.model_fields if name != "id"}}
            for one in row.iterfind(f"{SPACE}contacts/{SPACE}contact")
        ],
        "credits": [
            {"amount": one.text, "currency": one.get("currency")}
            for one in row.iterfind(f"{SPACE}credits/{SPACE}credit")
        ],
        "links": {name: text(links, name) for name in Links.model_fields},
        "folder": text(row, "folder"),
        "updated_at": datetime.fromisoformat(updated).replace(tzinfo=ZONE) if known else None,
    }


def elements(parent, body: Change) -> None:
    """What a caller writes, as elements."""
    for name, value in body.model_dump(exclude_unset=True).items():
        if isinstance(value, dict):
            for inner, own in value.items():
                etree.SubElement(parent, name[0] + "_" + ADDRESS[inner]).text = own
        else:
            etree.SubElement(parent, name).text = value


class Upstream:
    """The upstream's calls over one httpx client."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
        self.http = httpx.AsyncClient(auth=("bench", "X"), limits=limits, timeout=10, trust_env=False)
        self._url = os.environ["UPSTREAM_URL"]

    async def call(self, root):
        answer = await self.http.post(self._url, content=etree.tostring(root))
        response = etree.fromstring(answer.content)
        if response.get("status") != "ok":
            raise RuntimeError("the upstream reports a fault")
        return response

    async def get(self, key: int) -> Client:
        root = etree.Element("request", method="client.get")
        etree.SubElement(root, "client_id").text = str(key)
        return Client.model_validate(record((await self.call(root))[0]))

    async def list(self, page: int, per_page: int) -> Page:
        root = etree.Element("request", method="client.list")
        etree.SubElement(root, "page").text = str(page)
        etree.SubElement(root, "per_page").text = str(per_page)
        found = (await self.call(root))[0]
        pages, total = int(found.get("pages")), int(found.get("total"))
        items = [record(row) for row in found]
        return Page.model_validate({"items": items, "page": page, "per_page": per_page, "pages": pages, "total": total})

    async def write(self, method: str, body: Change, key: int | None = None):
        root = etree.Element("request", method=method)
        row = etree.SubElement(root, "client")
        if key is not None:
            etree.SubElement(row, "client_id").text = str(key)
        elements(row, body)
        return await self.call(root)


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.upstream = Upstream()
    app.state.copies = Copies()
    yield
    await app.state.upstream.http.aclose()


app = FastAPI(lifespan=lifespan)
Key = Annotated[int, Path(ge=1)]


def answer(request: Request, found: tuple[bytes, str]) -> Response:
    body, etag = found
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@app.get("/readyz")
async def readyz() -> str:
    return "ready"


@app.get("/clients/{key}")
async def get_client(request: Request, key: Key) -> Response:
    state = request.app.state
    return answer(request, await state.copies.get(key, lambda: state.upstream.get(key)))


@app.get("/clients")
async def list_clients(
    request: Request, page: Annotated[int, Query(ge=1)] = 1, per_page: Annotated[int, Query(ge=1, le=100)] = 25
) -> Response:
    state = request.app.state
    return answer(request, await state.copies.get((page, per_page), lambda: state.upstream.list(page, per_page)))


@app.post("/clients")
async def create_client(request: Request, body: Creation) -> Response:
    upstream = request.app.state.upstream
    key = int(text(await upstream.write("client.create", body), "client_id"))
    content, _ = request.app.state.copies.put(key, await upstream.get(key))
    return Response(content, 201, {"Location": f"/clients/{key}"}, "application/json")


@app.patch("/clients/{key}")
async def patch_client(request: Request, key: Key, body: Change) -> Response:
    upstream = request.app.state.upstream
    await upstream.write("client.update", body, key)
    return answer(request, request.app.state.copies.put(key, await upstream.get(key)))
