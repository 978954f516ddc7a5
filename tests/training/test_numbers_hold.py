"""What continuous integration asks of the training pipeline as a whole: it converges, and it never yields a NaN."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs.train import main
from modelfleet.bundles.reader import Bundle

pytestmark = pytest.mark.beam

NUMBERS = {
    "huge": lambda rng, n: rng.choice([1e300, -1e300, 1.7e308], n),
    "tiny": lambda rng, n: rng.normal(0, 1, n) * 1e-310,
    "constant": lambda rng, n: np.full(n, 3.5),
    "zero": lambda rng, n: np.zeros(n),
    "missing": lambda rng, n: np.full(n, np.nan),
    "plain": lambda rng, n: rng.normal(0, 1, n),
}
"""An entity each, whose price is of this kind. Prepare sets rows with an infinite number aside as bad ones."""

MODELS = [
    ("binary", {"family": "tree"}),
    ("binary", {"family": "logistic"}),
    ("multiclass", {"family": "logistic"}),
    ("regression", {"family": "linear"}),
    ("regression", {"family": "tree"}),
]


@pytest.fixture
def train(in_process):
    def do(run):
        assert main([f"--run={run.folder}", *in_process]) == 0

    return do


def rows(entity, n, schema, seed):
    """An entity's rows; the target follows the size, whatever the price is."""
    rng = np.random.default_rng([seed, *entity.encode()])
    size = rng.integers(0, 100, n)
    price = NUMBERS.get(entity.split("-")[0], NUMBERS["plain"])(rng, n)
    signal = (size - 50) / 25 + rng.normal(0, 0.3, n)
    target = signal
    if schema.classes:
        target = np.clip(np.floor(signal + len(schema.classes) / 2), 0, len(schema.classes) - 1)
    return pa.table(
        {
            "color": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(n, np.int32)), pa.array(("blue", "green", "red"))
            ),
            "price": pa.array(price, from_pandas=True),
            "size": pa.array(size, pa.int64()),
            "__entity": pa.array([entity] * n),
            "__part": pa.array(rng.choice([0, 0, 0, 1, 2], n).astype(np.int8)),
            "__row": pa.array(rng.integers(0, 2**63, n).astype(np.uint64)),
            "__target": pa.array(np.asarray(target, np.float64)),
        }
    )


@pytest.mark.parametrize(("task", "model"), MODELS)
def test_numbers_of_any_kind_give_finite_losses(make_spec, begin_run, train, evaluation, task, model):
    run = begin_run(make_spec(task, model=model), dict.fromkeys(NUMBERS, 150), rows=rows)
    train(run)
    found = evaluation(run)
    losses = {key: row["candidate_loss"] for key, row in found.items() if row["has_candidate"]}
    assert ("entity", "plain") in losses and ("pooled", "") in losses
    assert {key: loss for key, loss in losses.items() if not np.isfinite(loss)} == {}
    kept = {row["entity"]: row["loss"] for row in Bundle.open(run.candidate).index.to_pylist()}
    assert {name: loss for name, loss in kept.items() if loss is not None and not np.isfinite(loss)} == {}


@pytest.mark.parametrize(("task", "model"), MODELS)
def test_more_rows_bring_the_loss_down(make_spec, begin_run, train, evaluation, task, model):
    """Converging: beats guessing with few rows, and comes nearer to the noise with many."""
    spec = make_spec(task, model={**model, "min_rows": 20})
    run = begin_run(spec, {f"plain-{n}-{i}": n for n in (60, 2000) for i in range(4)}, rows=rows)
    train(run)
    found = evaluation(run)
    mean = {n: np.mean([found["entity", f"plain-{n}-{i}"]["candidate_loss"] for i in range(4)]) for n in (60, 2000)}
    guess = np.mean([found["entity", f"plain-2000-{i}"]["baseline_loss"] for i in range(4)])
    assert mean[2000] < mean[60]
    assert mean[2000] < 0.6 * guess
