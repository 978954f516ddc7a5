from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.census import census_table, write_census
from modelfleet.data.sizes import entity_sizes
from modelfleet.errors import DataError, InputError, SpecError
from modelfleet.spec import ColumnRole, ColumnType, DataSpec, FleetSpec, Task, load_spec
from modelfleet.starter.scalar import comment, key, scalar
from modelfleet.starter.spec import Starter, starter_spec

ROWS = 600
ROLES = {"row_id", "group", "ignore", "feature", "entity", "target"}


def shop(rows: int = ROWS) -> pa.Table:
    """Sales with an id, a repeating id, a date, prose, a wide category, a constant and missing values."""
    random = np.random.default_rng(4)
    words = np.array(["red", "soft", "large", "cheap", "old", "fine", "green", "round"])
    return pa.table(
        {
            "sale_id": [f"s{i:06d}" for i in range(rows)],
            "store": random.choice(["Rome", "Oslo", "Lima"], rows),
            "customer_id": [f"c{i:03d}" for i in random.integers(0, 120, rows)],
            "day": [date(2024, 1, 1) + timedelta(days=int(i)) for i in random.integers(0, 300, rows)],
            "remark": [" ".join(random.choice(words, 6)) + f" {i}" for i in range(rows)],
            "product": [f"p{i}" for i in np.minimum(random.geometric(0.02, rows), 150)],
            "currency": ["EUR"] * rows,
            "price": np.where(random.random(rows) < 0.1, np.nan, random.normal(20, 5, rows).round(2)),
            "member": random.random(rows) < 0.5,
            "demand": random.poisson(9, rows) * 1.5,
            "size": random.choice(["S", "M", "L"], rows),
            "returned": random.choice(["yes", "no"], rows),
        }
    )


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "Sales 2024.parquet"
    pyarrow.parquet.write_table(shop(), path)
    return path


def save(starter: Starter, folder: Path) -> FleetSpec:
    path = folder / "written.yaml"
    path.write_text(starter.text)
    return load_spec(path)


@pytest.mark.parametrize(
    ("target", "task", "reason"),
    [
        ("returned", Task.BINARY, "two values, 'no' and 'yes'"),
        ("size", Task.MULTICLASS, "3 distinct values"),
        ("demand", Task.REGRESSION, "a number with"),
    ],
)
def test_every_task_gets_a_working_spec(sales: Path, tmp_path: Path, target: str, task: Task, reason: str) -> None:
    starter = starter_spec(sales, entity=["store"], target=target)
    spec = save(starter, tmp_path)
    assert spec == starter.spec
    assert (spec.fleet, spec.entity, spec.task, spec.data.target) == ("sales_2024", ("store",), task, target)
    assert reason in starter.task_reason
    assert f"task: {task} # " in starter.text
    assert spec.data.source == str(sales)


def test_every_column_has_a_role_and_its_reason_beside_it(sales: Path) -> None:
    starter = starter_spec(sales, entity=["store"], target="demand")
    columns = starter.spec.data.columns
    assert columns is not None
    assert list(columns) == shop().column_names
    assert {name: c.role for name, c in columns.items() if c.role is not ColumnRole.FEATURE} == {
        "sale_id": ColumnRole.ROW_ID,
        "store": ColumnRole.ENTITY,
        "customer_id": ColumnRole.GROUP,
        "day": ColumnRole.IGNORE,
        "remark": ColumnRole.IGNORE,
        "currency": ColumnRole.IGNORE,
        "demand": ColumnRole.TARGET,
    }
    assert columns["day"].type is ColumnType.DATE
    assert columns["remark"].type is ColumnType.TEXT
    assert columns["product"].max_levels == 50
    for name, inferred in starter.columns.items():
        line = next(line for line in starter.text.splitlines() if line.strip().startswith(f"{name}:"))
        assert inferred.reason in line
    assert "price: number # feature: " in starter.text
    assert "% missing" in next(line for line in starter.text.splitlines() if "price:" in line)


