"""Golden plans: what each module's example would make, in a file that a review can read.

    .venv/bin/python -m infra.tests.golden    renews them

A plan here has every argument that the modules set, and nothing that Google adds. What only an apply can tell is
``(known after apply)``. JSON within a string is shown as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra.tests.workspace import INFRA, MODULES, Workspace

UNKNOWN = "(known after apply)"
RUN = "example"
"""The run that every module's tests have: it plans the example of its README."""


def golden_file(folder: str) -> Path:
    """Return the file with the golden plan of a module."""
    return INFRA / folder / "example" / "plan.json"


def shown(plan: dict[str, Any]) -> str:
    """Return a plan as the file has it.

    Args:
        plan: As `terraform test -json -verbose` prints it.
    """
    schemas: dict[str, Any] = {}
    for provider in plan["provider_schemas"].values():
        schemas |= provider["resource_schemas"]
    resources = {
        change["address"]: _block(
            schemas[change["type"]]["block"], change["change"]["after"], change["change"]["after_unknown"]
        )
        for change in plan["resource_changes"]
        if change["mode"] == "managed"
    }
    return json.dumps(resources, indent=1, sort_keys=True) + "\n"


def _block(schema: dict[str, Any], after: dict[str, Any], unknown: Any) -> dict[str, Any]:
    found = {}
    hidden = unknown if isinstance(unknown, dict) else {}
    for name, attribute in schema.get("attributes", {}).items():
        if attribute.get("computed"):
            continue
        value = _value(after.get(name), hidden.get(name, False))
        if value is not None:
            found[name] = value
    for name, nested in schema.get("block_types", {}).items():
        blocks, hiding = after.get(name), hidden.get(name, [])
        if nested["nesting_mode"] == "single" or not blocks:
            continue
        pairs = [(block, hiding[i] if i < len(hiding) else False) for i, block in enumerate(blocks)]
        found[name] = [_block(nested["block"], block, hides) for block, hides in pairs]
    return found


def _value(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and unknown:
        return {name: _value((value or {}).get(name), unknown.get(name, False)) for name in {*unknown, *(value or {})}}
    if isinstance(unknown, list) and unknown:
        values = value or []
        return [_value(values[i] if i < len(values) else None, unknown[i]) for i in range(len(unknown))]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return {"json": json.loads(value)}
        except ValueError:
            return value
    return value


def main() -> int:
    """Renew every golden plan."""
    subprocess.run([INFRA / "tests" / "provider" / "build.sh"], check=True)
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace(Path(temporary) / "infra")
        for folder in MODULES:
            tested = workspace.test(folder)
            if RUN not in tested.plans:
                sys.stderr.write(f"{folder}: the run '{RUN}' made no plan: {'; '.join(tested.complaints)}\n")
                return 1
            golden_file(folder).write_text(shown(tested.plans[RUN]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
