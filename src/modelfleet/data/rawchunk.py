"""Some rows as they are read, before anything is typed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from modelfleet.data.badrow import BadRow
from modelfleet.data.files import DataFile

LINE = "__line"
"""Extra column of a JSONL chunk: each row's line, counted from 0."""


@dataclass
class RawChunk:
    """Some consecutive rows of one file, as read.

    Attributes:
        file: Where they come from.
        first_row: Rows of the file that were read before them.
        table: The columns the file has, by trimmed name.
        rows_bad: Rows in between that are not rows at all (wrong number of values, not JSON).
        bad: Examples of those, at most ``EXAMPLES``.
    """

    file: DataFile
    first_row: int
    table: pa.Table
    rows_bad: int = 0
    bad: list[BadRow] = field(default_factory=list)
