"""A chunk: one request for many rows, answered by one message.

Row by row, ``{"request_id": "c-1", "rows": [{"age": 39, ...}, ...]}``, or by columns, which costs the least,
``{"request_id": "c-1", "columns": {"age": [39, ...], ...}}``; ``event_time`` may be there, as in a single request.
Or as an Arrow IPC stream (``modelfleet.serving.arrow_chunk``), which costs less still.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.serving.request import (
    MAX_BYTES,
    MAX_ID,
    BadRequestError,
    Envelope,
    Request,
    kind_of,
    open_envelope,
    shown,
    single_request,
    usual_request,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

MAX_ROWS = 10_000
"""Most rows of a chunk; its line is bounded by ``MAX_BYTES`` like any other."""

MAX_NAMES = 50 * MAX_BYTES
"""Most characters of a chunk's column names, written once for each row, as they stand in the rows' dead letters."""

MAX_CHUNK_ID = MAX_ID - len(f"#{MAX_ROWS}")
"""Longest ``request_id`` of a chunk: the id of a row that is sent again has its position behind it."""

_SHAPES = ("row", "rows", "columns")


@dataclass(frozen=True)
class Chunk:
    """Many rows to predict; ``rows`` or ``columns`` has them, the other is None.

    Attributes:
        request_id: The sender's id of the whole chunk; answers are de-duplicated by it.
        rows: Each as in ``Request``, or something else that is no row, which fails alone.
        columns: Column to its values, all of equal length.
        event_time: When it happened; None where the sender said nothing.
        original: The bytes of the line.
        ids: Where each row is a request of its own, as in a Parquet file: the rows' ids; ``request_id`` and
            ``event_time`` then mean nothing. None for a message.
        times: The rows' event times, where they have ids of their own.
        table: The same as ``columns``, where the chunk came as an Arrow IPC stream and is answered by one; else None.
    """

    request_id: str
    rows: Sequence[Any] | None
    columns: Mapping[str, Sequence[Any]] | None
    event_time: datetime | None
    original: bytes
    ids: Sequence[str] | None = None
    times: Sequence[datetime | None] | None = None
    table: pa.Table | None = None

    def __len__(self) -> int:
        if self.table is not None:
            return int(self.table.num_rows)
        given = self.ids if self.ids is not None else self.rows
        if given is not None:
            return len(given)
        return len(next(iter((self.columns or {}).values()), ()))

    def row(self, position: int) -> Any:
        """Return one row as a single request would have it."""
        if self.rows is not None:
            return self.rows[position]
        return {name: values[position] for name, values in (self.columns or {}).items()}

    def single(self, position: int) -> bytes:
        """Return a single request for one of the rows, under an id of its own, so that it can be sent again alone."""
        request_id = f"{self.request_id}#{position}" if self.ids is None else self.ids[position]
        time = self.event_time if self.times is None else self.times[position]
        return single_line(request_id, None if time is None else time.isoformat(), self.row(position))


def single_line(request_id: str, event_time: str | None, row: object) -> bytes:
    """Return a single request as it would have been sent; a value that JSON does not know is a text, NaN is null."""
    document: dict[str, Any] = {"request_id": request_id}
    if event_time is not None:
        document["event_time"] = event_time
    if isinstance(row, dict):
        row = {name: None if value != value else value for name, value in row.items()}  # noqa: PLR0124
    return json.dumps(document | {"row": row}, default=str).encode()


def parse_line(line: bytes | str, *, max_bytes: int = MAX_BYTES) -> Request | Chunk:
    """Read one request in JSON, single or chunk, by which of ``row``, ``rows`` and ``columns`` it has.

    Args:
        line: One line of JSON, with or without its line end.
        max_bytes: Longer lines are refused unread.

    Raises:
        BadRequestError: The line is not a request; never any other exception, whatever the bytes.
    """
    if isinstance(line, bytes) and (usual := usual_request(line, max_bytes=max_bytes)) is not None:
        return usual
    envelope = open_envelope(line, max_bytes=max_bytes)
    there = [shape for shape in _SHAPES if shape in envelope.document]
    if len(there) > 1:
        raise BadRequestError(f"{' and '.join(there)} are both there; a request has one of them", envelope.request_id)
    if there == ["rows"]:
        return _chunk(envelope, rows=_rows(envelope))
    if there == ["columns"]:
        return _chunk(envelope, columns=_columns(envelope))
    return single_request(envelope)


def _chunk(
    envelope: Envelope, *, rows: Sequence[Any] | None = None, columns: Mapping[str, Sequence[Any]] | None = None
) -> Chunk:
    chunk = Chunk(envelope.request_id, rows, columns, envelope.event_time, envelope.original)
    if not 1 <= len(chunk) <= MAX_ROWS:
        reason = f"the chunk has {len(chunk)} rows; expected 1 to {MAX_ROWS}"
        raise BadRequestError(reason, envelope.request_id)
    check_chunk_id(envelope.request_id)
    return chunk


def check_chunk_id(request_id: str) -> None:
    """Refuse a chunk by the length of its id.

    Raises:
        BadRequestError: It is empty, or too long to have a row's position behind it.
    """
    if not 1 <= len(request_id) <= MAX_CHUNK_ID:
        reason = f"request_id of a chunk must have 1 to {MAX_CHUNK_ID} characters, but has {len(request_id)}"
        raise BadRequestError(reason, request_id)


def check_names(names: Iterable[str], rows: int, request_id: str | None = None) -> None:
    """Refuse a chunk by columns whose rows, each alone, would be very much more than the chunk is.

    Raises:
        BadRequestError: The dead letters of its rows could take gigabytes.
    """
    length = sum(map(len, names))
    if length * rows > MAX_NAMES:
        reason = (
            f"the column names have {length} characters, and the chunk {rows} rows: {length * rows} if each row were "
            f"written alone, more than the limit {MAX_NAMES}; send shorter names, or fewer rows at a time"
        )
        raise BadRequestError(reason, request_id)


def _rows(envelope: Envelope) -> Sequence[Any]:
    rows = envelope.document["rows"]
    if not isinstance(rows, list):
        raise BadRequestError(f"rows must be a list of objects, but is {kind_of(rows)}", envelope.request_id)
    return rows


def _columns(envelope: Envelope) -> Mapping[str, Sequence[Any]]:
    columns = envelope.document["columns"]
    if not isinstance(columns, dict):
        reason = f"columns must be an object from column to a list of values, but is {kind_of(columns)}"
        raise BadRequestError(reason, envelope.request_id)
    first: tuple[str, int] | None = None
    for name, values in columns.items():
        if not isinstance(values, list):
            reason = f"column {shown(name)} must be a list of values, but is {kind_of(values)}"
            raise BadRequestError(reason, envelope.request_id)
        first = first or (name, len(values))
        if len(values) != first[1]:
            reason = (
                f"column {shown(name)} has {len(values)} values, but {shown(first[0])} has {first[1]}; which value is "
                "whose is not known"
            )
            raise BadRequestError(reason, envelope.request_id)
    check_names(columns, 0 if first is None else first[1], envelope.request_id)
    return columns
