"""The fleet our sides work on: its spec, its runs, its first champion."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.data import CATEGORIES, ENTITY, NUMBERS, SLICES, TARGET
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.run import Run
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import FleetSpec

FLEET = "census"
RUNNER = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]
"""What ``modelfleet.engines.options`` gives the engine ``local``."""

CANDIDATE: dict[str, Any] = {"max_depth": None, "min_samples_leaf": 1}
"""Parameters of the trees that are trained: grown to the end, as scikit-learn's default is, on every side."""

CHAMPION: dict[str, Any] = {"max_depth": 4, "min_samples_leaf": 5}
"""Parameters of the trees that serve."""


def census_spec(data: Path, parameters: Mapping[str, Any] | None = None, shards: int | None = None) -> FleetSpec:
    """Return the spec of the census fleet: defaults wherever there is one.

    Args:
        data: A Parquet file with Adult's columns.
        parameters: Of the trees; None means ``CANDIDATE``.
        shards: Into which the fleet is divided; None means the spec's default.
    """
    columns: dict[str, Any] = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(CATEGORIES, "category")
    columns |= {
        "fnlwgt": {"type": "number", "role": "ignore"},
        ENTITY: {"type": "category", "role": "entity"},
        TARGET: {"type": "category", "role": "target"},
    }
    document = {
        "fleet": FLEET,
        "entity": ENTITY,
        "task": "binary",
        "data": {"source": str(data), "target": TARGET, "columns": columns},
        "model": {"family": "tree", "parameters": dict(parameters or CANDIDATE)},
        "evaluation": {"slices": list(SLICES)},
        "resources": {} if shards is None else {"shards": shards},
    }
    return parse_spec(document, origin="benchmark")


def begin(
    home: Path,
    data: Path,
    parameters: Mapping[str, Any] | None = None,
    shards: int | None = None,
    *,
    force: bool = False,
) -> Run:
    """Begin a run, and leave what the step validate leaves where nothing is wrong.

    Great Expectations costs the same whatever is trained, and no baseline has it, so it is not part of any work.
    """
    spec = census_spec(data, parameters, shards)
    run = Run.open(Home(home), spec, run_id=f"run-{uuid.uuid4().hex[:12]}", force=force)
    run.write("quarantine", {})
    run.write("validation", {"success": True, "statistics": {}, "failed_expectations": [], "data_docs": ""})
    return run


@contextmanager
def throw_away(run: Run) -> Iterator[Run]:
    """Use a run, and remove its folder afterwards."""
    try:
        yield run
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


def publish_first(
    home: Path, data: Path, parameters: Mapping[str, Any] | None = None, shards: int | None = None
) -> int:
    """Let all models of a first run serve, and write the fleet's spec beside the ledger.

    Returns:
        Number of entities with a model of their own.
    """
    from benchmarks.ours.direct import prepare_directly, train_directly
    from modelfleet.bundles.reader import Bundle

    run = begin(home, data, parameters, shards)
    prepare_directly(run)
    train_directly(run)
    bundle = Bundle.open(run.candidate)
    shutil.rmtree(run.prepared)
    ref = BundleRef(uri=str(bundle.path), sha256=bundle.sha256)
    Ledger(run.fleet_home.releases).publish(bundle=ref, reason="promote")
    (run.fleet_home.root / "spec.json").write_text(run.spec.model_dump_json())
    return bundle.index.num_rows


def without(library: str) -> None:
    """Make a library as good as not installed, in this process."""
    sys.modules[library] = None  # type: ignore[assignment]
