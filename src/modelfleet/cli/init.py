"""``modelfleet init``: a first spec from a data file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, print_json, progress
from modelfleet.errors import InputError
from modelfleet.spec.fleet import Task
from modelfleet.starter.spec import Starter, starter_spec


def init(
    data: Annotated[Path, typer.Option(help="CSV, Parquet or JSONL file (or a quoted glob) with the training rows.")],
    entity: Annotated[list[str], typer.Option(help="Key column: one model per value (repeatable).")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    fleet: Annotated[str | None, typer.Option(help="The fleet's name; by default after the spec or data file.")] = None,
    task: Annotated[Task | None, typer.Option(help="By default what the target suggests.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the spec; by default to stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a commented starter spec: types, roles, task and entity sizes inferred from the data."""
    if output is not None and output.exists() and not force:
        raise InputError(f"{output}: is there already; --force replaces it")
    name = fleet or (output.name.split(".")[0] if output is not None else None)
    folder = output.parent if output is not None else None
    starter = starter_spec(data, entity=entity, target=target, fleet=name, task=task, folder=folder)
    if output is not None:
        _write(output, starter.text, replace=force)
    if as_json:
        print_json(_document(starter, output))
        return
    if output is None:
        typer.echo(starter.text, nl=False)
    for note in starter.notes:
        progress.print(f"note: {note}", markup=False)
    rows = starter.sizes.rows
    where = str(output) if output is not None else "FILE.yaml"
    progress.print(
        f"fleet {starter.spec.fleet}: {starter.spec.task}, {len(rows):,} entities of {rows[0]:,} to {rows[-1]:,} rows; "
        f"next: modelfleet run {where}",
        markup=False,
    )


def _write(path: Path, text: str, *, replace: bool) -> None:
    """Write the file whole; without ``replace`` only if nobody made one meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
    temporary = Path(file.name)
    try:
        temporary.chmod(0o644)
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        raise InputError(f"{path}: is there already; --force replaces it") from None
    finally:
        temporary.unlink(missing_ok=True)


def _document(starter: Starter, output: Path | None) -> dict[str, object]:
    rows = starter.sizes.rows
    return {
        "fleet": starter.spec.fleet,
        "output": None if output is None else str(output),
        "yaml": starter.text,
        "task": starter.spec.task,
        "task_reason": starter.task_reason,
        "columns": {
            name: {
                "type": inferred.column.type,
                "role": inferred.column.role,
                "max_levels": inferred.column.max_levels,
                "reason": inferred.reason,
                "distinct": inferred.distinct,
                "missing": inferred.missing,
            }
            for name, inferred in starter.columns.items()
        },
        "entities": {
            "count": len(rows),
            "smallest": int(rows[0]),
            "median": int(rows[len(rows) // 2]),
            "largest": int(rows[-1]),
        },
        "notes": list(starter.notes),
    }
