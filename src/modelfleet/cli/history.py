"""``modelfleet history``: every release, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.serving.status import fleet_history
from modelfleet.spec.file import load_spec


def history(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    as_json: JsonFlag = False,
) -> None:
    """List every release of the fleet, newest first: which bundle, why, by whom."""
    fleet = load_spec(spec).fleet
    releases = fleet_history(Home.from_environment(), fleet)
    if as_json:
        print_json([release.model_dump(mode="json") for release in releases])
        return
    table = Table(title=f"releases of {fleet}", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("generation", "reason", "bundle", "version", "by", "when", "note"):
        table.add_column(column)
    for release in releases:
        table.add_row(
            str(release.generation),
            str(release.reason),
            Path(release.bundle.uri).name,
            release.model_version or "",
            release.actor,
            f"{release.created_at:%Y-%m-%d %H:%M:%S}",
            release.note,
        )
    out.print(table if releases else f"fleet '{fleet}' has no release yet")
