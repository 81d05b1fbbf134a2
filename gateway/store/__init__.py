"""What workers and replicas share: bytes under keys, each with a lifetime, changed only in atomic batches.

`interface` says what a store is. `embedded` (a folder, for the workers of one machine) and `redis` (a server, for
replicas) are the two that exist; `open` picks one from an address. `atomic` and `lease` are built on the interface
alone and so hold on both.
"""