def test_what_is_not_used_is_said_first_and_loudly(sales: Path) -> None:
    starter = starter_spec(sales, entity=["store"], target="demand")
    top = starter.text.split("\nfleet:")[0]
    assert "BEFORE YOU USE IT" in top
    for note in starter.notes:
        assert note[:200] in top
    said = "\n".join(starter.notes)
    assert "column 'day': IGNORED: it is a date" in said
    assert "rows are not split by 'day'" in said
    assert "column 'remark': IGNORED: it is free text" in said
    assert "column 'currency': ignored: it is 'EUR' in every row" in said
    assert "column 'sale_id': an id" in said
    assert "column 'customer_id': a repeating id" in said
    assert "column 'product': " in said
    assert "of which the 50 most frequent are kept" in said


def test_entity_sizes_are_told_and_small_entities_do_not_stop_the_first_run(tmp_path: Path) -> None:
    path = write_census(tmp_path / "census.parquet", rows=1_000, entities=40, zipf=1.0)
    starter = starter_spec(path, entity=["education"], target="income")
    counts = sorted(census_table(1_000, 40, 7, zipf=1.0)["education"].value_counts().field("counts").to_pylist())
    small = sum(count < 30 for count in counts)
    assert (
        f"# 40 entities; rows in the smallest {counts[0]}, median {counts[20]}, largest {counts[-1]}; "
        f"{small} have fewer than 30" in starter.text
    )
    share = starter.sizes.short_of(30, 2) / 40
    assert share > 0.5  # the default bound would stop the run
    assert share < starter.spec.expectations.max_quarantined <= 1
    assert any("get no model of their own" in note for note in starter.notes)


def test_sizes_count_rows_and_classes_over_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("k,m,y\nu,1,a\nu,1,b\nv,1,a\n,1,a\n")
    (tmp_path / "b.csv").write_text("k,m,y\nu ,1,a\nv,2,a\n?,2,b\n")
    data = DataSpec(source=str(tmp_path), target="y", missing=("?",))
    sizes = entity_sizes(data, ["k"])
    assert (sizes.rows.tolist(), sizes.classes.tolist(), sizes.nameless, sizes.complete) == ([2, 3], [1, 2], 2, True)
    assert (sizes.short_of(3, 1), sizes.short_of(1, 2), sizes.short_of(4, 1)) == (1, 1, 2)
    both = entity_sizes(data, ["k", "m"])
    assert both.rows.tolist() == [1, 1, 3]
    assert not entity_sizes(data, ["k"], most_rows=3).complete


def test_several_entity_columns(sales: Path) -> None:
    starter = starter_spec(sales, entity=["store", "size"], target="demand")
    assert starter.spec.entity == ("store", "size")
    assert "entity: [store, size]" in starter.text
    assert len(starter.sizes.rows) == 9


def test_rows_without_a_target_are_told_and_let_through(tmp_path: Path) -> None:
    target = [None if i % 5 == 0 else float(i) for i in range(200)]
    entity = ["" if i % 50 == 3 else "ab"[i % 2] for i in range(200)]
    table = pa.table({"k": entity, "x": [i % 7 for i in range(200)], "y": target})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    starter = starter_spec(tmp_path / "d.parquet", entity=["k"], target="y")
    assert starter.spec.expectations.max_bad_rows >= 0.22
    said = "\n".join(starter.notes)
    assert "the target 'y' has no value in 20.0% of the rows" in said
    assert "4 rows have no k" in said


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["shop", "price", "sold"]] + [["ab"[i % 2], str(i * 7 % 50), str(i * 3 % 41)] for i in range(100)]
    path = tmp_path / "semi.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows))
    starter = starter_spec(path, entity=["shop"], target="sold")
    assert save(starter, tmp_path).data.delimiter == delimiter


