"""The driver for a Redis or Valkey server."""

from gateway.store.redis.driver import RedisStore
from gateway.store.redis.examination import examine

__all__ = ["RedisStore", "examine"]
