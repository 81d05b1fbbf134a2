# mypy: ignore-errors
# What it imports lives in an environment of its own, benchmarks/.venv, which the type check does not see.
"""A gateway of the same shape, written in an afternoon: Flask, requests and xmltodict under gunicorn's gthread."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from zoneinfo import ZoneInfo

import requests
import xmltodict
from cachetools import TTLCache, cached
from flask import Flask, jsonify, request

ZONE = ZoneInfo("America/New_York")
PERSON = ["username", "first_name", "last_name", "email"]


PHONES = ["work_phone", "home_phone", "mobile", "fax"]
TEXTS = [*PERSON, *PHONES, "organization", "language", "currency_code", "notes", "vat_name", "vat_number", "folder"]
CONTACT = [*PERSON, "phone1", "phone2"]
ADDRESS = {name: name for name in ("street1", "street2", "city", "state", "country")} | {"postal_code": "code"}
GROUPS = {"primary_address": "p_", "secondary_address": "s_"}

app = Flask(__name__)
app.json.sort_keys = False
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=256))
copies = TTLCache(maxsize=10_000, ttl=30)
lock = threading.Lock()


def call(method, content):
    xml = xmltodict.unparse({"request": {"@method": method, **content}})
    answer = session.post(os.environ["UPSTREAM_URL"], data=xml.encode(), auth=("bench", "X"), timeout=10)
    response = xmltodict.parse(answer.content)["response"]
    if response["@status"] != "ok":
        raise RuntimeError(response["error"])
    return response


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def updated_at(wall):
    if not wall or wall.startswith("0000"):
        return None
    return datetime.fromisoformat(wall).replace(tzinfo=ZONE).isoformat()


def address(row, prefix):
    return {name: row[prefix + element] for name, element in ADDRESS.items()}


def client(row):
    contacts = listed((row["contacts"] or {}).get("contact"))
    credits = listed((row["credits"] or {}).get("credit"))
    return {
        "id": int(row["client_id"]),
        **{name: row[name] for name in TEXTS},
        **{group: address(row, prefix) for group, prefix in GROUPS.items()},
        "contacts": [{"id": int(one["contact_id"]), **{name: one[name] for name in CONTACT}} for one in contacts],
        "credits": [{"amount": one["#text"], "currency": one["@currency"]} for one in credits],
        "links": dict(row["links"]),
        "updated_at": updated_at(row["updated"]),
    }


def elements(body):
    found = {name: body[name] for name in TEXTS if name in body}
    for group, prefix in GROUPS.items():
        found |= {prefix + ADDRESS[name]: value for name, value in body.get(group, {}).items()}
    return found


def fetch(key):
    return client(call("client.get", {"client_id": key})["client"])


@cached(copies, key=lambda key: key, lock=lock)
def record(key):
    return fetch(key)


@cached(copies, key=lambda page, per_page: (page, per_page), lock=lock)
def listing(page, per_page):
    found = call("client.list", {"page": page, "per_page": per_page})["clients"]
    return {
        "items": [client(row) for row in listed(found.get("client"))],
        "page": page,
        "per_page": per_page,
        "pages": int(found["@pages"]),
        "total": int(found["@total"]),
    }


def conditional(value):
    response = jsonify(value)
    response.add_etag()
    return response.make_conditional(request)


@app.get("/readyz")
def readyz():
    return "ready"


@app.get("/clients/<int:key>")
def get_client(key):
    return conditional(record(key))


@app.get("/clients")
def list_clients():
    return conditional(listing(request.args.get("page", 1, int), request.args.get("per_page", 25, int)))


@app.post("/clients")
def create_client():
    key = int(call("client.create", {"client": elements(request.get_json())})["client_id"])
    return jsonify(fetch(key)), 201, {"Location": f"/clients/{key}"}


@app.patch("/clients/<int:key>")
def patch_client(key):
    call("client.update", {"client": {"client_id": key, **elements(request.get_json())}})
    with lock:
        copies.pop(key, None)
    return conditional(record(key))