def test_missing_markers_are_found(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        "k,x,y\n" + "".join(f"{'ab'[i % 2]},{'?' if i % 9 == 0 else i % 13},{i * 5 % 83}\n" for i in range(90))
    )
    spec = save(starter_spec(path, entity=["k"], target="y"), tmp_path)
    assert spec.data.missing == ("?",)
    assert spec.data.columns is not None
    assert spec.data.columns["x"].type is ColumnType.INTEGER


NASTY = ["yes", "null", "1", "", " lead", "a: b", "#x", "he said \"hi\"", "back\\slash", "tab\there", "Größe", "🦊", "x\u2028y", "k" * 1500]  # fmt: skip  # noqa: E501


def test_columns_with_any_name_are_written_so_that_they_read_back(tmp_path: Path) -> None:
    names = [name for name in NASTY if name.strip()]
    random = np.random.default_rng(0)
    table = pa.table(
        {name: random.integers(0, 9, 100) for name in names} | {"k\n1": ["a", "b"] * 50, "~y": random.normal(size=100)}
    )
    pyarrow.parquet.write_table(table, tmp_path / "n.parquet")
    spec = save(starter_spec(tmp_path / "n.parquet", entity=["k\n1"], target="~y"), tmp_path)
    assert spec.data.columns is not None
    assert set(spec.data.columns) == {name.strip() for name in table.column_names}
    assert spec.entity == ("k\n1",)


@given(st.text())
def test_scalars_and_keys_read_back(text: str) -> None:
    from ruamel.yaml import YAML

    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        return  # no character; cannot be in a UTF-8 file
    document = f"a: {scalar(text)} {comment(text)}\nb: [{scalar(text)}, 1]\nc:\n    {key(text)} 1 {comment(text)}\n"
    assert YAML(typ="safe", pure=True).load(document) == {"a": text, "b": [text, 1], "c": {text: 1}}


@pytest.mark.parametrize(
    ("entity", "target", "options", "message"),
    [
        (["stroe"], "demand", {}, "has no column 'stroe'; did you mean 'store'?"),
        (["store"], "demnd", {}, "has no column 'demnd'; did you mean 'demand'?"),
        (["sale_id"], "demand", {}, "unique per row (600 entities of 1 row)"),
        (["store"], "currency", {}, "the target 'currency' has 1 distinct value(s)"),
        (
            ["store"],
            "size",
            {"task": Task.BINARY},
            "--task binary: the target 'size' has 3 distinct values, expected 2",
        ),
        (["store"], "size", {"task": Task.REGRESSION}, "expected numbers only"),
    ],
)
def test_wrong_choices_are_told_with_the_nearest_right_one(
    sales: Path, entity: list[str], target: str, options: dict[str, Task], message: str
) -> None:
    with pytest.raises(DataError) as error:
        starter_spec(sales, entity=entity, target=target, **options)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_an_entity_unique_per_row_names_columns_that_repeat(sales: Path) -> None:
    with pytest.raises(DataError, match=r"whose values repeat: store \(3 values\)"):
        starter_spec(sales, entity=["sale_id"], target="demand")


