"""The base of every section of a fleet spec."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section: unknown keys are errors, so a misspelt key never passes in silence; nor do NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def kind_or_folder(value: object) -> object:
    """Return the kind that a source or sink names; ``folder`` where it names none."""
    return value.get("kind", "folder") if isinstance(value, Mapping) else getattr(value, "kind", None)
