"""Tables on their way between workers, as bytes."""

from __future__ import annotations

import pyarrow as pa


def to_bytes(rows: pa.Table | pa.RecordBatch, *, compression: str | None = "lz4") -> bytes:
    """Return rows as an Arrow stream.

    Args:
        rows: What is written, with its schema's metadata.
        compression: Of the buffers; None writes them as they are.
    """
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write(rows)
    return bytes(sink.getvalue().to_pybytes())


def from_bytes(data: bytes) -> pa.Table:
    """Return the table of an Arrow stream."""
    return pa.ipc.open_stream(data).read_all()
