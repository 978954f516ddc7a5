"""The pipeline options of a Dataflow job: its fixed name, its labels, and what the spec adds."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from modelfleet.engines.deployment import deployed_image

if TYPE_CHECKING:
    from modelfleet.engines.options import Job, Options
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

RUNNER = "DataflowRunner"

LISTS = ("experiments", "dataflow_service_options")
"""Options that Beam takes several times or with commas; what a spec says is added to what a job needs."""


def dataflow_options(spec: FleetSpec, job: Job, home: Home, run: str = "") -> Options:
    """Return the options of a job.

    Args:
        spec: The fleet's spec; its ``engine_options`` are added, and win where they name the same thing.
        job: Which job.
        home: The root folder.
        run: What tells this job from others of the fleet, such as the run's name. A job of the same name that is
            still active is waited for rather than submitted twice.
    """
    given = spec.engine_options
    needed: Options = {
        "runner": RUNNER,
        "job_name": dataflow_name(spec.fleet, job, f"{home.shared or home.root}\n{run}"),
        # The worker image holds the SDK and modelfleet: nothing is downloaded here or installed there
        "sdk_location": "container",
    }
    if job == "serve":
        needed |= {
            "streaming": True,
            "enable_streaming_engine": True,
            "experiments": ["disable_global_windowed_args_caching"],
        }
    if not given.get("sdk_container_image"):
        needed["sdk_container_image"] = deployed_image()
    options: Options = {**needed, **given}
    options["labels"] = [*_labels(spec, job, run), *_items(given.get("labels"), split=False)]
    for name in LISTS:
        items = dict.fromkeys([*_items(needed.get(name)), *_items(given.get(name))])
        if items:
            options[name] = list(items)
    return options


def dataflow_name(fleet: str, job: Job, mark: str = "") -> str:
    """Return the name of a job: lower case letters, digits and dashes, the same for the same arguments.

    Dataflow lets no two active jobs of a project and region have the same name.

    Args:
        fleet: The fleet.
        job: Which job.
        mark: What tells it from other jobs of this kind; of any length and of any characters.
    """
    name = f"modelfleet-{fleet.replace('_', '-')}-{job}"
    return f"{name}-{hashlib.sha256(mark.encode()).hexdigest()[:8]}" if mark else name


def label_value(text: str) -> str:
    """Return a text as the value of a label may be: at most 63 lower case letters, digits, dashes, underscores."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]


def _labels(spec: FleetSpec, job: Job, run: str) -> list[str]:
    labels = {"modelfleet_fleet": spec.fleet, "modelfleet_job": job, "modelfleet_run": label_value(run)}
    return [f"{name}={value}" for name, value in labels.items() if value]


def _items(value: object, *, split: bool = True) -> list[str]:
    """Return the items of an option that a spec gives as a list or as one text with commas."""
    if value is None:
        return []
    items = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return [part for item in items for part in (item.split(",") if split else [item])]
