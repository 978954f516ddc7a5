"""Per-row losses: their means are scikit-learn's metrics; a loss of the other kind of task is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from modelfleet.errors import SpecError
from modelfleet.evaluation.losses import loss_name, row_losses
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import GatePolicy


@pytest.mark.parametrize("classes", [2, 4])
def test_mean_brier_is_scikit_learns(classes: int) -> None:
    draw = np.random.default_rng(0)
    p = draw.dirichlet(np.ones(classes), size=60)
    y = draw.integers(0, classes, 60)
    expected = sk.brier_score_loss(y, p[:, 1] if classes == 2 else p, labels=list(range(classes)))
    assert row_losses("brier", p, y.astype(float), 1e-3).mean() == pytest.approx(expected)


def test_log_loss_is_clipped() -> None:
    p = np.array([[1.0, 0.0], [0.25, 0.75]])
    found = row_losses("log_loss", p, np.array([1.0, 1.0]), 0.01)
    assert found == pytest.approx([-np.log(0.01), -np.log(0.75)])


def test_number_losses() -> None:
    p, y = np.array([[1.0], [np.nan], [-2.0]]), np.array([3.0, 1.0, -2.0])
    np.testing.assert_array_equal(row_losses("absolute_error", p, y, 1e-3), [2.0, np.nan, 0.0])
    np.testing.assert_array_equal(row_losses("squared_error", p, y, 1e-3), [4.0, np.nan, 0.0])


@pytest.mark.parametrize("name", ["brier", "log_loss"])
@pytest.mark.parametrize("classes", [2, 3])
def test_no_prediction_no_loss(name: str, classes: int) -> None:
    found = row_losses(name, np.full((1, classes), np.nan), np.zeros(1), 1e-3)  # type: ignore[arg-type]
    assert np.isnan(found[0])


@pytest.mark.parametrize(("task", "loss"), [(Task.REGRESSION, "brier"), (Task.BINARY, "squared_error")])
def test_a_loss_of_the_other_kind_is_refused(task: Task, loss: str) -> None:
    with pytest.raises(SpecError, match=rf"gate\.loss '{loss}' does not fit task '{task}'; valid are"):
        loss_name(task, GatePolicy.model_validate({"loss": loss}))


def test_defaults() -> None:
    assert loss_name(Task.MULTICLASS, GatePolicy()) == "brier"
    assert loss_name(Task.REGRESSION, GatePolicy()) == "absolute_error"
