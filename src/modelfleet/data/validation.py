"""Running Great Expectations suites on tables, and the site that shows the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelfleet.data.expectations import import_gx

SHOWN = 3
"""Examples shown of the values that do not fit."""


@dataclass(frozen=True)
class FailedExpectation:
    """An expectation that was not met.

    Attributes:
        suite: The suite it belongs to.
        type: Its name, such as ``expect_column_values_to_be_between``.
        severity: ``critical`` or ``warning``.
        arguments: What it was asked.
        observed: What was seen instead.
    """

    suite: str
    type: str
    severity: str
    arguments: Mapping[str, Any]
    observed: str

    def sentence(self) -> str:
        """Return it as one line for a message."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.type}({arguments}): {self.observed}"


@dataclass(frozen=True)
class SuiteResult:
    """What a suite found.

    Attributes:
        success: Every expectation was met.
        statistics: Numbers of expectations: evaluated, successful, unsuccessful, and the share in percent.
        failed: The others.
        unexpected: By (name of the expectation, column), the labels of the rows that do not fit, where the suite
            was given a label column.
    """

    success: bool
    statistics: dict[str, Any]
    failed: tuple[FailedExpectation, ...]
    unexpected: dict[tuple[str, str], tuple[str, ...]]


class DataDocs:
    """Runs suites and adds their results to a fleet's site.

    Args:
        folder: Of the site; results of earlier runs stay on it.
        run_id: Groups the results on the site.

    Raises:
        MissingExtraError: Great Expectations is not installed.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._gx = import_gx()
        self._context = self._gx.get_context(mode="ephemeral", project_config=_configuration(folder))
        self._source = self._context.data_sources.add_pandas("modelfleet")

    @property
    def address(self) -> Path:
        """The site's first page."""
        return self._folder / "index.html"

    def check(
        self, name: str, table: pa.Table, expectations: Sequence[Any], *, label: str | None = None
    ) -> SuiteResult:
        """Run a suite on a table and add the result to the site.

        Args:
            name: Of the suite; its results are filed under it.
            table: The rows.
            expectations: As ``expectation`` makes them.
            label: Column by which rows that do not fit are named in the result; absent means they are not.
        """
        gx = self._gx
        batch = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = self._context.suites.add(gx.ExpectationSuite(name=name, expectations=list(expectations)))
        definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        detail: dict[str, Any] = {"result_format": "SUMMARY"}
        if label is not None:
            detail = {"result_format": "COMPLETE", "unexpected_index_column_names": [label]}
        checkpoint = self._context.checkpoints.add(
            gx.Checkpoint(
                name=name,
                validation_definitions=[definition],
                actions=[gx.checkpoint.UpdateDataDocsAction(name="site")],
                result_format=detail,
            )
        )
        # A word in front: Great Expectations tries to read a time out of the name, here and again when it makes the
        # pages, and takes the end of "20261122T120102-9712" for a time zone
        run_id = gx.RunIdentifier(run_name=f"run-{self._run_id}", run_time=datetime.now(UTC))
        outcome = checkpoint.run(batch_parameters={"dataframe": _frame(table)}, run_id=run_id)
        (result,) = outcome.run_results.values()
        return _suite_result(name, result, label)


def _configuration(folder: Path) -> Any:
    """Return a configuration that keeps results and pages below ``folder``, and everything else in memory."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    folder.mkdir(parents=True, exist_ok=True)
    defaults = InMemoryStoreBackendDefaults()
    results = defaults.validation_results_store_name

    def on_disk(where: Path) -> dict[str, str]:
        return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(where)}

    stores = {
        **defaults.stores,
        results: {"class_name": "ValidationResultsStore", "store_backend": on_disk(folder / ".results")},
    }
    site = {
        "class_name": "SiteBuilder",
        "store_backend": on_disk(folder),
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    return DataContextConfig(
        config_version=4.0,
        stores=stores,
        expectations_store_name=defaults.expectations_store_name,
        validation_results_store_name=results,
        checkpoint_store_name=defaults.checkpoint_store_name,
        data_docs_sites={"modelfleet": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )


def _frame(table: pa.Table) -> Any:
    """Return a pandas frame with plain strings: expectations on pandas categories behave unlike those on texts."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    return table.to_pandas()


def _suite_result(name: str, result: Any, label: str | None) -> SuiteResult:
    failed: list[FailedExpectation] = []
    unexpected: dict[tuple[str, str], tuple[str, ...]] = {}
    for one in result.results:
        if one.success:
            continue
        config = one.expectation_config
        arguments = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
        severity = str(getattr(config.severity, "value", config.severity) or "critical")
        failed.append(FailedExpectation(name, config.type, severity, arguments, _observed(one)))
        if label is not None and "column" in arguments:
            rows = one.result.get("unexpected_index_list") or []
            unexpected[config.type, arguments["column"]] = tuple(str(row[label]) for row in rows)
    return SuiteResult(bool(result.success), dict(result.statistics), tuple(failed), unexpected)


def _observed(one: Any) -> str:
    """Return what was seen, in words."""
    raised = one.exception_info or {}
    if raised and "raised_exception" not in raised:  # one entry per metric that could not be computed
        raised = next(iter(raised.values()))
    if raised.get("raised_exception"):
        return f"could not be evaluated: {raised.get('exception_message')}"
    found = one.result
    if found.get("unexpected_count"):
        examples = ", ".join(str(value) for value in found.get("partial_unexpected_list", [])[:SHOWN])
        total = found.get("element_count", 0)
        return f"{found['unexpected_count']:,} of {total:,} values do not fit" + (
            f", such as {examples}" if examples else ""
        )
    return f"observed {found['observed_value']}" if "observed_value" in found else "not met"
