"""``modelfleet rollback``: an earlier bundle serves again, as a new generation."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.loop.by_hand import ByHand
from modelfleet.spec.file import load_spec


def rollback(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    to: Annotated[
        int | None, typer.Option(help="Generation whose bundle serves again; the previous different one if left out.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; recorded in the release.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Publish a new release that names an earlier bundle; running jobs swap to it from the next batch."""
    fleet = load_spec(spec).fleet
    release = ByHand(Home.from_environment(), fleet, actor=getpass.getuser()).roll_back(to=to, note=reason)
    if as_json:
        print_json(release.model_dump(mode="json"))
    else:
        out.print(
            f"generation {release.generation} serves the bundle of generation {release.rolled_back_to} again"
            f" ({Path(release.bundle.uri).name})" + (", and stays pinned" if release.pinned else "")
        )
