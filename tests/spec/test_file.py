from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.errors import SpecError
from modelfleet.spec import (
    ColumnRole,
    ColumnType,
    FleetSpec,
    FolderSinkSpec,
    FolderSourceSpec,
    Task,
    load_spec,
    override,
    parse_spec,
)

Load = Callable[[str], FleetSpec]


def test_six_lines_are_a_spec_and_paths_start_at_its_folder(load: Load, smallest: str, tmp_path: Path) -> None:
    spec = load(smallest)
    assert spec.entity == ("store",)
    assert spec.task is Task.REGRESSION
    assert spec.model.family == "tree"
    assert spec.data.columns is None
    assert spec.data.source == str(tmp_path / "fleets" / "sales.parquet")
    assert spec.serving.source == FolderSourceSpec()
    assert spec.serving.sink == FolderSinkSpec()


def test_paths_with_a_scheme_and_absolute_ones_stay(load: Load, smallest: str) -> None:
    there = (
        smallest.replace("sales.parquet", "gs://bucket/sales-*.parquet")
        + "serving: {source: {requests: /in}, sink: {answers: out}}\n"
    )
    spec = load(there)
    assert spec.data.source == "gs://bucket/sales-*.parquet"
    assert isinstance(spec.serving.source, FolderSourceSpec)
    assert isinstance(spec.serving.sink, FolderSinkSpec)
    assert spec.serving.source.requests == "/in"
    assert spec.serving.sink.answers is not None
    assert spec.serving.sink.answers.endswith("/fleets/out")


def test_a_column_in_short_is_a_feature(document: dict[str, Any]) -> None:
    columns = parse_spec(document, origin="test").data.columns
    assert columns is not None
    assert columns["price"].type is ColumnType.NUMBER
    assert columns["price"].role is ColumnRole.FEATURE
    assert columns["price"].max_levels is None


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("fleet: [", "not valid YAML"),
        ("fleet: a\nfleet: b", "not valid YAML"),
        ("fleet: !!python/object:os.system {}", "not valid YAML"),
        ("fleet: 2024-13-45", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("", "expected a mapping of fields such as 'fleet'"),
        ("just words", "expected a mapping of fields such as 'fleet'"),
        ("{}", "fleet: is required"),
    ],
)
def test_what_is_not_a_spec_is_refused_with_the_file_named(load: Load, broken: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as error:
        load(broken)
    assert "fleets/sales.yaml: " in str(error.value)


def test_every_missing_field_has_a_line(load: Load) -> None:
    with pytest.raises(SpecError) as error:
        load("fleet: sales\ndata: {}\n")
    lines = str(error.value).splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == [
        "entity: is required",
        "task: is required",
        "data.source: is required",
        "data.target: is required",
    ]


def test_a_file_that_is_not_there_gets_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "income.yaml").write_text("{}")
    with pytest.raises(SpecError, match=r"incone\.yaml: no such file; did you mean 'income\.yaml'\?"):
        load_spec(tmp_path / "incone.yaml")
    with pytest.raises(SpecError, match="no such file; write one with `modelfleet init"):
        load_spec(tmp_path / "nothing" / "here.yaml")
    with pytest.raises(SpecError, match="cannot be read as UTF-8 text"):
        load_spec(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="cannot be read as UTF-8 text"):
        load_spec(tmp_path / "bytes.yaml")


