"""A proxy on loopback that ends TLS itself and hands what it gets to stand-ins; it calls no other address.

Google's clients are told of a proxy by the environment, as in many companies, so they need no other endpoint and no
change: what reaches the stand-ins is what Google would get.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

HOST = "127.0.0.1"
MOST_HEADER_BYTES = 65536
WITHOUT_TLS = b"http://storage.googleapis.com/"
"""The emulator of the object store knows nothing of TLS, so this is how it names the place of an upload."""


class TlsProxy:
    """Listens from the start, until it is closed.

    Args:
        context: What passes for every host.
        grpc: Port for HTTP/2.
        storage: Port for the object store, where HTTP/1.1 is spoken.
        rest: Port for every other host.
    """

    def __init__(self, context: ssl.SSLContext, *, grpc: int, storage: int, rest: int) -> None:
        self._context = context
        self._grpc, self._storage, self._rest = grpc, storage, rest
        self._server = socket.create_server((HOST, 0))
        self.port = int(self._server.getsockname()[1])
        self.hosts: list[str] = []
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those that there are."""
        self._server.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                part = client.recv(4096)
                if not part or len(request) > MOST_HEADER_BYTES:
                    return
                request += part
            verb, target = request.decode("latin-1").split(" ", 2)[:2]
            if verb == "CONNECT":
                self.hosts.append(target)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._context.wrap_socket(client, server_side=True) as inner:
                    plain = self._storage if target.startswith("storage.") else self._rest
                    self._connect(inner, self._grpc if inner.selected_alpn_protocol() == "h2" else plain)
            elif target.startswith(WITHOUT_TLS.decode()):
                self._connect(client, self._storage, request)
            else:
                client.sendall(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")

    def _connect(self, inner: socket.socket, port: int, first: bytes = b"") -> None:
        with socket.create_connection((HOST, port)) as outer:
            outer.sendall(_rewritten(first))
            self._open |= {inner, outer}
            back = threading.Thread(target=_pump, args=(outer, inner), daemon=True)
            back.start()
            _pump(inner, outer)
            back.join()
            self._open -= {inner, outer}


def _rewritten(data: bytes) -> bytes:
    """Return what a client sent to a proxy as a server wants it: with a path in its first line, not a whole URL."""
    method, space, rest = data.partition(b" ")
    return method + space + rest.replace(WITHOUT_TLS, b"/", 1) if rest.startswith(WITHOUT_TLS) else data


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on until one side ends, and end the other one with it."""
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(_rewritten(data))
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
