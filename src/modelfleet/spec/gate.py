"""The gate section: the policy by which a candidate replaces a champion."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from modelfleet.spec.section import Section

Intent = Literal["auto", "refresh", "change"]
LossName = Literal["brier", "log_loss", "absolute_error", "squared_error"]

CLASSIFICATION_LOSSES: Final = ("brier", "log_loss")
REGRESSION_LOSSES: Final = ("absolute_error", "squared_error")
"""Losses of each kind of task; the first is what an absent ``gate.loss`` means."""

CLASSIFICATION_METRICS: Final = (
    "accuracy", "balanced_accuracy", "f1", "recall", "precision", "roc_auc", "log_loss", "brier",
    "calibration_error",
)  # fmt: skip
"""Names a threshold may use for classes, beside ``loss``."""

REGRESSION_METRICS: Final = ("mae", "rmse", "r2", "pinball")
"""Names a threshold may use for numbers, beside ``loss``."""


class Threshold(Section):
    """An absolute bound on one metric of the candidate's holdout.

    Attributes:
        min: Smallest accepted value; absent means no lower bound.
        max: Largest accepted value; absent means no upper bound.
    """

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Threshold:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class GatePolicy(Section):
    """When a candidate is promoted.

    Attributes:
        intent: ``refresh`` (same family and parameters, newer data): promote what is proven not worse by more
            than ``margin`` and estimated better. ``change`` (another family, features or parameters): promote
            what is proven better, false discoveries over the fleet held to ``level``. ``auto`` is ``refresh``
            where family, parameters and features equal the champion's, else ``change``.
        loss: The per-row loss compared. Absent means ``brier`` for classes, ``absolute_error`` for numbers.
        clip: Probabilities are clipped to [clip, 1 - clip] for ``log_loss``.
        margin: Largest loss increase called "not worse", in units of the loss, as a share of the champion's
            mean loss.
        level: Significance level of the paired test, and the false discovery rate under ``change``.
        min_holdout_rows: Fewest independent holdout rows that can prove anything; below it the champion stays.
        thresholds: Absolute bounds by metric name; a candidate outside one is never promoted, not even by force.
        smallest_accepted_share: Fewest entities, as a share of those with a candidate, that must be accepted;
            below it the whole run is refused. In [0, 1]. An entity whose candidate is the champion unchanged
            counts as accepted.
    """

    intent: Intent = "auto"
    loss: LossName | None = None
    clip: float = Field(default=1e-3, gt=0, lt=0.5)
    margin: float = Field(default=0.02, ge=0)
    level: float = Field(default=0.05, gt=0, lt=1)
    min_holdout_rows: int = Field(default=10, ge=2)
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    smallest_accepted_share: float = Field(default=0.0, ge=0, le=1)
