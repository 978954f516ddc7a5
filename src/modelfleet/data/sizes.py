"""How many rows and classes each entity has, counted before there is a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.data.files import find_files
from modelfleet.data.reading import pieces_of, read_piece
from modelfleet.data.text import as_text
from modelfleet.data.typed import is_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelfleet.spec.data import DataSpec

MOST_ROWS = 5_000_000
"""Rows counted at most, so that the answer comes within seconds."""


@dataclass(frozen=True)
class EntitySizes:
    """Sizes of all entities.

    Attributes:
        rows: (E,) rows per entity, ascending.
        classes: (E,) distinct target values per entity, in the same order.
        nameless: Rows without a value in an entity column.
        complete: Whether every row was counted; else the first ``MOST_ROWS``.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    nameless: int
    complete: bool

    def short_of(self, min_rows: int, min_classes: int) -> int:
        """Return the number of entities with fewer rows or fewer classes."""
        return int(((self.rows < min_rows) | (self.classes < min_classes)).sum())


def entity_sizes(data: DataSpec, entity: Sequence[str], most_rows: int = MOST_ROWS) -> EntitySizes:
    """Count the rows and classes of each entity.

    Args:
        data: Where the rows are; its target is what classes are counted of.
        entity: The key columns.
        most_rows: Counting stops after the piece of a file that reaches this many rows.

    Raises:
        DataError: A file is missing or is not what it says.
    """
    keys, target = [f"entity_{i}" for i in range(len(entity))], "target"
    parts: list[pa.Table] = []
    total, complete = 0, True
    for piece in (piece for file in find_files(data) for piece in pieces_of(file)):
        if total >= most_rows:
            complete = False
            break
        for chunk in read_piece(piece, data):
            read = [as_text(chunk.table[name]).cast(pa.string()) for name in (*entity, data.target)]
            table = pa.table(dict(zip([*keys, target], read, strict=True)))
            parts.append(table.group_by([*keys, target]).aggregate([([], "count_all")]))
            total += len(table)
            if total >= most_rows:
                complete = False
                break
    pairs = pa.concat_tables(parts).group_by([*keys, target]).aggregate([("count_all", "sum")])
    named = pa.array(np.ones(len(pairs), dtype=bool))
    for key in keys:
        named = pc.and_(named, pc.invert(is_missing(pairs[key], data.missing)))
    nameless = pc.sum(pairs.filter(pc.invert(named))["count_all_sum"]).as_py() or 0
    known = pc.invert(is_missing(pairs[target], data.missing))
    pairs = pairs.append_column("known", pc.cast(known, pa.int64())).filter(named)
    each = pairs.group_by(keys).aggregate([("count_all_sum", "sum"), ("known", "sum")])
    rows, classes = each["count_all_sum_sum"].to_numpy(), each["known_sum"].to_numpy()
    order = np.argsort(rows, kind="stable")
    return EntitySizes(rows[order].astype(np.int64), classes[order].astype(np.int64), int(nameless), complete)
