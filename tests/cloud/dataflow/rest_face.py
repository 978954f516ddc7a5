"""The REST services that a submission asks besides: tokens, APIs, Pub/Sub, and Dataflow as Airflow speaks to it."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cloud.dataflow.id_tokens import IdTokens
from tests.cloud.dataflow.job_store import JobStore, Refused

JOBS = r"/v1b3/projects/[^/]+/locations/(?P<location>[^/]+)/jobs"


@dataclass
class RestFace:
    """Listens from the start.

    Attributes:
        store: The jobs.
        apis_off: APIs that are not switched on, such as ``compute.googleapis.com``.
        pubsub: Topics and subscriptions that are there.
        token_refused: Why no token is given; empty where one is.
        paths: What was asked, in order: method and path.
        id_tokens: Gives identity tokens.
    """

    store: JobStore
    apis_off: set[str] = field(default_factory=set)
    pubsub: set[str] = field(default_factory=set)
    token_refused: str = ""
    paths: list[tuple[str, str]] = field(default_factory=list)
    id_tokens: IdTokens = field(default_factory=IdTokens)

    def __post_init__(self) -> None:
        face = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    code, told = 200, face.answer(self.command, self.path, body)
                except Refused as refused:
                    code, told = refused.code, {"error": {"code": refused.code, "message": refused.message}}
                data = json.dumps(told).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, url: str, body: bytes) -> dict[str, Any]:
        """Answer one request.

        Raises:
            Refused: With the code and message to answer with.
        """
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        self.paths.append((method, path))
        if path == "/token":
            if self.token_refused:
                raise Refused(400, self.token_refused)
            (assertion,) = parse_qs(body.decode())["assertion"]
            if (token := self.id_tokens.give(assertion)) is not None:
                return {"id_token": token}
            return {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}
        if path.endswith("/allowedLocations"):  # google-auth asks where an account may be used from
            return {"locations": [], "encodedLocations": "0x0"}
        if path.endswith("/services:batchGet"):
            return {"services": [self._service(name) for name in query["names"]]}
        if path.startswith("/v1/projects/") and re.search(r"/(topics|subscriptions)/", path):
            name = path.removeprefix("/v1/")
            if name not in self.pubsub:
                raise Refused(404, f"Resource not found (resource={name})")
            return {"name": name}
        return self._dataflow(method, path, query, body)

    def _service(self, name: str) -> dict[str, str]:
        return {"name": name, "state": "DISABLED" if name.rpartition("/")[2] in self.apis_off else "ENABLED"}

    def _dataflow(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        if re.fullmatch(JOBS, path) and method == "GET":
            active = query.get("filter", [""])[0] in ("ACTIVE", "3")  # the enum's number, where a client says so
            return {"jobs": self.store.list(query.get("name", [""])[0], active=active)}
        found = re.fullmatch(JOBS + r"/(?P<job>[^/]+)(?P<what>/messages|/metrics)?", path)
        if found is None:
            raise Refused(404, f"{method} {path}")
        if found["what"] == "/messages":
            return {"jobMessages": self.store.told(found["job"])}
        if found["what"] == "/metrics":
            return {"metrics": []}
        if method == "PUT":
            return self.store.request(found["job"], _name_of_state(json.loads(body)["requestedState"]))
        return self.store.look(found["job"])


def _name_of_state(state: str | int) -> str:
    """Return a state's name, for which some clients send its number."""
    from google.cloud.dataflow_v1beta3 import JobState

    return state if isinstance(state, str) else JobState(state).name
