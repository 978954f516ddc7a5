"""Several candidates per entity, through Beam: tried on validation rows, chosen by the fleet, served as evaluated."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from beam_jobs.train import main
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.data.encode import encode_table
from modelfleet.families.logistic import LogisticFamily
from modelfleet.families.tree import TreeFamily
from modelfleet.gating.decision import Outcome
from modelfleet.loop.gate import gate, intents
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.registry.memory import MemoryRegistry
from modelfleet.run import Run
from modelfleet.spec.model import ModelSpec
from modelfleet.training.prepared import PreparedShard
from modelfleet.training.winners import CANDIDATES

pytestmark = pytest.mark.beam

MODEL = {
    "candidates": [
        {"family": "tree", "grid": {"max_depth": [2, 5]}, "parameters": {"min_samples_leaf": 5}},
        {"family": "logistic"},
    ],
    "pooled": {"family": "tree", "parameters": {"max_depth": 8}},
}
TREES, LOGISTIC = (1, 2), 3
SIZES = (
    {f"stripes {i}": 700 for i in range(4)}
    | {f"slope {i}": 700 for i in range(4)}
    | {f"alike {i}": 60 for i in range(20)}
    | {"tiny": 12}
)


def _made(entity, n, schema, seed):
    """Stripes that only a tree can see, a slope that a logistic model sees best, or what all who are alike share."""
    rng = np.random.default_rng([seed, *entity.encode()])
    price, size, color = rng.normal(10, 3, n), rng.integers(1, 50, n), np.full(n, "blue")
    if entity.startswith("stripes"):
        chance = np.where((price > 10) ^ (size > 25), 0.9, 0.1)
    elif entity.startswith("slope"):
        chance = 1 / (1 + np.exp(-((price - 10) / 2 + (size - 25) / 15)))
    else:
        color = rng.choice(["green", "red"], n)
        chance = np.where(np.where(color == "green", price > 10, size > 25), 0.95, 0.05)
    return pa.table(
        {
            "color": pa.array(color).dictionary_encode(),
            "price": price,
            "size": pa.array(size, pa.int64()),
            "__entity": [entity] * n,
            "__part": rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 2, 2], n).astype(np.int8),
            "__row": rng.integers(0, 2**63, n).astype(np.uint64),
            "__target": (rng.random(n) < chance).astype(np.float64),
        }
    )


@pytest.fixture
def train(in_process):
    def do(run):
        return main([f"--run={run.folder}", *in_process])

    return do


@pytest.fixture
def begin(make_spec, begin_run):
    def do(*, model=MODEL, engine="local", sizes=SIZES, **options):
        sections = {name: options.pop(name) for name in ("evaluation", "gate") if name in options}
        return begin_run(make_spec(model=model, engine=engine, **sections), sizes, rows=_made, **options)

    return do


def table(run, name="candidates"):
    return pq.read_table(run.folder / f"{name}.parquet")


def winners(run):
    chosen = table(run).filter(pc.field("chosen"))
    return dict(zip(chosen["entity"].to_pylist(), chosen["candidate"].to_pylist(), strict=True))


def files(run):
    names = [*run.candidate.rglob("*"), *run.folder.glob("*.parquet")]
    return {path.relative_to(run.folder).as_posix(): path.read_bytes() for path in names if path.is_file()}


def test_winners_differ_between_entities(begin, train, evaluation, report):
    run = begin(quarantine={"alike 5": "odd"})
    assert train(run) == 0
    found = winners(run)
    assert set(found) == set(SIZES) - {"tiny", "alike 5"}
    assert all(found[f"stripes {i}"] in TREES for i in range(4))
    assert all(found[f"slope {i}"] == LOGISTIC for i in range(4))
    pooled = [entity for entity, number in found.items() if number == 0]
    assert pooled
    assert all(entity.startswith("alike") for entity in pooled)

    every = table(run)
    assert every.schema.remove_metadata() == CANDIDATES
    assert len(every) == len(found) * 4
    for row in every.to_pylist():
        assert (row["kind"] == "pooled") == (row["candidate"] == 0)
        assert row["failure"] is None
        assert row["loss"] > 0
        assert row["standard_error"] > 0
        assert row["rows"] > 1
    assert json.loads(every["parameters"][2].as_py()) == {"min_samples_leaf": 5, "max_depth": 5}

    bundle = Bundle.open(run.candidate)
    assert bundle.entities == {entity for entity, number in found.items() if number}
    family = dict(zip(bundle.index["entity"].to_pylist(), bundle.index["family"].to_pylist(), strict=True))
    assert family["stripes 0"] == "tree"
    assert family["slope 0"] == "logistic"
    own = [file for file in bundle.manifest.files if file.shard is not None]
    assert {(file.family, json.dumps(file.parameters, sort_keys=True)) for file in own} == {
        (row["family"], row["parameters"]) for row in every.to_pylist() if row["chosen"] and row["candidate"]
    }

    rows = evaluation(run)
    for entity, number in found.items():
        assert rows["entity", entity]["has_candidate"] == (number > 0)
    assert "the pooled model was chosen among 4 candidates" in rows["entity", pooled[0]]["failure"]
    index = {row["entity"]: row for row in bundle.index.to_pylist()}
    assert index["slope 0"]["rows_train"] == rows["entity", "slope 0"]["rows_train"]

    said = report(run)
    assert said["failures"] == {}
    assert [candidate["number"] for candidate in said["candidates"]] == [0, 1, 2, 3]
    assert [candidate["chosen"] for candidate in said["candidates"]] == [
        list(found.values()).count(number) for number in range(4)
    ]
    assert said["candidates"][3]["label"] == "logistic"
    assert min(candidate["difference"] for candidate in said["candidates"]) == 0
    assert not (run.folder / "fitted").exists()


def test_the_evaluated_models_are_the_stored_ones(begin, train, evaluation):
    run = begin()
    assert train(run) == 0
    loaded = LoadedBundle(Bundle.open(run.candidate))
    rows = evaluation(run)
    for path in sorted(run.prepared.glob("*.parquet")):
        shard = PreparedShard.read(path, run.schema())
        at = shard.holdout_rows
        part = shard.table.take(at)
        names = [shard.entities[each] for each in shard.segment[at]]
        found = loaded.predict_encoded(lambda schema, part=part: encode_table(schema, part), names)
        for place, name in enumerate(shard.entities):
            own = shard.segment[at] == place
            loss = ((found.values[own, 1] - shard.target[at][own]) ** 2).mean()
            who = "candidate" if rows["entity", name]["has_candidate"] else "pooled"
            assert rows["entity", name][f"{who}_loss"] == pytest.approx(loss, abs=1e-12)
            assert set(found.served_by[own]) == {"entity" if who == "candidate" else "pooled"}


def test_validation_losses_are_those_of_models_fitted_on_training_rows_alone(begin, train):
    run = begin(sizes={"slope 0": 300, "stripes 1": 300})
    assert train(run) == 0
    schema = run.schema()
    for path in run.prepared.glob("*.parquet"):
        shard = PreparedShard.read(path, schema, fit_validation=False)
        training = shard.training(np.ones(len(shard.entities), dtype=bool))
        family = LogisticFamily(schema, {})
        predictor = family.load(family.fit(training).models)
        for place, name in enumerate(shard.entities):
            at = np.flatnonzero((shard.part == 1) & (shard.segment == place))
            p = predictor.predict(shard.encoded.take(at), np.full(len(at), place, dtype=np.int32))[:, 1]
            losses = (p - shard.target[at]) ** 2
            (row,) = table(run).filter((pc.field("entity") == name) & (pc.field("candidate") == LOGISTIC)).to_pylist()
            assert row["rows"] == len(at)
            assert row["loss"] == pytest.approx(losses.mean())
            assert row["standard_error"] == pytest.approx(losses.std(ddof=1) / np.sqrt(len(at)))


def test_nothing_is_fitted_twice_and_the_holdout_chooses_nothing(begin, train, monkeypatch):
    fits = []
    for family in (TreeFamily, LogisticFamily):
        real = family.fit

        def counted(self, shard, real=real):
            fits.append((type(self).__name__, shard.entities))
            return real(self, shard)

        monkeypatch.setattr(family, "fit", counted)
    run = begin()
    assert train(run) == 0
    assert len(fits) == 3 * 3 + 1, "three candidates in three shards, and the pooled model"
    before = files(run)
    for path in run.prepared.glob("*.parquet"):
        rows = pq.read_table(path)
        target = np.where(rows["__part"].to_numpy() == 2, 1 - rows["__target"].to_numpy(), rows["__target"].to_numpy())
        pq.write_table(rows.set_column(rows.column_names.index("__target"), "__target", [target]), path)
    assert train(run) == 0
    after = files(run)
    same = [name for name in before if name.endswith(".arrow") or name == "candidates.parquet"]
    assert len(same) > 4
    assert {name: before[name] for name in same} == {name: after.get(name) for name in same}
    assert before["evaluation.parquet"] != after["evaluation.parquet"]


def test_many_workers_write_what_one_writes_and_again(begin, train):
    options = {"evaluation": {"slices": ["color"]}}
    one, many = begin(run_id="one", **options), begin(run_id="many", engine="flink", **options)
    assert train(one) == 0
    assert train(many) == 0
    first, second = files(one), files(many)
    assert first.keys() == second.keys()
    named = [name for name in first if not name.endswith(("bundle.json", "index.parquet"))]
    assert "slices.parquet" in named
    for name in named:
        assert first[name] == second[name], name
    assert train(one) == 0
    assert files(one) == first


def test_through_gate_register_and_promote(begin, train, evaluation):
    registry = MemoryRegistry()

    def loop(run):
        assert train(run) == 0
        run.write("validation", {"success": True})
        run.write("prepare", {**run.read("prepare"), "files": ["shops.csv"]})
        decisions = gate(run)
        registered = register(run, registry)
        return decisions, registered, promote(run, registry)

    first = begin(run_id="first", evaluation={"slices": ["color"]})
    decisions, registered, promoted = loop(first)
    assert promoted.generation == 1
    outcome = {decision.entity: decision for decision in decisions.entities}
    own = [f"{kind} {i}" for kind in ("stripes", "slope") for i in range(4)]
    assert all(outcome[entity].outcome is Outcome.PROMOTE for entity in own)
    chosen = winners(first)
    pooled = next(entity for entity, number in chosen.items() if number == 0)
    assert outcome[pooled].outcome is Outcome.POOLED
    assert "the pooled model was chosen" in outcome[pooled].sentence
    bundle = Bundle.open(registered.bundle, sha256=registered.bundle_sha256)
    assert {"tree", "logistic"} <= set(bundle.index["family"].to_pylist())
    kept = registry.runs["shops", "first"]
    assert set(kept.tables) == {"slices", "candidates"}
    assert kept.params["family"] == "tree, logistic"
    assert kept.params["candidate.02"] == "tree(min_samples_leaf=5, max_depth=5)"
    assert sum(kept.metrics[f"candidate.{n}.chosen"] for n in ("pooled", "01", "02", "03")) == len(chosen)

    again = begin(run_id="again")
    decisions, _, promoted = loop(again)
    assert promoted.outcome == "no_change"
    assert {d.entity for d in decisions.entities if d.unchanged} >= set(own)

    only_trees = {"candidates": [{"family": "tree", "parameters": {"min_samples_leaf": 5, "max_depth": 5}}]}
    third = begin(run_id="third", model=only_trees)
    assert train(third) == 0
    found = intents(third, third.champion())
    same = {entity for entity in own if chosen[entity] == 2}
    assert {entity for entity in own if found.get(entity) == "refresh"} == same & set(found)
    assert found["slope 0"] == "change"


def test_a_candidate_that_cannot_be_fitted_is_told_and_the_others_go_on(begin, train, evaluation, report):
    run = begin(sizes={"slope 0": 300, "slope 1": 300, "stripes 0": 300})
    (path,) = [p for p in run.prepared.glob("*.parquet") if "slope 1" in pq.read_table(p)["__entity"].to_pylist()]
    rows = pq.read_table(path)
    target = rows["__target"].to_numpy().copy()
    target[np.array(rows["__entity"].to_pylist()) == "slope 1"] = 1.0
    pq.write_table(rows.set_column(rows.column_names.index("__target"), "__target", [target]), path)
    assert train(run) == 0
    told = {row["candidate"]: row for row in table(run).filter(pc.field("entity") == "slope 1").to_pylist()}
    assert "are of class 'yes'" in told[LOGISTIC]["failure"]
    assert np.isnan(told[LOGISTIC]["loss"])
    assert np.isnan(told[LOGISTIC]["score"])
    assert told[1]["failure"] is None
    assert report(run)["failures"] == {}

    only_logistic = {"candidates": [{"family": "logistic", "grid": {"C": [1.0, 2.0]}}], "pooled": {"family": "tree"}}
    spec = run.spec.model_copy(update={"model": ModelSpec.model_validate({"min_rows": 20, **only_logistic})})
    (run.folder / "spec.json").write_text(spec.model_dump_json())
    assert train(run) == 0
    assert "are of class 'yes'" in report(run)["failures"]["slope 1"]
    assert winners(run)["slope 1"] == 0
    assert "are of class 'yes'" in evaluation(run)["entity", "slope 1"]["failure"]


def test_a_run_for_some_entities_chooses_among_their_own(begin, train, publish, evaluation):
    first = begin(run_id="first")
    assert train(first) == 0
    publish(first)
    second = begin(run_id="second", entities=["slope 0", "stripes 0"])
    assert train(second) == 0
    assert set(evaluation(second)) == {("entity", "slope 0"), ("entity", "stripes 0")}
    assert winners(second)["slope 0"] == LOGISTIC
    assert all(np.isnan(loss) for loss in table(second).filter(pc.field("candidate") == 0)["loss"].to_pylist())


def test_the_pooled_model_may_have_a_recipe_of_its_own(begin, train):
    run = begin(model={**MODEL, "pooled": {"family": "logistic", "parameters": {"C": 0.5}}})
    assert train(run) == 0
    bundle = Bundle.open(run.candidate)
    file = bundle.files[bundle.manifest.pooled.path]
    assert (file.family, file.parameters) == ("logistic", {"C": 0.5})


def test_one_recipe_is_not_tried_on_validation_rows(make_spec, begin_run, train, report):
    run = begin_run(make_spec(evaluation={"slices": ["color", "size"]}), {"a": 200, "bb": 100})
    assert train(run) == 0
    assert report(run)["candidates"] == []
    assert not (run.folder / "candidates.parquet").exists()
    slices = table(run, "slices")
    assert set(slices["column"].to_pylist()) == {"color", "size"}
    held = sum(row["rows_holdout"] for row in table(run, "evaluation").to_pylist() if row["kind"] == "entity")
    assert pc.sum(slices.filter(pc.field("column") == "color")["rows_holdout"]).as_py() == held


@pytest.mark.parametrize(
    ("model", "sections", "message"),
    [
        (
            {"candidates": [{"family": "tree", "grid": {"max_deph": [1, 2]}}]},
            {},
            r"model.candidates: candidate 1, tree\(max_deph=1\): model.parameters: family 'tree' has no 'max_deph'",
        ),
        (
            {"candidates": [{"family": "tree"}], "pooled": {"family": "lineer"}},
            {},
            "pooled, lineer: model.family: there is no family 'lineer'; did you mean 'linear'",
        ),
        ({}, {"evaluation": {"slices": ["colour"]}}, "no column 'colour'; did you mean 'color'"),
    ],
)
def test_wrong_recipes_and_slices_stop_the_step(make_spec, begin_run, train, capsys, model, sections, message):
    run = begin_run(make_spec(model=model, **sections), {"a": 60})
    assert train(run) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not Run.load(run.folder).has("train")
