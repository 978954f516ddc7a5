"""Rows that could not be used: what, where and why. They are reported, never lost in silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa

EXAMPLES = 1_000
"""Most examples kept per run; all bad rows are counted."""

BAD_ROWS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)
"""Columns of bad_rows.parquet."""

_LONGEST_VALUE = 200


@dataclass(frozen=True)
class BadRow:
    """One row that could not be used.

    Attributes:
        file: The data file.
        line: Its line there (of a Parquet file: its row), counted from 1; None where it cannot be told.
        column: The column at fault; empty where the row as a whole is.
        value: What stood there, cut to 200 characters.
        reason: One sentence: expected against observed.
    """

    file: str
    line: int | None
    column: str
    value: str
    reason: str

    def __post_init__(self) -> None:
        if len(self.value) > _LONGEST_VALUE:
            object.__setattr__(self, "value", self.value[: _LONGEST_VALUE - 1] + "…")

    def sentence(self) -> str:
        """Return it as one line for a message."""
        where = f"{self.file}, line {self.line}" if self.line else self.file
        what = f": column '{self.column}' is {self.value!r}" if self.column else ""
        return f"{where}{what}: {self.reason}"


def bad_row_table(rows: Iterable[BadRow]) -> pa.Table:
    """Return bad rows as a table with the columns of ``BAD_ROWS``."""
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=BAD_ROWS)