def broken(document: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *sections, last = field.split("/")
    section = changed
    for name in sections:
        section = section.setdefault(name, {})
    section[last] = value
    return changed


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        # misspelt keys, at every depth
        ("entitty", "store", "entitty: no such key; did you mean 'entity'?"),
        ("data/sorce", "x", "data.sorce: no such key; did you mean 'source'?"),
        (
            "data/columns/price",
            {"type": "number", "rol": "ignore"},
            "data.columns.price.rol: no such key; did you mean 'role'?",
        ),
        ("expectations/rows", [{"typ": "expect_x"}], "expectations.rows.0.typ: no such key; did you mean 'type'?"),
        (
            "expectations/entities",
            {"min_row": 3},
            "expectations.entities.min_row: no such key; did you mean 'min_rows'?",
        ),
        (
            "gate/thresholds",
            {"roc_auc": {"minimum": 1}},
            "gate.thresholds.roc_auc.minimum: no such key; did you mean 'min'?",
        ),
        ("model/qqq", 1, "model.qqq: no such key; valid are: candidates, family, features, min_rows"),
        # wrong values
        ("fleet", "Sales Fleet", "fleet: is 'Sales Fleet': String should match pattern"),
        ("fleet", "../x", "fleet: is '../x': String should match pattern"),
        ("entity", [], "entity: is []: Tuple should have at least 1 item"),
        ("entity", ["store", "store"], "entity: store, store names a column twice"),
        ("task", "binray", "task: is 'binray', which is not valid; did you mean 'binary'?"),
        ("engine", "dataflw", "engine: is 'dataflw', which is not valid; did you mean 'dataflow'?"),
        ("data", "sales.csv", "data: is 'sales.csv': Input should be a valid dictionary"),
        (
            "data/columns/price",
            "nmber",
            "data.columns.price.type: is 'nmber', which is not valid; did you mean 'number'?",
        ),
        (
            "data/columns/price",
            {"type": "number", "role": "traget"},
            "data.columns.price.role: is 'traget', which is not valid; did you mean 'target'?",
        ),
        ("data/columns/day", "date", "a column of type 'date' cannot be a feature yet; give it role: ignore"),
        ("data/columns/note", "text", "a column of type 'text' cannot be a feature yet; give it role: ignore"),
        (
            "data/columns/price",
            {"type": "number", "default": "dear"},
            "'dear' is no value of a column of type 'number'",
        ),
        ("data/columns/price", {"type": "number", "default": True}, "True is no value of a column of type 'number'"),
        ("data/columns/price", {"type": "integer", "default": 1.5}, "1.5 is no value of a column of type 'integer'"),
        ("data/columns/price", {"type": "boolean", "default": 1}, "1 is no value of a column of type 'boolean'"),
        ("data/columns/colour", {"type": "category", "default": 7}, "7 is no value of a column of type 'category'"),
        ("data/columns/country", {"type": "category", "default": "x"}, "'country' has a default, but entity names it"),
        (
            "data/columns/day",
            {"type": "date", "role": "ignore", "default": "x"},
            "default: 'x' is for features, but the column's role is ignore",
        ),
        ("data/columns/__part", "number", "'__part' is not a usable name"),
        ("data/columns/", "number", "'' is not a usable name"),
        ("data/delimiter", ";;", "data.delimiter: is ';;': String should have at most 1 character"),
        ("data/max_levels", 0, "data.max_levels: is 0: Input should be greater than or equal to 1"),
        ("serving/updates", "event", "serving: updates: event needs notices"),
        ("serving/updates", "poll", "serving.updates: is 'poll', which is not valid"),
        ("serving/notices", {"kind": "kafka", "bootstrap_servers": "b", "topic": "t"}, "bootstrap_servers: is 'b'"),
        ("serving/notices", {"kind": "kafka", "bootstrap_servers": "b:1", "topic": "a b"}, "topic: is 'a b'"),
        ("serving/notices", {"kind": "pubsub", "topic": "t", "subscription": "s"}, "topic: is 't'"),
        ("split/holdout", 1, "split.holdout: is 1: Input should be less than 1"),
        ("split/holdout", float("nan"), "split.holdout: is nan: Input should be a finite number"),
        ("split/validation", 0.9, "split: holdout 0.2 + validation 0.9 leave no rows to train on"),
        ("gate/thresholds", {"roc_auc": {}}, "gate.thresholds.roc_auc: a threshold needs min or max"),
        ("gate/thresholds", {"roc_auc": {"min": 0.9, "max": 0.1}}, "min 0.9 is above max 0.1"),
        ("schedule/cron", "every monday", "schedule.cron: is 'every monday': String should match pattern"),
        (
            "expectations/rows",
            [{"type": "drop table"}],
            "expectations.rows.0.type: is 'drop table': String should match",
        ),
        ("model/parameters", {"when": object}, "model.parameters.when"),
        # fields that do not agree
        ("data/target", "country", "data.target 'country' is also an entity column"),
        ("data/target", "sold_oot", "data.target 'sold_oot' is not among data.columns; did you mean 'sold_out'?"),
        ("entity", "stare", "entity 'stare' is not among data.columns; did you mean 'store'?"),
        ("entity", "country", "column 'store' has role entity, but entity names country"),
        (
            "data/columns/store",
            {"type": "integer", "role": "group"},
            "column 'store' has role group, but entity names it",
        ),
        (
            "data/columns/price",
            {"type": "number", "role": "target"},
            "column 'price' has role target, but data.target names sold_out",
        ),
        (
            "data/columns/sold_out",
            {"type": "date", "role": "target"},
            "data.target 'sold_out' has type date: task binary cannot",
        ),
        ("task", "regression", "data.target 'sold_out' has type boolean: task regression cannot predict it"),
        (
            "data/columns/price",
            {"type": "number", "role": "row_id"},
            "at most one column may have role row_id, but sale, price",
        ),
        ("model/features", ["prize"], "model.features: 'prize' is not a feature column; did you mean 'price'?"),
        ("model/features", ["store"], "model.features: 'store' is not a feature column"),
        ("model/features", [], "model.features is empty"),
        (
            "gate/loss",
            "absolute_error",
            "gate.loss 'absolute_error' is not for task binary; valid are: brier, log_loss",
        ),
        (
            "gate/thresholds",
            {"acuracy": {"min": 0.5}},
            "gate.thresholds: 'acuracy' is no metric of task binary; did you mean 'accuracy'?",
        ),
        ("gate/thresholds", {"rmse": {"max": 5}}, "gate.thresholds: 'rmse' is no metric of task binary"),
    ],
)
def test_errors_name_the_field_the_value_and_the_nearest(
    document: dict[str, Any], field: str, value: object, message: str
) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(broken(document, field, value), origin="sales.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("sales.yaml: ")


def test_a_spec_without_features_has_nothing_to_learn_from(document: dict[str, Any]) -> None:
    for name in ("price", "colour"):
        document["data"]["columns"][name] = {"type": "category", "role": "ignore"}
    with pytest.raises(SpecError, match="no column has role feature"):
        parse_spec(document, origin="test")


def test_a_file_without_a_header_needs_its_columns_named(document: dict[str, Any]) -> None:
    document["data"]["header"] = False
    assert parse_spec(document, origin="test").data.header is False
    del document["data"]["columns"]
    with pytest.raises(SpecError, match="header: false needs columns"):
        parse_spec(document, origin="test")


@pytest.mark.parametrize("value", [None, 3, "text", ["a"]])
def test_a_document_that_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="test: expected a mapping"):
        parse_spec(value, origin="test")