def test_other_refusals(sales: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'store' cannot also be the --entity"):
        starter_spec(sales, entity=["store"], target="store")
    with pytest.raises(InputError, match="name a column"):
        starter_spec(sales, entity=[], target="store")
    with pytest.raises(SpecError, match="fleet: is 'My Fleet'"):
        starter_spec(sales, entity=["store"], target="demand", fleet="My Fleet")
    with pytest.raises(DataError, match="no data file there"):
        starter_spec(tmp_path / "none.csv", entity=["store"], target="demand")
    (tmp_path / "web.csv").write_text("<html><body>404</body></html>")
    with pytest.raises(DataError, match="a web page"):
        starter_spec(tmp_path / "web.csv", entity=["store"], target="demand")
    (tmp_path / "bare.csv").write_text("k,when,y\n" + "".join(f"a,2024-01-{i:02d},{i}\n" for i in range(1, 29)))
    with pytest.raises(SpecError, match="no column has role feature"):
        starter_spec(tmp_path / "bare.csv", entity=["k"], target="y")


def test_a_file_without_a_header_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("39,State-gov,Bachelors,<=50K\n50,Private,Masters,>50K\n")
    with pytest.raises(DataError, match="first line looks like values") as error:
        starter_spec(tmp_path / "bare.csv", entity=["education"], target="income")
    assert "data.header: false" in str(error.value)


def test_said_tasks_win_where_they_can(sales: Path) -> None:
    starter = starter_spec(sales, entity=["store"], target="demand", task=Task.MULTICLASS)
    assert starter.spec.task is Task.MULTICLASS
    assert "as you said (the data suggests regression" in starter.text


@pytest.mark.parametrize(
    ("name", "fleet"), [("Sales-2024.v2.csv", "sales_2024"), ("2024.csv", "fleet_2024"), ("ß.csv", "fleet")]
)
def test_the_name_follows_the_file(tmp_path: Path, name: str, fleet: str) -> None:
    (tmp_path / name).write_text("k,x,y\n" + "".join(f"a,{i % 5},{i}\n" for i in range(60)))
    assert starter_spec(tmp_path / name, entity=["k"], target="y").spec.fleet == fleet


Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def run_init(monkeypatch: pytest.MonkeyPatch) -> Run:
    from typer import Typer
    from typer.testing import CliRunner

    from modelfleet.cli.init import init
    from modelfleet.cli.output import reports_errors

    # the command sets up the log of its process, and this process has other tests to run
    monkeypatch.setattr("modelfleet.cli.output.show_own_warnings_only", lambda: None)
    app = Typer()
    app.command()(reports_errors(init))

    def run(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


def test_the_command_prints_yaml_alone_on_stdout(sales: Path, tmp_path: Path, run_init: Run) -> None:
    code, out, said = run_init("--data", sales, "--entity", "store", "--target", "demand", "--fleet", "shop")
    assert code == 0
    assert "note: column 'day': IGNORED: it is a date" in said
    assert "fleet shop: regression, 3 entities" in said
    (tmp_path / "shop.yaml").write_text(out)
    assert load_spec(tmp_path / "shop.yaml").fleet == "shop"


def test_the_command_writes_a_file_once_with_a_path_from_its_folder(sales: Path, tmp_path: Path, run_init: Run) -> None:
    output = tmp_path / "fleets" / "demand.yaml"
    arguments = ("--data", sales, "--entity", "store", "--target", "demand", "--output", output)
    assert run_init(*arguments)[:2] == (0, "")
    spec = load_spec(output)
    assert spec.fleet == "demand"
    assert spec.data.source == str(sales)
    assert 'source: "../' in output.read_text() or "source: ../" in output.read_text()
    assert run_init(*arguments)[0] == 2
    output.write_text("mine")
    assert run_init(*arguments)[0] == 2
    assert output.read_text() == "mine"
    assert run_init(*arguments, "--force")[0] == 0
    assert load_spec(output) == spec
    assert [path.name for path in output.parent.iterdir()] == ["demand.yaml"]


def test_the_command_speaks_json(sales: Path, run_init: Run) -> None:
    code, out, _ = run_init("--data", sales, "--entity", "store", "--target", "size", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["fleet"], document["task"], document["entities"]["count"]) == ("sales_2024", "multiclass", 3)
    assert {column["role"] for column in document["columns"].values()} == ROLES
    assert document["yaml"].startswith("# Predicts size")


def test_the_command_ends_with_2_where_the_input_is_wrong(sales: Path, run_init: Run) -> None:
    assert run_init("--data", sales, "--entity", "stor", "--target", "demand")[0] == 2
    assert run_init("--data", sales, "--entity", "store", "--target", "demand", "--task", "guess")[0] == 2
