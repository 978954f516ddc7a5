"""Where modelfleet keeps what a run leaves: ``$MODELFLEET_HOME``, or ``.modelfleet`` in the working folder.

Delete the folder and you start anew. No other module builds a path below it by hand.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FleetHome:
    """The folders of one fleet.

    Attributes:
        root: ``<home>/fleets/<fleet>``.
    """

    root: Path

    @property
    def runs(self) -> Path:
        """One folder per run of the loop, named after the run."""
        return self.root / "runs"

    @property
    def bundles(self) -> Path:
        """One immutable folder per complete fleet, named after its content."""
        return self.root / "bundles"

    @property
    def releases(self) -> Path:
        """The ledger: one immutable manifest per generation."""
        return self.root / "releases"

    @property
    def leases(self) -> Path:
        """One file per live serving process."""
        return self.root / "leases"

    @property
    def denylist(self) -> Path:
        """Models that ended a serving process, one file per model; deleting a file lets the model be asked again."""
        return self.root / "denylist"

    @property
    def requests(self) -> Path:
        """JSONL files dropped here are answered by the streaming job (unless the spec names another folder)."""
        return self.root / "serving" / "requests"

    @property
    def answers(self) -> Path:
        """JSONL parts with answers."""
        return self.root / "serving" / "answers"

    @property
    def dead_letters(self) -> Path:
        """JSONL parts with what could not be answered, and why."""
        return self.root / "serving" / "dead_letters"

    @property
    def large_dead_letters(self) -> Path:
        """Whole dead letters, as JSON, that are larger than the messages of the sink may be."""
        return self.dead_letters / "large"


@dataclass(frozen=True)
class Home:
    """The root folder.

    Attributes:
        root: Absolute path; need not exist yet.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home named by ``$MODELFLEET_HOME``, or ``.modelfleet`` in the working folder."""
        return cls(Path(os.environ.get("MODELFLEET_HOME") or ".modelfleet").absolute())

    def fleet(self, name: str) -> FleetHome:
        """Return the folders of a fleet; ``name`` has been checked by the spec and is safe as a path."""
        return FleetHome(self.root / "fleets" / name)

    @property
    def airflow(self) -> Path:
        """``$AIRFLOW_HOME`` of the local Airflow."""
        return self.root / "airflow"

    @property
    def mlflow(self) -> Path:
        """Database and artifacts of the local MLflow."""
        return self.root / "mlflow"

    @property
    def flink(self) -> Path:
        """Checkpoints and configuration of the local Flink job server."""
        return self.root / "flink"

    @property
    def kafka(self) -> Path:
        """Data and configuration of the local Kafka broker."""
        return self.root / "kafka"

    @property
    def data_docs(self) -> Path:
        """The Great Expectations site, one folder per fleet."""
        return self.root / "data_docs"

    @property
    def logs(self) -> Path:
        """Logs of every local service."""
        return self.root / "logs"

    @property
    def cache(self) -> Path:
        """Downloads that can be fetched again, shared by the processes of this machine."""
        return self.root / "cache"
