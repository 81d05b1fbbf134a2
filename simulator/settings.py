"""The environment, read once, all problems reported together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.refusal import Refused

DEFAULT_BIND = "127.0.0.1:8081"


@dataclass(frozen=True, slots=True)
class Settings:
    """See the README's table. An empty variable is one that is not set."""

    bind: str = DEFAULT_BIND
    steering_bind: str | None = None
    state_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises Refused with one problem a line."""
    settings = Settings(
        bind=environment.get("SIMULATOR_BIND") or DEFAULT_BIND,
        steering_bind=environment.get("SIMULATOR_STEERING_BIND") or None,
        state_file=environment.get("SIMULATOR_STATE_FILE") or None,
        tls_cert_file=environment.get("SIMULATOR_TLS_CERT_FILE") or None,
        tls_key_file=environment.get("SIMULATOR_TLS_KEY_FILE") or None,
    )
    problems = [*_bind_problems("SIMULATOR_BIND", settings.bind)]
    if settings.steering_bind:
        problems += _bind_problems("SIMULATOR_STEERING_BIND", settings.steering_bind)
    if bool(settings.tls_cert_file) != bool(settings.tls_key_file):
        problems.append("SIMULATOR_TLS_CERT_FILE and SIMULATOR_TLS_KEY_FILE go together")
    if problems:
        raise Refused("\n".join(problems))
    return settings


def split_bind(bind: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`; raises Refused."""
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise Refused(f"{bind!r} is no address", "HOST:PORT with a port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _bind_problems(name: str, bind: str) -> list[str]:
    try:
        split_bind(bind)
    except Refused as refused:
        return [f"{name}: {refused}"]
    return []
