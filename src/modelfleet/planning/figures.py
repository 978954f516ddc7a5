"""The figures a plan is made of: measured costs, and prices that whoever plans may replace."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelfleet.errors import InputError

Figures = TypeVar("Figures", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingCosts(_Section):
    """Of one run: CPU seconds of one core, and memory in one process; ``fit`` is CPU ms at 100 and 1,000 rows."""

    fixed_s: float
    row_us: float
    model_us: float
    memory_mb: float
    memory_row_bytes: float
    register_model_us: float
    fit: dict[str, tuple[float, ...]]


class ServingCosts(_Section):
    """Of a request, of a row in a chunk, and of a process's memory."""

    request_us: float
    element_us: float
    engine_us: float
    chunk_row_us: float
    engine_chunk_row_us: float
    process_mb: float
    entity_bytes: float
    model_expansion: float
    load_model_us: float


class ClusterCosts(_Section):
    """What running on several machines adds; assumed, since nothing of it could be measured."""

    overhead: float = Field(ge=1)
    startup_s: float
    utilisation: float = Field(gt=0, le=1)
    shuffle_row_bytes: float
    request_bytes: float
    answer_bytes: float


class Costs(_Section):
    """All costs; ``storage`` is bytes per model by family, ``other`` for the rest."""

    training: TrainingCosts
    serving: ServingCosts
    storage: dict[str, float]
    cluster: ClusterCosts


class DataflowPrices(_Section):
    """Per hour, per GB of memory and hour, per GB of data."""

    batch_vcpu_hour: float
    batch_gb_hour: float
    streaming_vcpu_hour: float
    streaming_gb_hour: float
    disk_gb_hour: float
    shuffle_gb: float
    streaming_gb: float


class MachinePrices(_Section):
    """Of machines one rents for a Flink cluster."""

    vcpu_hour: float
    gb_hour: float
    disk_gb_hour: float


class StoragePrices(_Section):
    """Of a bucket."""

    gb_month: float
    writes_1000: float
    reads_1000: float


class PubsubPrices(_Section):
    """Per GB in and out."""

    gb: float


class Prices(_Section):
    """All prices, in US dollars.

    Attributes:
        dated: The day they were written down.
        source: Where they are from.
    """

    dated: str
    source: str
    dataflow: DataflowPrices
    machines: MachinePrices
    storage: StoragePrices
    pubsub: PubsubPrices


def load_costs(path: Path | None = None) -> Costs:
    """Return the measured costs, or those of a file.

    Raises:
        InputError: The file cannot be read, or a figure in it is missing, misspelt or no number.
    """
    return _load(Costs, "costs.toml", path)


def load_prices(path: Path | None = None) -> Prices:
    """Return the shipped prices, or those of a file; raises as ``load_costs``."""
    return _load(Prices, "prices.toml", path)


def _load(kind: type[Figures], name: str, path: Path | None) -> Figures:
    try:
        text = (resources.files(__package__) / name if path is None else path).read_text(encoding="utf-8")
        return kind.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path or name}: cannot be read as TOML: {error}") from None
    except ValidationError as error:
        issue = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in issue["loc"])
        raise InputError(
            f"{path or name}: {field}: {issue['msg']}; copy the shipped {name} and change its numbers"
        ) from None
