"""The validate step: Great Expectations on the prepared rows, and on the profile, which quarantines entities."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.badrow import BadRow
from modelfleet.data.expectations import expectation, spec_expectation
from modelfleet.data.plan import TARGET
from modelfleet.data.prepared import BAD_ROWS_FILE
from modelfleet.data.shard import shard_files
from modelfleet.data.validation import DataDocs, FailedExpectation, SuiteResult
from modelfleet.errors import DataError, StepError
from modelfleet.loop.data_docs import published
from modelfleet.spec.data import RESERVED

if TYPE_CHECKING:
    from modelfleet.run import Run

SAMPLE_ROWS = 200_000
"""Most rows the expectations on rows look at; of more, every k-th one."""

MOST_TOLD = 20
"""So many quarantined entities are named in the log."""

BETWEEN = "expect_column_values_to_be_between"
KEPT = "nothing was trained and the champion keeps serving"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationResult:
    """What validation found.

    Attributes:
        success: No critical expectation failed.
        statistics: Numbers of expectations per suite, and how many rows were looked at.
        failed_expectations: Those that were not met; critical ones stop the run.
        quarantined: Entities that get no model of their own in this run, each with the reason.
        data_docs: The first page of the site with the details.
    """

    success: bool
    statistics: dict[str, Any]
    failed_expectations: tuple[FailedExpectation, ...]
    quarantined: dict[str, str]
    data_docs: str


def validate(run: Run) -> ValidationResult:
    """Validate a run's prepared data; leaves quarantine.json and validation.json.

    Raises:
        StepError: The data has not been prepared.
        SpecError: The spec asks for an expectation that does not exist or does not take its arguments.
        DataError: Too many rows are bad, a critical expectation failed, or too many entities are quarantined.
    """
    summary = run.read("prepare")
    _check_bad_rows(run, summary)
    table, total = _rows(run)
    columns = [name for name in table.column_names if not name.startswith(RESERVED)]
    schema = run.schema()
    expectations = [
        expectation("expect_table_row_count_to_be_between", min_value=1),
        expectation(
            "expect_table_columns_to_match_set",
            column_set=[*(feature.name for feature in schema.features), TARGET],
            exact_match=False,
        ),
        expectation("expect_column_values_to_not_be_null", column=TARGET),
        *(spec_expectation(asked, i, columns) for i, asked in enumerate(run.spec.expectations.rows)),
    ]
    docs = DataDocs(run.home.data_docs / run.spec.fleet, run.record.run_id)
    rows = docs.check(f"{run.spec.fleet}-rows", table, expectations)
    profile = run.table("profile")
    entities, quarantined = _check_entities(run, docs, profile)
    critical = tuple(failure for failure in rows.failed if failure.severity == "critical")
    result = ValidationResult(
        success=not critical,
        statistics={
            "rows": rows.statistics,
            "entities": entities.statistics,
            "rows_checked": len(table),
            "rows_prepared": total,
        },
        failed_expectations=(*rows.failed, *entities.failed),
        quarantined=quarantined,
        data_docs=published(docs.address, run.spec.fleet, run.record.run_id),
    )
    run.write("quarantine", quarantined)
    run.write("validation", _document(result))
    if len(table) < total:
        logger.warning("expectations on rows looked at %s of %s rows", f"{len(table):,}", f"{total:,}")
    for failure in rows.failed:
        logger.warning("%s expectation failed: %s", failure.severity, failure.sentence())
    for entity, reason in islice(quarantined.items(), MOST_TOLD):
        logger.warning("quarantined: entity %r %s", entity[:100], reason)
    if len(quarantined) > MOST_TOLD:
        logger.warning("and %s more, in quarantine.json", f"{len(quarantined) - MOST_TOLD:,}")
    _stop_if(run, result, critical, len(profile))
    return result


def _check_bad_rows(run: Run, summary: dict[str, Any]) -> None:
    share = summary["rows_bad"] / max(summary["rows_read"], 1)
    if share <= run.spec.expectations.max_bad_rows:
        return
    path = run.folder / BAD_ROWS_FILE
    examples = "; ".join(BadRow(**row).sentence() for row in pq.read_table(path).slice(0, 3).to_pylist())
    raise DataError(
        f"fleet '{run.spec.fleet}': {summary['rows_bad']:,} of {summary['rows_read']:,} rows cannot be used "
        f"({share:.2%}; expectations.max_bad_rows is {run.spec.expectations.max_bad_rows:.2%}), {KEPT}: {examples}; "
        f"more in {path}"
    )


def _rows(run: Run) -> tuple[pa.Table, int]:
    """Return the rows to look at, evenly drawn, and how many there are."""
    files = list(shard_files(run.prepared).values())
    if not files:
        raise StepError(f"run {run.record.run_id}: {run.prepared} holds no shard: run the step 'prepare' again")
    counts = [pq.ParquetFile(path).metadata.num_rows for path in files]
    total = sum(counts)
    step = -(-total // SAMPLE_ROWS)
    tables, start = [], 0
    for path, count in zip(files, counts, strict=True):
        table = pq.read_table(path)
        tables.append(table if step == 1 else table.take(pa.array(range(start, count, step), pa.int64())))
        start = (start - count) % step
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks(), total


def _check_entities(run: Run, docs: DataDocs, profile: pa.Table) -> tuple[SuiteResult, dict[str, str]]:
    """Return what the suite on the profile found, and per entity that failed, one clause saying why."""
    bounds = run.spec.expectations.entities
    classes = bool(run.schema().classes)
    expectations = [
        expectation(BETWEEN, "warning", column="rows", min_value=bounds.min_rows),
        expectation(BETWEEN, "warning", column="missing_share", max_value=bounds.max_missing),
    ]
    columns = ["entity", "rows", "missing_share"]
    if classes:
        expectations.append(expectation(BETWEEN, "warning", column="classes_seen", min_value=bounds.min_classes))
        columns.append("classes_seen")
    table = profile.select(columns)
    result = docs.check(f"{run.spec.fleet}-entities", table, expectations, label="entity")
    failing = {entity for entities in result.unexpected.values() for entity in entities}
    words = {
        "rows": lambda v: f"{v:,} {_plural('row', v)}, expected at least {bounds.min_rows:,}",
        "classes_seen": lambda v: f"{v} {_plural('class', v)} of the target, expected at least {bounds.min_classes}",
        "missing_share": lambda v: f"{v:.1%} of its feature values missing, expected at most {bounds.max_missing:.1%}",
    }
    quarantined = {}
    for row in table.to_pylist():
        if row["entity"] in failing:
            clauses = [
                words[column](row[column])
                for (_, column), entities in sorted(
                    result.unexpected.items(), key=lambda item: columns.index(item[0][1])
                )
                if row["entity"] in entities
            ]
            quarantined[row["entity"]] = f"has {', and '.join(clauses)}"
    return result, quarantined


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _stop_if(run: Run, result: ValidationResult, critical: tuple[FailedExpectation, ...], entities: int) -> None:
    """Raise where the run must not go on."""
    if critical:
        lines = "\n".join(f"  - {failure.sentence()}" for failure in critical)
        raise DataError(
            f"fleet '{run.spec.fleet}', run {run.record.run_id}: the data failed {len(critical)} critical "
            f"expectation(s), {KEPT}:\n{lines}\n  details: {result.data_docs}"
        )
    share = len(result.quarantined) / max(entities, 1)
    if share > run.spec.expectations.max_quarantined:
        examples = "; ".join(f"{entity[:100]!r} {why}" for entity, why in list(result.quarantined.items())[:3])
        raise DataError(
            f"fleet '{run.spec.fleet}', run {run.record.run_id}: {len(result.quarantined):,} of {entities:,} entities "
            f"({share:.0%}; expectations.max_quarantined is {run.spec.expectations.max_quarantined:.0%}) are "
            f"quarantined, {KEPT}: {examples}; details: {result.data_docs}"
        )


def _document(result: ValidationResult) -> dict[str, Any]:
    return {
        "success": result.success,
        "statistics": result.statistics,
        "failed_expectations": [asdict(failure) for failure in result.failed_expectations],
        "quarantined": len(result.quarantined),
        "data_docs": result.data_docs,
    }
