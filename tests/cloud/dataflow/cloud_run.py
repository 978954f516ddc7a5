"""The sign-in of Cloud Run before a service: a request without a token for this address does not come through."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.cloud.dataflow.id_tokens import IdTokens


class CloudRun:
    """Listens from the start, until it is closed.

    Args:
        service: Address of what is behind it, such as ``http://127.0.0.1:5000``.
        tokens: Which it believes.
        invokers: Who is let in.

    Attributes:
        address: Where clients find it.
        let_in: Method and path of each request that came through.
        refused: Why the others did not.
    """

    def __init__(self, service: str, tokens: IdTokens, invokers: set[str]) -> None:
        self.let_in: list[tuple[str, str]] = []
        self.refused: list[str] = []
        run, behind = self, urlsplit(service).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                try:
                    if tokens.whose(token, run.address) not in invokers:
                        raise ValueError("not an invoker")
                except ValueError as error:
                    run.refused.append(str(error))
                    self._answer(403, {"Content-Type": "text/html"}, b"<h1>Error: Forbidden</h1>")
                    return
                run.let_in.append((self.command, urlsplit(self.path).path))
                connection = HTTPConnection(behind, timeout=60)
                sent = {name: value for name, value in self.headers.items() if name != "Authorization"}
                connection.request(self.command, self.path, body, {**sent, "Host": behind})
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                kept = {name: value for name, value in answer.getheaders() if name.lower() in {"content-type", "etag"}}
                self._answer(answer.status, kept, content)

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
