"""The paired difference of two models' losses, entity by entity, for a whole shard at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.evaluation.ratio import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Observations:
    """The independent observations of a holdout: rows of one entity with one content are a single observation.

    Attributes:
        of_row: (n,) int64, the observation each row belongs to.
        sizes: (m,) float64, rows per observation.
        segment: (m,) int64, the entity each observation belongs to.
        counts: (n_segments,) int64, observations per entity.
    """

    of_row: NDArray[np.int64]
    sizes: NDArray[np.float64]
    segment: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def group(cls, row_hash: NDArray[np.uint64], segment: NDArray[np.int64], n_segments: int) -> Observations:
        """Group the rows.

        Args:
            row_hash: (n,) content hash of each row; equal for exact duplicates.
            segment: (n,) entity of each row, in [0, n_segments).
            n_segments: Number of entities.
        """
        order = np.lexsort((row_hash, segment))
        hashes, segments = row_hash[order], segment[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (hashes[1:] != hashes[:-1]) | (segments[1:] != segments[:-1])
        of_row = np.empty(len(order), dtype=np.int64)
        of_row[order] = np.cumsum(first) - 1
        own = segments[first].astype(np.int64)
        return cls(
            of_row=of_row,
            sizes=np.bincount(of_row, minlength=len(own)).astype(np.float64),
            segment=own,
            counts=np.bincount(own, minlength=n_segments).astype(np.int64),
        )

    def within(self, part: NDArray[np.int64], n_parts: int) -> Observations:
        """Return the same observations, belonging to parts of the entities.

        Args:
            part: (n,) part of each row, in [0, n_parts); rows of one observation have equal content, hence one part.
            n_parts: Number of parts.
        """
        own = np.empty(len(self.sizes), dtype=np.int64)
        own[self.of_row] = part
        counts = np.bincount(own, minlength=n_parts).astype(np.int64)
        return Observations(of_row=self.of_row, sizes=self.sizes, segment=own, counts=counts)

    def average(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (m,) means of the row values of each observation."""
        return np.asarray(np.bincount(self.of_row, weights=values, minlength=len(self.sizes)) / self.sizes)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (n_segments,) mean over the observations of each entity; NaN where it has none."""
        total = np.bincount(self.segment, weights=self.average(values), minlength=len(self.counts))
        return ratio(total, self.counts.astype(np.float64))

    def difference(
        self, candidate_loss: NDArray[np.float64], reference_loss: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return mean, standard error and number of the paired differences of each entity.

        Args:
            candidate_loss: (n,) loss of each row; NaN where the candidate predicts nothing.
            reference_loss: (n,) likewise.

        Returns:
            mean: (n_segments,) candidate minus reference; negative means the candidate is better. NaN where n is 0.
            se: (n_segments,) sample standard deviation over the square root of n; NaN where n is below 2.
            n: (n_segments,) observations; 0 where either model lacks a prediction for any row of the entity.
        """
        difference = self.average(candidate_loss - reference_loss)
        size = len(self.counts)
        n = np.where(np.bincount(self.segment, weights=~np.isfinite(difference), minlength=size) > 0, 0, self.counts)
        mean = ratio(np.bincount(self.segment, weights=difference, minlength=size), n.astype(np.float64))
        # two passes: the one-pass formula cancels where the differences are small against their mean
        squares = np.bincount(self.segment, weights=(difference - mean[self.segment]) ** 2, minlength=size)
        variance = ratio(squares, np.maximum(n - 1, 0).astype(np.float64))
        return mean, np.sqrt(ratio(variance, n.astype(np.float64))), n.astype(np.int64)
