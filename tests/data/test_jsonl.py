"""JSONL: what Arrow reads has the texts that Python reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.files import DataFile
from modelfleet.data.jsonl import _by_arrow, _json_chunk, read_jsonl
from modelfleet.data.rawchunk import LINE
from modelfleet.data.text import as_text

FILE = DataFile("d.jsonl", "jsonl")
SCALARS = {
    "texts": st.text(st.characters(codec="utf-8"), max_size=4),
    "dates": st.sampled_from(["2024-01-02", "2024-01-02T03:04:05", "2024-01-02 03:04:05.5", "12:30", "later"]),
    "whole": st.integers(-(2**70), 2**70),
    "floats": st.floats(allow_nan=False, allow_infinity=False),
    "either": st.integers(-10, 10) | st.floats(-1e20, 1e20),
    "truths": st.booleans(),
    "anything": st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2),
}


def texts(table) -> dict[str, list[str | None]]:
    return {name: as_text(table[name]).to_pylist() for name in table.column_names if name != LINE}


@given(st.data())
def test_arrow_and_python_read_the_same_texts(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(SCALARS)), min_size=1, unique=True))
    row = st.fixed_dictionaries({}, optional={kind: st.none() | SCALARS[kind] for kind in kinds})
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    lines = [json.dumps(each, ensure_ascii=data.draw(st.booleans())) + "\n" for each in rows]
    table = _by_arrow(lines, data.draw(st.sampled_from([set(), {"dates"}])))
    slowly = _json_chunk(FILE, 0, lines)
    assert slowly.rows_bad == 0
    if table is not None:
        expected = texts(slowly.table)
        found = texts(table)
        absent = [name for name in expected if name not in found]
        assert all(set(expected[name]) == {None} for name in absent)
        assert found == {name: expected[name] for name in expected if name in found}


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": "x", "c": None, "d": 1.5, "e": True}, {"a": 2, "b": None, "d": 1e15, "f": "2024-01-02"}],
        [{"a": "2024-01-02T00:00:00"}, {"a": "2024-01-03"}],
        [{" a ": -0.0}, {" a ": 3}],
    ],
)
def test_plain_objects_are_read_by_arrow(rows: list[dict[str, object]]) -> None:
    lines = [json.dumps(row) + "\n" for row in rows]
    table = _by_arrow(lines, set())
    assert table is not None
    assert texts(table) == texts(_json_chunk(FILE, 0, lines).table)


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 12345678901234567890}',
        '{"a": Infinity}',
        '{"a": 9007199254740993, "b": 1.5}\n{"a": 0.5}',
        '{"a": 1, "a": 2}',
        '{"a": 1}{"a": 2}\n{"a": 3',
        '{"a": 1}\n\n{"a": 2}',
        '{"a": {"b": 1}}',
        '{"a": 1}\n{"a": "x"}',
        '{"a": 1, " a": 2}',
        "[1]",
    ],
)
def test_the_rest_is_left_to_python(line: str) -> None:
    assert _by_arrow([part + "\n" for part in line.split("\n")], set()) is None


def test_a_file_in_blocks_of_both_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelfleet.data.jsonl.BLOCK_ROWS", 2)
    lines = ['{"a": 1, "d": "2024-01-02"}', '{"a": 2}', "{broken}", '{"a": "x"}', '{"a": 1.5, "d": "2024-01-03"}']
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join(lines))
    chunks = list(read_jsonl(DataFile(str(path), "jsonl")))
    assert [chunk.table[LINE].to_pylist() for chunk in chunks] == [[0, 1], [3], [4]]
    assert [texts(chunk.table)["a"] for chunk in chunks] == [["1", "2"], ["x"], ["1.5"]]
    assert texts(chunks[2].table)["d"] == ["2024-01-03"]
    assert [chunk.rows_bad for chunk in chunks] == [0, 1, 0]
