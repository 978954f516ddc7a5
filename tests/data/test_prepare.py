"""Prepare: typed shards, schema and profile, from the pure functions and from the real pipeline."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.data.plan import make_plan
from modelfleet.errors import DataError, SpecError
from modelfleet.run import Run
from modelfleet.spec import FleetSpec, load_spec

from .conftest import (
    LOCAL,
    REPOSITORY,
    MakeSpec,
    StartRun,
    csv_text,
    jsonl_text,
    prepare_without_beam,
    two_entities,
)


def shards(run: Run) -> pa.Table:
    return pa.concat_tables(
        [pq.read_table(path) for path in sorted(run.prepared.iterdir())], promote_options="permissive"
    )


def bad_rows(run: Run) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(run.folder / "bad_rows.parquet").to_pylist()
    return rows


@pytest.mark.beam
def test_adult_through_the_real_pipeline(start_run: StartRun) -> None:
    from beam_jobs.prepare import prepare

    run = start_run(load_spec(REPOSITORY / "fleets/income.yaml"))
    prepare(run, LOCAL)
    summary = run.read("prepare")
    assert (summary["rows_read"], summary["rows_bad"], summary["rows_prepared"]) == (32_561, 0, 32_561)
    assert (summary["entities"], summary["shards"]) == (16, 4)
    assert summary["columns_ignored"] == {"fnlwgt": "its role is ignore"}
    schema = run.schema()
    assert schema.classes == ("<=50K", ">50K")
    assert schema.missing == ("?",)
    assert [feature.name for feature in schema.features][:3] == ["age", "workclass", "education_num"]
    rows = shards(run)
    with (REPOSITORY / "examples/adult/adult.data").open() as text:
        original = [[value.strip() for value in row] for row in csv.reader(text) if row]
    by_education: dict[str, list[float]] = {}
    for row in original:
        by_education.setdefault(row[3], []).append(float(row[14] == ">50K"))
    profile = {row["entity"]: row for row in pq.read_table(run.folder / "profile.parquet").to_pylist()}
    assert profile.keys() == by_education.keys()
    for entity, positive in by_education.items():
        assert profile[entity]["rows"] == len(positive)
        assert profile[entity]["class_counts"] == [len(positive) - sum(positive), sum(positive)]
    assert profile["Preschool"]["classes_seen"] == 1
    assert profile["HS-grad"]["rows_holdout"] == 2_000  # the cap
    assert sum(row["duplicates"] for row in profile.values()) == 24
    assert len(np.unique(rows["__row"].to_numpy())) == 32_561 - 24
    # a second call does nothing
    before = (run.folder / "prepare.json").stat().st_mtime_ns
    prepare(run, LOCAL)
    assert (run.folder / "prepare.json").stat().st_mtime_ns == before


@pytest.mark.beam
def test_many_parquet_files_through_the_real_pipeline(make_spec: MakeSpec, start_run: StartRun, tmp_path: Path) -> None:
    from beam_jobs.prepare import prepare

    table = pa.table(
        {
            "key": pa.array([f"e{i % 10}" for i in range(300)]).dictionary_encode(),
            "x": pa.array([None if i % 7 == 0 else i for i in range(300)], pa.int32()),
            "c": [f"level {i % 5}" for i in range(300)],
            "y": [i * 0.5 for i in range(300)],
        }
    )
    (tmp_path / "parts").mkdir()
    for part in range(3):
        pq.write_table(table.slice(part * 100, 100), tmp_path / f"parts/{part}.parquet", row_group_size=40)
    spec = make_spec("", data={"source": str(tmp_path / "parts")}, task="regression", resources={"shards": 3})
    run = start_run(spec)
    prepare(run, LOCAL)
    rows = shards(run)
    assert sorted(rows["__target"].to_pylist()) == [i * 0.5 for i in range(300)]
    assert rows["x"].null_count == 43
    assert run.schema().classes == ()
    profile = pq.read_table(run.folder / "profile.parquet")
    assert profile["rows"].to_pylist() == [30] * 10
    assert profile["target_mean"].to_pylist()[0] == pytest.approx(72.5)
    assert profile["classes_seen"].null_count == 10
    # the functions alone, in one go, give the very same shards
    alone = start_run(spec, "alone")
    prepare_without_beam(alone)
    for path in sorted(run.prepared.iterdir()):
        assert (
            pq.read_table(path)
            .cast(pq.read_table(alone.prepared / path.name).schema)
            .equals(pq.read_table(alone.prepared / path.name))
        )


@pytest.mark.beam
def test_a_target_that_does_not_fit_ends_the_job_with_its_reason(make_spec: MakeSpec, start_run: StartRun) -> None:
    from beam_jobs.prepare import main, prepare

    spec = make_spec(csv_text(["key", "x", "y"], [["ab"[i % 2], 2 * i, f"class {i % 3}"] for i in range(30)]))
    run = start_run(spec)
    with pytest.raises(DataError, match=r"task is binary, but there are 3 classes.*task: multiclass"):
        prepare(run, LOCAL)
    assert not run.has("prepare")
    assert main([f"--run={run.folder}", *LOCAL]) == 2


def test_the_launcher_says_what_is_wrong_and_exits_with_2(make_spec: MakeSpec, start_run: StartRun) -> None:
    run = start_run(make_spec("key,x\na,1\n"))
    done = subprocess.run(
        [sys.executable, "-m", "beam_jobs.prepare", f"--run={run.folder}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "data.csv: has no column 'y' (expected as the target)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_bad_rows_are_told_and_the_good_work_is_kept(make_spec: MakeSpec, start_run: StartRun) -> None:
    text = two_entities() + ",1,u,yes\n../x,oops,u,no\na,2,u,\na,3\na,4,u,no\n"
    run = start_run(
        make_spec(text, data={"columns": {"key": "category", "x": "number", "c": "category", "y": "category"}})
    )
    summary = prepare_without_beam(run)
    assert (summary["rows_read"], summary["rows_bad"], summary["rows_prepared"]) == (45, 4, 41)
    path = run.spec.data.source
    assert bad_rows(run) == [
        {"file": path, "line": 42, "column": "key", "value": "", "reason": "empty entity"},
        {"file": path, "line": 43, "column": "x", "value": "oops", "reason": "expected a number"},
        {"file": path, "line": 44, "column": "y", "value": "", "reason": "the target is missing"},
        {"file": path, "line": 45, "column": "", "value": "a,3", "reason": "expected 4 values, found 2"},
    ]


def test_bad_lines_of_jsonl_are_located(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [{"key": "ab"[i % 2], "x": i, "y": i % 2} for i in range(20)]
    text = "nonsense\n" + jsonl_text(rows) + jsonl_text([{"key": None, "x": 1, "y": 0}])
    run = start_run(make_spec(text, "d.jsonl"))
    prepare_without_beam(run)
    assert [(row["line"], row["column"], row["reason"].split(":")[0]) for row in bad_rows(run)] == [
        (1, "", "is not JSON"),
        (22, "key", "empty entity"),
    ]


def test_entities_are_data(make_spec: MakeSpec, start_run: StartRun, tmp_path: Path) -> None:
    names = ["../x", "😀", "k" * 10_000, "a/b", "."]
    rows = [{"key": name, "x": i, "y": "ny"[i % 2]} for name in names for i in range(10)]
    run = start_run(make_spec(jsonl_text(rows), "d.jsonl", resources={"shards": 4}))
    prepare_without_beam(run)
    assert set(pq.read_table(run.folder / "profile.parquet")["entity"].to_pylist()) == set(names)
    assert set(shards(run)["__entity"].to_pylist()) == set(names)
    assert all(path.name.startswith("shard-") for path in run.prepared.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"d.jsonl", "home"}


def test_several_key_columns(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["a|b", "c", 1, "yes"], ["a", "b|c", 2, "no"], ["a", "b|c", 3, "yes"]] * 5
    run = start_run(make_spec(csv_text(["k1", "k2", "x", "y"], rows), entity=["k1", "k2"]))
    prepare_without_beam(run)
    assert pq.read_table(run.folder / "profile.parquet").select(["entity", "rows"]).to_pylist() == [
        {"entity": "a\\|b|c", "rows": 5},
        {"entity": "a|b\\|c", "rows": 10},
    ]


def test_nothing_usable_is_an_error_with_examples(make_spec: MakeSpec, start_run: StartRun) -> None:
    run = start_run(make_spec("key,x,y\n,1,a\n,2,b\n"))
    with pytest.raises(DataError, match=r"not one of 2 rows can be used: .*line 2: column 'key' is '': empty entity"):
        prepare_without_beam(run)


def test_only_malformed_rows_are_counted_too(make_spec: MakeSpec, start_run: StartRun) -> None:
    columns = {"key": "category", "x": "number", "y": "category"}
    run = start_run(make_spec("key,x,y\na,1\nb\n", data={"columns": columns}))
    with pytest.raises(DataError, match=r"not one of 2 rows can be used: .*line 2: expected 3 values, found 2"):
        prepare_without_beam(run)


def test_one_class_in_all_the_data_is_an_error(make_spec: MakeSpec, start_run: StartRun) -> None:
    columns = {"key": "category", "x": "number", "y": "category"}
    run = start_run(make_spec("key,x,y\na,1,yes\nb,2,yes\n", data={"columns": columns}))
    with pytest.raises(DataError, match="every one of 2 rows has the class 'yes'; expected at least 2"):
        prepare_without_beam(run)


def test_levels_are_capped_to_the_most_frequent_and_said(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["a", f"l{min(i % 20, 12)}", i % 99, "ny"[i % 2]] for i in range(2_000)]
    run = start_run(make_spec(csv_text(["key", "c", "x", "y"], rows), data={"max_levels": 5}))
    summary = prepare_without_beam(run)
    assert summary["levels_capped"] == {"c": 13}
    (feature, _) = run.schema().features
    assert feature.levels is not None
    assert len(feature.levels) == 5
    assert "l12" in feature.levels
    assert list(feature.levels) == sorted(feature.levels)


def test_columns_can_be_inferred(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [
        ["ab"[i % 2], 1000 + i, f"2024-01-{i % 28 + 1:02d}", i / 3, "?" if i % 9 == 0 else i % 4, i % 2]
        for i in range(60)
    ]
    run = start_run(make_spec(csv_text(["key", "id", "when", "x", "n", "y"], rows)))
    summary = prepare_without_beam(run)
    assert summary["columns_inferred"]
    assert summary["missing"] == ["?"]
    assert [feature.name for feature in run.schema().features] == ["x", "n"]
    assert "date" in summary["columns_ignored"]["when"]
    assert summary["split_identity"] == {"kind": "row_id", "columns": ["id"]}
    assert shards(run)["n"].null_count == 7


def test_features_can_be_chosen(make_spec: MakeSpec) -> None:
    spec = make_spec(two_entities(), model={"features": ["x"]})
    plan = make_plan(spec)
    assert plan.features == ("x",)
    assert plan.ignored == {"c": "model.features does not name it"}
    with pytest.raises(SpecError, match=r"model\.features: 'xx' is not a feature column; did you mean 'x'|valid are"):
        make_plan(make_spec(two_entities(), model={"features": ["xx"]}))


def test_our_own_column_names_are_refused(make_spec: MakeSpec) -> None:
    with pytest.raises(SpecError, match="column '__row': names that begin with __ are ours"):
        make_plan(make_spec("key,__row,y\na,1,2\n"))


def test_a_run_of_some_entities_keeps_the_schema_of_all(make_spec: MakeSpec, start_run: StartRun) -> None:
    text = csv_text(
        ["key", "c", "y"], [["ab"[i % 2], f"{'ab'[i % 2]}{i % 6}", "yes" if i % 2 else "no"] for i in range(80)]
    )
    spec = make_spec(text)
    every, some = start_run(spec, "all"), start_run(spec, "some", entities=["a"])
    prepare_without_beam(every)
    summary = prepare_without_beam(some)
    assert some.schema() == every.schema()
    assert (summary["rows_prepared"], summary["rows_other_entities"], summary["entities"]) == (40, 40, 1)
    with pytest.raises(DataError, match=r"the data has no entity 'c' \(1 such\); valid are: a, b"):
        prepare_without_beam(start_run(spec, "none", entities=["c"]))


def split_of(run: Run) -> dict[int, int]:
    rows = shards(run)
    return dict(zip(rows["__row"].to_pylist(), rows["__part"].to_pylist(), strict=True))


def with_rows(spec: FleetSpec, text: str) -> FleetSpec:
    Path(spec.data.source).write_text(text)
    return spec


def test_a_row_keeps_its_part_when_rows_are_added_moved_and_sharded_anew(
    make_spec: MakeSpec, start_run: StartRun
) -> None:
    first = start_run(make_spec(two_entities(500)), "first")
    prepare_without_beam(first)
    header, *lines = two_entities(900).splitlines()
    text = "\n".join([header, *lines[::-1], ""])
    second = start_run(make_spec(text, resources={"shards": 3}), "second")
    prepare_without_beam(second)
    before, after = split_of(first), split_of(second)
    assert len(before) == 500
    assert all(after[row] == part for row, part in before.items())
    assert first.read("prepare")["split_fingerprint"] == second.read("prepare")["split_fingerprint"]


def test_the_champions_thresholds_hold(make_spec: MakeSpec, start_run: StartRun, tmp_path: Path) -> None:
    spec = make_spec(two_entities(600), split={"holdout_cap": 20})
    first = start_run(spec, "first")
    fingerprint = prepare_without_beam(first)["split_fingerprint"]
    profile = pq.read_table(first.folder / "profile.parquet")
    assert profile["rows_holdout"].to_pylist() == [20, 20]
    index = tmp_path / "index.parquet"

    def champion(fingerprint: str) -> str:
        table = pa.table(
            {
                "entity": profile["entity"],
                "split_fingerprint": [fingerprint] * len(profile),
                "holdout_threshold": profile["holdout_threshold"],
            }
        )
        pq.write_table(table, index)
        return str(index)

    fewer = with_rows(spec, two_entities(200))
    for name, split, expected in (("same", fingerprint, True), ("other", "another split", False)):
        run = start_run(fewer, name)
        prepare_without_beam(run, champion(split))
        again = pq.read_table(run.folder / "profile.parquet")["holdout_threshold"].to_pylist()
        assert (again == profile["holdout_threshold"].to_pylist()) is expected


def test_group_rows_stay_in_one_part(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["ab"[i % 2], i // 4, i, "ny"[i % 3 % 2]] for i in range(400)]
    columns = {"key": "category", "person": {"type": "integer", "role": "group"}, "x": "number", "y": "category"}
    run = start_run(make_spec(csv_text(["key", "person", "x", "y"], rows), data={"columns": columns}))
    prepare_without_beam(run)
    table = shards(run)
    parts: dict[int, set[int]] = {}
    for person, part in zip(table["person"].to_pylist(), table["__part"].to_pylist(), strict=True):
        parts.setdefault(person, set()).add(part)
    assert len(parts) == 100
    assert all(len(seen) == 1 for seen in parts.values())
    assert "person" not in [feature.name for feature in run.schema().features]


def test_a_half_finished_attempt_leaves_nothing_behind(make_spec: MakeSpec, start_run: StartRun) -> None:
    run = start_run(make_spec(two_entities()))
    run.prepared.mkdir()
    (run.prepared / "shard-00099.parquet").write_bytes(b"half")
    (run.folder / "prepare.error.json").write_text(json.dumps({"error": "old"}))
    prepare_without_beam(run)
    assert "shard-00099.parquet" not in {path.name for path in run.prepared.iterdir()}
    assert not (run.folder / "prepare.error.json").exists()
