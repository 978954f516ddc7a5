"""The expectations section: what the prepared data must look like before anything is trained on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from modelfleet.spec.section import Section


class RowExpectation(Section):
    """One Great Expectations expectation on the prepared rows.

    Attributes:
        type: Its name, such as ``expect_column_values_to_be_between``.
        arguments: Its keyword arguments, such as ``{column: age, min_value: 0}``.
        severity: ``critical`` stops the run when it fails; ``warning`` is reported only.
    """

    type: str = Field(pattern=r"^expect_[a-z0-9_]+$")
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    severity: Literal["critical", "warning"] = "critical"


class EntityExpectations(Section):
    """What each entity must have to get a model of its own; the others are quarantined and served by the pooled model.

    Attributes:
        min_rows: Smallest number of rows.
        min_classes: Smallest number of classes seen (classification only).
        max_missing: Largest share of missing feature values, in [0, 1].
    """

    min_rows: int = Field(default=30, ge=1)
    min_classes: int = Field(default=2, ge=1)
    max_missing: float = Field(default=0.5, ge=0, le=1)


class ExpectationsSpec(Section):
    """Expectations on rows (the run stops) and on entities (the entity is quarantined).

    Attributes:
        rows: Expectations added to those every fleet gets (columns present, target known, rows at all).
        entities: Bounds per entity.
        max_bad_rows: Largest share of rows that may be unreadable before the run stops, in [0, 1].
        max_quarantined: Largest share of entities that may be quarantined before the run stops, in [0, 1].
    """

    rows: tuple[RowExpectation, ...] = ()
    entities: EntityExpectations = EntityExpectations()
    max_bad_rows: float = Field(default=0.05, ge=0, le=1)
    max_quarantined: float = Field(default=0.5, ge=0, le=1)
