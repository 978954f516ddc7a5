"""The retention section: what ``modelfleet gc`` leaves alone for its age."""

from __future__ import annotations

from pydantic import Field

from modelfleet.spec.section import Section


class RetentionSpec(Section):
    """What is kept of a fleet's past; whatever either field keeps stays.

    Attributes:
        generations: The bundles of so many last different releases, and the folders of so many last runs: how far a
            rollback can go.
        days: Bundles of releases, and runs, not older than so many days.
    """

    generations: int = Field(default=10, ge=1)
    days: float = Field(default=30.0, ge=0)
