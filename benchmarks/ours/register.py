"""Registering a run whose gate has let all models through: ``data``, ``warm_data``, ``mlflow``, ``whole_step``.

``mlflow`` is a folder for the database and the artifacts. The warm-up registers a small fleet of the same name there,
so that making the database is not on the clock. With ``whole_step`` the step register is measured (merging, gathering
the report, registering, aliases), otherwise what MLflow is told alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import begin

if TYPE_CHECKING:
    from modelfleet.run import Run


def gated_run(home: Path, data: Path) -> Run:
    """Return a run that is ready to be registered; by force, so that every model is."""
    from benchmarks.ours.direct import prepare_directly, train_directly
    from modelfleet.loop.gate import gate

    run = begin(home, data, force=True)
    prepare_directly(run)
    train_directly(run)
    gate(run)
    return run


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    from modelfleet.loop.gate import read_decisions
    from modelfleet.loop.register import merged_bundle, register
    from modelfleet.loop.run_report import run_report
    from modelfleet.registry.mlflow import MlflowRegistry

    folder = Path(config["mlflow"])
    folder.mkdir(parents=True, exist_ok=True)
    registry = MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", artifacts=str(folder / "artifacts"))
    home = Path(tempfile.mkdtemp(dir=folder, prefix="home-"))
    register(gated_run(home / "warm", Path(config["warm_data"])), registry)
    run = gated_run(home / "whole", Path(config["data"]))
    decisions = read_decisions(run)

    def whole_step() -> dict[str, object]:
        registered = register(run, registry)
        return {"units": len(decisions.accepted), "version": registered.model_version}

    if config["whole_step"]:
        return whole_step
    report, bundle = run_report(run, decisions), merged_bundle(run, decisions)

    def log() -> dict[str, object]:
        logged = registry.log_run(report, bundle)
        return {"units": bundle.index.num_rows, "version": logged.model_version}

    return log


if __name__ == "__main__":
    main(setup)
