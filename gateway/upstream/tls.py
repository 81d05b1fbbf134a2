"""TLS towards the upstream: it is who it says, by the public authorities or by one's own."""

from __future__ import annotations

import ssl

import certifi


class _Socket(ssl.SSLSocket):
    """Closes itself when the other side is gone before the handshake begins: `ssl` fails then and leaves it open."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except OSError:
            if self.version() is None:
                self.close()
            raise


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies certificate and name. `ca_file`: the authority's certificate; None: the public ones."""
    context = ssl.create_default_context(cafile=ca_file or certifi.where())
    context.sslsocket_class = _Socket
    return context
