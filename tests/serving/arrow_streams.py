"""Messages of Arrow, as a producer would write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

TOLD = {"request_id": "c-1", "event_time": "2026-01-31T12:00:00Z"}


def stream(rows: pa.Table | dict[str, Sequence[Any]], told: dict[str, str] | None = None, **options: Any) -> bytes:
    """Return some rows as an Arrow IPC stream; ``told`` is the schema's metadata."""
    table = rows if isinstance(rows, pa.Table) else pa.table(rows)
    table = table.replace_schema_metadata(TOLD if told is None else told)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
