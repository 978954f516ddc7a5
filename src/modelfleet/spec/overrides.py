"""Overriding parts of a spec for one run, by a JSON merge patch (RFC 7386)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelfleet.errors import SpecError
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import FleetSpec

FIXED = ("fleet", "entity", "task", "data.target")
"""Fields a run may not change: they say which fleet it is."""

_ABSENT = object()


def override(spec: FleetSpec, patch: Mapping[str, Any]) -> FleetSpec:
    """Return the spec with a merge patch applied: objects merge, ``null`` restores the default, the rest replaces.

    Args:
        spec: The fleet's spec.
        patch: Such as ``{"split": {"holdout": 0.3}}``; an empty one returns an equal spec.

    Raises:
        SpecError: The patch is not a mapping, changes what fleet this is or names a relative path, or the result
            is not a valid spec.
    """
    if not isinstance(patch, Mapping):
        raise SpecError(f"overrides: expected a mapping such as {{'model': {{'family': 'logistic'}}}}, not {patch!r}")
    for field in FIXED:
        if _get(patch, field) is not _ABSENT:
            raise SpecError(f"overrides: {field}: cannot be overridden; it says which fleet this is")
    document = spec.model_dump(mode="json", exclude_unset=True)
    result = parse_spec(_merge(document, patch), origin="overrides")
    # An override is not written in a folder, so it must say the whole path
    for field in ("data.source", *(f"serving.{name}" for name in result.serving.path_fields())):
        path = _get(patch, field)
        if isinstance(path, str) and "://" not in path and not Path(path).is_absolute():
            raise SpecError(f"overrides: {field}: is '{path}'; write the whole path, beginning with /")
    return result


def _get(patch: Mapping[str, Any], field: str) -> Any:
    value: Any = patch
    for part in field.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


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
