"""What is remembered of a fleet's streaming jobs, so that the next one can go on where the last one was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from modelfleet.engines.flink import latest_checkpoint
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from modelfleet.home import Home

STARTING_POINTS = 2
"""So many of them are tried before a job starts with nothing; savepoints beyond are superseded."""

KEPT_JOBS = 3
"""So many jobs of a fleet are remembered, the newest ones."""


class JobRecord(BaseModel):
    """The last few jobs of a fleet.

    Attributes:
        jobs: Flink's ids of them, newest first.
        restored_from: The checkpoint or savepoint the newest was started from; None if it started with nothing.
        savepoints: The savepoint with which a job ended, by its id; a job that was cancelled or died has none.
        graph: The transforms of the newest job, one line each, as ``beam_jobs.serve`` told them.
        ended: How the newest was ended by a person; None where it runs, or ended otherwise.
    """

    model_config = ConfigDict(frozen=True)

    jobs: tuple[str, ...] = ()
    restored_from: str | None = None
    savepoints: dict[str, str] = {}
    graph: tuple[str, ...] = ()
    ended: Literal["stopped", "drained"] | None = None

    def followed_by(self, job_id: str, *, restored_from: Path | None, graph: tuple[str, ...]) -> JobRecord:
        """Return the record once another job has been started."""
        jobs = (job_id, *self.jobs)[:KEPT_JOBS]
        return JobRecord(
            jobs=jobs,
            restored_from=None if restored_from is None else str(restored_from),
            savepoints={job: place for job, place in self.savepoints.items() if job in jobs},
            graph=graph,
        )

    def starting_points(self, checkpoints: Path) -> list[Path]:
        """Return where the next job can go on, the newest first: of each job its savepoint, then its last checkpoint.

        Args:
            checkpoints: The folder ``state.checkpoints.dir``.
        """
        return list(itertools.islice(self._states(checkpoints), STARTING_POINTS))

    def _states(self, checkpoints: Path) -> Iterator[Path]:
        for job_id in self.jobs:
            saved = self.savepoints.get(job_id)
            if saved is not None and Path(saved, "_metadata").is_file():
                yield Path(saved)
            checkpoint = latest_checkpoint(checkpoints, job_id)
            if checkpoint is not None:
                yield checkpoint


def read_record(home: Home, fleet: str) -> JobRecord:
    """Return what is remembered of a fleet's jobs; an empty record where there is none."""
    try:
        return JobRecord.model_validate_json(_path(home, fleet).read_bytes())
    except (FileNotFoundError, ValidationError):
        return JobRecord()


def write_record(home: Home, fleet: str, record: JobRecord) -> None:
    """Remember it."""
    write_whole(_path(home, fleet), record.model_dump_json(indent=1))


def _path(home: Home, fleet: str) -> Path:
    return home.flink / "serving" / f"{fleet}.json"
