"""Tables and files are scored like requests are answered, and every row is accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from beam_jobs import score as launcher
from modelfleet.data.schema import Feature
from modelfleet.errors import DataError
from modelfleet.serving.ahead import in_order
from modelfleet.serving.loading import LoadedFleet, load_bundle
from modelfleet.serving.predict import Failure, predict_rows
from modelfleet.serving.score import score_table
from modelfleet.spec.data import ColumnType
from modelfleet.spec.file import parse_spec

RUNNER = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]
ROWS = [
    {"id": "i0", "store": "a", "x": "1", "colour": "red"},
    {"id": "i1", "store": "b", "x": "", "colour": "blue"},
    {"id": "i2", "store": "c", "x": "lots", "colour": "red"},
    {"id": "i3", "store": "new", "x": "2.5", "colour": "?"},
    {"id": "i4", "store": "", "x": "2", "colour": "red"},
    {"id": "i5", "store": "c", "x": "13", "colour": "red"},
    {"id": "i6", "store": "c", "x": "666", "colour": "red"},
    {"id": "i7", "store": "c", "x": "-3", "colour": "green"},
]
EXPECTED = [("a", 101.0, "entity"), ("b", 200.0, "entity"), ("new", 1002.5, "pooled"), ("c", 297.0, "entity")]


def load(bundle: Any) -> LoadedFleet:
    return load_bundle(bundle, fleet="sales", generation=7)


def table(rows: list[dict[str, str]] = ROWS) -> pa.Table:
    return pa.Table.from_pylist(rows)


def test_a_table_is_scored(shop: Any) -> None:
    scored = score_table(load(shop.bundle()), table())
    found = scored.predictions.to_pylist()
    assert [(row["entity"], row["prediction"], row["served_by"]) for row in found] == EXPECTED
    assert [row["row"] for row in found] == [0, 1, 3, 7]
    assert {row["generation"] for row in found} == {7}
    assert {row["score"] for row in found} == {None}
    assert sorted(scored.failures) == [2, 4, 5, 6]
    assert "column 'x' is 'lots'" in scored.failures[2]
    assert "belongs to no entity" in scored.failures[4]
    assert "not finite" in scored.failures[5]
    assert "666 is not liked" in scored.failures[6]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_table_and_requests_get_the_same_answers(shop: Any, task: str) -> None:
    classes = ("p", "q", "r")[: 2 if task == "binary" else 3]
    wide = shop.schema(task, classes, (*shop.schema().features, Feature(name="new", type=ColumnType.NUMBER)))
    values = {0: {"a": -3.0, "b": 0.0}, 1: {"c": 2.0}}
    fleet = load(shop.bundle(schema=shop.schema(task, classes), shards=values, pooled=1.0, schemas={1: wide}))
    rows = [row | {"new": str(i)} for i, row in enumerate(ROWS)]
    scored = score_table(fleet, table(rows))
    answers = predict_rows(fleet, rows)
    assert sorted(scored.failures) == [i for i, answer in enumerate(answers) if isinstance(answer, Failure)]
    for found in scored.predictions.to_pylist():
        answer = answers[found["row"]]
        assert not isinstance(answer, Failure)
        assert (found["entity"], found["prediction"], found["score"], found["served_by"]) == (
            answer.entity,
            answer.prediction,
            answer.score,
            answer.served_by,
        )
        assert sum(found["probabilities"].values()) == pytest.approx(1.0)
        assert list(found["probabilities"]) == list(classes)


def test_an_entity_nobody_can_serve(shop: Any) -> None:
    scored = score_table(load(shop.bundle(pooled=None)), table())
    assert "entity 'new' has no model of its own" in scored.failures[3]


def test_a_table_without_rows(shop: Any) -> None:
    assert len(score_table(load(shop.bundle()), table().slice(0, 0)).predictions) == 0


@pytest.mark.parametrize("column", ["store", "x"])
def test_a_column_that_is_not_there_is_named(shop: Any, column: str) -> None:
    with pytest.raises(DataError, match=f"no column '{column}'"):
        score_table(load(shop.bundle()), table().drop_columns([column]))


def write(rows: pa.Table, path: Path) -> None:
    if path.suffix == ".csv":
        pa_csv.write_csv(rows, path)
    elif path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=3)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))


def run(shop: Any, source: Path, output: Path, *more: str, header: bool = True, engine: str = "local") -> int:
    columns = {
        "id": {"type": "text", "role": "row_id"},
        "store": {"type": "category", "role": "entity"},
        "x": "number",
        "colour": "category",
        "y": {"type": "number", "role": "target"},
    }
    document = {"fleet": "sales", "entity": "store", "task": "regression", "engine": engine}
    spec = parse_spec(
        document | {"data": {"source": "train.csv", "target": "y", "columns": columns, "header": header}}, "test"
    )
    path = output.parent / "spec.json"
    path.write_text(spec.model_dump_json())
    arguments = [f"--fleet-home={shop.folders.root}", f"--spec={path}", f"--input={source}", f"--output={output}"]
    return launcher.main([*arguments, *RUNNER, *more])


@pytest.mark.beam
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("engine", ["local", "flink"])
def test_files_are_scored_through_beam(shop: Any, tmp_path: Path, ending: str, engine: str) -> None:
    shop.release_of()
    source = tmp_path / f"rows.{ending}"
    write(table(), source)
    output = tmp_path / "out" / "scored.parquet"
    output.parent.mkdir()
    assert run(shop, source, output, engine=engine) == 0
    assert pq.read_schema(output).field("entity").type == pa.string()
    found = pq.read_table(output).to_pylist()
    assert [(row["entity"], row["prediction"], row["served_by"]) for row in found] == EXPECTED
    assert [(row["row"], row["row_id"], row["file"]) for row in found] == [
        (i, f"i{i}", str(source)) for i in (0, 1, 3, 7)
    ]
    bad = pq.read_table(output.with_name("scored_bad_rows.parquet")).to_pylist()
    first = 2 if ending == "csv" else 1  # the header is line 1
    assert [row["line"] for row in bad] == [i + first for i in (2, 4, 5, 6)]
    assert "column 'x' is 'lots'" in bad[0]["reason"]
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "scored.parquet",
        "scored_bad_rows.parquet",
        "spec.json",
    ]


@pytest.mark.beam
@pytest.mark.parametrize("engine", ["local", "flink"])
def test_several_files_keep_their_order_and_an_earlier_generation_can_be_asked(
    shop: Any, tmp_path: Path, engine: str
) -> None:
    shop.release_of()
    shop.release_of(add=1)
    good = [row for row in ROWS if row["id"] in ("i0", "i1", "i3", "i7")]
    for name in ("b", "a", "c"):
        write(table(good), tmp_path / f"{name}.parquet")
    output = tmp_path / "out" / "scored.parquet"
    output.parent.mkdir()
    output.with_name("scored_bad_rows.parquet").write_bytes(b"of an earlier call")
    assert run(shop, tmp_path, output, "--generation=1", engine=engine) == 0
    found = pq.read_table(output).to_pylist()
    assert [(row["entity"], row["prediction"], row["served_by"]) for row in found] == EXPECTED * 3
    assert [Path(row["file"]).name[0] for row in found] == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert {row["generation"] for row in found} == {1}
    assert not output.with_name("scored_bad_rows.parquet").exists()


@pytest.mark.beam
def test_a_file_without_header_may_lack_the_target(shop: Any, tmp_path: Path) -> None:
    shop.release_of()
    source = tmp_path / "rows.csv"
    source.write_text("i0,a,1,red\ni1,b,2,blue\n")
    assert run(shop, source, tmp_path / "scored.parquet", header=False) == 0
    assert pq.read_table(tmp_path / "scored.parquet")["prediction"].to_pylist() == [101.0, 202.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,store,colour\n1,a,red\n", "has no column 'x', which the models need"),
        ("", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_scored_is_told(
    shop: Any, tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.release_of()
    source = tmp_path / "rows.csv"
    source.write_text(text)
    assert run(shop, source, tmp_path / "scored.parquet") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "scored.parquet").exists()


def test_scoring_before_the_first_release_is_told(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(table(), tmp_path / "rows.csv")
    assert run(shop, tmp_path / "rows.csv", tmp_path / "scored.parquet") == 2
    assert "fleet 'sales' has no release yet" in capsys.readouterr().err


@pytest.mark.beam
def test_a_file_damaged_in_the_middle_is_told_and_nothing_is_left_half_written(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.release_of()
    source = tmp_path / "rows.csv"
    write(table(ROWS * 100), source)
    data = source.read_bytes()
    source.write_bytes(data[:5000] + b"\xff\xfe" + data[5000:])
    assert run(shop, source, tmp_path / "scored.parquet") == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "scored.parquet").exists()


@pytest.mark.beam
def test_a_file_read_in_many_chunks_is_scored_in_order(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelfleet.data.reading.BLOCK_ROWS", 7)
    shop.release_of()
    source = tmp_path / "rows.parquet"
    pq.write_table(table(ROWS * 40), source, row_group_size=100)
    assert run(shop, source, tmp_path / "scored.parquet") == 0
    found = pq.read_table(tmp_path / "scored.parquet")
    assert found["row"].to_pylist() == [8 * i + k for i in range(40) for k in (0, 1, 3, 7)]
    assert found["row_id"].to_pylist() == ["i0", "i1", "i3", "i7"] * 40
    assert [tuple(row.values()) for row in found.select(["entity", "prediction", "served_by"]).to_pylist()] == (
        EXPECTED * 40
    )
    bad = pq.read_table(tmp_path / "scored_bad_rows.parquet")
    assert bad["line"].to_pylist() == [8 * i + k for i in range(40) for k in (3, 5, 6, 7)]


def test_results_come_in_order_and_the_next_few_are_worked_on() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(3) as pool:
        for i, (item, result) in enumerate(in_order(pool, lambda number: number * number, items(), 4)):
            assert (item, result) == (i, i * i)
            assert len(taken) <= i + 5
    assert len(taken) == 20