@given(st.text())
def test_any_text_is_a_spec_or_a_spec_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(SpecError):  # no text hypothesis thinks of has the five fields needed
        load_spec(path)


@pytest.mark.parametrize("option", ["s3_secret_access_key", "azure_api_key", "my_token", "dbPassword"])
def test_a_secret_among_the_engine_options_is_refused_and_not_shown(load: Load, smallest: str, option: str) -> None:
    with pytest.raises(SpecError, match=rf"engine_options.*'{option}' is a secret.*take it out") as error:
        load(smallest + f"engine_options: {{{option}: hunter2}}\n")
    assert "hunter2" not in str(error.value)
    assert load(smallest + "engine_options: {dataflow_kms_key: a/b}\n").engine_options == {"dataflow_kms_key": "a/b"}


def test_files_that_are_scored_by_the_clock_start_at_the_specs_folder(
    load: Load, smallest: str, tmp_path: Path
) -> None:
    score = '{cron: "0 6 * * *", input: "gs://in/{date}/*.csv", output: "out/{date}.parquet"}'
    found = load(smallest + f"schedule: {{score: {score}}}\n").schedule.score
    assert found is not None
    assert found.input == "gs://in/{date}/*.csv"
    assert found.output == str(tmp_path / "fleets" / "out" / "{date}.parquet")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.parquet", "has no {date}: each day would take the place"),
        ("{date}-{{ params }}.parquet", "has braces that are none of {date}"),
        ("{day}.parquet", "has braces that are none of {date}"),
        ("{date}{%raw%}.parquet", "has braces that are none of {date}"),
    ],
)
def test_a_place_for_days_that_is_none_is_told(load: Load, smallest: str, output: str, message: str) -> None:
    with pytest.raises(SpecError, match=r"schedule\.score") as error:
        load(smallest + f'schedule: {{score: {{cron: "@daily", input: in.csv, output: "{output}"}}}}\n')
    assert message in str(error.value)


def test_what_the_file_leaves_out_is_not_in_the_way_of_an_override(load: Load, smallest: str) -> None:
    """A sink of another kind has other fields, and null is no value of theirs."""
    kafka = {"kind": "kafka", "topic": "requests", "bootstrap_servers": "broker:9092"}
    for text in (smallest, smallest + "serving: {source: {kind: folder}, poll_seconds: 1}\n"):
        assert override(load(text), {"serving": {"source": kafka}}).serving.source.kind == "kafka"
