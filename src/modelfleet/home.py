"""Where modelfleet keeps what a run leaves: ``$MODELFLEET_HOME``, or ``.modelfleet`` in the working folder.

Delete the folder and you start anew. No other module builds a path below it by hand.

Where ``$MODELFLEET_HOME`` is a URL (``gs://bucket/prefix``, ``s3://bucket/prefix``), what several machines must agree
on lies there: the ledger, leases, the denylist and the bundles that releases name. The rest, such as run folders, logs
and what local services keep, is in ``$MODELFLEET_LOCAL_HOME``, or ``.modelfleet``, of each machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from modelfleet.errors import InputError
from modelfleet.stores.place import SCHEMES, Place, Url

HOME = "MODELFLEET_HOME"
LOCAL_HOME = "MODELFLEET_LOCAL_HOME"


@dataclass(frozen=True)
class FleetHome:
    """The folders of one fleet.

    Attributes:
        root: ``<home>/fleets/<fleet>``.
        shared: The same below a bucket, for what several machines must agree on; None means ``root``.
    """

    root: Path
    shared: Url | None = None

    @property
    def runs(self) -> Path:
        """One folder per run of the loop, named after the run."""
        return self.root / "runs"

    @property
    def shared_runs(self) -> Url | None:
        """The same below the bucket, for workers that do not see the folders; None means that there is no bucket."""
        return None if self.shared is None else self.shared / "runs"

    @property
    def scores(self) -> Path:
        """Scored rows on their way to a bucket."""
        return self.root / "scores"

    @property
    def shared_scores(self) -> Url | None:
        """One folder below the bucket per scoring job, while it runs, for such workers."""
        return None if self.shared is None else self.shared / "scores"

    @property
    def bundles(self) -> Path:
        """One immutable folder per complete fleet, named after its content."""
        return self.root / "bundles"

    @property
    def published(self) -> Url | None:
        """Where bundles are copied to before a release names them; None means that ``bundles`` will do."""
        return None if self.shared is None else self.shared / "bundles"

    @property
    def releases(self) -> Place:
        """The ledger: one immutable manifest per generation."""
        return self._agreed("releases")

    @property
    def leases(self) -> Place:
        """One file per live serving process."""
        return self._agreed("leases")

    @property
    def denylist(self) -> Place:
        """Models that ended a serving process, one file per model; deleting a file lets the model be asked again."""
        return self._agreed("denylist")

    def _agreed(self, name: str) -> Place:
        return self.root / name if self.shared is None else self.shared / name

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
    def large_dead_letters(self) -> Place:
        """Whole dead letters, as JSON, that are larger than the messages of the sink may be."""
        return self.dead_letters / "large" if self.shared is None else self.shared / "large"


@dataclass(frozen=True)
class Home:
    """The root folder.

    Attributes:
        root: Absolute path; need not exist yet.
        shared: Below a bucket, what several machines must agree on; None means ``root``.
    """

    root: Path
    shared: Url | None = None

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home named by ``$MODELFLEET_HOME``, or ``.modelfleet`` in the working folder.

        Raises:
            InputError: It is a URL, but not of a bucket.
        """
        named = os.environ.get(HOME) or ".modelfleet"
        return cls.at(Path(os.environ.get(LOCAL_HOME) or ".modelfleet" if "://" in named else named))

    @classmethod
    def at(cls, root: Path) -> Home:
        """Return the home whose part on this machine is in a folder; what is shared lies where the environment says.

        Raises:
            InputError: The environment names a URL, but not of a bucket.
        """
        named = os.environ.get(HOME, "")
        return cls(root.absolute(), _bucket(named, f"${HOME}") if "://" in named else None)

    @classmethod
    def named(cls, named: str) -> Home:
        """Return the home of a command line: like ``at`` for a folder; of a bucket, whatever the environment says.

        Raises:
            InputError: It is a URL, but not of a bucket.
        """
        if "://" not in named:
            return cls.at(Path(named))
        return cls(Path(os.environ.get(LOCAL_HOME) or ".modelfleet").absolute(), _bucket(named, "the home"))

    def fleet(self, name: str) -> FleetHome:
        """Return the folders of a fleet; ``name`` has been checked by the spec and is safe as a path."""
        shared = None if self.shared is None else self.shared / "fleets" / name
        return FleetHome(self.root / "fleets" / name, shared)

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


def _bucket(named: str, what: str) -> Url:
    url = Url(named.rstrip("/"))
    if url.scheme not in SCHEMES or not url.bucket:
        raise InputError(f"{what} is '{named}': expected a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    return url
