"""What every operation does first: is there room, who is it and how often, what is accepted, how long may it take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from flask import request

from gateway.deadline import Deadline
from gateway.policy.rates import Rates
from gateway.rest import headers
from gateway.rest.auth import Authenticate
from gateway.rest.context import RequestContext, current
from gateway.rest.query import refuse_parameters
from gateway.secret import Secret
from gateway.upstream.bulkhead import Bulkhead
from gateway.upstream.freshbooks import Errand


@dataclass(frozen=True, slots=True)
class Asked:
    """What an admitted request asks for, and the credential that its sender showed."""

    preferences: headers.Preferences
    credential: Secret
    errand: Errand


class Admission:
    """Lets requests for records in, and leaves threads free for probes, metrics and pages.

    `deadline_s` is the most that a request may take.
    """

    def __init__(self, authenticate: Authenticate, rates: Rates, deadline_s: float, places: Bulkhead) -> None:
        self._authenticate = authenticate
        self._rates = rates
        self._deadline_s = deadline_s
        self._places = places

    def place(self) -> AbstractContextManager[None]:
        """Room for one request, to be held by a `with` at once. Raises `Overloaded`."""
        return self._places.place()

    def admit(self, *, takes_parameters: bool = False) -> Asked:
        """Raises the `CallerError` that keeps the request out."""
        identity = self._authenticate(request)
        self._rates.count(identity.credential)
        headers.check_accepts_json(request)
        if not takes_parameters:
            refuse_parameters(request.query_string)
        preferences = headers.preferences(request)
        errand = self.errand(identity.token, current(), preferences.wait_s)
        return Asked(preferences, identity.credential, errand)

    def errand(self, token: Secret, context: RequestContext, wait_s: int | None = None) -> Errand:
        """What a request needs of the upstream. Its sender waits for `wait_s` seconds; None: as long as it may take."""
        allowed_s = self._deadline_s if wait_s is None else min(wait_s, self._deadline_s)
        named = {"X-Request-Id": context.request_id}
        return Errand(token, Deadline(context.started_s + allowed_s), named, tally=context.tally)
