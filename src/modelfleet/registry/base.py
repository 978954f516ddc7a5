"""What the loop needs of a model registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.bundles.reader import Bundle
    from modelfleet.releases.manifest import Release

CHAMPION = "champion"
"""Alias of the version that the newest release names."""


@dataclass(frozen=True)
class DatasetRef:
    """The data a run trained on.

    Attributes:
        name: What to call it.
        uri: Where it is.
        digest: Changes whenever the data does; at most 36 characters.
        columns: Column name to type.
    """

    name: str
    uri: str
    digest: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class RunReport:
    """Everything a registry keeps of one run of the loop.

    Attributes:
        run_id: The run.
        fleet: The fleet; also the registered model's name.
        params: What was asked for.
        metrics: Numbers over the whole fleet; never one per entity.
        tags: What to search runs by.
        note: A summary in Markdown.
        evaluation: One row per entity: metrics of candidate, champion, pooled and baseline.
        decisions: One row per entity: what the gate decided and why.
        tables: Further tables kept with the run, by name, such as ``slices`` and ``candidates``.
        files: Further files kept with the run, by the name they get there.
        dataset: What was trained on; None where it is not known.
    """

    run_id: str
    fleet: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    note: str
    evaluation: pa.Table
    decisions: pa.Table
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    dataset: DatasetRef | None = None


@dataclass(frozen=True)
class Logged:
    """Where a run was kept.

    Attributes:
        run_id: The registry's own id of it.
        run_url: Its page; for a registry without a server, its database and id.
        experiment_url: The page of all runs of the fleet.
        model_version: The version registered, or the one this bundle has already; None without a bundle.
    """

    run_id: str
    run_url: str
    experiment_url: str
    model_version: str | None


class Registry(Protocol):
    """A place for runs and model versions. Every method may be called again after a crash, and finishes the work.

    Every method raises ``RegistryUnavailableError`` within seconds where the registry does not answer.
    """

    @property
    def uri(self) -> str:
        """Where it is."""
        ...

    def log_run(self, report: RunReport, bundle: Bundle | None) -> Logged:
        """Keep a run; with a bundle, register it as a version of the fleet's model.

        Args:
            report: What to keep. A run that was kept already is not kept twice.
            bundle: What the gate let through; None where it refused. One version per bundle hash.
        """
        ...

    def reconcile(self, fleet: str, releases: Sequence[Release]) -> None:
        """Make aliases and tags say what the ledger says: the ledger is the truth.

        Args:
            fleet: The fleet.
            releases: The whole ledger, oldest first.
        """
        ...

    def champion(self, fleet: str) -> str | None:
        """Return the version with the alias ``champion``; None where there is none."""
        ...

    def aliased(self, fleet: str) -> dict[str, str]:
        """Return the hashes of the bundles whose versions have an alias, with the alias: people's own ones too."""
        ...

    def floor(self, fleet: str) -> int:
        """Return the highest generation the registry was ever told; 0 where it was told none."""
        ...
