from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from modelfleet.data.census import CATEGORIES, ORDER, census_table, main, write_census
from modelfleet.errors import InputError
from modelfleet.spec import load_spec

REPOSITORY = Path(__file__).parents[2]


def sizes(table: pa.Table) -> Sequence[int]:
    return sorted(table["education"].value_counts().field("counts").to_pylist())


def test_equal_arguments_give_equal_tables_and_other_seeds_others() -> None:
    assert census_table(500, 5, seed=1).equals(census_table(500, 5, seed=1))
    assert not census_table(500, 5, seed=1).equals(census_table(500, 5, seed=2))


def test_has_the_columns_that_the_income_fleet_names() -> None:
    columns = load_spec(REPOSITORY / "fleets" / "income.yaml").data.columns
    assert columns is not None
    assert census_table(10, 2, seed=0).column_names == list(ORDER) == list(columns)


@given(st.integers(1, 400), st.integers(1, 40), st.integers(0, 5), st.sampled_from([None, 0.0, 1.0, 1.5]))
def test_every_entity_has_rows_and_values_stay_in_range(
    rows: int, entities: int, seed: int, zipf: float | None
) -> None:
    rows = max(rows, entities)
    table = census_table(rows, entities, seed, zipf)
    assert table.num_rows == rows
    assert len(sizes(table)) == entities
    assert sizes(table)[0] >= min(12, rows // entities)
    age = pc.min_max(table["age"]).as_py()
    assert 17 <= age["min"] <= age["max"] <= 90
    for name, values in CATEGORIES.items():
        assert set(table[name].drop_null().to_pylist()) <= set(values)
    assert table["income"].null_count == 0


def test_zipf_makes_a_few_entities_large() -> None:
    even, skewed = census_table(20_000, 100, seed=3), census_table(20_000, 100, seed=3, zipf=1.0)
    assert sizes(even)[-1] < 2 * 200
    assert sizes(skewed)[-1] > 10 * sizes(skewed)[50]


def test_labels_depend_on_the_features_and_differently_in_each_entity() -> None:
    table = census_table(40_000, 4, seed=5)
    married = np.asarray(table["marital_status"].cast(pa.string()).to_numpy(zero_copy_only=False))
    rich = np.asarray(table["income"].cast(pa.string()).to_numpy(zero_copy_only=False)) == ">50K"
    entity = np.asarray(table["education"].cast(pa.string()).to_numpy(zero_copy_only=False))
    assert 0.15 < rich.mean() < 0.4
    gaps = []
    for name in np.unique(entity):
        here = entity == name
        together = here & (married == "Married-civ-spouse")
        gaps.append(rich[together].mean() - rich[here & ~together].mean())
    assert min(gaps) > 0
    assert max(gaps) - min(gaps) > 0.05


@pytest.mark.parametrize("name", ["census.parquet", "census.csv"])
def test_writes_a_whole_file_and_leaves_no_other(tmp_path: Path, name: str) -> None:
    path = write_census(tmp_path / "data" / name, rows=300, entities=3, seed=9)
    read = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)
    assert read.num_rows == 300
    assert read["age"].to_pylist() == census_table(300, 3, 9)["age"].to_pylist()
    assert [p.name for p in path.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 2, "entities": 3}, "2 rows cannot have 3 entities"),
        ({"rows": 2, "entities": 0}, "cannot have 0 entities"),
        ({"rows": 2, "entities": 1, "zipf": -1.0}, "zipf is -1.0"),
    ],
)
def test_impossible_sizes_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        census_table(seed=0, **arguments)  # type: ignore[arg-type]


def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.parquet or \.csv"):
        write_census(tmp_path / "census.xlsx", rows=10, entities=1)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_file_or_says_why_not(tmp_path: Path) -> None:
    app = Typer()
    app.command()(main)
    output = tmp_path / "c.parquet"
    done = CliRunner().invoke(app, ["--rows", "100", "--entities", "4", "--output", str(output), "--zipf", "1"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "100 rows, 4 entities" in done.stderr
    assert pyarrow.parquet.read_table(output).equals(census_table(100, 4, 7, zipf=1.0))
    refused = CliRunner().invoke(app, ["--rows", "1", "--entities", "4", "--output", str(output)])
    assert refused.exit_code == 2
    assert "give each at least one row" in refused.stderr
