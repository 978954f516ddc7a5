"""A small BigQuery, as far as load jobs go, asked over HTTP by the real client library."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


class FakeLoadJobs:
    """Takes load jobs until it is closed.

    Attributes:
        tables: The columns of each table by its name, as Terraform has them, and the rows that were loaded.
        jobs: By their ids.
        fails: How many more jobs end with an error.
    """

    def __init__(self) -> None:
        self.tables: dict[str, tuple[list[dict[str, Any]], list[pa.Table]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.fails = 0
        self.refuses: int | None = None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self, status: int, document: Any = None, **headers: str) -> None:
                body = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def _error(self, status: int, message: str) -> None:
                self._answer(status, {"error": {"code": status, "message": message, "errors": [{"message": message}]}})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if fake.refuses is not None:
                    self._error(fake.refuses, "no")
                    return
                if "multipart" in self.headers["Content-Type"]:
                    boundary = self.headers["Content-Type"].split('boundary="')[1].split('"')[0].encode()
                    parts = body.split(b"--" + boundary)
                    job = json.loads(parts[1].split(b"\r\n\r\n", 1)[1])
                    status, document = fake._load(job, parts[2].split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"))
                    self._answer(status, document) if status == 200 else self._error(status, str(document))
                    return
                self._error(400, f"unexpected {self.path}")

            def do_GET(self) -> None:
                job = fake.jobs.get(self.path.split("/jobs/")[-1].split("?")[0])
                self._error(404, "Not found: Job") if job is None else self._answer(200, job)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.client = bigquery.Client(
            project="my-shop",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{self._server.server_address[1]}"},
        )

    def close(self) -> None:
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rows(self, table: str) -> pa.Table:
        return pa.concat_tables(self.tables[table][1])

    def _load(self, job: dict[str, Any], data: bytes) -> tuple[int, Any]:
        name, load = job["jobReference"]["jobId"], job["configuration"]["load"]
        if name in self.jobs:
            return 409, f"Already Exists: Job {name}"
        at = load["destinationTable"]
        table = f"{at['projectId']}.{at['datasetId']}.{at['tableId']}"
        if table not in self.tables:
            return 404, f"Not found: Table {table}"
        assert (load["sourceFormat"], load["writeDisposition"], load["createDisposition"]) == (
            "PARQUET", "WRITE_APPEND", "CREATE_NEVER",
        )  # fmt: skip
        loaded = pq.read_table(io.BytesIO(data))
        columns, rows = self.tables[table]
        unknown = set(loaded.column_names) - {column["name"] for column in columns}
        missing = {column["name"] for column in columns if column["mode"] == "REQUIRED"} - set(loaded.column_names)
        done: dict[str, Any] = {"state": "DONE"}
        if unknown or missing or self.fails:
            self.fails = max(self.fails - 1, 0)
            reason = "invalid" if unknown or missing else "backendError"
            done["errorResult"] = {"reason": reason, "message": f"no such field: {sorted(unknown)}"}
        else:
            rows.append(loaded)
        self.jobs[name] = {
            "jobReference": job["jobReference"] | {"location": "EU"},
            "configuration": job["configuration"],
            "status": done,
            "statistics": {"load": {"outputRows": str(loaded.num_rows)}},
        }
        return 200, self.jobs[name]
