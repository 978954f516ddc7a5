"""Every row of a Parquet file is a request of its own; what cannot be read is told and costs no other row."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.chunk_answer import answer_chunks
from modelfleet.serving.loading import load_bundle
from modelfleet.serving.parquet_requests import CHUNK_ROWS, read_requests
from modelfleet.serving.request import parse_request

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def rows(n: int) -> pa.Table:
    return pa.table(
        {
            "request_id": [f"r-{i}" for i in range(n)],
            "store": ["a", "b"] * (n // 2),
            "x": [float(i) for i in range(n)],
            "colour": pa.array(["red"] * n).dictionary_encode(),
        }
    )


def write(table: pa.Table, folder: Path, **options: Any) -> bytes:
    pq.write_table(table, folder / "requests.parquet", **options)
    return bytes(folder / "requests.parquet")


def read(path: bytes) -> tuple[list[Chunk], list[DeadLetter]]:
    found = list(read_requests(path, now=NOW))
    return [f for f in found if isinstance(f, Chunk)], [f for f in found if isinstance(f, DeadLetter)]


def test_row_groups_become_chunks_and_large_ones_several(tmp_path: Path) -> None:
    chunks, letters = read(write(rows(10), tmp_path, row_group_size=4))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]
    assert letters == []
    chunks, _ = read(write(rows(CHUNK_ROWS + 2), tmp_path))
    assert [len(chunk) for chunk in chunks] == [CHUNK_ROWS, 2]


def test_each_row_is_answered_under_its_own_id_at_its_own_time(shop: Any, tmp_path: Path) -> None:
    times = pa.array([datetime(2026, 1, 31, 12), datetime(2026, 2, 1), None, None], pa.timestamp("us"))
    table = rows(4).append_column("event_time", times)
    table = table.set_column(2, "x", pa.array([1.0, math.nan, 666.0, 2.0]))
    [chunk], _ = read(write(table, tmp_path))
    fleet = load_bundle(shop.bundle(), fleet="sales", generation=7)
    (outcome,) = answer_chunks(fleet, [chunk], fleet="sales", process="p", now=NOW)
    assert all(isinstance(answer, Answer) for answer in outcome.answers)
    assert [(a.request_id, a.prediction, a.event_time) for a in outcome.answers if isinstance(a, Answer)] == [
        ("r-0", 101.0, "2026-01-31T12:00:00+00:00"),
        ("r-1", 200.0, "2026-02-01T00:00:00+00:00"),
        ("r-3", 202.0, None),
    ]
    [letter] = outcome.dead_letters
    assert (letter.request_id, letter.row, letter.entity) == ("r-2", None, "a")
    again = parse_request(letter.original_bytes())
    assert (again.request_id, again.row) == ("r-2", {"store": "a", "x": 666.0, "colour": "red"})


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("request_id", ["r-0", None, "r-2", "r-3"], "request_id must be a text, but is null"),
        ("request_id", ["r-0", "", "r-2", "r-3"], "1 to 256 characters, but has 0"),
        ("event_time", [None, "yesterday", None, "2026-01-31"], 'not an ISO 8601 time: "yesterday"'),
    ],
)
def test_a_row_without_a_usable_id_or_time_is_told(tmp_path: Path, column: str, values: list[Any], says: str) -> None:
    table = rows(4)
    there = column in table.column_names
    table = table.set_column(0, column, pa.array(values)) if there else table.append_column(column, pa.array(values))
    [chunk], [letter] = read(write(table, tmp_path))
    assert chunk.ids == ["r-0", "r-2", "r-3"]
    assert [chunk.row(i)["x"] for i in range(3)] == [0.0, 2.0, 3.0]
    assert says in letter.reason
    assert json.loads(letter.original)["row"] == {"store": "b", "x": 1.0, "colour": "red"}


def test_a_file_without_ids_is_one_dead_letter(tmp_path: Path) -> None:
    chunks, [letter] = read(write(rows(4).rename_columns(["request", "store", "x", "colour"]), tmp_path))
    assert chunks == []
    assert "has no column 'request_id'" in letter.reason


def test_a_damaged_file_is_told_and_what_came_before_the_damage_is_answered(tmp_path: Path) -> None:
    path = write(rows(20_000), tmp_path, row_group_size=10_000, compression="none", use_dictionary=False)
    data = bytearray((tmp_path / "requests.parquet").read_bytes())
    place = pq.read_metadata(tmp_path / "requests.parquet").row_group(1).column(0).data_page_offset
    data[place : place + 64] = b"\xff" * 64
    (tmp_path / "requests.parquet").write_bytes(data)
    chunks, [letter] = read(path)
    assert sum(map(len, chunks)) == 10_000
    assert "row group 1 of 2 cannot be read" in letter.reason


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda data: b"PAR1" + data + b"PAR1"))
def test_bytes_that_are_no_parquet_are_one_dead_letter(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.parquet").write_bytes(data)
    chunks, [letter] = read(bytes(tmp_path / "r.parquet"))
    assert chunks == []
    assert "cannot be read" in letter.reason


def test_a_file_that_is_gone_is_one_dead_letter(tmp_path: Path) -> None:
    _, [letter] = read(bytes(tmp_path / "gone.parquet"))
    assert "gone.parquet" in letter.reason
    assert letter.original_bytes() == bytes(tmp_path / "gone.parquet")


def test_a_file_of_ids_only_fails_row_by_row(shop: Any, tmp_path: Path) -> None:
    [chunk], _ = read(write(rows(2).select(["request_id"]), tmp_path))
    fleet = load_bundle(shop.bundle(), fleet="sales", generation=7)
    (outcome,) = answer_chunks(fleet, [chunk], fleet="sales", process="p", now=NOW)
    assert (len(outcome.answers), [letter.request_id for letter in outcome.dead_letters]) == (0, ["r-0", "r-1"])
