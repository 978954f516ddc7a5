"""L2 regularised logistic regression on dense columns, by numpy: what the kernels do, without numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORE_TOLERANCE = 1e-5
"""A full Newton step that moves no row's score by more is the last one.

The curvature of the loss changes by a factor of at most e^t where scores move by t, so what such a step leaves undone
is a hundred-thousandth of the step: scores are then exact to about 1e-10.
"""

ROUNDING = 1e-13
LARGEST_HESSIAN = 2_000
"""Unknowns above which the Hessian is not built and L-BFGS takes over."""

MOST_WORK = 5e10
"""Multiplications of one Hessian above which it is not built either: some seconds."""


def solve(
    design: NDArray[np.float64],
    label: NDArray[np.int64],
    classes: int,
    strength: float,
    weights: NDArray[np.float64],
    max_iterations: int,
) -> tuple[NDArray[np.float64], bool]:
    """Minimise the weighted sum of log losses plus ``strength / 2`` times the squared coefficients.

    Two classes have one set of coefficients (for the second class), more have one each, which sum to 0; intercepts
    are not penalised. That is scikit-learn's objective with ``strength = 1 / C``.

    Args:
        design: (n, d), without NaN; the last column is 1.
        label: (n,) in 0 .. classes - 1, each with some weight.
        classes: At least 2.
        strength: Above 0.
        weights: (n,).
        max_iterations: Newton steps after which it gives up.

    Returns:
        (1 or classes, d) coefficients with the intercept last, and whether they converged.
    """
    objective = _Binary(design, label, strength, weights) if classes == 2 else _Multi(design, label, strength, weights)
    start = objective.start()
    if start.size > LARGEST_HESSIAN or len(design) * start.size**2 > MOST_WORK:
        return _quasi_newton(objective, start, max_iterations)
    return _newton(objective, start, max_iterations)


class _Binary:
    outputs = 1

    def __init__(
        self, design: NDArray[np.float64], label: NDArray[np.int64], strength: float, weight: NDArray[np.float64]
    ) -> None:
        self.design = design
        self.label = label
        self.weight = weight
        self.penalty = np.full(design.shape[1], strength)
        self.penalty[-1] = 0.0

    def start(self) -> NDArray[np.float64]:
        """Return the best constant."""
        point = np.zeros((1, self.design.shape[1]))
        positive = float(self.weight @ self.label)
        point[0, -1] = np.log(positive / (self.weight.sum() - positive))
        return point

    def scores(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.design @ point.T

    def value(self, point: NDArray[np.float64]) -> float:
        score = self.scores(point)[:, 0]
        loss = np.logaddexp(0.0, score) - self.label * score
        return float(self.weight @ loss + 0.5 * (self.penalty * point**2).sum())

    def gradient(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability = 0.5 * (1.0 + np.tanh(0.5 * self.scores(point)[:, 0]))
        slope = (self.weight * (probability - self.label)) @ self.design + self.penalty * point[0]
        return slope[None], probability[:, None]

    def hessian(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        p = probability[:, 0]
        curvature: NDArray[np.float64] = self.design.T @ (self.design * (self.weight * p * (1 - p))[:, None])
        return curvature + np.diag(self.penalty)


class _Multi(_Binary):
    def __init__(
        self, design: NDArray[np.float64], label: NDArray[np.int64], strength: float, weight: NDArray[np.float64]
    ) -> None:
        super().__init__(design, label, strength, weight)
        self.outputs = int(label.max()) + 1
        self.one_hot = np.eye(self.outputs)[label]

    def start(self) -> NDArray[np.float64]:
        return np.zeros((self.outputs, self.design.shape[1]))

    def _log_probability(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        score = self.scores(point)
        score -= score.max(axis=1, keepdims=True)
        logs: NDArray[np.float64] = score - np.log(np.exp(score).sum(axis=1, keepdims=True))
        return logs

    def value(self, point: NDArray[np.float64]) -> float:
        own = self._log_probability(point)[np.arange(len(self.label)), self.label]
        return float(-(self.weight @ own) + 0.5 * (self.penalty * point**2).sum())

    def gradient(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        probability = np.exp(self._log_probability(point))
        slope = ((probability - self.one_hot) * self.weight[:, None]).T @ self.design + self.penalty * point
        return slope - slope.mean(axis=0), probability

    def hessian(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        outputs, width = self.outputs, self.design.shape[1]
        full = np.zeros((outputs, width, outputs, width))
        for a in range(outputs):
            for b in range(a + 1):
                share = probability[:, a] * ((a == b) - probability[:, b]) * self.weight
                full[a, :, b, :] = self.design.T @ (self.design * share[:, None])
                full[b, :, a, :] = full[a, :, b, :].T
        # raising all intercepts alike changes nothing: some curvature there, where the gradient has no part
        full[:, -1, :, -1] += self.weight.sum() / outputs
        return full.reshape(outputs * width, outputs * width) + np.diag(np.tile(self.penalty, outputs))


def _newton(objective: _Binary, point: NDArray[np.float64], steps: int) -> tuple[NDArray[np.float64], bool]:
    value = objective.value(point)
    for _ in range(steps):
        slope, probability = objective.gradient(point)
        direction = _direction(objective.hessian(probability), slope.ravel()).reshape(point.shape)
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
        if length == 1.0 and np.abs(objective.scores(direction)).max() < SCORE_TOLERANCE:
            return point, True
    return point, False


def _direction(hessian: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Newton step, damped where rounding has left the Hessian without a Cholesky factor."""
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        hessian[np.diag_indices_from(hessian)] += 1e-10 * (1.0 + np.abs(hessian.diagonal()).max())
    return np.asarray(np.linalg.solve(hessian, slope), dtype=np.float64)


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
