"""What holds for every fleet: order, monotony, thresholds, and the promise about false discoveries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.data.schema import Feature, Schema
from modelfleet.evaluation.table import HoldoutShard, Standing, evaluate_shard
from modelfleet.gating.decide import decide
from modelfleet.gating.decision import Outcome
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import GatePolicy

Row = dict[str, Any]
INTENTS = st.sampled_from(["refresh", "change"])


@st.composite
def fleets(draw: st.DrawFn) -> list[Row]:
    rows = []
    for i in range(draw(st.integers(1, 8))):
        n = draw(st.sampled_from([0, 5, 10, 40, 300]))
        row: Row = {
            "entity": f"e{i}", "rows_independent": n, "rows_holdout": n, "has_champion": draw(st.booleans()),
            "has_candidate": draw(st.sampled_from([True, True, True, False])), "unchanged": False,
            "candidate_accuracy": draw(st.floats(0, 1)), "candidate_loss": draw(st.floats(0, 1)),
            "reference_valid": draw(st.sampled_from([True, True, False])),
        }  # fmt: skip
        for reference in ("champion", "pooled", "baseline"):
            row |= {
                f"{reference}_loss": draw(st.floats(0.01, 1)), f"diff_{reference}_n": n,
                f"diff_{reference}_mean": draw(st.floats(-0.3, 0.3)), f"diff_{reference}_se": draw(st.floats(0.0, 0.1)),
            }  # fmt: skip
        rows.append(row)
    return rows


@settings(max_examples=100)
@given(rows=fleets(), intent=INTENTS, force=st.booleans(), seed=st.randoms(use_true_random=False))
def test_order_does_not_matter(case: SimpleNamespace, rows: list[Row], intent: Any, force: bool, seed: Any) -> None:
    def outcome(order: list[Row]) -> Any:
        found = decide(case.table(*(case.evaluated(**row) for row in order)), GatePolicy(), intent=intent, force=force)
        return {d.entity: d for d in found.entities}, found.refused

    shuffled = list(rows)
    seed.shuffle(shuffled)
    assert outcome(rows) == outcome(shuffled)


@settings(max_examples=100)
@given(rows=fleets(), intent=INTENTS, gain=st.floats(0, 0.5), which=st.integers(0, 7))
def test_a_better_candidate_is_never_turned_down(
    case: SimpleNamespace, rows: list[Row], intent: Any, gain: float, which: int
) -> None:
    def accepted(order: list[Row]) -> frozenset[str]:
        return decide(case.table(*(case.evaluated(**row) for row in order)), GatePolicy(), intent=intent).accepted

    which %= len(rows)
    better = {f"diff_{r}_mean": rows[which][f"diff_{r}_mean"] - gain for r in ("champion", "pooled", "baseline")}
    before = accepted(rows)
    after = accepted([*rows[:which], rows[which] | better, *rows[which + 1 :]])
    assert before <= after


@settings(max_examples=100)
@given(rows=fleets(), intent=INTENTS, force=st.booleans(), least=st.floats(0, 1))
def test_nothing_outside_a_threshold_is_accepted(
    case: SimpleNamespace, rows: list[Row], intent: Any, force: bool, least: float
) -> None:
    policy = GatePolicy.model_validate({"thresholds": {"accuracy": {"min": least}}})
    held = {rows[0]["entity"]: "bad"}
    table = case.table(*(case.evaluated(**row) for row in rows))
    found = decide(table, policy, intent=intent, force=force, quarantined=held)
    inside = {row["entity"] for row in rows if row["candidate_accuracy"] >= least and row["has_candidate"]}
    assert found.accepted <= inside - set(held)
    if force:
        assert found.accepted == inside - set(held)
    assert all(d.sentence.startswith(f"{d.entity}: ") for d in found.entities)
    assert found.refused == (not found.changes)


@settings(max_examples=100)
@given(rows=fleets(), intent=INTENTS)
def test_every_decision_agrees_with_who_serves(case: SimpleNamespace, rows: list[Row], intent: Any) -> None:
    owned = {row["entity"]: row["has_champion"] for row in rows}
    for d in decide(case.table(*(case.evaluated(**row) for row in rows)), GatePolicy(), intent=intent).entities:
        allowed = {Outcome.KEEP, Outcome.UNDECIDABLE} if owned[d.entity] else {Outcome.POOLED}
        assert d.outcome in allowed | {Outcome.PROMOTE}


def _simulated(draw: np.random.Generator, entities: int, rows: int, better: int) -> Any:
    """Evaluate models whose errors are drawn alike, but for the first ``better`` candidates, whose are smaller."""
    n = entities * rows
    truth = draw.integers(0, 2, n).astype(float)
    noise = {who: draw.normal(0, 0.25, n) for who in ("candidate", "champion")}
    noise["candidate"][: better * rows] *= 0.6
    score = {who: np.clip(np.abs(truth - np.abs(value)), 0, 1) for who, value in noise.items()}
    holdout = HoldoutShard(
        entities=tuple(f"e{i}" for i in range(entities)),
        bounds=np.arange(entities + 1, dtype=np.int64) * rows,
        target=truth,
        row_hash=np.arange(n, dtype=np.uint64),
        rows_train=np.full(entities, 100),
        rows_validation=np.zeros(entities, dtype=np.int64),
    )
    schema = Schema(
        entity=("store",), target="y", task=Task.BINARY, classes=("no", "yes"),
        features=(Feature(name="x", type=ColumnType.NUMBER),),
    )  # fmt: skip
    ones = np.ones(entities, dtype=bool)
    predictions = {who: np.stack([1 - s, s], axis=1) for who, s in score.items()}
    return evaluate_shard(schema, GatePolicy(), holdout, predictions, Standing(ones, ones))


@pytest.mark.parametrize("rows", [12, 40, 200])
def test_false_discoveries_are_held_to_the_level(rows: int) -> None:
    draw = np.random.default_rng(rows)
    shares, found_better = [], []
    for _ in range(30):
        accepted = decide(_simulated(draw, 200, rows, 40), GatePolicy(level=0.1), intent="change").accepted
        real = {f"e{i}" for i in range(40)}
        shares.append(len(accepted - real) / max(len(accepted), 1))
        found_better.append(len(accepted & real) / 40)
    # 30 runs of about 40 discoveries: the mean share has a standard error below 0.015
    assert np.mean(shares) <= 0.1 + 0.03
    if rows == 200:
        assert np.mean(found_better) > 0.9


def test_equal_models_are_almost_never_promoted() -> None:
    draw = np.random.default_rng(0)
    runs = [decide(_simulated(draw, 100, 30, 0), GatePolicy(level=0.05), intent="change") for _ in range(60)]
    # a run that promotes anything is a false discovery; 5% of 60 is 3, and 9 or more happen once in a thousand times
    assert sum(bool(found.accepted) for found in runs) < 9
    assert any(found.refused for found in runs)
