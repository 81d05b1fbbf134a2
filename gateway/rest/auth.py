"""Who may call, and with which token the upstream is called for them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request

from gateway.errors import CredentialsRejected, Forbidden, GatewayError, Unauthenticated
from gateway.secret import Secret
from gateway.settings import Settings, is_loopback


@dataclass(frozen=True, slots=True)
class Identity:
    """On whose behalf a request is: `credential` is what the caller showed, `token` what the upstream is shown."""

    credential: Secret
    token: Secret


Authenticate = Callable[[Request], Identity]
"""Who sends a request. Raises `Unauthenticated` or `Forbidden`."""

CHALLENGES = {"keys": 'Bearer realm="gateway"', "passthrough": 'Basic realm="FreshBooks", charset="UTF-8"'}


def authenticator(settings: Settings) -> Authenticate:
    """How requests are authenticated in the configured mode."""
    if settings.gateway_auth == "passthrough":
        return _callers_own_token
    token = settings.upstream_token
    if token is None:
        raise ValueError("UPSTREAM_TOKEN is missing")
    if settings.gateway_auth == "open":
        return lambda request: _open(request, token)
    digests = settings.gateway_api_keys or ()
    return lambda request: _keyed(request, digests, token)


def challenge(mode: str, detail: str) -> Unauthenticated:
    """The 401 of an authentication mode."""
    return Unauthenticated(detail, headers={"WWW-Authenticate": CHALLENGES.get(mode, CHALLENGES["keys"])})


def as_callers_see(error: GatewayError, mode: str) -> GatewayError:
    """Where the caller's own credentials go upstream, it is the caller who must bring others when they are rejected."""
    if mode == "passthrough" and isinstance(error, CredentialsRejected):
        return challenge(mode, "The upstream rejected these credentials.")
    return error


def _keyed(request: Request, digests: tuple[bytes, ...], token: Secret) -> Identity:
    """Every digest is compared, each in constant time, so that timing tells nothing about any key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    given = hashlib.sha256(key.strip().encode("latin-1", "replace")).digest()
    known = [hmac.compare_digest(given, digest) for digest in digests]
    if scheme.lower() != "bearer" or not any(known):
        raise challenge("keys", "An API key is required: Authorization: Bearer KEY.")
    return Identity(Secret(key.strip()), token)


def _callers_own_token(request: Request) -> Identity:
    """The user name of Basic credentials is the FreshBooks token; the password is not looked at."""
    given = request.authorization
    token = (given.username or "") if given is not None and given.type == "basic" else ""
    if not token or not token.isascii() or not token.isprintable():
        raise challenge("passthrough", "A FreshBooks API token is required as the user name of Basic credentials.")
    return Identity(Secret(token), Secret(token))


def _open(request: Request, token: Secret) -> Identity:
    """Open means open to this machine. A web page elsewhere whose name was made to resolve to this machine would pass
    for same-origin; its `Host` gives it away."""
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    if not is_loopback(host.strip("[]").lower()):
        raise Forbidden("Without authentication the gateway answers only to names of this machine.")
    return Identity(token, token)
