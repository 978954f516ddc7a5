"""The resolved schema: levels and classes, from what was counted over all the data."""

from __future__ import annotations

from collections import Counter

from modelfleet.data.facts import Facts
from modelfleet.data.plan import PreparePlan
from modelfleet.data.schema import Feature, Schema
from modelfleet.errors import DataError, nearest
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task

MAX_CLASSES = 1_000
"""More classes than this mean that the target is no class."""


def resolve_schema(plan: PreparePlan, facts: Facts) -> tuple[Schema, dict[str, int]]:
    """Return the schema, and for each category with more levels than it keeps, how many it has.

    Levels are counted over rows that train, so that none is known from the holdout alone.

    Raises:
        DataError: A file could not be read, no row could be used, an entity the run names is not there, or the
            target's classes do not fit the task.
    """
    if facts.error:
        raise DataError(facts.error)
    usable = facts.rows_read - facts.rows_bad
    if usable == 0:
        raise DataError(_nothing_usable(plan, facts))
    absent = sorted((plan.entities or frozenset()) - facts.entities_found)
    if absent:
        hint = nearest(absent[0], facts.entity_examples)
        raise DataError(f"entities: the data has no entity {absent[0]!r} ({len(absent)} such){hint}")
    classes = tuple(sorted(facts.classes))
    _check_classes(plan, classes, usable)
    features, capped = [], {}
    for name in plan.features:
        kind = plan.columns[name].type
        levels = None
        if kind is ColumnType.CATEGORY:
            counts = facts.levels.get(name, Counter())
            levels = _most_frequent(counts, plan.max_levels(name))
            if len(levels) < len(counts):
                capped[name] = len(counts)
        features.append(Feature(name=name, type=kind, levels=levels, default=plan.columns[name].default))
    schema = Schema(
        entity=plan.spec.entity,
        target=plan.spec.data.target,
        task=plan.spec.task,
        classes=classes,
        features=tuple(features),
        missing=plan.missing,
    )
    return schema, capped


def _most_frequent(counts: Counter[str], most: int) -> tuple[str, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(sorted(level for level, _ in ranked[:most]))


def _check_classes(plan: PreparePlan, classes: tuple[str, ...], rows: int) -> None:
    task, target = plan.spec.task, plan.spec.data.target
    if task is Task.REGRESSION:
        return
    shown = ", ".join(repr(name) for name in classes[:8]) + (", ..." if len(classes) > 8 else "")
    if len(classes) < 2:
        raise DataError(f"target '{target}': every one of {rows:,} rows has the class {shown}; expected at least 2")
    if task is Task.BINARY and len(classes) > 2:
        raise DataError(
            f"target '{target}': task is binary, but there are {len(classes):,} classes ({shown}); clean the target, "
            "or set task: multiclass (or regression, if it is a quantity)"
        )
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"target '{target}': {len(classes):,} classes ({shown}); at most {MAX_CLASSES:,} are possible: "
            "set task: regression if it is a quantity"
        )


def _nothing_usable(plan: PreparePlan, facts: Facts) -> str:
    where = plan.spec.data.source
    if not facts.rows_read:
        return f"{where}: holds no rows"
    examples = "; ".join(row.sentence() for row in facts.bad[:3])
    return f"{where}: not one of {facts.rows_read:,} rows can be used: {examples}"
