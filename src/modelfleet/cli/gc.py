"""``modelfleet gc``: remove old bundles and run folders that nothing needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.spec.file import load_spec

MOST_SHOWN = 50


def gc(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep the bundles of so many last releases; the spec's if left out.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, help="Remove only what is older than so many days; the spec's if left out.")
    ] = None,
    answers_older_than: Annotated[
        float | None, typer.Option(min=0, help="Also remove answers and dead letters older than so many days.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed, and why not.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove bundles and run folders that no rollback, process, job, run or alias needs."""
    from modelfleet.loop.collect import collect
    from modelfleet.spec.retention import RetentionSpec

    fleet = load_spec(spec)
    retention = RetentionSpec(
        generations=fleet.retention.generations if keep is None else keep,
        days=fleet.retention.days if older_than is None else older_than,
    )
    found = collect(
        Home.from_environment(), fleet, retention=retention, answers_days=answers_older_than, dry_run=dry_run
    )
    if as_json:
        print_json(found.model_dump(mode="json") | {"bytes": found.bytes})
        return
    table = Table(box=SIMPLE_HEAD, padding=0)
    for column in ("what", "name", "becomes", "why"):
        table.add_column(column)
    for item in [*found.removed[:MOST_SHOWN], *found.kept[:MOST_SHOWN]]:
        becomes = "kept" if item.reasons else "would be removed" if dry_run else "removed"
        why = "; ".join(item.reasons) or f"{item.bytes / 1e6:.1f} MB, needed by nothing"
        table.add_row(item.kind, escape(Path(item.path).name), becomes, escape(why))
    if found.removed or found.kept:
        out.print(table)
    more = sum(max(len(items) - MOST_SHOWN, 0) for items in (found.removed, found.kept))
    note = f", {more} more not shown (--json has all)" if more else ""
    verb = "would make" if dry_run else "made"
    out.print(f"{len(found.removed)} removed, {len(found.kept)} kept: {verb} {found.bytes / 1e6:.1f} MB of room{note}")
