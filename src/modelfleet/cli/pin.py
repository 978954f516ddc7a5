"""``modelfleet pin`` and ``modelfleet unpin``: no promotion while people look into an incident."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.loop.by_hand import ByHand
from modelfleet.spec.file import load_spec


def pin(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    reason: Annotated[str, typer.Option(help="Why; whoever is refused a promotion reads it.")],
    to: Annotated[
        int | None, typer.Option(help="Generation whose bundle shall serve meanwhile; what serves now if left out.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Refuse every promotion until `unpin`; a rollback stays possible. Runs go on, and end with exit code 3."""
    fleet = load_spec(spec).fleet
    release = ByHand(Home.from_environment(), fleet, actor=getpass.getuser()).pin(to=to, note=reason)
    if as_json:
        print_json(release.model_dump(mode="json"))
        return
    again = f" and serves the bundle of generation {release.rolled_back_to} again" if release.rolled_back_to else ""
    out.print(f"generation {release.generation}: fleet '{fleet}' is pinned{again}", markup=False)


def unpin(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    reason: Annotated[str, typer.Option(help="Why; recorded in the release.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Let promotions through again; what serves goes on serving."""
    fleet = load_spec(spec).fleet
    release = ByHand(Home.from_environment(), fleet, actor=getpass.getuser()).unpin(note=reason)
    if as_json:
        print_json(release.model_dump(mode="json"))
    else:
        out.print(f"generation {release.generation}: fleet '{fleet}' is no longer pinned", markup=False)
