"""The whole loop without Airflow, on data the project has never seen, from a spec that `init` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from conftest import Command

pytestmark = [pytest.mark.beam, pytest.mark.mlflow]


def shops(rows: int, target: str) -> pa.Table:
    """Sales of twelve shops, with an id, a customer, a day, a remark and a target of the wanted kind."""
    draw = np.random.default_rng(3)
    shop = draw.integers(0, 12, rows)
    price = draw.uniform(1, 9, rows)
    weather = draw.choice(["dry", "wet", "snow"], rows)
    demand = 20 - 2 * price + 3 * shop + 5 * (weather == "dry") + draw.normal(0, 1, rows)
    targets = {
        "demand": demand.round(3),
        "sold_out": np.where(demand > np.median(demand), "yes", "no"),
        "level": np.select(
            [demand < np.quantile(demand, 0.3), demand < np.quantile(demand, 0.7)], ["low", "mid"], "high"
        ),
    }
    words = np.array(["late", "fresh", "long", "short", "loud", "calm", "red", "blue"])
    return pa.table(
        {
            "ticket": [f"T{i:06d}" for i in range(rows)],
            "shop": [f"shop {s}" for s in shop],
            "price": price.round(2),
            "weather": weather,
            "staff": draw.integers(1, 5, rows),
            "day": [f"2025-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(rows)],
            "remark": [" ".join(draw.choice(words, 7)) + f" {i}" for i in range(rows)],
            target: targets[target],
        }
    )


@pytest.mark.parametrize(
    ("target", "task", "ending"),
    [("sold_out", "binary", "csv"), ("level", "multiclass", "parquet"), ("demand", "regression", "csv")],
)
def test_init_then_run_then_score(modelfleet: Command, tmp_path: Path, target: str, task: str, ending: str) -> None:
    table = shops(2_400, target)
    data = tmp_path / f"shops.{ending}"
    pyarrow.csv.write_csv(table, data) if ending == "csv" else pq.write_table(table, data)

    written = modelfleet("init", "--data", data, "--entity", "shop", "--target", target)
    assert written.code == 0, written.err
    spec = tmp_path / "shops.yaml"
    spec.write_text(written.out)
    assert f"task: {task}" in written.out
    assert "remark" in written.err, "an ignored text column is said loudly"

    ran = modelfleet("run", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["gate"]["promoted"] >= 4
    assert ran.json["promote"]["generation"] == 1
    assert ran.json["confirm"]["outcome"] == "unconfirmed"

    again = modelfleet("run", spec, "--json")
    assert again.code == 0, again.err
    assert again.json["promote"]["generation"] is None, "the same data makes the same models: nothing to release"

    scored = modelfleet("score", spec, "--input", data, "--output", tmp_path / "scored.parquet", "--json")
    assert scored.code == 0, scored.err
    predictions = pq.read_table(tmp_path / "scored.parquet")
    assert len(predictions) == len(table)
    assert set(predictions.column("generation").to_pylist()) == {1}
    assert modelfleet("status", spec, "--json").json["generation"] == 1


def test_a_better_family_then_back(modelfleet: Command, tmp_path: Path) -> None:
    data = tmp_path / "shops.parquet"
    pq.write_table(shops(2_400, "demand"), data)
    spec = tmp_path / "shops.yaml"
    spec.write_text(modelfleet("init", "--data", data, "--entity", "shop", "--target", "demand").out)
    assert modelfleet("run", spec).code == 0

    better = modelfleet("run", spec, "--overrides", '{"model": {"family": "linear", "parameters": null}}', "--json")
    assert better.code == 0, better.err
    assert better.json["gate"]["intent"] == "change"
    assert better.json["promote"]["generation"] == 2

    worse = modelfleet("run", spec, "--overrides", '{"model": {"parameters": {"max_depth": 1}}}')
    assert worse.code == 3
    assert "the champions keep serving" in worse.err

    back = modelfleet("rollback", spec, "--reason", "the old ones were fine", "--json")
    assert back.code == 0, back.err
    assert (back.json["generation"], back.json["rolled_back_to"]) == (3, 1)
    assert len(modelfleet("history", spec, "--json").json) == 3

    assert modelfleet("pin", spec).code == 2, "a pin says why"
    assert modelfleet("pin", spec, "--reason", "complaints", "--json").json["pinned"]
    linear = {"alpha": 2.0, "max_depth": None, "min_samples_leaf": None}  # null: the tree's own, which linear has not
    patch = json.dumps({"model": {"family": "linear", "parameters": linear}})
    held = modelfleet("run", spec, "--overrides", patch, "--force", "--run-id", "held", "--json")
    assert held.code == 3, held.err
    assert held.json["promote"] | {"reason": ""} == {"generation": None, "outcome": "pinned", "reason": ""}
    assert "because: complaints" in held.err
    assert "--run-id held" in held.err
    assert modelfleet("unpin", spec).code == 0
    assert modelfleet("run", spec, "--run-id", "held", "--json").json["promote"]["generation"] == 6


def test_candidates_and_slices_without_named_columns(modelfleet: Command, tmp_path: Path) -> None:
    data = tmp_path / "shops.parquet"
    pq.write_table(shops(2_400, "demand"), data)
    spec = tmp_path / "shops.yaml"
    spec.write_text(
        f"""
fleet: shops
entity: shop
task: regression
data: {{ source: {data}, target: demand }}
model:
  candidates:
    - {{ family: linear, grid: {{ alpha: [0.1, 1.0] }} }}
    - {{ family: tree, parameters: {{ max_depth: 2 }} }}
evaluation: {{ slices: [weather] }}
"""
    )
    ran = modelfleet("run", spec)
    assert ran.code == 0, ran.err
    assert "; chosen: " in ran.err
    assert "linear(alpha=" in ran.err
    wrong = modelfleet("run", spec, "--overrides", '{"evaluation": {"slices": ["wether"]}}')
    assert wrong.code == 2
    assert "evaluation.slices: 'wether' is not among the columns; did you mean 'weather'?" in wrong.err


def test_mlflow_down_exits_4_and_the_same_run_completes_later(modelfleet: Command, tmp_path: Path) -> None:
    data = tmp_path / "shops.parquet"
    pq.write_table(shops(1_200, "demand"), data)
    spec = tmp_path / "shops.yaml"
    spec.write_text(modelfleet("init", "--data", data, "--entity", "shop", "--target", "demand").out)

    down = modelfleet("run", spec, "--run-id", "first", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    assert down.code == 4
    assert "http://127.0.0.1:9" in down.err
    assert modelfleet("history", spec, "--json").json == []

    up = modelfleet("run", spec, "--run-id", "first", "--json")
    assert up.code == 0, up.err
    assert up.json["promote"]["generation"] == 1
