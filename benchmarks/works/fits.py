"""Fits alone: encoding included, split and evaluation left out, against one scikit-learn Pipeline per entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.data import first_entities
from benchmarks.ours.fleet import CANDIDATE
from benchmarks.result import Result, make_result
from benchmarks.side import Measured, Side
from benchmarks.sizes import Size
from modelfleet.errors import SpecError


@dataclass(frozen=True)
class Fit:
    """One comparison.

    Attributes:
        work: Its name.
        large: Whether entities have 1,000 rows rather than 100.
        family: Ours.
        parameters: The family's.
        module: The baseline's module.
        told: What the baseline is told beside the data.
    """

    work: str
    large: bool
    family: str
    parameters: Mapping[str, Any]
    module: str
    told: Mapping[str, Any]


def _pipeline(
    work: str, family: str, ours: Mapping[str, Any], estimator: str, *, large: bool = False, **parameters: Any
) -> Fit:
    told = {
        "estimator": f"sklearn.{estimator}",
        "parameters": parameters,
        "scaler": "minmax" if "Tree" in estimator else "standard",
        "dense": "GaussianNB" in estimator,  # it refuses sparse rows
    }
    return Fit(work, large, family, ours, "benchmarks.baselines.pipeline_fit", told)


def _hoisted(work: str, estimator: str, **parameters: Any) -> Fit:
    ours = {"estimator": f"sklearn.{estimator}", "arguments": parameters}
    return _pipeline(work, "sklearn", ours, estimator, **parameters)


MLP = {"hidden": 32, "steps": 50, "learning_rate": 0.01, "weight_decay": 0.01}
"""Of the loop; ours is told the same."""
OUR_MLP = {"hidden": [32], "epochs": 50, "learning_rate": 0.01, "weight_decay": 0.01, "device": "cpu"}

FITS = (
    _pipeline("fit_tree_100", "tree", CANDIDATE, "tree.DecisionTreeClassifier", random_state=0),
    _pipeline("fit_tree_1000", "tree", CANDIDATE, "tree.DecisionTreeClassifier", large=True, random_state=0),
    _pipeline("fit_logistic_100", "logistic", {}, "linear_model.LogisticRegression"),
    _pipeline("fit_logistic_1000", "logistic", {}, "linear_model.LogisticRegression", large=True),
    _hoisted("fit_sklearn_tree_100", "tree.DecisionTreeClassifier", random_state=0),
    _hoisted("fit_sklearn_bayes_100", "naive_bayes.GaussianNB"),
    _hoisted("fit_sklearn_logistic_100", "linear_model.LogisticRegression"),
    Fit("fit_torch_100", False, "torch", OUR_MLP, "benchmarks.baselines.torch_loop", MLP),
)
WORKS = tuple(fit.work for fit in FITS)


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    for fit in FITS:
        if bench.wants(fit.work):
            yield _measure(bench, fit)


def _measure(bench: Bench, fit: Fit) -> Result:
    entities, per_entity = bench.sizes.fits[fit.large], bench.sizes.fit_rows[fit.large]
    size = Size(entities * per_entity, entities)
    data = bench.census(size)
    common = {"data": str(data), "warm_data": str(_warm(data, bench))}
    ours = Side(fit.work, "benchmarks.ours.fit", common | {"family": fit.family, "parameters": dict(fit.parameters)})
    theirs = Side(f"{fit.work}, baseline", fit.module, common | dict(fit.told))
    try:
        found = bench.rounds([ours, theirs])
    except SpecError as error:  # a family that this version does not have
        return make_result(fit.work, None, size=str(size), note=str(error))
    missing = "; ".join(bench.missing[side.name] for side in (ours, theirs) if side.name in bench.missing)
    mine, others = found.get(ours.name, []), found.get(theirs.name, [])
    failed = entities - int(mine[0].extra["models"]) if mine else 0
    note = missing or (f"{failed} of {entities} entities could not be fitted" if failed else "")
    return make_result(fit.work, _per_model(mine), _per_model(others), size=str(size), note=note)


def _warm(data: Path, bench: Bench) -> Path:
    return first_entities(data, bench.sizes.warm)


def _per_model(measured: Sequence[Measured]) -> list[float]:
    return [one.cpu_seconds * 1e3 / int(one.extra["units"]) for one in measured]
