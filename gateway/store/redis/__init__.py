"""The driver for a Redis or Valkey server."""

from gateway.store.redis.driver import RedisStore

__all__ = ["RedisStore"]
