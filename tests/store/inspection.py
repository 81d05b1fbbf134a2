"""A look at an embedded store's files past the store."""

import math
import os
import struct

import lmdb


def index_matches_data(folder: str) -> bool:
    """Whether every entry stands in the index by expiry exactly once with all its chunks, and nothing else does.

    The store is closed.
    """
    with lmdb.open(os.path.join(folder, "data"), max_dbs=3, readonly=True, lib_version=0) as env:
        data, index, chunks = (env.open_db(name, create=False) for name in (b"data", b"expiry", b"chunks"))
        with env.begin() as txn:
            heads = [(key, *struct.unpack_from(">dI", value)) for key, value in txn.cursor(data)]
            indexed = {struct.pack(">Q", math.ceil(expires_at_s)) + key for key, expires_at_s, _ in heads}
            chunked = {key + struct.pack(">I", number) for key, _, total in heads for number in range(total)}
            return indexed == {key for key, _ in txn.cursor(index)} and chunked == {
                key for key, _ in txn.cursor(chunks)
            }


def reading_processes(folder: str) -> set[int]:
    """The numbers of the processes that lmdb knows as readers."""
    with lmdb.open(os.path.join(folder, "data"), max_dbs=3, readonly=True, lib_version=0) as env:
        return {int(line.split()[0]) for line in env.readers().splitlines()[1:] if line.strip()}
