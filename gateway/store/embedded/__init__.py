"""The driver for a folder: lmdb."""

from gateway.store.embedded.driver import EmbeddedStore
from gateway.store.embedded.examination import examine

__all__ = ["EmbeddedStore", "examine"]
