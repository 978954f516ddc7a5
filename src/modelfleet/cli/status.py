"""``modelfleet status``: what serves, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.home import Home
from modelfleet.spec.file import load_spec


def status(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    as_json: JsonFlag = False,
) -> None:
    """Show the newest generation, every live process with what it serves and refused, the job and its savepoints."""
    from modelfleet.engines.operate import job_status
    from modelfleet.engines.savepoints import list_savepoints
    from modelfleet.serving.status import fleet_status

    home, named = Home.from_environment(), load_spec(spec)
    fleet = fleet_status(home, named.fleet)
    job, savepoints = job_status(named, home), list_savepoints(home, named.fleet)
    if as_json:
        more = {
            "job": None if job is None else job.model_dump(mode="json"),
            "savepoints": [savepoint.model_dump(mode="json") for savepoint in savepoints],
        }
        print_json(fleet.model_dump(mode="json") | more)
        return
    out.print(fleet.as_text(), markup=False)
    if job is not None:
        since = f"{job.started_at:%Y-%m-%d %H:%M:%S %Z}"
        out.print(f"  job {job.job_id}: {job.state} since {since}, from {job.restored_from or 'nothing'}", markup=False)
    for savepoint in savepoints:
        use = "the next job may start from it" if savepoint.needed else "superseded; `modelfleet gc` removes it"
        out.print(f"  savepoint {savepoint.path} of {savepoint.taken_at:%Y-%m-%d %H:%M:%S %Z}: {use}", markup=False)
