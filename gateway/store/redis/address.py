"""From a Redis URL to connection settings, without the URL ever reaching a message: it may hold a password."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from redis.connection import parse_url

SCHEMES = ("redis", "rediss", "unix")
_KNOWN_OPTIONS = frozenset(
    {"db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a server is: `text` for people, `settings` (password included, so not shown) for redis-py."""

    text: str
    settings: dict[str, Any] = field(repr=False)


def read_address(url: str) -> RedisAddress:
    """Raises `ValueError`, which says what is wrong and repeats nothing of the URL but option names."""
    try:
        settings: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        parts = urlsplit(url)
        _ = parts.scheme == "unix" or int(parts.path.strip("/") or 0)
    except ValueError:
        raise ValueError(
            "not a Redis URL: want redis://[[user]:password@]host[:port][/database], rediss://… or unix:///path; "
            "special characters in user and password must be percent-encoded"
        ) from None
    unknown = sorted(set(settings) - _KNOWN_OPTIONS - {"host", "port", "path", "connection_class"})
    if unknown:
        raise ValueError(
            f"unknown options in the Redis URL: {', '.join(unknown)}; known: {', '.join(sorted(_KNOWN_OPTIONS))}"
        )
    if parts.scheme == "unix":
        if parts.hostname or not settings.get("path"):
            raise ValueError("a unix:// URL needs the absolute path of a socket: unix:///path")
        return RedisAddress(f"unix://{settings['path']}", settings)
    host, port = settings.setdefault("host", "localhost"), settings.setdefault("port", 6379)
    return RedisAddress(f"{parts.scheme}://{host}:{port}/{settings.get('db', 0)}", settings)
