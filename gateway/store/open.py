"""From `STORE_URL` to a store."""

import os
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from gateway.store import embedded, redis
from gateway.store.doubts import Doubt
from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Store
from gateway.store.redis import RedisStore
from gateway.store.redis.address import SCHEMES, read_address


def open_store(
    url: str,
    name: str,
    bound_bytes: int,
    *,
    durable: bool,
    evict: bool,
    on_damage: Callable[[str], None] = lambda _: None,
) -> Store:
    """The store `name` at `url`: a folder (plain path or `file:///path`), `redis://`, `rediss://` or `unix://`.

    Touches neither files nor network yet. A folder holds one store per name. On a Redis server the names are prefixes,
    and `bound_bytes`, `durable` and `evict` are the server's own settings: `Store.status` shows what it has.
    Raises `ValueError` for an address that cannot be one, without repeating it.
    """
    if urlsplit(url).scheme in SCHEMES:
        return RedisStore(url, name)
    path = os.path.join(_folder(url), name)
    return EmbeddedStore(path, bound_bytes, durable=durable, evict=evict, on_damage=on_damage)


def place_of(url: str) -> str:
    """Where the stores are, for people: no password in it. Raises `ValueError` as `open_store` does."""
    return read_address(url).text if not is_local(url) else os.path.abspath(_folder(url))


def examine(url: str) -> list[Doubt]:
    """Looks at the place itself, once, and leaves nothing open there.

    Raises `OSError` when a folder cannot be written, `StoreError` when a server does not answer, `ValueError` as
    `open_store` does.
    """
    return embedded.examine(_folder(url)) if is_local(url) else redis.examine(url)


def is_local(url: str) -> bool:
    """Whether reading the store takes no round trip to a server."""
    return urlsplit(url).scheme not in SCHEMES


def _folder(url: str) -> str:
    parts = urlsplit(url)
    if "://" not in url and url:
        return url
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.strip("/"):
        return unquote(parts.path)
    raise ValueError("a store is a folder (path or file:///path), redis://…, rediss://… or unix:///path of a socket")
