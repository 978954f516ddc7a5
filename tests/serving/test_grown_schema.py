"""A release may need a feature that not every producer sends yet: its default, or a dead letter; never a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.data.schema import Feature, Schema
from modelfleet.errors import DataError
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.loading import load_bundle
from modelfleet.serving.message import parse_message
from modelfleet.serving.score import score_table
from modelfleet.serving.score_piece import files_to_score
from modelfleet.spec.data import ColumnType
from modelfleet.spec.file import parse_spec

SIZE = Feature(name="size", type=ColumnType.NUMBER, default=2.0)


def grown(shop: Any, feature: Feature = SIZE) -> Schema:
    return shop.schema(features=(*shop.schema().features, feature))


def chunk(*names: str) -> Any:
    columns = {"store": ["a", "c"], "x": [1, 1], "colour": ["red", None], "size": [None, 5]}
    return parse_message(json.dumps({"request_id": "c", "columns": {name: columns[name] for name in names}}))


def test_old_and_new_producers_are_answered_before_and_after_the_swap(shop: Any, resident: Any) -> None:
    mixed = [shop.request("old"), shop.request("new", size=5), shop.request("null", size=None)]
    mixed += [chunk("store", "x", "colour"), chunk("store", "x", "colour", "size")]

    def generations(fleet: Any) -> list[int]:
        outcomes = fleet.predict(mixed)
        assert [type(outcome) for outcome in outcomes[:3]] == [Answer] * 3
        assert all(outcome.dead_letters == () for outcome in outcomes[3:])
        return [outcome.generation for outcome in outcomes]

    shop.release_of()
    fleet = resident()
    assert generations(fleet) == [1] * 5
    shop.release_of(schema=grown(shop))
    fleet.notice(2)
    shop.until(lambda: fleet.generation == 2)
    assert generations(fleet) == [2] * 5
    shop.release_of()  # and back to models that do not know it
    fleet.notice(3)
    shop.until(lambda: fleet.generation == 3)
    assert generations(fleet) == [3] * 5


def test_without_a_default_it_is_a_dead_letter_that_names_the_column_and_costs_no_other(
    shop: Any, resident: Any
) -> None:
    shop.release_of(schema=grown(shop, Feature(name="size", type=ColumnType.NUMBER)))
    old, new = resident().predict([shop.request("old"), shop.request("new", size=5)])
    assert isinstance(old, DeadLetter)
    assert "no column 'size'" in old.reason
    assert isinstance(new, Answer)


def test_entities_of_one_bundle_may_be_of_old_and_new_models(shop: Any, resident: Any) -> None:
    shop.release_of(schemas={1: grown(shop)})
    answers = resident().predict([shop.request("1"), shop.request("2", store="c")])
    assert [answer.prediction for answer in answers] == [101.0, 301.0]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_to_score_may_lack_it_too(shop: Any, tmp_path: Path, ending: str) -> None:
    table = pa.table({"store": ["a"], "x": ["1"], "colour": ["red"]})
    file = tmp_path / f"rows.{ending}"
    if ending == "csv":
        file.write_text("store,x,colour\na,1,red\n")
    else:
        pq.write_table(table, file)
    spec = parse_spec(
        {"fleet": "sales", "entity": "store", "task": "regression", "data": {"source": "t.csv", "target": "y"}}, "test"
    )
    fleet = load_bundle(shop.bundle(schema=grown(shop)), fleet="sales", generation=1)
    assert len(files_to_score(spec, str(file), fleet.schemas.values())[1]) == 1
    assert score_table(fleet, table).predictions["prediction"].to_pylist() == [101.0]
    strict = grown(shop, Feature(name="size", type=ColumnType.NUMBER))
    with pytest.raises(DataError, match="no column 'size', which the models need"):
        files_to_score(spec, str(file), [strict])
