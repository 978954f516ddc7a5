"""From a load to workers, memory, hours, storage, requests and money; pure arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from modelfleet.planning.assumptions import assumptions
from modelfleet.planning.load import HOURS_PER_MONTH

if TYPE_CHECKING:
    from modelfleet.planning.figures import Costs, Prices
    from modelfleet.planning.load import Load
    from modelfleet.spec.fleet import FleetSpec

SECONDS_PER_MONTH = 3600 * HOURS_PER_MONTH
GB = 1e9
SMALLEST_MESSAGE = 1000.0
"""Bytes; Pub/Sub counts a smaller message as one of so many."""

DISK_GB = {"batch": 50.0, "streaming": 30.0}
"""Of a worker."""


class Training(BaseModel):
    """One run.

    Attributes:
        cpu_hours: Of one core, on one machine.
        workers: So many finish it in time.
        worker_gb: Memory that each needs.
        hours: From the start of the first worker to the end.
    """

    model_config = ConfigDict(frozen=True)

    cpu_hours: float
    workers: int
    worker_gb: float
    hours: float


class Serving(BaseModel):
    """The streaming job.

    Attributes:
        cores: Busy ones, at the planned load.
        workers: So many, at the planned utilisation.
        worker_gb: Memory that each needs for every model; ``serving.memory_mb`` bounds it.
        swap_cpu_s: What one worker process takes to load a release.
    """

    model_config = ConfigDict(frozen=True)

    cores: float
    workers: int
    worker_gb: float
    swap_cpu_s: float


class Storage(BaseModel):
    """What lies in a bucket, and what is asked of it.

    Attributes:
        bundle_gb: One bundle.
        kept_gb: All that are kept.
        writes: Per month, listings among them.
        reads: Per month.
    """

    model_config = ConfigDict(frozen=True)

    bundle_gb: float
    kept_gb: float
    writes: float
    reads: float


class Plan(BaseModel):
    """What a fleet needs, and what that costs a month in US dollars, by part, on each engine.

    Attributes:
        money: By engine, and then by part; the part ``total`` is the sum.
        assumptions: What all this rests on, one sentence each.
    """

    model_config = ConfigDict(frozen=True)

    load: dict[str, float]
    training: Training
    serving: Serving
    storage: Storage
    money: dict[str, dict[str, float]]
    assumptions: tuple[str, ...]


def make_plan(spec: FleetSpec, load: Load, costs: Costs, prices: Prices) -> Plan:
    """Return what a fleet needs.

    Args:
        spec: Its family, its schedule, how it looks at the ledger.
        load: How much is asked of it.
        costs: Per unit of work.
        prices: Per unit of what is rented.
    """
    training, serving = _training(spec, load, costs), _serving(spec, load, costs)
    storage = _storage(spec, load, costs, serving.workers)
    return Plan(
        load=load.model_dump(),
        training=training,
        serving=serving,
        storage=storage,
        money={
            "dataflow": _dataflow(load, costs, prices, training, serving, storage),
            "flink": _flink(load, costs, prices, training, serving, storage),
        },
        assumptions=tuple(assumptions(spec, load, costs, prices)),
    )


def training_cpu_s(family: str, load: Load, costs: Costs) -> float:
    """Return the CPU seconds of one core that one run's gated step takes on one machine."""
    base = costs.training
    work = base.fixed_s + base.row_us * 1e-6 * load.rows + base.model_us * 1e-6 * load.entities
    more = _fit_ms(base.fit.get(family), load.rows_per_entity) - _fit_ms(base.fit["tree"], load.rows_per_entity)
    return work + max(more, 0.0) * 1e-3 * load.entities


def _fit_ms(measured: tuple[float, ...] | None, rows: float) -> float:
    """Return the CPU ms of a fit: a line through two figures, or in proportion to the rows from one."""
    if measured is None:
        return 0.0
    if len(measured) == 1:
        return measured[0] * max(rows / 100, 1.0)
    slope = (measured[1] - measured[0]) / 900
    return max(measured[0] + slope * (rows - 100), measured[0] * min(rows / 100, 1.0))


def _training(spec: FleetSpec, load: Load, costs: Costs) -> Training:
    recipes = spec.model.recipes
    most = max(training_cpu_s(recipe.family, load, costs) for recipe in recipes)
    alone = len(recipes) * most + costs.training.register_model_us * 1e-6 * load.entities
    work = alone * costs.cluster.overhead
    room = max(load.minutes * 60 - costs.cluster.startup_s, 60.0)
    workers = max(math.ceil(work / (room * load.vcpus)), 1)
    memory = costs.training.memory_mb * 1e6 + costs.training.memory_row_bytes * load.rows / workers
    return Training(
        cpu_hours=alone / 3600,
        workers=workers,
        worker_gb=memory / GB,
        hours=(costs.cluster.startup_s + work / (workers * load.vcpus)) / 3600,
    )


