"""Which entities of a shard the compiled kernels fit, which numpy does, and where their coefficients go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels.newton_compiled import linear_kernel
from modelfleet.families.newton import LARGEST_HESSIAN, SCORE_TOLERANCE, solve
from modelfleet.families.shard_design import entity_of_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.families.shard_design import ShardDesign


def class_counts(design: ShardDesign, label: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return the weight of each entity's rows of each class (E, classes)."""
    entities = len(design.bounds) - 1
    cell = entity_of_row(design.bounds) * np.int64(classes) + label
    counts: NDArray[np.float64] = np.bincount(cell, weights=design.weights, minlength=entities * classes)  # type: ignore[assignment]
    return counts.reshape(entities, classes)


def balanced(design: ShardDesign, label: NDArray[np.int64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows' weights with which every class of an entity weighs the same (n,).

    Args:
        design: The rows.
        label: (n,) class indices.
        count: What ``class_counts`` returned.
    """
    found = (count > 0).sum(axis=1)
    # scikit-learn's: all rows over (classes * rows of the class), rows being counted by their weights
    factor = count.sum(axis=1, keepdims=True) / np.where(count > 0, found[:, None] * count, np.inf)
    return np.asarray(design.weights * factor[entity_of_row(design.bounds), label])


@dataclass(frozen=True)
class LogisticSolver:
    """Fits many entities.

    Attributes:
        strength: Factor of half the squared coefficients.
        steps: Newton steps after which a fit is given up.
        outputs: Scores per row: 1 for two classes, else one per class.
    """

    strength: float
    steps: int
    outputs: int

    def solve(
        self, design: ShardDesign, label: NDArray[np.int64], found: NDArray[np.bool_], chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Fit the chosen entities.

        Args:
            design: The shard's rows.
            label: (n,) class indices.
            found: (E, classes) which classes each entity has rows of.
            chosen: Entities with two classes or more, ascending.

        Returns:
            Coefficients with the intercept last (chosen, outputs, width + 1), an intercept of minus infinity for a
            class not found; and which converged (chosen,).
        """
        classes = found.sum(axis=1)[chosen]
        # each row's class counted among those its entity has
        own = (np.cumsum(found, axis=1) - 1)[entity_of_row(design.bounds), label]
        raw = np.zeros((len(chosen), max(classes.max(initial=2), 2), design.layout.width + 1))
        done = np.zeros(len(chosen), dtype=bool)
        narrow = design.narrow(chosen, LARGEST_HESSIAN)
        two = classes == 2
        left = ~self._binary(design, own, chosen, two & narrow, raw, done)
        left &= ~self._multinomial(design, own, chosen, classes, ~two & narrow, raw, done)
        for place in np.flatnonzero(left):
            columns, at = design.dense(int(chosen[place]))
            part = slice(*design.rows_of(chosen[place : place + 1])[0])
            solved, done[place] = solve(
                columns, own[part], int(classes[place]), self.strength, design.weights[part], self.steps
            )
            raw[place][: len(solved), at] = solved
        done &= np.isfinite(raw).all(axis=(1, 2))
        return self._placed(raw, found[chosen], two), done

    def _binary(
        self, design: ShardDesign, own: NDArray[np.int64], chosen: NDArray[np.int64], which: NDArray[np.bool_],
        raw: NDArray[np.float64], done: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Fit by the kernel; return which were."""
        kernel = linear_kernel("binary") if which.any() else None
        if kernel is None:
            return np.zeros_like(which)
        solved, converged = np.zeros((int(which.sum()), raw.shape[2])), np.zeros(int(which.sum()), dtype=bool)
        kernel(
            design.rows_of(chosen[which]), design.layout.offsets, design.codes, design.numbers,
            own.astype(np.float64), design.weights, self.strength, self.steps, SCORE_TOLERANCE, solved, converged,
        )  # fmt: skip
        raw[which, 0], done[which] = solved, converged
        return which

    def _multinomial(
        self, design: ShardDesign, own: NDArray[np.int64], chosen: NDArray[np.int64], classes: NDArray[np.int64],
        which: NDArray[np.bool_], raw: NDArray[np.float64], done: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:  # fmt: skip
        kernel = linear_kernel("multinomial") if which.any() else None
        if kernel is None:
            return np.zeros_like(which)
        solved, converged = np.zeros((int(which.sum()), *raw.shape[1:])), np.zeros(int(which.sum()), dtype=bool)
        kernel(
            design.rows_of(chosen[which]), design.layout.offsets, design.codes, design.numbers, own,
            design.weights, classes[which], self.strength, self.steps, SCORE_TOLERANCE, solved, converged,
        )  # fmt: skip
        raw[which], done[which] = solved, converged
        return which

    def _placed(
        self, raw: NDArray[np.float64], found: NDArray[np.bool_], two: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Put what was fitted for an entity's own classes in the places of the schema's."""
        if self.outputs == 1:
            return raw[:, :1]
        placed = np.zeros((len(raw), self.outputs, raw.shape[2]))
        placed[..., -1] = -np.inf
        first = found.argmax(axis=1)
        last = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
        pair = np.flatnonzero(two)
        placed[pair, first[pair], -1] = 0.0  # the first class is what the second is measured against
        placed[pair, last[pair]] = raw[pair, 0]
        more = ~two
        among = np.arange(raw.shape[1]) < found.sum(axis=1)[:, None]
        placed[found & more[:, None]] = raw[among & more[:, None]]
        return placed
