"""Requests from a Parquet file: every row is a request with an id of its own, every row group one or more chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelfleet.errors import nearest
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.arrow_columns import plain_values
from modelfleet.serving.chunk import Chunk, single_line
from modelfleet.serving.request import MAX_ID, BadRequestError, event_time_of, shown

if TYPE_CHECKING:
    import pyarrow as pa

REQUEST_ID, EVENT_TIME = "request_id", "event_time"
"""Columns that say whose answer a row's is, and when it happened; the second may be left out."""

CHUNK_ROWS = 4_096
"""Most rows of a chunk; a larger row group becomes several."""


def read_requests(path: bytes, *, now: datetime) -> Iterator[Chunk | DeadLetter]:
    """Read the requests of a file; never raises for what the file holds.

    Args:
        path: The file; a name need not be text.
        now: The time written into a dead letter, with a time zone.

    Yields:
        Chunks whose rows have ids of their own; a dead letter for each row whose id or event time cannot be used; and
        one for the file, or for the rest of it, where that cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = os.fsdecode(path)
    where = "it"
    try:
        with open(path, "rb") as stream:
            file = pq.ParquetFile(stream)
            columns = file.schema_arrow.names
            if REQUEST_ID not in columns:
                reason = f"request file {name!r} has no column '{REQUEST_ID}'{nearest(REQUEST_ID, columns)}"
                yield _unreadable(path, reason, now)
                return
            for group in range(file.num_row_groups):
                where = f"row group {group} of {file.num_row_groups}"
                for batch in file.iter_batches(CHUNK_ROWS, row_groups=[group]):
                    yield from _requests(batch, now)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"request file {name!r}: {where} cannot be read: {error}; put it there again, whole, by a rename"
        yield _unreadable(path, reason, now)


def _unreadable(path: bytes, reason: str, now: datetime) -> DeadLetter:
    return DeadLetter.of(path, reason=reason, stage="parse", now=now)


def _requests(batch: pa.RecordBatch, now: datetime) -> Iterator[Chunk | DeadLetter]:
    columns = {name: plain_values(batch.column(i)) for i, name in enumerate(batch.schema.names)}
    ids = columns.pop(REQUEST_ID)
    times = columns.pop(EVENT_TIME, [None] * len(ids))
    good: list[int] = []
    read: list[datetime | None] = []
    for i, (request_id, time) in enumerate(zip(ids, times, strict=True)):
        try:
            _check_id(request_id)
            read.append(event_time_of(time.isoformat() if isinstance(time, datetime) else time))
        except BadRequestError as error:
            known = request_id if isinstance(request_id, str) else None
            row = {name: values[i] for name, values in columns.items()}
            line = single_line(str(request_id), str(time), row)
            yield DeadLetter.of(line, reason=error.reason, stage="parse", now=now, request_id=known)
        else:
            good.append(i)
    if good:
        kept: Mapping[str, Sequence[Any]] = columns
        if len(good) < len(ids):
            kept = {name: [values[i] for i in good] for name, values in columns.items()}
        yield Chunk("", None, kept, None, b"", ids=[ids[i] for i in good], times=read)


def _check_id(value: object) -> None:
    if not isinstance(value, str):
        raise BadRequestError(f"{REQUEST_ID} must be a text, but is {shown(value)}")
    if not value or len(value) > MAX_ID:
        raise BadRequestError(f"{REQUEST_ID} must have 1 to {MAX_ID} characters, but has {len(value)}")
