"""Cuts a Helm chart's schema down to what our values use: ``trim_schema.py VALUES SCHEMA ORIGIN > schemas/x.json``.

Charts cannot be fetched where the tests run. What is kept says of every field in use what the chart's own schema says,
and refuses every other field, so a misspelt one is found. Run it anew, on the schema of the newer chart, when the
version in the values' first line changes or a field is added.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

KEPT = ("type", "enum", "pattern", "minimum", "maximum", "oneOf", "anyOf", "format")


def trim(schema: dict[str, Any], values: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a schema that values use.

    Args:
        schema: The chart's schema at this place.
        values: Our values at this place; None where only the type is of interest.
        whole: The chart's schema, for references.

    Raises:
        KeyError: The values have a field that the schema does not.
    """
    schema = _inlined(schema, whole)
    kept: dict[str, Any] = {key: schema[key] for key in KEPT if key in schema}
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    if isinstance(values, dict) and properties:
        kept["additionalProperties"] = False
        kept["properties"] = {}
        for name, value in sorted(values.items()):
            own = properties[name] if others is False or name in properties else {} if others is True else others
            kept["properties"][name] = trim(own, value, whole)
    elif isinstance(values, dict) and isinstance(others, dict):
        kept["additionalProperties"] = trim(others, _merged(list(values.values())), whole)
    elif isinstance(values, list) and isinstance(schema.get("items"), dict):
        kept["items"] = trim(schema["items"], _merged(values), whole)
    return kept


def _inlined(schema: Any, whole: dict[str, Any]) -> Any:
    """Return a schema with its own reference, and those of its alternatives, put in."""
    while "$ref" in schema:
        target: Any = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    for key in ("oneOf", "anyOf"):
        if key in schema:
            schema = schema | {key: [_inlined(each, whole) for each in schema[key]]}
    return schema


def _merged(values: list[Any]) -> Any:
    """Return one value with the fields of all: those of a list's items share a schema."""
    if not all(isinstance(value, dict) for value in values):
        return None
    return {name: value for each in values for name, value in each.items()}


def main() -> None:
    """Write the trimmed schema to standard output."""
    values, schema, origin = sys.argv[1:]
    text = Path(schema).read_bytes()
    whole = json.loads(text)
    digest = hashlib.sha256(text).hexdigest()
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"{origin}; trimmed by trim_schema.py from values.schema.json, sha256 {digest}",
        **trim(whole, YAML(typ="safe").load(Path(values).read_text()), whole),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
