"""The gate step on a run's folder: real bundles, a real ledger, a hand-made evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.schema import Feature, Schema
from modelfleet.errors import StepError
from modelfleet.gating.decision import Decisions, Outcome
from modelfleet.home import Home
from modelfleet.loop.gate import gate, intents
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.promote import promote
from modelfleet.run import Run
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import FleetSpec, Task

Made = tuple[str, Mapping[str, Any]]  # family and parameters
TREE, DEEP = ("tree", {"max_depth": 3}), ("tree", {"max_depth": 9})


def _schema(*levels: str, feature: str = "colour") -> Schema:
    return Schema(
        entity=("store",), target="y", task=Task.BINARY, classes=("no", "yes"),
        features=(Feature(name=feature, type=ColumnType.CATEGORY, levels=levels),),
    )  # fmt: skip


def _models(*entities: str) -> pa.Table:
    return pa.table({"entity": pa.array(entities, pa.string()), "value": pa.array([1.0] * len(entities))})


def _bundle(folder: Path, made: Mapping[str, Made], pooled: Made | None, schema: Schema, run_id: str) -> Bundle:
    writer = BundleWriter(folder, fleet="sales", task=Task.BINARY, split_fingerprint="split", run_id=run_id)
    for number, (entity, (family, parameters)) in enumerate(made.items()):
        writer.add_shard(number, family, parameters, schema, _models(entity))
    if pooled is not None:
        writer.set_pooled(*pooled, schema, _models(""))
    return writer.finish(pa.table({"entity": pa.array(made, pa.string()), "loss": pa.array([0.5] * len(made))}))


@pytest.fixture
def begin(tmp_path: Path, case: SimpleNamespace):
    """Begin a run against a champion, as if its training step had ended; the entity rows are clear improvements."""

    def make(
        trained: Mapping[str, Made], champion: Mapping[str, Made] | None = None, *, schema: Schema | None = None,
        pooled: Made | None = TREE, rows: list[dict[str, Any]] | None = None, policy: Mapping[str, Any] | None = None,
        quarantined: Mapping[str, str] | None = None, **options: Any,
    ) -> Run:  # fmt: skip
        home = Home(tmp_path)
        fleet = home.fleet("sales")
        if champion is not None:
            served = _bundle(fleet.bundles / "old", champion, TREE, _schema("red"), "run-0")
            promote(Ledger(fleet.releases), BundleRef(uri=str(served.path), sha256=served.sha256))
        spec = FleetSpec.model_validate(
            {"fleet": "sales", "entity": ["store"], "task": "binary", "gate": dict(policy or {}),
             "data": {"source": "sales.csv", "target": "y"}}
        )  # fmt: skip
        run = Run.open(home, spec, run_id="run-1", **options)
        _bundle(run.candidate, trained, pooled, schema or _schema("red"), "run-1")
        if rows is None:
            maker = case.first if champion is None else case.evaluated
            rows = [maker(entity) for entity in trained]
        pq.write_table(case.table(*rows), run.folder / "evaluation.parquet")
        run.write("train", {"models": len(trained)})
        run.write("quarantine", dict(quarantined or {}))
        run.write("validation", {"success": True})
        return run

    return make


def test_it_leaves_its_decisions_and_says_the_same_again(begin: Any) -> None:
    run = begin({"a": TREE, "b": TREE}, {"a": TREE, "gone": TREE})
    found = gate(run)
    assert Decisions.from_table(pq.read_table(run.folder / "decisions.parquet")) == found
    assert found.accepted == {"a", "b"} and found.absent == 1
    summary = run.read("gate")
    expected = {"refused": False, "promoted": 2, "kept": 0, "pooled": 0, "retired": 0, "undecidable": 0, "entities": 2}
    assert summary | expected == summary and summary["intent"] == "refresh"
    first = (run.folder / "decisions.parquet").read_bytes()
    assert gate(Run.load(run.folder)) == found
    assert (run.folder / "decisions.parquet").read_bytes() == first


def test_first_run_has_no_champion(begin: Any) -> None:
    found = gate(begin({"a": TREE}))
    assert found.accepted == {"a"} and found.entities[0].reference == "baseline" and found.absent == 0


def test_intent_is_asked_entity_by_entity(begin: Any) -> None:
    run = begin({"same": TREE, "other": DEEP, "new": TREE}, {"same": TREE, "other": TREE}, pooled=DEEP)
    assert intents(run, run.champion()) == {"same": "refresh", "other": "change", "new": "refresh", "": "change"}
    assert gate(run).intent == "mixed"


@pytest.mark.parametrize(
    ("schema", "expected"), [(_schema("red", "blue"), "refresh"), (_schema("red", feature="size"), "change")]
)
def test_a_new_level_is_no_change_of_features(begin: Any, schema: Schema, expected: str) -> None:
    run = begin({"a": TREE}, {"a": TREE}, schema=schema)
    assert intents(run, run.champion()) == {"a": expected, "": expected}


def test_the_policy_may_name_the_intent(begin: Any) -> None:
    run = begin({"a": TREE}, {"a": TREE}, policy={"intent": "change"})
    assert intents(run, run.champion()) == "change" and gate(run).entities[0].q_value is not None


def test_quarantine_and_force(begin: Any) -> None:
    run = begin({"a": TREE}, {"a": TREE, "b": TREE}, quarantined={"a": "bad ages", "b": "empty"}, force=True)
    by = {d.entity: d for d in gate(run).entities}
    assert by["a"].outcome is Outcome.KEEP and by["b"].outcome is Outcome.KEEP
    assert run.read("gate")["refused"]


def test_a_run_for_some_entities_leaves_the_others_alone(begin: Any) -> None:
    run = begin({"a": TREE}, {"a": TREE, "b": TREE}, pooled=None, quarantined={"b": "bad"}, entities=["a"])
    found = gate(run)
    assert [d.entity for d in found.entities] == ["a"] and found.absent == 1


def test_a_pooled_model_that_was_not_trained_still_serves(begin: Any, case: SimpleNamespace) -> None:
    row = case.evaluated("a", has_champion=False, diff_champion_mean=0.1, diff_pooled_n=0)
    found = gate(begin({"a": TREE}, {}, pooled=None, rows=[row], entities=["a"]))
    assert found.entities[0].sentence.endswith("served by the pooled model")


@pytest.mark.parametrize(
    ("missing", "step"), [("train.json", "train"), ("quarantine.json", "validate"), ("validation.json", "validate")]
)
def test_the_steps_before_it_must_have_run(begin: Any, missing: str, step: str) -> None:
    run = begin({"a": TREE})
    (run.folder / missing).unlink()
    with pytest.raises(StepError, match=f"run the step '{step}' first"):
        gate(run)
    assert not run.has("gate")


def test_force_does_not_get_past_a_failed_validation(begin: Any) -> None:
    run = begin({"a": TREE}, force=True)
    run.write("validation", {"success": False})
    with pytest.raises(StepError, match="validation failed: nothing of this run may serve"):
        gate(run)


def test_a_missing_evaluation_is_named(begin: Any) -> None:
    run = begin({"a": TREE})
    (run.folder / "evaluation.parquet").unlink()
    with pytest.raises(StepError, match=r"evaluation\.parquet is not there: run the step 'train' first"):
        gate(run)
