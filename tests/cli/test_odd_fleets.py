"""Fleets nobody planned for: hostile names, one entity, several key columns, no model of their own, changed data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from conftest import Command

pytestmark = [pytest.mark.beam, pytest.mark.mlflow]

SPEC = """\
fleet: odd
entity: [{entity}]
task: binary
data: {{ source: rows.parquet, target: bought }}
model: {{ family: logistic, min_rows: {min_rows} }}
gate: {{ min_holdout_rows: 10 }}
expectations: {{ entities: {{ min_rows: 10 }} }}
"""

ODD = ["../x", "/etc/passwd", "😀", "line\nbreak", "tab\there", 'quo"te', "k" * 10_000, "nul\0", "%2e%2e", "-rf"]


def rows(keys: list[str], each: int, *, flip: bool = True) -> pa.Table:
    draw = np.random.default_rng(9)
    size = each * len(keys)
    price = draw.normal(0, 1, size)
    sign = np.repeat([1, -1 if flip else 1] * len(keys), each)[
        :size
    ]  # what holds for one is the reverse of what holds for the next
    bought = np.where(sign * price + draw.normal(0, 0.5, size) > 0, "yes", "no")
    return pa.table({"key": [key for key in keys for _ in range(each)], "price": price, "bought": bought})


def write(folder: Path, table: pa.Table, *, entity: str = "key", min_rows: int = 10) -> Path:
    pq.write_table(table, folder / "rows.parquet")
    spec = folder / "odd.yaml"
    spec.write_text(SPEC.format(entity=entity, min_rows=min_rows))
    return spec


def test_hostile_names_are_only_data(modelfleet: Command, tmp_path: Path) -> None:
    table = rows(ODD, 200)
    table = pa.concat_tables([table, rows([""], 30)])  # rows that belong to nobody
    spec = write(tmp_path, table)
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    ran = modelfleet("run", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["prepare"]["entities"] == len(ODD)
    assert ran.json["prepare"]["rows_bad"] == 30
    assert ran.json["gate"]["promoted"] == len(ODD)
    assert modelfleet("run", spec, "--run-id", "shown").code == 0, "the table of decisions can be printed"
    scored = modelfleet("score", spec, "--input", "rows.parquet", "--output", "scored.parquet", "--json")
    assert scored.code == 0, scored.err
    answers = pq.read_table(tmp_path / "scored.parquet")
    assert set(answers["entity"].to_pylist()) == set(ODD)
    assert len(answers) == 200 * len(ODD)
    after = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    assert after == before, "nothing was written outside the home folder"


def test_a_fleet_of_one_entity(modelfleet: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, rows(["only"], 400))
    ran = modelfleet("run", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["promote"]["generation"] == 1


def test_a_fleet_where_nobody_has_rows_enough_is_served_by_the_pooled_model(
    modelfleet: Command, tmp_path: Path
) -> None:
    spec = write(tmp_path, rows([f"shop {i}" for i in range(80)], 12, flip=False), min_rows=200)
    ran = modelfleet("run", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["gate"]["promoted"] == 0
    assert ran.json["promote"]["generation"] == 1
    scored = modelfleet("score", spec, "--input", "rows.parquet", "--output", "scored.parquet", "--json")
    assert scored.code == 0, scored.err
    answers = pq.read_table(tmp_path / "scored.parquet")
    assert len(answers) == 80 * 12
    assert set(answers["served_by"].to_pylist()) == {"pooled"}


def test_two_key_columns(modelfleet: Command, tmp_path: Path) -> None:
    keys = ["north", "south"]
    table = rows(keys, 600).append_column("line", [[["food", "toys", "tools"][i % 3] for i in range(1200)]])
    spec = write(tmp_path, table, entity="key, line")
    ran = modelfleet("run", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["prepare"]["entities"] == 6
    assert ran.json["gate"]["promoted"] == 6


def test_columns_that_come_and_go_between_runs(modelfleet: Command, tmp_path: Path) -> None:
    table = rows(["a", "b", "c"], 300)
    spec = write(tmp_path, table)
    assert modelfleet("run", spec).code == 0

    draw = np.random.default_rng(11)
    grown = table.append_column("weather", [draw.choice(["dry", "wet"], len(table)).tolist()])
    pq.write_table(grown, tmp_path / "rows.parquet")
    second = modelfleet("run", spec, "--json")
    assert second.code in (0, 3), second.err
    assert second.json["gate"]["intent"] == "change", "another set of features is another recipe"

    pq.write_table(grown.drop_columns(["price"]), tmp_path / "rows.parquet")
    third = modelfleet("run", spec, "--json")
    assert third.code in (0, 3), third.err
    scored = modelfleet("score", spec, "--input", "rows.parquet", "--output", "scored.parquet", "--json")
    assert scored.code == 2, "the serving models need the price"
    assert "'price'" in scored.out + scored.err

    pq.write_table(grown.drop_columns(["bought"]), tmp_path / "rows.parquet")
    fourth = modelfleet("run", spec, "--json")
    assert fourth.code == 2
    assert "'bought'" in fourth.json["error"]["message"]
    assert modelfleet("status", spec, "--json").json["generation"] == 1
