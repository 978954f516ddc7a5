"""Overriding parts of a spec for one run, by a JSON merge patch (RFC 7386)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelfleet.errors import SpecError
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import FleetSpec

FIXED = ("fleet", "entity", "task")
"""Fields a run may not change: they say which fleet it is."""


def override(spec: FleetSpec, patch: Mapping[str, Any]) -> FleetSpec:
    """Return the spec with a merge patch applied: objects merge, ``null`` restores the default, the rest replaces.

    Args:
        spec: The fleet's spec.
        patch: Such as ``{"model": {"family": "logistic"}}``; an empty one returns an equal spec.

    Raises:
        SpecError: The patch changes what fleet this is, or the result is not a valid spec.
    """
    for field in FIXED:
        if field in patch:
            raise SpecError(f"overrides: '{field}' cannot be overridden; it says which fleet this is")
    document = spec.model_dump(mode="json", exclude_unset=True)
    return parse_spec(_merge(document, patch), origin="overrides")


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result
