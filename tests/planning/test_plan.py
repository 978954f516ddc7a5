"""The calculator: it repeats what was measured, grows with what is asked, and says what it assumes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelfleet.cli.main import app
from modelfleet.errors import InputError
from modelfleet.planning import figures
from modelfleet.planning.figures import load_costs, load_prices
from modelfleet.planning.load import Load, runs_of
from modelfleet.planning.plan import Plan, make_plan, training_cpu_s
from modelfleet.spec.file import load_spec, parse_spec

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "performance.md").read_text()
SMALL = {"fleet": "f", "entity": "e", "task": "binary", "data": {"source": "f.csv", "target": "t"}}
COSTS, PRICES = load_costs(), load_prices()


def spec_of(**changes: Any) -> Any:
    return parse_spec(SMALL | changes, "test")


def plan_of(spec: Any = None, **load: Any) -> Plan:
    asked = {"entities": 10_000, "rows": 1_000_000, "qps": 100.0} | load
    return make_plan(spec or spec_of(), Load(**asked), COSTS, PRICES)


def measured(row: str) -> float:
    """Return the figure of a row of the page's tables."""
    found = re.search(rf"^\| {re.escape(row)} \| ([\d.,]+)", PAGE, flags=re.MULTILINE)
    assert found, row
    return float(found[1].replace(",", ""))


def near(figure: float) -> Any:
    """A figure measured again may differ; one that has become another thing must be copied into costs.toml."""
    return pytest.approx(figure, rel=0.4)


@pytest.mark.parametrize(
    ("row", "rows", "entities"),
    [
        ("gated step, 100,000 rows, 100 entities", 100_000, 100),
        ("gated step, 100,000 rows, 1,000 entities", 100_000, 1_000),
        ("gated step, 300,000 rows, 1,000 entities", 300_000, 1_000),
        ("gated step, 1,000,000 rows, 100 entities", 1_000_000, 100),
        ("gated step, 1,000,000 rows, 1,000 entities", 1_000_000, 1_000),
        ("gated step, 1,000,000 rows, 10,000 entities", 1_000_000, 10_000),
        ("gated step, small entities (1,000,000 rows, 10,000 entities)", 1_000_000, 10_000),
        (
            "five times the rows and models (5,000,000 rows, 50,000 entities against 1,000,000 rows, 10,000 entities)",
            5_000_000,
            50_000,
        ),
    ],
)
def test_the_gated_steps_that_were_measured_come_out(row: str, rows: int, entities: int) -> None:
    load = Load(entities=entities, rows=rows, qps=0)
    assert training_cpu_s("tree", load, COSTS) == pytest.approx(measured(row), rel=0.3)


def test_the_other_constants_are_those_of_the_page() -> None:
    training, serving = COSTS.training, COSTS.serving
    for family, rows, index in (("tree", 100, 0), ("tree", 1000, 1), ("logistic", 100, 0), ("logistic", 1000, 1)):
        (row,) = set(re.findall(rf"^\| ({family} fit, {rows:,} rows \([^)]*\))", PAGE, flags=re.MULTILINE))
        assert training.fit[family][index] == near(measured(row))
    for millions, rows in ((691, 1_000_000), (1264, 5_000_000)):
        assert training.memory_mb + training.memory_row_bytes * rows / 1e6 == near(millions)
    registered = measured("register the fleet in MLflow as one version (10,000 models)")
    assert training.register_model_us * 1e-2 == near(registered)
    assert COSTS.storage["tree"] == near(measured("bundle, all its files (1,000,000 rows, 10,000 entities)"))
    loaded = measured("load and try every model (1,000,000 rows, 10,000 entities)")
    assert serving.load_model_us * 10 == near(loaded)
    singles, chunks = (
        measured("throughput, single requests (1,000 keys)"),
        measured("throughput, chunks of 256 rows as JSON (1,000 keys)"),
    )
    # A backlog keeps both cores busy, so nothing can cost more than two of them give
    assert (serving.request_us + serving.engine_us) * 1e-6 * singles < 2
    assert (serving.chunk_row_us + serving.engine_chunk_row_us) * 1e-6 * chunks < 2
    private = measured(
        "a million models: private memory of the process (1,000,000 models in 1,000 files, 500 requests/s)"
    )
    models = measured("a million models: models in memory (1,000,000 models in 1,000 files, 500 requests/s)")
    assert serving.process_mb + serving.entity_bytes == near(private - models)


def test_a_small_plan_by_hand() -> None:
    """10,000 models, one run a month, 1,000 requests per second on machines of 4 cores."""
    plan = plan_of(qps=1000.0, runs=1.0)
    alone = 0.6 + 2.8 + 0.49 + 0.40
    assert plan.training.cpu_hours * 3600 == pytest.approx(alone)
    assert plan.training.workers == 1
    assert plan.training.hours * 3600 == pytest.approx(180 + 1.5 * alone / 4)
    assert (plan.serving.cores, plan.serving.workers) == (pytest.approx(0.070), 1)
    assert plan.storage.bundle_gb == pytest.approx(10_000 * 426 / 1e9)
    dataflow = plan.money["dataflow"]
    streamed = 1000 * 730 * 3600 * 1000 / 1e9 * 0.018
    assert dataflow["serving"] == pytest.approx(730 * (4 * 0.069 + 16 * 0.0035557 + 30 * 0.000054) + streamed, rel=1e-6)
    assert dataflow["Pub/Sub"] == pytest.approx(1000 * 730 * 3600 * 4000 / 1e9 * 0.04)
    assert dataflow["total"] == pytest.approx(sum(cost for part, cost in dataflow.items() if part != "total"))
    assert "Pub/Sub" not in plan.money["flink"]


