"""``modelfleet status``: what serves, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.spec.file import load_spec


def status(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    as_json: JsonFlag = False,
) -> None:
    """Show the newest generation, and every live process with what it serves and what it refused."""
    from modelfleet.serving.status import fleet_status

    fleet = fleet_status(Home.from_environment(), load_spec(spec).fleet)
    if as_json:
        print_json(fleet.model_dump(mode="json"))
    else:
        out.print(fleet.as_text(), markup=False)
