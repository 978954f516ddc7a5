"""Writing a first spec for a data file: everything inferred, every column named with its reason, nothing in silence."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import DataError, InputError, nearest
from modelfleet.spec.data import ColumnRole, ColumnType, DataSpec
from modelfleet.spec.expectations import EntityExpectations, ExpectationsSpec
from modelfleet.spec.file import parse_yaml
from modelfleet.spec.fleet import FleetSpec, Task
from modelfleet.starter.text import starter_text

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.data.inference import InferredColumn
    from modelfleet.data.sizes import EntitySizes

DELIMITERS = (",", ";", "\t", "|")
_ROOM = 0.2
"""Added to a share seen in the data before it becomes a bound, so that the next delivery is not refused at once."""


@dataclass(frozen=True)
class Starter:
    """A first spec.

    Attributes:
        text: The YAML, with comments.
        spec: The same, checked and loaded.
        columns: What each column was taken for.
        sizes: How large the entities are.
        task_reason: Why this task.
        notes: What its owner should know before using it, one sentence each; also at the top of the text.
    """

    text: str
    spec: FleetSpec
    columns: Mapping[str, InferredColumn]
    sizes: EntitySizes
    task_reason: str
    notes: tuple[str, ...]


def starter_spec(
    source: str | Path,
    *,
    entity: Sequence[str],
    target: str,
    fleet: str | None = None,
    task: Task | None = None,
    folder: Path | None = None,
) -> Starter:
    """Return a working spec for a data set.

    Args:
        source: File, folder or glob of the data.
        entity: The key columns.
        target: The column to predict.
        fleet: Its name; None means after the data.
        task: None means what the target suggests.
        folder: Where the spec will lie; its path to the data is then relative. None means an absolute path.

    Raises:
        DataError: The data is not there, is not what it says, has no such columns or gives no fleet.
        SpecError: The name is not a fleet's, or no column can be learned from.
        InputError: No entity, or the target is an entity column.
    """
    from modelfleet.data.inference import infer_columns, infer_missing, infer_task
    from modelfleet.data.sample import read_sample
    from modelfleet.data.sizes import entity_sizes

    if not entity or target in entity:
        raise InputError(f"--target '{target}' cannot also be the --entity" if entity else "--entity: name a column")
    path = Path(source).expanduser().absolute()
    data = _with_delimiter(DataSpec(source=str(path), target=target), [*entity, target])
    table = read_sample(data)
    _require(table, [*entity, target], data)
    data = data.model_copy(update={"missing": infer_missing(table)})
    suggested, task_reason = infer_task(table, target, missing=data.missing)
    if task is not None and task is not suggested:
        _check_task(table, data, task)
        task_reason = f"as you said (the data suggests {suggested}: {task_reason})"
    task = task or suggested
    columns = infer_columns(table, entity=entity, target=target, task=task, missing=data.missing)
    sizes = entity_sizes(data, entity)
    _check_entities(sizes, entity, columns)
    expectations = _expectations(sizes, task, columns[target])
    notes = _notes(entity, target, columns, sizes, expectations, len(table))
    shown = str(path) if folder is None else os.path.relpath(path, folder.absolute())
    text = starter_text(
        fleet or _name_after(path), entity, task, task_reason, data, shown, columns, sizes, expectations, notes
    )
    spec = parse_yaml(text, origin="the starter spec", folder=(folder or Path.cwd()).absolute())
    return Starter(text, spec, columns, sizes, task_reason, notes)


def _name_after(path: Path) -> str:
    """Return a fleet's name made of a file's."""
    plain = re.sub(r"[^a-z0-9]+", "_", path.name.split(".")[0].lower()).strip("_")
    return f"fleet_{plain}"[:63].rstrip("_") if not plain or not plain[0].isalpha() else plain[:63]


def _with_delimiter(data: DataSpec, names: Sequence[str]) -> DataSpec:
    """Return the data section with the delimiter by which a CSV file has the columns asked for, or else the most."""
    from modelfleet.data.files import csv_names, find_files

    files = [file for file in find_files(data) if file.format == "csv"]
    if not files:
        return data
    best, most = data, (-1, -1)
    for delimiter in DELIMITERS:
        tried = data.model_copy(update={"delimiter": delimiter})
        try:
            found = csv_names(files[0], tried)[1]
        except DataError:
            continue  # the delimiter that fits best is tried again by whoever reads, and then says what is wrong
        rank = (sum(name in found for name in names), len(found))
        if rank > most:
            best, most = tried, rank
    return best


def _require(table: pa.Table, names: Sequence[str], data: DataSpec) -> None:
    there = table.column_names
    wrong = [name for name in names if name not in there]
    if not wrong:
        return
    message = "\n".join(f"{data.source}: has no column '{name}'{nearest(name, there)}" for name in wrong)
    if any(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in there):
        message += (
            "\nIts first line looks like values, not names. Give it a header, or write a spec by hand with "
            "data.header: false and all columns named in order (fleets/income.yaml is one)"
        )
    raise DataError(message)


def _check_task(table: pa.Table, data: DataSpec, task: Task) -> None:
    import pyarrow.compute as pc

    from modelfleet.data.text import as_text
    from modelfleet.data.typed import NUMBER_PATTERN

    values = [v for v in as_text(table[data.target]).dictionary.drop_null().to_pylist() if v not in {"", *data.missing}]
    if task is Task.BINARY and len(values) != 2:
        raise DataError(f"--task binary: the target '{data.target}' has {len(values):,} distinct values, expected 2")
    if task is Task.REGRESSION:
        import pyarrow as pa

        numeric = pc.match_substring_regex(pa.array(values, pa.string()), NUMBER_PATTERN).to_pylist()
        odd = [value for value, number in zip(values, numeric, strict=True) if not number]
        if odd:
            raise DataError(f"--task regression: the target '{data.target}' holds {odd[0]!r}, expected numbers only")


def _check_entities(sizes: EntitySizes, entity: Sequence[str], columns: Mapping[str, InferredColumn]) -> None:
    names = " + ".join(entity)
    if len(sizes.rows) == 0:
        raise DataError(f"--entity {names}: no row has a value there, so there is no entity")
    if sizes.rows[-1] > 1 or len(sizes.rows) == 1:
        return
    repeating = [
        f"{name} ({c.distinct:,} values)"
        for name, c in columns.items()
        if name not in entity and 1 < c.distinct <= c.rows / 20 and c.column.type is not ColumnType.NUMBER
    ]
    raise DataError(
        f"--entity {names}: unique per row ({len(sizes.rows):,} entities of 1 row), so no entity has anything to learn "
        f"from; name a column whose values repeat{': ' + ', '.join(repeating[:5]) if repeating else ''}"
    )


def _expectations(sizes: EntitySizes, task: Task, target: InferredColumn) -> ExpectationsSpec:
    """Return the default bounds, widened where the data at hand would not pass them."""
    defaults = ExpectationsSpec()
    entities = EntityExpectations(min_classes=1 if task is Task.REGRESSION else 2)
    quarantined = sizes.short_of(entities.min_rows, entities.min_classes) / len(sizes.rows)
    bad = (target.missing + sizes.nameless) / max(target.rows, 1)
    return ExpectationsSpec(
        entities=entities,
        max_quarantined=_widened(quarantined, defaults.max_quarantined),
        max_bad_rows=_widened(bad, defaults.max_bad_rows),
    )


def _widened(seen: float, default: float) -> float:
    """Return the default bound, or a wider one where what was seen comes near it."""
    return default if seen <= default * 0.6 else min(1.0, math.ceil((seen + _ROOM) * 20) / 20)


def _notes(
    entity: Sequence[str],
    target: str,
    columns: Mapping[str, InferredColumn],
    sizes: EntitySizes,
    expectations: ExpectationsSpec,
    sample: int,
) -> tuple[str, ...]:
    notes = []
    for name, inferred in columns.items():
        column = inferred.column
        used_as_is = column.role in {ColumnRole.FEATURE, ColumnRole.ENTITY, ColumnRole.TARGET}
        if not used_as_is or column.max_levels is not None:
            notes.append(f"column '{name}': {inferred.reason}")
        if column.type is ColumnType.DATE:
            notes.append(
                f"rows are not split by '{name}': if later rows depend on earlier ones, the holdout looks better than "
                "the future will be"
            )
    if columns[target].missing:
        share = columns[target].missing / columns[target].rows
        notes.append(f"the target '{target}' has no value in {share:.1%} of the rows: those are set aside as bad rows")
    if sizes.nameless:
        notes.append(f"{sizes.nameless:,} rows have no {' + '.join(entity)}: those are set aside as bad rows")
    bounds = expectations.entities
    short = sizes.short_of(bounds.min_rows, bounds.min_classes)
    if short:
        why = f"fewer than {bounds.min_rows} rows" + (" or only one class" if bounds.min_classes > 1 else "")
        notes.append(
            f"{short:,} of {len(sizes.rows):,} entities have {why}: they get no model of their own, the pooled model "
            "serves them"
        )
    if not sizes.complete:
        notes.append(f"the sizes of the entities are those of the first {int(sizes.rows.sum()):,} rows")
    elif sample < int(sizes.rows.sum()) + sizes.nameless:
        notes.append(f"types and roles go by the first {sample:,} rows; a later value that does not fit is a bad row")
    return tuple(notes)
