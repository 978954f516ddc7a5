"""Choosing each entity's winner among several candidates, by scores shrunk towards the fleet's means.

The candidate with the smallest loss on an entity's own 25 validation rows is mostly the luckiest one. So an entity's
difference between two candidates is believed only as far as differences of the whole fleet vary by more than chance.
With d the mean loss of a candidate minus that of the reference on the n validation observations of an entity,

    score = m + (d - m) * b / (b + w / n)

where over the fleet m is the mean difference, w the variance of the difference from row to row within an entity, and b
the variance of the true differences between entities. It is the empirical Bayes estimate of a normal mean (Efron and
Morris 1975, "Data Analysis Using Stein's Estimator and its Generalizations", JASA 70, 311-319; Morris 1983,
"Parametric Empirical Bayes Inference", JASA 78, 47-55), with b and m by DerSimonian and Laird's moments (1986,
"Meta-Analysis in Clinical Trials", Controlled Clinical Trials 7, 177-188).

The reference of an entity is the fleet's best candidate, or the best of those the entity has. Its own score is 0, and
so an entity leaves it only for a candidate whose score is below 0. An entity without validation rows follows the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.evaluation.paired import Observations


@dataclass(frozen=True)
class Trials:
    """What validation rows say about K candidates for E entities; small, so that a whole fleet's fit on one worker.

    Attributes:
        rows: (E,) int64, independent validation observations.
        loss: (E, K) mean loss; NaN where an entity has no observations or not this candidate.
        fitted: (E, K) bool, whether the entity has this candidate.
        squares: (K, K) sum over these entities of the squared deviations of the difference between two candidates'
            losses from its mean in the entity, where the entity has both.
        freedom: (K, K) its degrees of freedom: the observations less one per entity.
    """

    rows: NDArray[np.int64]
    loss: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    squares: NDArray[np.float64]
    freedom: NDArray[np.float64]

    @classmethod
    def measure(
        cls, observations: Observations, losses: NDArray[np.float64], fitted: NDArray[np.bool_]
    ) -> tuple[Trials, NDArray[np.float64]]:
        """Summarise the losses on some entities' validation rows.

        Args:
            observations: The rows, grouped.
            losses: (n, K) loss of each row; NaN where there is no prediction.
            fitted: (E, K) which candidates there are. One that has no prediction for some row counts as not there.

        Returns:
            The trials, and (E, K) the standard error of each mean loss; NaN for fewer than two observations.
        """
        means = np.stack([observations.average(column) for column in losses.T], axis=1)
        loss = np.stack([observations.mean(column) for column in losses.T], axis=1)
        rows, segment = observations.counts, observations.segment
        fitted = fitted & (np.isfinite(loss) | (rows == 0)[:, None])
        loss = np.where(fitted, loss, np.nan)
        has = fitted[segment]
        deviation = np.where(has, means - loss[segment], 0.0)
        own = np.stack([np.bincount(segment, weights=c**2, minlength=len(rows)) for c in deviation.T], axis=1)
        # (a - b)^2 = a^2 + b^2 - 2ab, summed over the rows where both are there
        present = has.astype(np.float64)
        each = (deviation**2).T @ present
        squares = np.maximum(each + each.T - 2.0 * (deviation.T @ deviation), 0.0)
        np.fill_diagonal(squares, 0.0)
        pairs = fitted.astype(np.float64)
        freedom = pairs.T @ (pairs * np.maximum(rows - 1, 0)[:, None])
        enough = (rows >= 2)[:, None] & fitted
        scale = np.maximum(rows * (rows - 1), 1)[:, None]
        error = np.where(enough, np.sqrt(own / scale), np.nan)
        return cls(rows, loss, fitted, squares, freedom), error


@dataclass(frozen=True)
class Fleet:
    """What the whole fleet says about K candidates: what an entity's own differences are shrunk towards.

    Attributes:
        ranking: (K,) candidate numbers, the fleet's best first.
        mean: (K, K), ``mean[k, r]`` the mean difference of candidate k from r; NaN where no entity has both.
        between: (K, K) variance of the true differences between entities.
        within: (K, K) variance of the difference from row to row within an entity.
    """

    ranking: NDArray[np.int64]
    mean: NDArray[np.float64]
    between: NDArray[np.float64]
    within: NDArray[np.float64]

    @classmethod
    def learn(cls, trials: Iterable[Trials]) -> Fleet:
        """Combine the trials of all shards, in the order given.

        Args:
            trials: At least one; all of the same candidates.
        """
        every = list(trials)
        rows = np.concatenate([part.rows for part in every]).astype(np.float64)
        loss = np.concatenate([part.loss for part in every])
        fitted = np.concatenate([part.fitted for part in every])
        squares = np.sum([part.squares for part in every], axis=0)
        freedom = np.sum([part.freedom for part in every], axis=0)
        within = np.divide(squares, freedom, out=np.zeros_like(squares), where=freedom > 0)
        size = loss.shape[1]
        mean, between = np.full((size, size), np.nan), np.zeros((size, size))
        for k in range(size):
            for r in range(size):
                both = fitted[:, k] & fitted[:, r] & (rows > 0)
                if both.any():
                    difference = loss[both, k] - loss[both, r]
                    mean[k, r], between[k, r] = _moments(difference, rows[both], within[k, r])
        return cls(_ranking(mean), mean, between, within)

    def scores(
        self, rows: NDArray[np.int64], loss: NDArray[np.float64], fitted: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return (E, K) shrunk differences from each entity's reference; infinite where there is no candidate.

        The arguments are some entities' fields of ``Trials``.
        """
        scores = np.full(loss.shape, np.inf)
        place = np.argsort(self.ranking)
        reference = self.ranking[np.where(fitted, place, len(place)).min(axis=1).clip(max=len(place) - 1)]
        count = rows.astype(np.float64)
        for r in np.unique(reference):
            at = np.flatnonzero((reference == r) & fitted.any(axis=1))
            for k in range(len(place)):
                here = at[fitted[at, k]]
                fleet = self.mean[k, r]
                if np.isnan(fleet):  # no validation row anywhere: the order of the spec decides
                    scores[here, k] = float(place[k] > place[r])
                    continue
                seen = count[here] > 0
                noise = np.divide(self.within[k, r], count[here], out=np.zeros(len(here)), where=seen)
                spread = self.between[k, r]
                share = np.divide(spread, spread + noise, out=np.zeros(len(here)), where=seen & (spread > 0))
                own = np.where(seen, loss[here, k] - loss[here, r], fleet)
                scores[here, k] = fleet + (own - fleet) * share
        return scores

    def winners(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return (E,) the candidate of the smallest score, of equal ones the fleet's better one; -1 where none is."""
        ranked = scores[:, self.ranking]
        best = self.ranking[ranked.argmin(axis=1)] if ranked.shape[1] else np.empty(len(scores), dtype=np.int64)
        return np.where(np.isfinite(ranked).any(axis=1), best, -1)


def _moments(difference: NDArray[np.float64], rows: NDArray[np.float64], within: float) -> tuple[float, float]:
    """Return mean and variance of the true differences between entities, by DerSimonian and Laird."""
    if within <= 0.0:  # no noise, such as two equal candidates: the differences are the true ones
        return float(difference.mean()), float(difference.var(ddof=1)) if len(difference) > 1 else 0.0
    total = rows.sum()
    centre = (rows * difference).sum() / total
    excess = (rows * (difference - centre) ** 2).sum() - (len(rows) - 1) * within
    scale = total - (rows**2).sum() / total
    between = max(0.0, float(excess / scale)) if scale > 0 else 0.0
    weight = 1.0 / (between + within / rows)
    return float((weight * difference).sum() / weight.sum()), between


def _ranking(mean: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order the candidates by their mean difference from all others."""
    others = ~np.isnan(mean) & ~np.eye(len(mean), dtype=bool)
    total = np.where(others, mean, 0.0).sum(axis=1)
    alone = np.where(np.isnan(np.diagonal(mean)), np.inf, 0.0)  # nobody has it, or nobody has another
    average = np.divide(total, others.sum(axis=1), out=alone, where=others.any(axis=1))
    # equal ones stay in the order of the spec
    return np.argsort(average, kind="stable").astype(np.int64)
