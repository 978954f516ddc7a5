"""Validate: what stops a run, what quarantines an entity, and the pages that show it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from modelfleet.errors import DataError, SpecError, StepError
from modelfleet.loop import validate as validate_step
from modelfleet.loop.validate import validate
from modelfleet.run import Run
from modelfleet.spec import load_spec

from .conftest import REPOSITORY, MakeSpec, StartRun, csv_text, prepare_without_beam, two_entities


def run_of(make_spec: MakeSpec, start_run: StartRun, text: str, **expectations: Any) -> Run:
    expectations.setdefault("entities", {"min_rows": 5})
    columns = {"key": "category", "x": "number", "c": "category", "y": "category"}
    run = start_run(make_spec(text, data={"columns": columns}, expectations=expectations))
    prepare_without_beam(run)
    return run


def test_adult_quarantines_preschool_and_writes_the_pages(start_run: StartRun) -> None:
    # a name whose end a date parser takes for a time zone that cannot be
    run = start_run(load_spec(REPOSITORY / "fleets/income.yaml"), run_id="20261122T120102-9712")
    prepare_without_beam(run)
    result = validate(run)
    assert result.success
    reason = "has 51 rows, expected at least 100, and 1 class of the target, expected at least 2"
    assert result.quarantined == run.read("quarantine") == {"Preschool": reason}
    document = run.read("validation")
    assert (document["success"], document["quarantined"]) == (True, 1)
    assert document["statistics"]["rows"]["unsuccessful_expectations"] == 0
    assert document["statistics"]["rows_checked"] == 32_561
    pages = run.home.data_docs / "income"
    assert (pages / "index.html").is_file()
    assert "Preschool" in "".join(page.read_text() for page in pages.glob("validations/income-entities/**/*.html"))


def test_each_bound_quarantines(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["good", i, "u", "ny"[i % 2]] for i in range(20)]
    rows += [["few", i, "u", "ny"[i % 2]] for i in range(3)]
    rows += [["same", i, "u", "n"] for i in range(20)]
    rows += [["gaps", "", "", "ny"[i % 2]] for i in range(20)]
    bounds = {"min_rows": 5, "max_missing": 0.4}
    text = csv_text(["key", "x", "c", "y"], rows)
    run = run_of(make_spec, start_run, text, entities=bounds, max_quarantined=0.8)
    assert validate(run).quarantined == {
        "few": "has 3 rows, expected at least 5",
        "gaps": "has 100.0% of its feature values missing, expected at most 40.0%",
        "same": "has 1 class of the target, expected at least 2",
    }
    # running again gives the same
    assert validate(run).quarantined == run.read("quarantine")


def test_regression_has_no_classes_to_count(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["ab"[i % 2], 2 * i, i * 1.5] for i in range(40)]
    run = start_run(
        make_spec(csv_text(["key", "x", "y"], rows), task="regression", expectations={"entities": {"min_rows": 20}})
    )
    prepare_without_beam(run)
    assert validate(run).quarantined == {}


def test_a_critical_expectation_stops_the_run_and_names_what_was_seen(make_spec: MakeSpec, start_run: StartRun) -> None:
    asked = [
        {"type": "expect_column_values_to_be_between", "arguments": {"column": "x", "max_value": 60}},
        {"type": "expect_column_mean_to_be_between", "arguments": {"column": "x", "max_value": 5}},
        {"type": "expect_column_values_to_be_in_set", "arguments": {"column": "c", "value_set": ["u", "v"]}},
    ]
    run = run_of(make_spec, start_run, two_entities(), rows=asked)
    with pytest.raises(DataError) as caught:
        validate(run)
    message = str(caught.value)
    assert "the data failed 3 critical expectation(s), nothing was trained and the champion keeps serving" in message
    assert "expect_column_values_to_be_between(column='x', max_value=60" in message
    assert "9 of 40 values do not fit, such as 6" in message
    assert "observed 39" in message
    assert "13 of 40 values do not fit, such as w, w, w" in message
    assert "index.html" in message
    assert run.read("validation")["success"] is False
    # and again: a failed validation is never taken for a passed one
    with pytest.raises(DataError, match="3 critical"):
        validate(run)


def test_a_warning_is_reported_only(make_spec: MakeSpec, start_run: StartRun) -> None:
    asked = {"type": "expect_column_values_to_be_between", "arguments": {"column": "x", "max_value": 60}}
    run = run_of(make_spec, start_run, two_entities(), rows=[asked | {"severity": "warning"}])
    result = validate(run)
    assert result.success
    assert [failure.severity for failure in result.failed_expectations] == ["warning"]
    assert (
        json.loads((run.folder / "validation.json").read_text())["failed_expectations"][0]["arguments"]["column"] == "x"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"type": "expect_column_values_to_be_betwen", "arguments": {"column": "x"}},
            r"rows\.0\.type: there is no expectation .*did you mean 'expect_column_values_to_be_between'",
        ),
        (
            {"type": "expect_column_values_to_be_between", "arguments": {"column": "x", "min": 1}},
            r"rows\.0\.arguments: 'min' is not an argument of .*valid are|did you mean",
        ),
        ({"type": "expect_column_values_to_not_be_null"}, "needs 'column'"),
        (
            {"type": "expect_column_values_to_not_be_null", "arguments": {"column": "ke"}},
            r"rows\.0\.arguments\.column: the prepared rows have no column 'ke'; did you mean 'key'",
        ),
        (
            {"type": "expect_compound_columns_to_be_unique", "arguments": {"column_list": ["x", "z"]}},
            "have no column 'z'",
        ),
    ],
)
def test_an_expectation_that_cannot_be_is_a_spec_error(
    make_spec: MakeSpec, start_run: StartRun, asked: dict[str, object], message: str
) -> None:
    run = run_of(make_spec, start_run, two_entities(), rows=[asked])
    with pytest.raises(SpecError, match=message):
        validate(run)
    assert not run.has("validation")


def test_too_many_bad_rows_stop_the_run(make_spec: MakeSpec, start_run: StartRun) -> None:
    run = run_of(make_spec, start_run, two_entities() + "a,oops,u,yes\n" * 5, max_bad_rows=0.1)
    with pytest.raises(
        DataError,
        match=r"5 of 45 rows cannot be used \(11\.11%; .*max_bad_rows is 10\.00%\).*line 42: column 'x' is 'oops'",
    ):
        validate(run)
    assert not run.has("validation")


def test_too_many_quarantined_entities_stop_the_run(make_spec: MakeSpec, start_run: StartRun) -> None:
    rows = [["a", i, "u", "ny"[i % 2]] for i in range(20)] + [["b", 1, "u", "n"], ["c", 2, "u", "y"]]
    run = run_of(make_spec, start_run, csv_text(["key", "x", "c", "y"], rows), max_quarantined=0.5)
    with pytest.raises(
        DataError, match=r"2 of 3 entities \(67%; .*max_quarantined is 50%\) are quarantined.*'b' has 1 row"
    ):
        validate(run)


def test_many_rows_are_sampled_and_said(
    make_spec: MakeSpec, start_run: StartRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(validate_step, "SAMPLE_ROWS", 30)
    run = run_of(make_spec, start_run, two_entities(100))
    statistics = validate(run).statistics
    assert (statistics["rows_checked"], statistics["rows_prepared"]) == (25, 100)
    assert "expectations on rows looked at 25 of 100 rows" in caplog.text


def test_before_prepare_is_a_step_error(make_spec: MakeSpec, start_run: StartRun) -> None:
    run = start_run(make_spec(two_entities()))
    with pytest.raises(StepError, match="run the step 'prepare' first"):
        validate(run)
    prepare_without_beam(run)
    for path in run.prepared.iterdir():
        path.unlink()
    with pytest.raises(StepError, match="holds no shard"):
        validate(run)
    assert pq.read_table(run.folder / "profile.parquet").num_rows == 2
