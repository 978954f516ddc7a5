"""L2 regularised logistic regression on dense columns, solved to convergence by Newton's method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRADIENT_TOLERANCE = 1e-8
ROUNDING = 1e-13
LARGEST_HESSIAN = 2_000
"""Unknowns above which the Hessian is not built and L-BFGS takes over."""

MOST_WORK = 5e10
"""Multiplications of one Hessian above which it is not built either: some seconds."""


def solve(
    columns: NDArray[np.float64],
    label: NDArray[np.int64],
    classes: int,
    strength: float,
    weights: NDArray[np.float64] | None,
    max_iterations: int,
) -> tuple[NDArray[np.float64], bool]:
    """Minimise the weighted sum of log losses plus ``strength / 2`` times the squared coefficients.

    Two classes have one set of coefficients (for the second class), more have one each; intercepts are not
    penalised. That is scikit-learn's objective with ``strength = 1 / C``.

    Args:
        columns: (n, d), without NaN.
        label: (n,) in 0 .. classes - 1, each at least once.
        classes: At least 2.
        strength: Above 0.
        weights: (n,), or None for 1 each.
        max_iterations: Newton steps after which it gives up.

    Returns:
        (1 or classes, d + 1) coefficients with the intercept last, and whether they converged.
    """
    design = np.column_stack([columns, np.ones(len(columns))])
    weight = np.ones(len(columns)) if weights is None else weights
    objective = _Binary(design, label, strength, weight) if classes == 2 else _Multi(design, label, strength, weight)
    start = np.zeros((objective.outputs, design.shape[1]))
    if start.size > LARGEST_HESSIAN or len(design) * start.size**2 > MOST_WORK:
        return _quasi_newton(objective, start, max_iterations)
    return _newton(objective, start, max_iterations)


class _Binary:
    outputs = 1

    def __init__(
        self,
        design: NDArray[np.float64],
        label: NDArray[np.int64],
        strength: float,
        weight: NDArray[np.float64],
    ) -> None:
        self.design = design
        self.label = label
        self.weight = weight
        self.penalty = np.full(design.shape[1], strength)
        self.penalty[-1] = 0.0

    def value(self, point: NDArray[np.float64]) -> float:
        score = self.design @ point[0]
        loss = np.logaddexp(0.0, score) - self.label * score
        return float(self.weight @ loss + 0.5 * (self.penalty * point**2).sum())

    def gradient(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability = 0.5 * (1.0 + np.tanh(0.5 * (self.design @ point[0])))
        slope = (self.weight * (probability - self.label)) @ self.design + self.penalty * point[0]
        return slope[None], probability[:, None]

    def hessian(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        p = probability[:, 0]
        curvature: NDArray[np.float64] = self.design.T @ (self.design * (self.weight * p * (1 - p))[:, None])
        return curvature + np.diag(self.penalty)


class _Multi(_Binary):
    def __init__(
        self,
        design: NDArray[np.float64],
        label: NDArray[np.int64],
        strength: float,
        weight: NDArray[np.float64],
    ) -> None:
        super().__init__(design, label, strength, weight)
        self.outputs = int(label.max()) + 1
        self.one_hot = np.eye(self.outputs)[label]

    def _log_probability(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        score = self.design @ point.T
        score -= score.max(axis=1, keepdims=True)
        logs: NDArray[np.float64] = score - np.log(np.exp(score).sum(axis=1, keepdims=True))
        return logs

    def value(self, point: NDArray[np.float64]) -> float:
        own = self._log_probability(point)[np.arange(len(self.label)), self.label]
        return float(-(self.weight @ own) + 0.5 * (self.penalty * point**2).sum())

    def gradient(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability = np.exp(self._log_probability(point))
        slope = ((probability - self.one_hot) * self.weight[:, None]).T @ self.design + self.penalty * point
        return slope, probability

    def hessian(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        outputs, width = self.outputs, self.design.shape[1]
        full = np.zeros((outputs, width, outputs, width))
        for a in range(outputs):
            for b in range(a + 1):
                share = probability[:, a] * ((a == b) - probability[:, b]) * self.weight
                full[a, :, b, :] = self.design.T @ (self.design * share[:, None])
                full[b, :, a, :] = full[a, :, b, :].T
        return full.reshape(outputs * width, outputs * width) + np.diag(np.tile(self.penalty, outputs))


def _newton(objective: _Binary, point: NDArray[np.float64], steps: int) -> tuple[NDArray[np.float64], bool]:
    value = objective.value(point)
    for _ in range(steps):
        slope, probability = objective.gradient(point)
        if np.abs(slope).max() < GRADIENT_TOLERANCE:
            return point, True
        hessian = objective.hessian(probability)
        # the intercepts have no penalty, so their direction may be flat; a trace of damping changes no optimum
        hessian[np.diag_indices_from(hessian)] += 1e-10 * (1.0 + np.abs(hessian.diagonal()).max())
        direction = np.linalg.solve(hessian, slope.ravel()).reshape(point.shape)
        decrease = float((direction * slope).sum())
        length = 1.0
        while True:
            tried = point - length * direction
            reached = objective.value(tried)
            # near the optimum the value's rounding exceeds the decrease, and the full step is the right one
            if reached <= value - 1e-4 * length * decrease + ROUNDING * (1.0 + abs(value)):
                break
            length /= 2
            if length < 1e-10:
                return point, False
        point, value = tried, reached
    return point, bool(np.abs(objective.gradient(point)[0]).max() < GRADIENT_TOLERANCE)


def _quasi_newton(objective: _Binary, point: NDArray[np.float64], steps: int) -> tuple[NDArray[np.float64], bool]:
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "sklearn") from error

    def both(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = flat.reshape(point.shape)
        return objective.value(at), objective.gradient(at)[0].ravel()

    found = minimize(
        both,
        point.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 100 * steps, "maxfun": 200 * steps, "gtol": 1e-6, "ftol": 0.0, "maxcor": 20},
    )
    return found.x.reshape(point.shape), bool(np.abs(found.jac).max() < 1e-3 * max(1.0, float(found.fun)))
