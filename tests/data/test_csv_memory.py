"""A CSV file is read by blocks: what is held of it does not grow with its size."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from modelfleet.data.files import DataFile
from modelfleet.data.reading import Piece, read_piece
from modelfleet.spec.data import DataSpec

LINES = 10_000 * b"abcdefghijklmnop,qrstuvwxyz,1234567890,12.5\n"


def most_held(path: Path, megabytes: int) -> int:
    """Return the most bytes that Arrow holds while somebody slow takes a file's rows chunk by chunk."""
    with path.open("wb") as file:
        file.write(b"a,b,c,d\n")
        for _ in range(megabytes * 1_000_000 // len(LINES)):
            file.write(LINES)
    before, held, rows = pa.total_allocated_bytes(), 0, 0
    for chunk in read_piece(Piece(DataFile(str(path), "csv")), DataSpec(source=str(path), target="d")):
        rows += len(chunk.table)
        held = max(held, pa.total_allocated_bytes() - before)
    assert rows == megabytes * 1_000_000 // len(LINES) * 10_000
    path.unlink()
    return held


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Some 100 MB, of which 64 are read ahead; with blocks of 16 MB all 250 were."""
    assert most_held(tmp_path / "rows.csv", 250) < 150e6
