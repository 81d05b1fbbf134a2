"""What can go wrong with a store.

StoreError
├── StoreDown        nothing can be said now: not reachable, too slow, held by a stopped process, closed
├── StoreFull        reachable, but the byte bound leaves no room for this write
└── StoreCorrupted   a durable store's file is damaged; it stays refused until an operator has acted

No message carries a key, a value or a password.
"""


class StoreError(Exception):
    """The store could not do what was asked. Caching goes on without it; idempotency refuses with 503."""


class StoreDown(StoreError):
    """Not reachable in time. A batch that raised this may or may not have been applied."""


class StoreFull(StoreError):
    """No room within the byte bound. Nothing of the batch was applied."""


class StoreCorrupted(StoreError):
    """The file of a durable store is damaged. Nothing is read or written until an operator moves the folder away."""
