"""Evaluations in BigQuery, by Google's client library against a small server of ours; Google's was not reached."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.errors import DataError, DataUnavailableError, SpecError
from modelfleet.evaluation.table import evaluation_schema
from modelfleet.loop import evaluation_table
from modelfleet.loop.evaluation_table import append_evaluation
from modelfleet.loop.register import register
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import Task
from tests.loop.conftest import SPEC
from tests.loop.fake_load_jobs import FakeLoadJobs

COLUMNS = json.loads(
    (Path(__file__).resolve().parents[2] / "infra/modules/bigquery/columns/evaluation_regression.json").read_text()
)
TABLE = "my-shop.fleets.sales_evaluation"
NAMED = {"evaluation": {"table": "bigquery://my-shop/fleets/sales_evaluation"}}


@pytest.fixture
def service(monkeypatch):
    fake = FakeLoadJobs()
    fake.tables[TABLE] = (COLUMNS, [])
    monkeypatch.setattr(evaluation_table, "_client", lambda project: fake.client)
    yield fake
    fake.close()


def test_every_run_appends_its_evaluation_once(shop, service):
    first = shop.run({"a": 1.0, "b": 2.0}, overrides=NAMED)
    register(first, shop.registry)
    register(first, shop.registry)
    second = shop.run({"a": 3.0}, overrides=NAMED)
    register(second, shop.registry)
    rows = service.rows(TABLE)
    assert rows["run_id"].to_pylist() == [first.record.run_id] * 2 + [second.record.run_id]
    assert rows["entity"].to_pylist() == ["a", "b", "a"]
    assert rows.schema.field("evaluated_at").type == pa.timestamp("us", "UTC")
    assert append_evaluation(first) == 2


def test_the_whole_evaluation_fits_terraforms_table(shop, service):
    """Every column the training step leaves, with the types that Parquet and BigQuery share."""
    run = shop.run({"a": 1.0}, overrides=NAMED)
    pq.write_table(evaluation_schema(Task.REGRESSION).empty_table(), run.folder / "evaluation.parquet")
    append_evaluation(run)
    assert service.rows(TABLE).column_names == [column["name"] for column in COLUMNS]


def test_without_a_table_nobody_is_asked(shop, monkeypatch):
    monkeypatch.setattr(evaluation_table, "_client", lambda project: pytest.fail("asked"))
    assert append_evaluation(shop.run({"a": 1.0})) == 0


def test_a_job_that_failed_is_tried_under_another_name(shop, service):
    run = shop.run({"a": 1.0}, overrides=NAMED)
    service.fails = 1
    with pytest.raises(DataUnavailableError, match=r"evaluation\.table bigquery://my-shop/fleets/sales_evaluation"):
        append_evaluation(run)
    assert append_evaluation(run) == 1
    assert len(service.rows(TABLE)) == 1


def test_a_table_that_is_not_there_or_is_another(shop, service):
    run = shop.run({"a": 1.0}, overrides=NAMED)
    service.tables[TABLE] = (COLUMNS[:2], [])
    with pytest.raises(DataError, match="compare its columns with what is expected"):
        append_evaluation(run)
    del service.tables[TABLE]
    with pytest.raises(DataError, match="there is no such table"):
        append_evaluation(shop.run({"a": 1.0}, overrides=NAMED))


def test_a_service_that_refuses(shop, service):
    service.refuses = 403
    with pytest.raises(DataError, match=r"roles/bigquery\.dataEditor on the table and roles/bigquery\.jobUser"):
        append_evaluation(shop.run({"a": 1.0}, overrides=NAMED))


def test_the_spec_knows_how_a_table_is_named():
    with pytest.raises(SpecError, match=r"evaluation\.table"):
        parse_spec(SPEC | {"evaluation": {"table": "sales_evaluation"}}, "test")
