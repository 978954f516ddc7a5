"""Training rows from a BigQuery table, by its Storage Read API: Arrow streams into Parquet files of the run.

A session reads the table as it was when the session began, whatever is written to it meanwhile, and what it read stays
in the run's folder: a step that runs again trains on the same rows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.errors import DataError, DataUnavailableError, MissingExtraError
from modelfleet.spec.evaluation import TABLE_URL
from modelfleet.whole_file import write_whole

SCHEME = "bigquery://"

TABLE = re.compile(TABLE_URL)

STREAMS = 8
"""At most; each becomes a file, and four are read at a time."""

READ = "source.json"
"""Says what was read; written last."""


def is_table(source: str) -> bool:
    """Return whether a spec's ``data.source`` is a BigQuery table."""
    return source.startswith(SCHEME)


def fetch_table(source: str, folder: Path, columns: Sequence[str] = (), *, client: Any = None) -> Path:
    """Read a table into a folder of Parquet files; one that was read whole is left as it is.

    Args:
        source: ``bigquery://PROJECT/DATASET/TABLE``.
        folder: Appears whole or not at all.
        columns: Only these; none means all. Others are neither read nor paid for.
        client: As ``google.cloud.bigquery_storage_v1.BigQueryReadClient``; None makes one, with the environment's
            credentials.

    Returns:
        The folder.

    Raises:
        DataError: There is no such table or column, it is empty, or this account may not read it.
        DataUnavailableError: The service does not answer.
    """
    found = TABLE.fullmatch(source)
    if found is None:
        raise DataError(f"data.source {source}: expected {SCHEME}PROJECT/DATASET/TABLE")
    if (folder / READ).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        with told(source, role="roles/bigquery.dataViewer", project_role="roles/bigquery.readSessionUser"):
            client = client or _client()
            session = client.create_read_session(
                parent=f"projects/{os.environ.get('GOOGLE_CLOUD_PROJECT') or found['project']}",
                read_session={
                    "table": f"projects/{found['project']}/datasets/{found['dataset']}/tables/{found['table']}",
                    "data_format": "ARROW",
                    "read_options": {"selected_fields": list(columns)},
                },
                max_stream_count=STREAMS,
            )
            if not session.streams:
                raise DataError(f"data.source {source}: the table is empty")

            def read(number: int) -> int:
                return _read(client, session, number, temporary / f"part-{number:05d}.parquet")

            with ThreadPoolExecutor(4) as pool:
                rows = sum(pool.map(read, range(len(session.streams))))
        if not rows:
            raise DataError(f"data.source {source}: the table is empty")
        write_whole(temporary / READ, json.dumps({"table": source, "rows": rows, "session": session.name}))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _read(client: Any, session: Any, number: int, path: Path) -> int:
    """Write one stream, and return how many rows it had; a connection that breaks off is taken up where it was."""
    rows = 0
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for message in client.read_rows(session.streams[number].name):
            batch = pa.ipc.read_record_batch(pa.py_buffer(message.arrow_record_batch.serialized_record_batch), schema)
            writer.write_batch(batch)
            rows += batch.num_rows
    if not rows:
        path.unlink()
    return rows


def _client() -> Any:
    try:
        from google.cloud import bigquery_storage_v1
    except ImportError as error:
        raise MissingExtraError("google.cloud.bigquery_storage", "bigquery") from error
    return bigquery_storage_v1.BigQueryReadClient()


@contextmanager
def told(table: str, field: str = "data.source", *, role: str, project_role: str) -> Iterator[None]:
    """Turn the errors of Google's libraries into ours.

    Args:
        table: Of which table.
        field: The field of the spec that names it.
        role: What this account needs on the table.
        project_role: What it needs on the project.

    Raises:
        DataError: There is no such table or column, or this account may not do that.
        DataUnavailableError: The service does not answer.
    """
    try:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
    except ImportError as error:
        raise MissingExtraError("google.cloud.bigquery", "bigquery") from error
    try:
        yield
    except exceptions.NotFound as error:
        raise DataError(f"{field} {table}: there is no such table ({error.message})") from error
    except exceptions.BadRequest as error:
        raise DataError(f"{field} {table}: {error.message}; compare its columns with what is expected") from error
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise DataError(
            f"{field} {table}: {error}; this account needs {role} on the table and {project_role} on the project"
        ) from error
    except (exceptions.GoogleAPIError, OSError) as error:
        raise DataUnavailableError(f"{field} {table}: no answer ({error}); try again") from error
