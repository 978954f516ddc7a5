"""The fleets that get DAGs: one per YAML file of the fleets folder.

A spec that does not load costs only its own fleet: the DAG files skip it, and ``dags/broken_specs.py``, which defines
no DAG, raises its message. Airflow stores import errors per file and marks every DAG of that file as gone, so the
error must not belong to a file that has good DAGs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from modelfleet.errors import SpecError
from modelfleet.spec.file import load_spec
from modelfleet.spec.fleet import FleetSpec


@dataclass(frozen=True)
class Fleet:
    """A fleet and where its spec stands.

    Attributes:
        path: The YAML file, absolute.
        spec: What it says.
    """

    path: Path
    spec: FleetSpec

    @property
    def name(self) -> str:
        """The fleet's name; DAG ids are ``<name>_retrain``, ``<name>_serve`` and so on."""
        return self.spec.fleet


def fleets_folder(dag_file: str | Path) -> Path:
    """Return ``$MODELFLEET_FLEETS``, or the folder ``fleets`` beside the folder of a DAG file."""
    named = os.environ.get("MODELFLEET_FLEETS")
    return Path(named).absolute() if named else Path(dag_file).absolute().parent.parent / "fleets"


def read_fleets(folder: Path) -> tuple[list[Fleet], list[SpecError]]:
    """Read every spec of a folder.

    Args:
        folder: Its ``*.yaml`` files are the specs; no file is no fleet.

    Returns:
        The fleets that loaded, in the order of their files, and one error per file that did not.
    """
    if not folder.is_dir():
        return [], [SpecError(f"{folder}: no such folder; set MODELFLEET_FLEETS to the one with the fleet specs")]
    fleets: dict[str, Fleet] = {}
    errors = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            spec = load_spec(path)
            _check_cron(path, "cron", spec.schedule.cron)
            _check_cron(path, "score.cron", spec.schedule.score and spec.schedule.score.cron)
            if spec.fleet in fleets:
                raise SpecError(f"{path}: fleet: '{spec.fleet}' is already described by {fleets[spec.fleet].path}")
        except SpecError as error:
            errors.append(error)
        else:
            fleets[spec.fleet] = Fleet(path, spec)
    return list(fleets.values()), errors


def good_fleets(dag_file: str | Path) -> list[Fleet]:
    """Return the fleets that loaded, from the folder that belongs to a DAG file."""
    return read_fleets(fleets_folder(dag_file))[0]


def raise_broken(dag_file: str | Path) -> None:
    """Raise for the specs that did not load.

    Raises:
        SpecError: File and field of every mistake, one line each.
    """
    errors = read_fleets(fleets_folder(dag_file))[1]
    if errors:
        raise SpecError("\n".join(map(str, errors)))


def _check_cron(path: Path, field: str, cron: str | None) -> None:
    """Airflow would find a bad expression only when it builds the timetable, and then drop the whole file's DAGs."""
    if cron is None:
        return
    from airflow.sdk import CronTriggerTimetable
    from airflow.sdk.exceptions import AirflowTimetableInvalid

    try:
        CronTriggerTimetable(cron, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        raise SpecError(f"{path}: schedule.{field}: is '{cron}': not a cron expression ({error})") from error
