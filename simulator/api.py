"""The checks before a method runs, in the service's order: subdomain, authentication, XML, method."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from simulator.answers import Answer, Fault, authentication_failed, fault_answer, html_answer
from simulator.http_wire import Request
from simulator.methods import Methods
from simulator.record_xml import RecordWriter
from simulator.store import Store
from simulator.switches import SwitchBoard, Switches
from simulator.xml_io import IllFormed, parse

PATH = "/api/2.1/xml-in"
DEMO_TOKENS = {"demo-admin": "admin", "demo-staff": "staff"}
KNOWN_SUBDOMAINS = frozenset({"demo", "sample"})
OTHER, NONE = "other", "none"

_VENDOR_HOST = re.compile(r"([^.]*)\.(?:freshbooks|billingarm)\.com(?::[0-9]+)?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """A request as far as it could be read. `token` is the token's name, never its text; `root` None: ill-formed."""

    subdomain_known: bool
    token: str
    root: Element | None
    method: str | None

    def client_id(self) -> str | None:
        """The id that the request names, as sent."""
        found = None if self.root is None else self.root.find(".//client_id")
        return None if found is None else found.text

    def elements(self) -> tuple[str, ...]:
        """The names of what was sent: the elements of `<client>` where there is one, else of the request."""
        if self.root is None:
            return ()
        client = self.root.find("client")
        return tuple(child.tag for child in (self.root if client is None else client))


class Api:
    """`tokens` maps a token's text to its name: `admin` sees all clients, any other name those assigned to it."""

    def __init__(self, store: Store, switches: SwitchBoard, tokens: Mapping[str, str]) -> None:
        self._store = store
        self._switches = switches
        self._tokens = dict(tokens)
        self._records = RecordWriter()

    def read(self, request: Request) -> Call:
        """Never raises: what is wrong is answered by `answer`, in its turn."""
        try:
            root = parse(request.body)
        except IllFormed:
            root = None
        method = root.get("method") if root is not None and root.tag == "request" else None
        return Call(_is_known_host(request.header("host")), self._token_name(request), root, method)

    def answer(self, call: Call, *, deny: bool = False) -> Answer:
        form = self._switches.now
        try:
            return self._checked(call, form, deny)
        except Fault as fault:
            return fault_answer(fault, form)

    def _checked(self, call: Call, form: Switches, deny: bool) -> Answer:
        if not call.subdomain_known:
            return _unknown_subdomain(form)
        if call.token in (OTHER, NONE):
            raise authentication_failed()
        if call.root is None or call.root.tag != "request":
            raise Fault(40010, "Your XML is not formatted correctly.")
        methods = Methods(self._store, self._records, form, call.token, deny).table()
        if call.method not in methods:
            raise Fault(form.unknown_method_code, "Unknown method.")
        return methods[call.method](call.root)

    def _token_name(self, request: Request) -> str:
        """Source: documentation: Basic, the user name is the token; the password is ignored."""
        scheme, _, credentials = request.header("authorization").partition(" ")
        if scheme.lower() != "basic":
            return OTHER if scheme else NONE
        try:
            token = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return OTHER
        return self._tokens.get(token, OTHER)


def _is_known_host(host: str) -> bool:
    """A vendor's host name must be of a known subdomain; any other name or address is this machine."""
    match = _VENDOR_HOST.match(host)
    return match is None or match[1].lower() in KNOWN_SUBDOMAINS


def _unknown_subdomain(form: Switches) -> Answer:
    if form.unknown_subdomain == "redirect":
        return html_answer(302, "Find your login", (("Location", "https://www.freshbooks.com/find-your-login"),))
    return fault_answer(Fault(10030, "System does not exist."), form)
