"""The training job on a run's folder, through Beam."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from beam_jobs.train import main
from beam_jobs.transforms.whole_fleet import TrainFleet
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.data.encode import encode_table
from modelfleet.errors import BundleError
from modelfleet.evaluation.table import evaluation_schema
from modelfleet.spec.fleet import Task
from modelfleet.training.prepared import PreparedShard

pytestmark = pytest.mark.beam

SIZES = {"a": 200, "bb": 150, "ccc": 90, "d": 120, "ee": 12, "../x": 80, "": 60, "f": 100}


@pytest.fixture
def train(in_process):
    def do(run, *more):
        return main([f"--run={run.folder}", *in_process, *more])

    return do


def files(run):
    return {
        path.relative_to(run.folder).as_posix(): path.read_bytes()
        for path in [*run.candidate.rglob("*"), run.folder / "evaluation.parquet"]
        if path.is_file()
    }


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_leaves_a_candidate_an_evaluation_and_a_report(make_spec, begin_run, train, evaluation, report, task):
    run = begin_run(make_spec(task), SIZES, quarantine={"d": "too odd"})
    assert train(run) == 0
    said = report(run)
    assert (said["models"], said["pooled"], said["failures"], said["entities"]) == (6, True, {}, 8)
    bundle = Bundle.open(run.candidate, sha256=said["bundle_sha256"])
    assert set(bundle.entities) == set(SIZES) - {"d", "ee"}
    rows = evaluation(run)
    assert set(rows) == {("entity", name) for name in SIZES} | {("pooled", "")}
    assert pq.read_schema(run.folder / "evaluation.parquet").remove_metadata() == evaluation_schema(Task(task))
    for (kind, name), row in rows.items():
        fitted = kind == "pooled" or name in bundle.entities
        assert row["has_candidate"] == fitted
        assert np.isnan(row["candidate_loss"]) != fitted
        assert not row["has_champion"]
        assert row["reference_valid"]
        assert np.isnan(row["champion_loss"])
        assert not np.isnan(row["baseline_loss"])
        assert np.isnan(row["pooled_loss"]) == (kind == "pooled")
    assert rows["entity", "a"]["candidate_loss"] < rows["entity", "a"]["baseline_loss"]
    assert rows["entity", "a"]["candidate_loss"] < rows["entity", "a"]["pooled_loss"]
    index = {row["entity"]: row for row in bundle.index.to_pylist()}
    assert index["a"]["loss"] == rows["entity", "a"]["candidate_loss"]
    assert index["a"]["rows_train"] == rows["entity", "a"]["rows_train"] + rows["entity", "a"]["rows_validation"]
    assert index["a"]["holdout_threshold"] == 0.2


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("regression", {"family": "linear"}),
        ("multiclass", {"family": "logistic"}),
        ("binary", {"family": "sklearn", "parameters": {"estimator": "sklearn.linear_model.LogisticRegression"}}),
    ],
)
def test_every_family_goes_through(make_spec, begin_run, train, publish, evaluation, task, model):
    first = begin_run(make_spec(task, model=model), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    again = begin_run(make_spec(task, model=model), SIZES, run_id="again")
    assert train(again) == 0
    row = evaluation(again)["entity", "a"]
    assert row["unchanged"]
    assert row["candidate_loss"] == row["champion_loss"] < row["baseline_loss"]


def test_the_evaluated_models_are_the_stored_ones(make_spec, begin_run, train, evaluation):
    run = begin_run(make_spec(), SIZES)
    assert train(run) == 0
    loaded = LoadedBundle(Bundle.open(run.candidate))
    rows = evaluation(run)
    for path in sorted(run.prepared.glob("*.parquet")):
        shard = PreparedShard.read(path, run.schema())
        at = shard.holdout_rows
        table = shard.table.take(at)
        names = [shard.entities[each] for each in shard.segment[at]]
        found = loaded.predict_encoded(lambda schema, table=table: encode_table(schema, table), names)
        for place, name in enumerate(shard.entities):
            own = shard.segment[at] == place
            loss = ((found.values[own, 1] - shard.target[at][own]) ** 2).mean()
            who = "candidate" if rows["entity", name]["has_candidate"] else "pooled"
            assert rows["entity", name][f"{who}_loss"] == pytest.approx(loss, abs=1e-12)
            assert set(found.served_by[own]) == {"entity" if who == "candidate" else "pooled"}


def test_training_again_writes_the_same_bytes(make_spec, begin_run, train):
    run = begin_run(make_spec(), SIZES)
    assert train(run) == 0
    first = files(run)
    assert train(run) == 0
    assert files(run) == first


def test_many_workers_write_what_one_writes(make_spec, begin_run, train):
    """The graph for other engines, run here, against the single stage of the local one."""
    one, many = begin_run(make_spec(), SIZES, run_id="one"), begin_run(make_spec(engine="flink"), SIZES, run_id="many")
    assert train(one) == 0
    assert train(many) == 0
    first, second = files(one), files(many)
    assert first.keys() == second.keys()
    models = [name for name in first if name.endswith(".arrow") or name == "evaluation.parquet"]
    assert len(models) == 5
    for name in models:
        assert first[name] == second[name]


ODD_SIZES = {"alone": 1, "größe 🐞": 90_000, "": 40, "../x": 300, "δ": 120, "two": 2}


def test_the_same_bytes_whatever_the_threads_the_workers_and_the_engine(make_spec, begin_run, train):
    """From one thread without Beam to the graph for other engines on two workers; with an entity of 90,000 rows."""
    two_workers = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]

    def run_of(name, engine, threads):
        spec = make_spec(engine=engine, resources={"shards": 3, "threads": threads})
        return begin_run(spec, ODD_SIZES, run_id=name)

    alone = run_of("alone", "local", 1)
    TrainFleet(alone.workplace(), 1, 0.0).process(b"")
    expected = {name: data for name, data in files(alone).items() if name.endswith((".arrow", "evaluation.parquet"))}
    assert len(expected) == 5
    for name, engine, threads, more in (
        ("four threads", "local", 4, []),
        ("a graph", "flink", 1, []),
        ("a graph on two workers", "flink", 2, two_workers),
    ):
        run = run_of(name, engine, threads)
        assert train(run, *more) == 0
        found = files(run)
        for path, data in expected.items():
            assert found[path] == data, f"{name}: {path}"


def test_the_same_data_again_is_unchanged(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    again = begin_run(make_spec(), SIZES, run_id="again")
    assert train(again) == 0
    for (kind, name), row in evaluation(again).items():
        has_own = kind == "pooled" or name not in ("ee",)
        assert row["has_champion"] == has_own
        assert row["unchanged"] == has_own
        assert row["reference_valid"]
        if has_own:
            assert row["champion_loss"] == row["candidate_loss"]
            assert row["diff_champion_mean"] == 0
        else:
            assert row["champion_loss"] == row["pooled_loss"]


def test_new_data_is_compared_with_the_champion_on_the_same_rows(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(model={"parameters": {"max_depth": 1}}), SIZES, run_id="second")
    assert train(second) == 0
    row = evaluation(second)["entity", "a"]
    assert not row["unchanged"]
    assert row["champion_loss"] == evaluation(first)["entity", "a"]["candidate_loss"]
    assert row["diff_champion_mean"] == pytest.approx(row["candidate_loss"] - row["champion_loss"])
    assert row["diff_champion_n"] == row["rows_independent"]


def test_a_champion_of_another_family_is_compared(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(model={"family": "logistic"}), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second")
    assert train(second) == 0
    row = evaluation(second)["entity", "a"]
    assert row["champion_loss"] == evaluation(first)["entity", "a"]["candidate_loss"]
    assert not row["unchanged"]


def test_a_champion_of_another_split_is_not_comparable(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second", split="split-2")
    assert train(second) == 0
    for row in evaluation(second).values():
        assert not row["reference_valid"]
        assert "another split" in row["reference_note"]


def test_a_champion_with_other_classes_is_not_comparable(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(), SIZES, run_id="first", classes=("never", "yes"))
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second")
    assert train(second) == 0
    for row in evaluation(second).values():
        assert not row["reference_valid"]
        assert "other classes (never, no on one side only)" in row["reference_note"]
        assert np.isnan(row["champion_loss"])


def test_a_champion_that_needs_a_lost_column_is_not_comparable(make_spec, begin_run, train, publish, evaluation):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second")
    schema = second.schema()
    kept = tuple(feature for feature in schema.features if feature.name != "size")
    (second.folder / "schema.json").write_text(schema.model_copy(update={"features": kept}).model_dump_json())
    for path in second.prepared.glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["size"]), path)
    assert train(second) == 0
    assert "columns this run's data does not have (size)" in evaluation(second)["entity", "a"]["reference_note"]


def test_an_entity_that_fails_is_a_failure_and_no_failed_job(make_spec, begin_run, train, evaluation, report):
    run = begin_run(make_spec(model={"family": "logistic"}), SIZES)
    path = next(path for path in run.prepared.glob("*.parquet") if "bb" in pq.read_table(path)["__entity"].to_pylist())
    table = pq.read_table(path)
    target = table["__target"].to_numpy().copy()
    target[np.array(table["__entity"].to_pylist()) == "bb"] = 1.0
    place = table.column_names.index("__target")
    pq.write_table(table.set_column(place, "__target", [target]), path)
    assert train(run) == 0
    assert list(report(run)["failures"]) == ["bb"]
    row = evaluation(run)["entity", "bb"]
    assert not row["has_candidate"]
    assert "are of class 'yes'" in row["failure"]
    assert evaluation(run)["entity", "a"]["has_candidate"]


def test_some_entities_only(make_spec, begin_run, train, publish, evaluation, report):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second", entities=["a", "../x"])
    assert train(second) == 0
    assert set(evaluation(second)) == {("entity", "a"), ("entity", "../x")}
    assert Bundle.open(second.candidate).entities == {"a", "../x"}
    assert report(second)["pooled"] is False


def test_an_unknown_entity_is_an_error(make_spec, begin_run, train, capsys):
    run = begin_run(make_spec(), {"alpha": 90, "beta": 90}, entities=["alpa"])
    assert train(run) == 2
    assert "has no entity 'alpa'; did you mean 'alpha'?" in capsys.readouterr().err


def test_everything_quarantined_leaves_an_empty_candidate(make_spec, begin_run, train, report):
    run = begin_run(make_spec(), {"a": 90, "b": 90}, quarantine={"a": "odd", "b": "odd"})
    assert train(run) == 0
    said = report(run)
    assert (said["models"], said["pooled"]) == (0, False)
    assert "every entity is quarantined" in said["pooled_failure"]
    assert Bundle.open(run.candidate).entities == frozenset()


def test_the_sample_of_the_pooled_model_is_bounded_and_stable(make_spec, begin_run, train, report):
    run = begin_run(make_spec(model={"pooled_rows": 100}), SIZES)
    assert train(run) == 0
    drawn = report(run)["pooled_rows"]
    assert 60 < drawn < 140
    assert train(run) == 0
    assert report(run)["pooled_rows"] == drawn


@pytest.mark.parametrize(
    ("lost", "step"),
    [("schema.json", "prepare"), ("prepare.json", "prepare"), ("quarantine.json", "validate"), ("prepared", "prepare")],
)
def test_a_step_that_has_not_run_is_named(make_spec, begin_run, train, capsys, lost, step):
    run = begin_run(make_spec(), {"a": 60})
    if lost == "prepared":
        for path in run.prepared.glob("*"):
            path.unlink()
    else:
        (run.folder / lost).unlink()
    assert train(run) == 1
    assert f"run the step '{step}' first" in capsys.readouterr().err
    assert not (run.folder / "train.json").exists()


def test_a_champion_altered_after_the_run_began_stops_the_step(make_spec, begin_run, train, publish, capsys):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin_run(make_spec(), SIZES, run_id="second")
    (first.candidate / "bundle.json").write_text("{}")
    assert train(second) == 1
    assert "altered" in capsys.readouterr().err


def test_a_run_against_an_altered_champion_does_not_begin(make_spec, begin_run, train, publish):
    first = begin_run(make_spec(), SIZES, run_id="first")
    assert train(first) == 0
    publish(first)
    (first.candidate / "bundle.json").write_text("{}")
    with pytest.raises(BundleError, match=r"generation 1, which serves now, is damaged.*modelfleet rollback"):
        begin_run(make_spec(), SIZES, run_id="second")


@pytest.mark.parametrize("engine", ["local", "flink"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_shard_is_named(make_spec, begin_run, train, capsys, engine, which):
    run = begin_run(make_spec(engine=engine), {"a": 60, "b": 60, "c": 60})
    path = sorted(run.prepared.glob("*.parquet"))[which]
    path.write_bytes(path.read_bytes()[:-20])
    assert train(run) == 2
    assert f"{path.name}: not a readable prepared shard" in capsys.readouterr().err
    assert not (run.folder / "train.json").exists()
