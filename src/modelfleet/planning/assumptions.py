"""What a plan rests on, in words: a number without them is a rumour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.planning.figures import Costs, Prices
    from modelfleet.planning.load import Load
    from modelfleet.spec.fleet import FleetSpec

LARGEST = {"rows": 5_000_000, "entities": 1_000_000}
"""The largest loads of which something was measured."""


def assumptions(spec: FleetSpec, load: Load, costs: Costs, prices: Prices) -> Iterator[str]:
    """Yield one sentence per assumption, the most daring first."""
    cluster = costs.cluster
    yield (
        f"Nothing was measured on Dataflow or on a large Flink cluster: a distributed run is taken to cost "
        f"{cluster.overhead:g} times the CPU of one process, and a worker {cluster.startup_s:g} s to start."
    )
    if load.rows > LARGEST["rows"]:
        yield f"The gated step was measured up to {LARGEST['rows']:,} rows; {load.rows:,} are reckoned by a line."
    if load.entities > LARGEST["entities"]:
        yield f"A bundle was served of up to {LARGEST['entities']:,} models; {load.entities:,} are reckoned by a line."
    families = {recipe.family for recipe in spec.model.recipes}
    for family in sorted(families - set(costs.training.fit)):
        yield f"No fit of the family '{family}' was measured: it is taken to cost what a tree does, and may cost more."
    for family in sorted(families & {"sklearn"}):
        yield f"The family '{family}' costs what its estimator costs; the figure is of a decision tree."
    if spec.model.candidates:
        yield "Every recipe is taken to cost as much as the most costly one."
    if families - set(costs.storage):
        yield f"Bytes per model are those of a tree of 100 rows ({costs.storage['other']:g}); deep trees take more."
    yield (
        f"CPU is one core of the machine of docs/performance.md; rows have some ten columns, "
        f"{load.rows_per_entity:,.0f} per entity."
    )
    if spec.serving.memory_mb is None:
        yield "Every worker has a process per core, each with every model: set serving.memory_mb to bound that."
    else:
        yield (
            f"Models take {spec.serving.memory_mb} MB per machine at most; what is not there is read when it is asked "
            "for, and that request waits."
        )
    yield (
        f"Cores are {cluster.utilisation:.0%} busy at the average load, so that twice as much passes; a request is "
        f"{cluster.request_bytes:g} bytes, an answer {cluster.answer_bytes:g}."
    )
    yield (
        f"Workers have {load.vcpus} vCPUs and {load.worker_gb:g} GB; a training run may take {load.minutes:g} minutes, "
        f"{load.runs:.3g} times a month."
    )
    yield (
        f"The home is below a bucket, whose ledger and denylist each process lists every "
        f"{spec.serving.ledger_poll_seconds:g} s (serving.updates: {spec.serving.updates})."
    )
    yield "Not in it: Airflow or Composer, MLflow and its database, Kafka's disks, network, logs, alerts, discounts."
    yield f"Prices of {prices.dated}, US dollars. {prices.source}"
