"""A chunk as an Arrow IPC stream: the rows come as the arrays that the encoder wants, and no value is parsed.

The schema's metadata has ``request_id`` and may have ``event_time``, as texts; the columns are the row's. A stream
begins with four bytes of ones, which no JSON does.
Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modelfleet.serving.arrow_codec import refuse_compressed
from modelfleet.serving.arrow_columns import checked_columns
from modelfleet.serving.chunk import MAX_ROWS, Chunk, check_chunk_id
from modelfleet.serving.request import MAX_BYTES, BadRequestError, check_size, event_time_of

if TYPE_CHECKING:
    import pyarrow as pa

REQUEST_ID, EVENT_TIME = "request_id", "event_time"
"""Keys of the schema's metadata."""


def arrow_chunk(message: bytes, *, max_bytes: int = MAX_BYTES) -> Chunk:
    """Read a chunk from an Arrow IPC stream of one or more record batches.

    Args:
        message: The whole stream.
        max_bytes: Longer ones are refused unread.

    Raises:
        BadRequestError: It is no such stream, or no chunk; never any other exception, whatever the bytes.
    """
    import pyarrow as pa

    check_size(message, max_bytes)
    request_id: str | None = None
    try:
        with pa.ipc.open_stream(message) as reader:
            told = reader.schema.metadata or {}
            request_id = _request_id(told)
            event_time = event_time_of(_text(told, EVENT_TIME))
            refuse_compressed(message)
            table = pa.Table.from_batches(_batches(reader), reader.schema)
        if len(table) == 0 or not table.num_columns:  # a batch without a column may claim any number of rows
            raise BadRequestError(f"the chunk has 0 rows; expected 1 to {MAX_ROWS}")
        table.validate(full=True)  # what lies beyond a buffer would be read like anything else
        columns = checked_columns(table, len(message))
    except BadRequestError as error:
        raise BadRequestError(error.reason, request_id) from None
    except Exception as error:  # Arrow's, and those of Python's readers of texts and numbers: the bytes are anybody's
        reason = f"the request begins as an Arrow IPC stream, but cannot be read as one: {error}"
        raise BadRequestError(reason, request_id) from None
    return Chunk(request_id, None, columns, event_time, message, table=table)


def _batches(reader: pa.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        if rows > MAX_ROWS:  # a column of nothing has any number of rows in no bytes at all
            raise BadRequestError(f"the chunk has more than {MAX_ROWS} rows; expected 1 to {MAX_ROWS}")
        yield batch


def _text(told: Mapping[bytes, bytes], name: str) -> str | None:
    value = told.get(name.encode())
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequestError(f"{name} in the schema's metadata is not UTF-8") from None


def _request_id(told: Mapping[bytes, bytes]) -> str:
    value = _text(told, REQUEST_ID)
    if value is None:
        raise BadRequestError(
            f"the schema's metadata has no {REQUEST_ID}; it must be a text that is unique per request"
        )
    check_chunk_id(value)
    return value