def _serving(spec: FleetSpec, load: Load, costs: Costs) -> Serving:
    of = costs.serving
    single = of.request_us if spec.serving.source.kind == "kafka" else of.element_us
    cores = (load.qps * single + load.chunk_qps * of.chunk_row_us) * 1e-6
    workers = max(math.ceil(cores / (load.vcpus * costs.cluster.utilisation)), 1)
    models = load.entities * _model_bytes(spec, costs) * of.model_expansion
    if spec.serving.memory_mb is not None:
        models = min(models, spec.serving.memory_mb * 1e6)
    else:
        models *= load.vcpus  # a process per core, each with all of them
    process = of.process_mb * 1e6 + of.entity_bytes * load.entities
    return Serving(
        cores=cores,
        workers=workers,
        worker_gb=(models + load.vcpus * process) / GB,
        swap_cpu_s=load.entities * of.load_model_us * 1e-6,
    )


def _model_bytes(spec: FleetSpec, costs: Costs) -> float:
    """Return the bytes of a model in its bundle, of the recipe whose models are largest."""
    return max(costs.storage.get(recipe.family, costs.storage["other"]) for recipe in spec.model.recipes)


def _storage(spec: FleetSpec, load: Load, costs: Costs, workers: int) -> Storage:
    bundle = load.entities * _model_bytes(spec, costs)
    processes = workers * load.vcpus
    looks = SECONDS_PER_MONTH / spec.serving.ledger_poll_seconds * (processes + 1)
    leases = SECONDS_PER_MONTH / spec.serving.lease_seconds * processes
    denylist = looks  # listed at every look
    files = spec.resources.shards + 2
    return Storage(
        bundle_gb=bundle / GB,
        kept_gb=bundle * load.generations / GB,
        writes=looks + denylist + leases + load.runs * files,
        reads=load.runs * files * (workers + 1) + load.runs * processes * 2,
    )


def _stored(storage: Storage, prices: Prices) -> dict[str, float]:
    return {
        "storage": storage.kept_gb * prices.storage.gb_month,
        "bucket requests": storage.writes / 1000 * prices.storage.writes_1000
        + storage.reads / 1000 * prices.storage.reads_1000,
    }


def _dataflow(
    load: Load, costs: Costs, prices: Prices, training: Training, serving: Serving, storage: Storage
) -> dict[str, float]:
    of, memory = prices.dataflow, load.worker_gb
    worker_hours = training.hours * training.workers * load.runs
    batch = worker_hours * (
        load.vcpus * of.batch_vcpu_hour + memory * of.batch_gb_hour + DISK_GB["batch"] * of.disk_gb_hour
    )
    batch += load.runs * load.rows * costs.cluster.shuffle_row_bytes / GB * of.shuffle_gb
    serving_hours = HOURS_PER_MONTH * serving.workers
    stream = serving_hours * (
        load.vcpus * of.streaming_vcpu_hour + memory * of.streaming_gb_hour + DISK_GB["streaming"] * of.disk_gb_hour
    )
    requests, answers = costs.cluster.request_bytes, costs.cluster.answer_bytes
    a_month = load.qps * SECONDS_PER_MONTH
    stream += a_month * (requests + answers) / GB * of.streaming_gb
    messages = a_month * 2 * (max(requests, SMALLEST_MESSAGE) + max(answers, SMALLEST_MESSAGE))  # in, and out
    return _summed(
        {"training": batch, "serving": stream, "Pub/Sub": messages / GB * prices.pubsub.gb} | _stored(storage, prices)
    )


def _flink(
    load: Load, costs: Costs, prices: Prices, training: Training, serving: Serving, storage: Storage
) -> dict[str, float]:
    of = prices.machines
    hour = load.vcpus * of.vcpu_hour + load.worker_gb * of.gb_hour + DISK_GB["batch"] * of.disk_gb_hour
    cores = (load.qps * costs.serving.engine_us + load.chunk_qps * costs.serving.engine_chunk_row_us) * 1e-6
    engine = max(math.ceil(cores / (load.vcpus * costs.cluster.utilisation)), 1)
    return _summed(
        {
            "training": training.hours * training.workers * load.runs * hour,
            "serving": HOURS_PER_MONTH * (serving.workers + engine) * hour,
        }
        | _stored(storage, prices)
    )


def _summed(parts: dict[str, float]) -> dict[str, float]:
    return parts | {"total": sum(parts.values())}
