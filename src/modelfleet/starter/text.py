"""The text of a first spec: YAML with a comment beside every choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modelfleet.spec.data import Column, ColumnRole, DataSpec
from modelfleet.spec.expectations import ExpectationsSpec
from modelfleet.spec.fleet import Task
from modelfleet.starter.scalar import comment, key, scalar

if TYPE_CHECKING:
    from modelfleet.data.inference import InferredColumn
    from modelfleet.data.sizes import EntitySizes


def starter_text(
    fleet: str,
    entity: Sequence[str],
    task: Task,
    task_reason: str,
    data: DataSpec,
    shown: str,
    columns: Mapping[str, InferredColumn],
    sizes: EntitySizes,
    expectations: ExpectationsSpec,
    notes: Sequence[str],
) -> str:
    """Return the YAML of a first spec, every choice with its reason beside it.

    Args:
        fleet: The fleet's name.
        entity: The key columns.
        task: What is predicted.
        task_reason: Why that.
        data: Where the rows are and how they are written.
        shown: The path to the data as the spec writes it.
        columns: What each column was taken for.
        sizes: How large the entities are.
        expectations: Bounds the data passes.
        notes: Sentences for the top.
    """
    rows = sizes.rows
    lines = [
        comment(f"Predicts {data.target}, one model per {' + '.join(entity)}."),
        "# Written by `modelfleet init` from the data; yours to edit. Every field there is: docs/spec.md",
    ]
    if notes:
        lines += ["#", "# BEFORE YOU USE IT"]
        lines += [comment(f"- {note}") for note in notes]
    lines += [
        "",
        f"fleet: {scalar(fleet)}",
        comment(
            f"{len(rows):,} entities; rows in the smallest {rows[0]:,}, median {int(rows[len(rows) // 2]):,}, largest "
            f"{rows[-1]:,}; {sizes.short_of(expectations.entities.min_rows, 0):,} have fewer than "
            f"{expectations.entities.min_rows}"
        ),
        f"entity: {scalar(entity[0])}" if len(entity) == 1 else f"entity: [{', '.join(map(scalar, entity))}]",
        f"task: {task} {comment(task_reason)}",
        "",
        "data:",
        f"  source: {scalar(shown)}",
    ]
    if data.delimiter != ",":
        lines.append(f"  delimiter: {scalar(data.delimiter)}")
    if data.missing:
        lines.append(f'  missing: [{", ".join(map(scalar, data.missing))}] # texts found that mean "no value"')
    lines += [f"  target: {scalar(data.target)}", "  columns:"]
    lines += [
        f"    {key(name)} {_column(inferred.column)} {comment(_reason(inferred))}" for name, inferred in columns.items()
    ]
    lines += ["", *_split_lines(columns), "", *_expectation_lines(expectations), "", *_MODEL_AND_GATE]
    return "\n".join(lines) + "\n"


def _column(column: Column) -> str:
    if column.role is ColumnRole.FEATURE and column.max_levels is None:
        return str(column.type)
    parts = [f"type: {column.type}"]
    if column.role is not ColumnRole.FEATURE:
        parts.append(f"role: {column.role}")
    if column.max_levels is not None:
        parts.append(f"max_levels: {column.max_levels}")
    return f"{{ {', '.join(parts)} }}"


def _reason(inferred: InferredColumn) -> str:
    missing = f"; {inferred.missing / inferred.rows:.1%} missing" if 0 < inferred.missing < inferred.rows else ""
    role = "feature: " if inferred.column.role is ColumnRole.FEATURE else ""
    return f"{role}{inferred.reason}{missing}"


def _split_lines(columns: Mapping[str, InferredColumn]) -> list[str]:
    named = {inferred.column.role: name for name, inferred in columns.items()}
    if ColumnRole.GROUP in named:
        identity = f"{named[ColumnRole.GROUP]}: all rows of one share a part"
    elif ColumnRole.ROW_ID in named:
        identity = f"{named[ColumnRole.ROW_ID]}, the row's id"
    else:
        identity = "the row's whole content, since no column is an id: exact copies share a part"
    return [
        comment(f"Into which part a row falls depends on a hash of {identity}"),
        "split:",
        "  holdout: 0.2 # only the gate sees it",
        "  validation: 0.1",
    ]


def _expectation_lines(expectations: ExpectationsSpec) -> list[str]:
    entities = expectations.entities
    defaults = ExpectationsSpec()
    lines = ["expectations:", "  entities: # one that fails is quarantined: the pooled model serves it"]
    lines.append(f"    min_rows: {entities.min_rows}")
    if entities.min_classes > 1:
        lines.append(f"    min_classes: {entities.min_classes}")
    for name, why in (
        ("max_quarantined", "share of the entities; wide, since that many of this data's are small"),
        ("max_bad_rows", "share of the rows; wide, since that many of this data's have no target or entity"),
    ):
        bound = getattr(expectations, name)
        if bound != getattr(defaults, name):
            lines.append(f"  {name}: {bound:g} # {why}")
    lines += [
        "  # rows: # what must hold before anything is trained; any Great Expectations expectation",
        "  #   - { type: expect_column_values_to_be_between, arguments: { column: NAME, min_value: 0 } }",
    ]
    return lines


_MODEL_AND_GATE = (
    "model:",
    "  family: tree # or logistic, linear, sklearn",
    "  parameters: { max_depth: 6, min_samples_leaf: 5 } # small enough not to learn a few hundred rows by heart",
    "",
    "# A candidate replaces a champion only where the holdout shows that it should; docs/spec.md says how.",
    "# gate:",
    "#   thresholds: { METRIC: { min: 0.7 } } # below it nothing is promoted, whatever the comparison says",
    "#   smallest_accepted_share: 0.1",
    "# schedule:",
    '#   cron: "0 3 * * 1" # Mondays at three, UTC',
)
