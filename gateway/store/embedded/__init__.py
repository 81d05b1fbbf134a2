"""The driver for a folder: lmdb."""

from gateway.store.embedded.driver import EmbeddedStore
from gateway.store.embedded.examination import examine
from gateway.store.embedded.snapshot import Snapshot

__all__ = ["EmbeddedStore", "Snapshot", "examine"]