@given(
    st.integers(1, 10**7), st.integers(1, 10**9), st.floats(0, 10**5), st.integers(1, 64),
    st.sampled_from(["tree", "logistic", "linear", "sklearn", "torch", "xgboost", "onnx"]),
)  # fmt: skip
def test_more_of_anything_never_needs_less(entities: int, rows: int, qps: float, vcpus: int, family: str) -> None:
    spec = spec_of(model={"family": family})
    little = plan_of(spec, entities=entities, rows=rows, qps=qps, vcpus=vcpus)
    much = plan_of(spec, entities=entities, rows=2 * rows, qps=2 * qps, vcpus=vcpus)
    assert much.training.cpu_hours >= little.training.cpu_hours > 0
    assert much.training.workers >= little.training.workers >= 1
    assert much.serving.workers >= little.serving.workers >= 1
    for engine in ("dataflow", "flink"):
        assert much.money[engine]["total"] >= little.money[engine]["total"] * 0.999
    for plan in (little, much):
        assert plan.training.hours * 60 <= 60.01 or plan.training.workers > 1


def test_a_run_that_must_end_sooner_takes_more_workers() -> None:
    slow, quick = plan_of(rows=2 * 10**9), plan_of(rows=2 * 10**9, minutes=10.0)
    assert quick.training.workers > slow.training.workers
    assert quick.training.hours <= 10 / 60


def test_notices_save_listings_and_a_limit_saves_memory() -> None:
    notices = {
        "kind": "pubsub",
        "topic": "projects/my-shop/topics/rel",
        "subscription": "projects/my-shop/subscriptions/rel",
    }
    told = plan_of(spec_of(serving={"updates": "event", "notices": notices}))
    assert told.storage.writes < plan_of().storage.writes / 10
    bounded = plan_of(spec_of(serving={"memory_mb": 100}), entities=10**6)
    assert bounded.serving.worker_gb < plan_of(entities=10**6).serving.worker_gb
    assert any("100 MB per machine" in sentence for sentence in bounded.assumptions)


def test_what_is_assumed_is_said() -> None:
    plain = " ".join(plan_of().assumptions)
    assert "Nothing was measured on Dataflow" in plain
    assert PRICES.dated in plain
    assert "reckoned by a line" not in plain
    large = " ".join(plan_of(spec_of(model={"family": "xgboost"}), rows=10**9, entities=10**7).assumptions)
    assert large.count("reckoned by a line") == 2
    assert "No fit of the family 'xgboost' was measured" in large


@pytest.mark.parametrize(
    ("cron", "runs"),
    [
        (None, 30.4), ("@weekly", 4.35), ("0 3 * * *", 30.4), ("*/15 * * * *", 2918.4), ("0 */6 * * *", 121.6),
        ("0 3 * * 1", 4.34), ("30 2 1 * *", 1.0), ("0 8-17 * * 1-5", 217.1), ("0 3 1 1,7 *", 0.167),
    ],
)  # fmt: skip
def test_how_often_a_schedule_runs(cron: str | None, runs: float) -> None:
    assert runs_of(spec_of(schedule={} if cron is None else {"cron": cron})) == pytest.approx(runs, rel=0.01)


def test_own_prices_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    shipped = (Path(figures.__file__).parent / "prices.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(shipped.replace("gb = 0.04", "gb = 0.0"))
    assert load_prices(mine).pubsub.gb == 0.0
    for broken, message in (
        (shipped.replace("gb = 0.04", "gbb = 0.04"), r"mine\.toml: pubsub\.gb"),
        (shipped.replace("gb = 0.04", "gb = 'much'"), r"mine\.toml: pubsub\.gb: Input should be a valid number"),
        ("[", r"mine\.toml: cannot be read as TOML"),
    ):
        mine.write_text(broken)
        with pytest.raises(InputError, match=message):
            load_prices(mine)


def test_the_command_line() -> None:
    asked = [
        "plan",
        str(REPOSITORY / "fleets/income.yaml"),
        "--entities",
        "1000000",
        "--rows",
        "100000000",
        "--qps",
        "2000",
    ]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.stderr
    assert "US dollars a month" in told.stdout
    assert "Nothing was measured on Dataflow" in told.stdout
    document = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    spec = load_spec(REPOSITORY / "fleets/income.yaml")
    load = Load(entities=10**6, rows=10**8, qps=2000, runs=runs_of(spec), generations=spec.retention.generations)
    assert document == json.loads(make_plan(spec, load, COSTS, PRICES).model_dump_json())
    short = CliRunner().invoke(app, [*asked, "--memory-gb", "4"])
    assert "too little memory for a training run" in short.stdout
    wrong = CliRunner().invoke(app, [*asked, "--prices", "no.toml"])
    assert wrong.exit_code == 2
