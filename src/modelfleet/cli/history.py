"""``modelfleet history``: every release, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.releases.manifest import those_there
from modelfleet.serving.status import fleet_history
from modelfleet.spec.file import load_spec

if TYPE_CHECKING:
    from modelfleet.releases.manifest import Release


def history(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    as_json: JsonFlag = False,
) -> None:
    """List every release of the fleet, newest first: which bundle, why, by whom."""
    fleet = load_spec(spec).fleet
    releases = fleet_history(Home.from_environment(), fleet)
    there = those_there(releases)
    if as_json:
        print_json(
            [release.model_dump(mode="json") | {"bundle_there": release.bundle.uri in there} for release in releases]
        )
        return
    table = Table(title=f"releases of {fleet}", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("generation", "reason", "bundle", "version", "by", "when", "note"):
        table.add_column(column)
    for release in releases:
        table.add_row(
            str(release.generation),
            described(release),
            Path(release.bundle.uri).name + ("" if release.bundle.uri in there else " (removed)"),
            release.model_version or "",
            release.actor,
            f"{release.created_at:%Y-%m-%d %H:%M:%S}",
            release.note,
        )
    out.print(table if releases else f"fleet '{fleet}' has no release yet")


def described(release: Release) -> str:
    """Return why a release was published, and what holds since: a pin, or the pooled model only."""
    facts = [str(release.reason)]
    if release.rolled_back_to is not None:
        facts[0] += f" to {release.rolled_back_to}"
    if release.pinned and release.reason != "pin":
        facts.append("pinned")
    if release.pooled_only:
        facts.append("pooled only")
    elif release.reason == "mode":
        facts.append("whole fleet")
    return ", ".join(facts)
