"""Batches of typed rows: however rows are grouped and whoever prepares them, the same bytes are left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data import batch
from modelfleet.data.content import _long_sums, _sums
from modelfleet.data.files import DataFile
from modelfleet.data.plan import make_plan
from modelfleet.data.prepared import clear_results
from modelfleet.data.reading import Piece, pieces_of
from modelfleet.data.shard import _order
from modelfleet.data.whole import prepare_here
from modelfleet.run import Run
from modelfleet.spec import FleetSpec

from .conftest import LOCAL, MakeSpec, StartRun, csv_text, prepare_without_beam, two_entities

FILE = DataFile("d.parquet", "parquet")


def skewed(tmp_path: Path) -> str:
    """Several files of several row groups: a few large entities, many small ones, gaps, and rows that are equal."""
    random = np.random.default_rng(3)
    count = 3_000
    entity = np.minimum(random.zipf(1.3, count), 400)
    table = pa.table(
        {
            "key": pa.array([f"é{i}" for i in entity]),
            "n": pa.array(random.integers(0, 5, count), mask=random.random(count) < 0.1),
            "x": pa.array(random.normal(size=count), mask=random.random(count) < 0.1),
            "c": pa.array([f" level {i}" for i in random.integers(0, 300, count)], mask=random.random(count) < 0.1),
            "y": pa.array([str(i) for i in random.integers(0, 2, count)]),
        }
    )
    table = pa.concat_tables([table, table.slice(100, 200)])
    folder = tmp_path / "parts"
    folder.mkdir()
    for i in range(3):
        pq.write_table(table.slice(i * 1_100, 1_100), folder / f"{i}.parquet", row_group_size=300)
    return str(folder)


def columns() -> dict[str, str]:
    return {"key": "category", "n": "integer", "x": "number", "c": "category", "y": "category"}


def left(run: Run) -> dict[str, bytes]:
    names = ["profile.parquet", "schema.json", "prepare.json", "bad_rows.parquet"]
    paths = [*sorted(run.prepared.iterdir()), *(run.folder / name for name in names)]
    return {path.name: path.read_bytes() for path in paths}


def prepared_here(run: Run, threads: int) -> dict[str, bytes]:
    plan = make_plan(run.spec)
    clear_results(run.folder)
    assert prepare_here(plan, [p for file in plan.files for p in pieces_of(file)], run.folder, threads) is not None
    return left(run)


def test_the_same_bytes_whatever_the_threads_and_the_batches(
    make_spec: MakeSpec, start_run: StartRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"source": skewed(tmp_path), "columns": columns(), "max_levels": 100}
    spec = make_spec("", data=data, resources={"shards": 5})
    expected = prepared_here(start_run(spec, "one"), threads=1)
    assert [name for name in expected if name.startswith("shard-")] == [f"shard-{i:05d}.parquet" for i in range(5)]
    assert prepared_here(start_run(spec, "four"), threads=4) == expected
    monkeypatch.setattr(batch, "BATCH_ROWS", 250)
    assert prepared_here(start_run(spec, "small"), threads=2) == expected
    alone = start_run(spec, "alone")
    prepare_without_beam(alone)
    assert left(alone) == expected


@pytest.mark.beam
@pytest.mark.parametrize("engine", ["local", "flink"])
def test_the_same_bytes_through_the_pipelines_of_one_machine_and_of_many(
    engine: str, make_spec: MakeSpec, start_run: StartRun, tmp_path: Path
) -> None:
    from beam_jobs.prepare import prepare

    data = {"source": skewed(tmp_path), "columns": columns()}
    spec: FleetSpec = make_spec("", data=data, resources={"shards": 5, "threads": 3}, engine=engine)
    run = start_run(spec)
    prepare(run, LOCAL)
    expected = prepared_here(start_run(spec, "here"), threads=1)
    assert left(run) == expected


def test_text_files_come_in_chunks(make_spec: MakeSpec, start_run: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(two_entities(2_000), data={"columns": {n: "category" for n in ("key", "x", "c", "y")}})
    expected = prepared_here(start_run(spec, "one"), threads=2)
    monkeypatch.setattr("modelfleet.data.reading.BLOCK_BYTES", 2_000)
    monkeypatch.setattr(batch, "BATCH_ROWS", 500)
    assert prepared_here(start_run(spec, "small"), threads=2) == expected


def test_a_broken_file_leaves_its_reason_and_no_rows(make_spec: MakeSpec, start_run: StartRun) -> None:
    text = csv_text(["key", "x", "y"], [["a", 1, "yes"], ["b", 2, "no"]]) + '"'
    run = start_run(make_spec(text, data={"columns": {"key": "category", "x": "number", "y": "category"}}))
    plan = make_plan(run.spec)
    clear_results(run.folder)
    Path(run.spec.data.source).write_bytes(text.encode() + b"\xff")
    assert prepare_here(plan, pieces_of(plan.files[0]), run.folder, 2) is None
    assert "UTF-8" in (run.folder / "prepare.error.json").read_text()
    assert not list(run.prepared.iterdir())


@given(st.lists(st.none() | st.integers(1, 50)), st.integers(1, 100))
def test_groups_hold_every_piece_once_and_are_full_or_closed(rows: list[int | None], most: int) -> None:
    pieces = [Piece(FILE, i, 0, count) for i, count in enumerate(rows)]
    groups = batch.piece_groups(pieces, most)
    assert [piece for group in groups for piece in group] == pieces
    for group in groups:
        assert len(group) == 1 or sum(piece.rows or most + 1 for piece in group) <= most


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_rows_are_ordered_by_entity_and_hash(rows: list[tuple[int, int, int]]) -> None:
    entity = np.array([row[0] for row in rows], np.int64)
    # Hashes that differ in their highest bits, in their lowest ones, or not at all
    content = np.array([(high << 62) + low for _, high, low in rows], np.uint64)
    order, expected = _order(entity, content), np.lexsort((content, entity))
    assert (entity[order] == entity[expected]).all()
    assert (content[order] == content[expected]).all()


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1))
def test_short_and_long_texts_are_hashed_alike(texts: list[bytes]) -> None:
    content = np.frombuffer(b"".join(texts), np.uint8)
    lengths = np.array([len(text) for text in texts], np.int64)
    starts = np.append(0, np.cumsum(lengths)[:-1])
    assert (_sums(content, starts, lengths) == _long_sums(content, starts, lengths)).all()
