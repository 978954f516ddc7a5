"""Small data sets written to disk, and runs over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelfleet.data.arrow_stream import from_bytes
from modelfleet.data.batch import typed_batches
from modelfleet.data.facts import merge_facts
from modelfleet.data.plan import make_plan
from modelfleet.data.prepared import SHARDS, clear_results, write_results
from modelfleet.data.reading import pieces_of
from modelfleet.data.resolve import resolve_schema
from modelfleet.data.shard import assemble_shard, champion_thresholds, write_shard
from modelfleet.home import Home
from modelfleet.run import Run
from modelfleet.spec import FleetSpec, parse_spec

REPOSITORY = Path(__file__).parents[2]
LOCAL = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]

MakeSpec = Callable[..., FleetSpec]
StartRun = Callable[..., Run]


@pytest.fixture
def make_spec(tmp_path: Path) -> MakeSpec:
    """Return a spec over a file written here: entity ``key``, target ``y``."""

    def make(content: str | bytes, name: str = "data.csv", **sections: Any) -> FleetSpec:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        data = {"source": str(path), "target": "y", **sections.pop("data", {})}
        document = {"fleet": "small", "entity": "key", "task": "binary", "data": data, **sections}
        return parse_spec(document, origin="test")

    return make


@pytest.fixture
def start_run(tmp_path: Path) -> StartRun:
    """Begin a run of a spec in a home of its own."""

    def start(spec: FleetSpec, run_id: str = "r1", **keywords: Any) -> Run:
        return Run.open(Home(tmp_path / "home"), spec, run_id=run_id, **keywords)

    return start


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows), ""])


def jsonl_text(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def two_entities(count: int = 40) -> str:
    """Rows of entities a and b, no two alike, with a number, a category and both classes."""
    rows = [("ab"[i % 2], 2 * i, "uvw"[i % 3], "yes" if i % 5 < 2 else "no") for i in range(count)]
    return csv_text(["key", "x", "c", "y"], rows)


def prepare_without_beam(run: Run, champion_index: str | None = None) -> dict[str, Any]:
    """Prepare a run by the same functions the pipeline calls, one after the other."""
    plan = make_plan(run.spec, entities=run.entities, champion_index=champion_index)
    clear_results(run.folder)
    facts, shards = [], {}
    for file in plan.files:
        for batch, counted in typed_batches(plan, pieces_of(file)):
            facts.append(counted)
            for shard, content in [] if batch is None else batch.parts():
                shards.setdefault(shard, []).append(from_bytes(content))
    total = merge_facts(facts)
    schema, capped = resolve_schema(plan, total)
    thresholds = champion_thresholds(champion_index, plan.split_fingerprint)
    profiles = []
    for shard, tables in shards.items():
        prepared, profile = assemble_shard(
            tables, shard=shard, schema=schema, split=run.spec.split, thresholds=thresholds
        )
        write_shard(run.folder / SHARDS, shard, prepared)
        profiles.append(profile)
    return write_results(run.folder, plan=plan, schema=schema, capped=capped, facts=total, profiles=profiles)
