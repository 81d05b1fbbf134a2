"""The driver for a folder: lmdb."""

from gateway.store.embedded.driver import EmbeddedStore

__all__ = ["EmbeddedStore"]
