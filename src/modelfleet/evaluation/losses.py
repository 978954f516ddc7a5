"""Per-row losses: what a candidate and its reference are compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import SpecError
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.spec.gate import GatePolicy, LossName


def loss_name(task: Task, policy: GatePolicy) -> LossName:
    """Return the loss a fleet is judged by: the policy's, else ``brier`` for classes, ``absolute_error`` for numbers.

    Raises:
        SpecError: The policy names a loss of the other kind of task.
    """
    losses: tuple[LossName, ...] = REGRESSION_LOSSES if task is Task.REGRESSION else CLASSIFICATION_LOSSES
    if policy.loss is None:
        return losses[0]
    if policy.loss not in losses:
        raise SpecError(f"gate.loss '{policy.loss}' does not fit task '{task}'; valid are: {', '.join(losses)}")
    return policy.loss


def row_losses(
    name: LossName, prediction: NDArray[np.float64], target: NDArray[np.float64], clip: float
) -> NDArray[np.float64]:
    """Return the loss of each row; smaller is better.

    ``brier`` is ``(p_1 - y)^2`` for two classes (Brier 1950, halved as is usual) and ``sum_k (p_k - y_k)^2`` for
    more, where ``y_k`` is 1 for the true class and 0 for the others.

    Args:
        name: The loss.
        prediction: (n, number of classes) probabilities, or (n, 1) numbers; a NaN row means "no prediction".
        target: (n,) class index, or number.
        clip: Probabilities are clipped to ``[clip, 1 - clip]``; used by ``log_loss`` only.

    Returns:
        (n,) float64; NaN where there is no prediction.
    """
    if name == "absolute_error":
        return np.asarray(np.abs(prediction[:, 0] - target))
    if name == "squared_error":
        return np.asarray((prediction[:, 0] - target) ** 2)
    truth = target.astype(np.int64)
    if name == "log_loss":
        chosen = prediction[np.arange(len(truth)), truth]
        return np.asarray(-np.log(np.clip(chosen, clip, 1 - clip)))
    if prediction.shape[1] == 2:
        return np.asarray((prediction[:, 1] - target) ** 2)
    error = prediction.copy()
    error[np.arange(len(truth)), truth] -= 1.0
    return np.asarray((error**2).sum(axis=1))
