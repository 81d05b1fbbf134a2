"""Every knob: its name, its unit, its default, and one reading of the environment."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.secret import Secret

AUTH_MODES = ("keys", "passthrough", "open")
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """The environment does not make a valid configuration; `problems` lists every reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Bind:
    """An address and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_full = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_full = False
    if not is_full or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("must be a full http:// or https:// URL")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("must hold no credentials, query or fragment")
    return text


def _token(text: str) -> Secret:
    if not re.fullmatch(r"[\x21-\x39\x3b-\x7e]{1,256}", text):
        raise ValueError("must be printable ASCII without blanks or colons")
    return Secret(text)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError("must be an IANA time zone such as America/New_York") from None


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not low <= float(text) <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(text)

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _bind(text: str) -> Bind:
    host, _, port = text.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be ADDRESS:PORT")
    return Bind(host.strip("[]"), int(port))


def _metrics_bind(text: str) -> Bind:
    bind = _bind(text)
    if bind.port == 0:
        raise ValueError("must name a port, not 0")
    return bind


def _store_url(text: str) -> Secret:
    """A secret, because it may hold a password."""
    parts = urlsplit(text)
    if parts.scheme not in ("", "file", "redis", "rediss", "unix"):
        raise ValueError("must be a folder, file:///path, redis://…, rediss://… or unix://…")
    return Secret(text)


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}")
        return text

    return parse


def _digests(text: str) -> tuple[bytes, ...]:
    digests = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not digests or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests):
        raise ValueError("must be SHA-256 digests in hexadecimal, separated by commas")
    return tuple(bytes.fromhex(digest) for digest in digests)


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("must be origins such as https://app.example.com, separated by commas")
    return origins


def _yes_no(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _certificates(text: str) -> str:
    try:
        ssl.create_default_context(cafile=text)
    except OSError:
        raise ValueError("must name a file of certificates in PEM") from None
    return text


def _collector(text: str) -> str:
    """Refused when what would send to it is not installed: an operator who asked for traces shall not miss them."""
    url = _url(text)
    try:
        is_installed = find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        is_installed = False
    if not is_installed:
        raise ValueError("needs the packages of requirements-otel.txt, which are not installed")
    return url


def _setting(
    parse: Callable[[str], Any], meaning: str, default: str | None = None, *, secret: bool = False, shown: str = ""
) -> Any:
    """A field with its parser. `default` is the text a missing variable stands for; None: the value is then None.

    `shown` is the default as the documentation words it, where the text does not say it.
    """
    metadata = {"parse": parse, "meaning": meaning, "default": default, "secret": secret, "shown": shown}
    return dataclasses.field(metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one process. Field names are the variables' names in lower case."""

    upstream_url: str = _setting(_url, "Full URL of the XML endpoint.", shown="required")
    upstream_token: Secret | None = _setting(
        _token, "The gateway's own API token.", secret=True, shown="required unless `GATEWAY_AUTH=passthrough`"
    )
    upstream_timezone: ZoneInfo = _setting(_zone, "Zone of the upstream's wall times.", "America/New_York")
    upstream_deadline_s: float = _setting(
        _number(0.1, 300), "Total time in seconds a caller's request may spend, retries included.", "10"
    )
    upstream_ca_file: str | None = _setting(
        _certificates, "Certificates (PEM) to trust for the upstream instead of the public ones.", shown="none"
    )
    upstream_in_flight_max: int = _setting(
        _whole(1, 512), "Calls to the upstream that a process may have in flight; more wait for up to a second.", "24"
    )
    gateway_bind: Bind = _setting(_bind, "Address and port.", "127.0.0.1:8080")
    gateway_workers: int = _setting(_whole(1, 64), "Processes.", "2")
    gateway_threads: int = _setting(
        _whole(1, 512),
        "Threads in each process, for writes and, with Redis, for reads: about twice as many as come at a time.",
        "32",
    )
    gateway_drain_s: float = _setting(
        _number(0, 300),
        "How long in seconds the gateway goes on serving after TERM, unready, so that balancers can turn away from it; "
        "0: not at all.",
        "5",
    )
    metrics_bind: Bind | None = _setting(
        _metrics_bind,
        "An address of its own for `/metrics`, where nothing else but the probes is served.",
        shown="the main port",
    )
    gateway_auth: str = _setting(
        _choice(*AUTH_MODES),
        "Who may call: `keys` (`Authorization: Bearer KEY`), `passthrough` (the caller's Basic credentials go "
        "upstream) or `open` (everybody; only on a loopback address).",
        "keys",
    )
    gateway_api_keys: tuple[bytes, ...] | None = _setting(
        _digests,
        "SHA-256 digests (hex) of the keys that may call, separated by commas.",
        secret=True,
        shown="required with `keys`",
    )
    gateway_cors_origins: tuple[str, ...] = _setting(
        _origins, "Origins a browser may call from, separated by commas.", "", shown="none"
    )
    store_url: Secret = _setting(
        _store_url,
        "What workers and replicas share: a folder (embedded store, one machine) or `redis://…`, `rediss://…`, "
        "`unix://…`.",
        "var/store",
        secret=True,
    )
    store_bytes_max: int = _setting(
        _whole(1024 * 1024, 2**40),
        "The most bytes that an embedded store may take, for each of its files.",
        "268435456",
    )
    cache_ttl_s: float = _setting(
        _number(0, 86400),
        "How old in seconds an answer may be that somebody changed past the gateway; 0 turns caching off.",
        "30",
    )
    cache_stale_s: float = _setting(
        _number(0, 86400), "How old in seconds a copy may be when the upstream is sick.", "300"
    )
    idempotency_settle_s: float = _setting(
        _number(0, 3600),
        "How long in seconds a write may still be on its way after its answer was lost: so long a create is not sent "
        "anew, and what the write touches is not cached.",
        "60",
    )
    gateway_rate_per_minute: int = _setting(
        _whole(0, 10**6), "Requests that a caller may make in a minute (429 beyond); 0: as many as it likes.", "0"
    )
    gateway_require_if_match: bool = _setting(
        _yes_no, "Whether PATCH, PUT and DELETE must carry `If-Match` (428 without).", "false"
    )
    log_level: str = _setting(_choice(*LOG_LEVELS), "The least level that is logged.", "info")
    log_hits_share: float = _setting(
        _number(0, 1), "Share (0 to 1) of the reads answered from the cache that are logged; all else always is.", "1"
    )
    otel_exporter_otlp_endpoint: str | None = _setting(
        _collector,
        "URL of an OpenTelemetry collector that takes OTLP over HTTP; needs the packages of `requirements-otel.txt`. "
        "The other `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*` and `OTEL_SERVICE_NAME` variables are heeded too.",
        shown="none: no traces are sent",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Reads every setting. Raises `SettingsError` with all problems together."""
        problems: list[str] = []
        values = {field.name: _read(field, env, problems) for field in dataclasses.fields(cls)}
        problems += [p for p in _contradictions(values) if not any(q.split()[0] == p.split()[0] for q in problems)]
        if problems:
            raise SettingsError(problems)
        return cls(**values)


def settings_or_exit() -> Settings:
    """The process's settings; without a valid configuration, says why on standard error and exits with 2."""
    try:
        return Settings.from_env(os.environ)
    except SettingsError as error:
        lines = ["The configuration is not valid:", *(f"  - {problem}" for problem in error.problems)]
        sys.stderr.write("\n".join(lines) + "\n")
        sys.exit(2)


def _read(field: dataclasses.Field[Any], env: Mapping[str, str], problems: list[str]) -> Any:
    name = field.name.upper()
    try:
        text = _text(name, env, secret=field.metadata["secret"])
        if text is None:
            text = field.metadata["default"]
        return None if text is None else field.metadata["parse"](text)
    except (ValueError, OSError) as error:
        why = str(error) if isinstance(error, ValueError) else f"cannot be read: {error.strerror}"
        problems.append(f"{name} {why}")
        return None


def _text(name: str, env: Mapping[str, str], *, secret: bool) -> str | None:
    """A variable's text; secrets may stand in a file named by NAME_FILE. Empty means missing."""
    text, path = env.get(name, "").strip(), env.get(f"{name}_FILE", "").strip() if secret else ""
    if text and path:
        raise ValueError(f"and {name}_FILE are both set; set one of them")
    if path:
        text = Path(path).read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError("is empty in its file")
    return text or None


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is missing or does not go together. A value that could not be read has been reported already."""
    problems = []
    if values["upstream_url"] is None:
        problems.append("UPSTREAM_URL is required: the full URL of the XML endpoint")
    mode, bind = values["gateway_auth"], values["gateway_bind"]
    if values["upstream_token"] is None and mode != "passthrough":
        problems.append("UPSTREAM_TOKEN is required unless GATEWAY_AUTH=passthrough")
    if values["gateway_api_keys"] is None and mode == "keys":
        problems.append("GATEWAY_API_KEYS is required with GATEWAY_AUTH=keys")
    if mode == "open" and bind is not None and not bind.is_loopback:
        problems.append("GATEWAY_AUTH=open is refused on an address that is not loopback (GATEWAY_BIND)")
    if bind is not None and values["metrics_bind"] is not None and values["metrics_bind"].port == bind.port:
        problems.append("METRICS_BIND must have another port than GATEWAY_BIND")
    return problems
