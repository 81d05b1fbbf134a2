"""From an address to a store."""

from pathlib import Path

import pytest

from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Put, Store
from gateway.store.open import open_store
from gateway.store.redis import RedisStore


def open_at(url: str) -> Store:
    return open_store(url, "cache", 1 << 20, durable=False, evict=True)


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "{}/", "file://{}/"])
def test_a_folder(tmp_path: Path, form: str) -> None:
    """Is an embedded store in a folder of its name below, not made before it is used."""
    store = open_at(form.format(tmp_path))
    assert isinstance(store, EmbeddedStore)
    assert list(tmp_path.iterdir()) == []
    store.apply([], [Put(b"key", b"1", 60)])
    assert (tmp_path / "cache" / "data" / "data.mdb").exists()
    store.close()


def test_a_file_url_with_special_characters(tmp_path: Path) -> None:
    """Is percent-decoded."""
    store = open_at(f"file://{tmp_path}/a%20b")
    store.get(b"key")
    assert (tmp_path / "a b" / "cache").is_dir()
    store.close()


@pytest.mark.parametrize(
    "url, shown",
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://user:s3cr3t@host:7000/3", "redis://host:7000/3"),
        ("rediss://:s3cr3t@host:7000/3?ssl_cert_reqs=none", "rediss://host:7000/3"),
        ("redis://host?password=s3cr3t", "redis://host:6379/0"),
        ("unix://:s3cr3t@/run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_redis_url(url: str, shown: str) -> None:
    """Is a Redis store that shows where it is and no more, and has connected to nothing yet."""
    store = open_at(url)
    assert isinstance(store, RedisStore)
    assert repr(store) == f"RedisStore('{shown}', 'gateway:cache:')"
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file://",
        "file:///",
        "file://otherhost/path",
        "http://s3cr3t@host/",
        "redis://:s3cr3t/x@host",
        "redis://:s3cr3t#x@host",
        "redis://:s3cr3t@host:port",
        "redis://:s3cr3t@host:99999999",
        "redis://:s3cr3t@host/name",
        "redis://:s3cr3t@host/0?max_connections=5",
        "redis://:s3cr3t@host/0?nonsense=1",
        "redis://[:s3cr3t@host",
        "unix://:s3cr3t@",
        "unix://:s3cr3t@run/redis.sock",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    """Is refused before anything is opened, without being repeated."""
    with pytest.raises(ValueError, match=r".") as caught:
        open_at(url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
