"""Whether a spec says where a Dataflow job runs and keeps its files, as far as that can be seen without asking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelfleet.engines.check import Check
from modelfleet.engines.deployment import image_check

if TYPE_CHECKING:
    from modelfleet.engines.options import Job
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

FOLDER = r"gs://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/.*)?"
"""A bucket's name has three letters or more; Beam quietly takes another bucket for a shorter one."""


def option_checks(spec: FleetSpec) -> list[Check]:
    """Check the engine options without which Dataflow takes no job, or the workers have no code."""
    checks = [
        _option(spec, "project", r"[a-z][-a-z0-9:.]{4,61}[a-z0-9]", "the id of the project that pays"),
        _option(spec, "region", r"[a-z]+(-[a-z]+)+[0-9]+", "a region such as europe-west1"),
        _option(spec, "temp_location", FOLDER, "a folder such as gs://BUCKET/temp"),
    ]
    if "staging_location" in spec.engine_options:  # Beam takes the other one for it
        checks.append(_option(spec, "staging_location", FOLDER, "a folder such as gs://BUCKET/staging"))
    image = spec.engine_options.get("sdk_container_image")
    if image:
        return [*checks, Check("worker image", "ok", str(image))]
    return [*checks, image_check()]


def place_checks(spec: FleetSpec, job: Job, home: Home) -> list[Check]:
    """Check that workers, which have no folder of this machine, can reach what a job reads and writes.

    The home folder is only told of where it is none of a bucket: it may be mounted at the same place in the worker
    image.
    """
    checks = []
    for side, section in (("source", spec.serving.source), ("sink", spec.serving.sink)):
        if job == "serve" and section.kind == "folder":
            seen = "a folder, and Dataflow's workers share none"
            checks.append(Check(f"serving.{side}", "wrong", seen, f"name a Pub/Sub or Kafka {side} in serving.{side}"))
    if home.shared is not None:
        return [*checks, Check("home folder", "ok", str(home.shared))]
    remedy = "MODELFLEET_HOME must name a bucket, or it must be mounted at the same place in the worker image"
    return [*checks, Check("home folder", "unknown", f"{home.root} is of this machine", remedy)]


def bucket_of(place: str) -> str:
    """Return the bucket of a ``gs://`` url; empty for any other text."""
    return place.removeprefix("gs://").split("/")[0] if place.startswith("gs://") else ""


def _option(spec: FleetSpec, name: str, pattern: str, meaning: str) -> Check:
    value = spec.engine_options.get(name)
    remedy = f"set engine_options.{name} to {meaning}"
    if value is None:
        return Check(name, "wrong", f"engine_options.{name} is missing", remedy)
    if not re.fullmatch(pattern, str(value)):
        return Check(name, "wrong", f"engine_options.{name} is '{value}'", remedy)
    return Check(name, "ok", str(value))
