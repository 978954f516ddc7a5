"""Looks at what an engine needs before anything is submitted to it: Beam itself would find out after minutes, or hang.

Only Dataflow needs it; the other engines answer or do not.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from modelfleet.engines.check import Check
from modelfleet.engines.dataflow_places import bucket_of, option_checks, place_checks
from modelfleet.errors import CloudSetupError, CredentialsError, EngineUnavailableError, ModelfleetError

if TYPE_CHECKING:
    from modelfleet.engines.google_identity import Identity
    from modelfleet.engines.options import Job
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

SECONDS = 4.5
"""The whole takes no longer, whoever does not answer. A third may go to finding credentials, a third to a token."""

APIS = ("compute", "dataflow", "storage")


def check_engine(spec: FleetSpec, job: Job, home: Home) -> None:
    """Refuse a job that the engine could not run; engines on this machine are not asked.

    Args:
        spec: The fleet's spec.
        job: Which job.
        home: The root folder.

    Raises:
        CredentialsError: There are no credentials, or they are refused.
        CloudSetupError: Something else is not as the spec says; the message has all of it.
        EngineUnavailableError: The cloud does not answer.
        MissingExtraError: Google's libraries are not installed.
    """
    if spec.engine != "dataflow":
        return
    checks, refusal = _look(spec, job, home)
    wrong = [check for check in checks if check.state == "wrong" and check.what != "credentials"]
    if refusal is not None and (isinstance(refusal, CredentialsError) or not wrong):
        raise refusal
    if wrong:
        raise CloudSetupError(f"fleet '{spec.fleet}' cannot run on Dataflow; nothing was submitted:\n{_lines(wrong)}")
    silent = [check for check in checks if check.state == "unreachable"]
    if silent:
        raise EngineUnavailableError(f"fleet '{spec.fleet}': nothing was submitted to Dataflow:\n{_lines(silent)}")


def engine_checks(spec: FleetSpec, job: Job, home: Home) -> list[Check]:
    """Return everything that ``check_engine`` looks at, what is right too; empty for an engine on this machine."""
    return [] if spec.engine != "dataflow" else _look(spec, job, home)[0]


def _look(spec: FleetSpec, job: Job, home: Home) -> tuple[list[Check], ModelfleetError | None]:
    """Return the checks, and why nobody could be asked: credentials come before everything else."""
    from modelfleet.engines.google_identity import find_identity

    deadline = time.monotonic() + SECONDS
    options = option_checks(spec)
    checks = [*options, *place_checks(spec, job, home)]
    try:
        identity = find_identity(seconds=SECONDS / 3)
    except ModelfleetError as error:
        silent = isinstance(error, EngineUnavailableError)
        return [*checks, Check("credentials", "unreachable" if silent else "wrong", str(error))], error
    checks.append(Check("credentials", "ok", identity.name or "found, and Google takes them"))
    if any(check.state == "wrong" and check.what in {"project", "region"} for check in options):
        return checks, None  # there is nobody to ask
    return [*checks, *_ask(spec, job, home, identity, deadline - time.monotonic())], None


def _ask(spec: FleetSpec, job: Job, home: Home, identity: Identity, seconds: float) -> list[Check]:
    from modelfleet.engines.google_project import GoogleProject
    from modelfleet.spec.notices import PubsubNotices
    from modelfleet.spec.sink import PubsubSinkSpec
    from modelfleet.spec.source import PubsubSourceSpec

    project = GoogleProject(spec, identity, seconds=seconds)
    places = [str(spec.engine_options.get(name) or "") for name in ("temp_location", "staging_location")]
    places.append(str(home.shared or ""))
    buckets = sorted({bucket_of(place) for place in places} - {""})
    source, sink = spec.serving.source, spec.serving.sink
    notices = None if spec.serving.updates == "watch" else spec.serving.notices
    pubsub = []
    if job == "serve" and isinstance(source, PubsubSourceSpec):
        pubsub.append(source.subscription)
    if job == "serve" and isinstance(sink, PubsubSinkSpec):
        pubsub += [sink.answers, sink.dead_letters]
    if job == "serve" and isinstance(notices, PubsubNotices):
        pubsub.append(notices.subscription)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(project.dataflow)]
        asked += [pool.submit(project.bucket, name) for name in buckets]
        asked += [pool.submit(project.pubsub, name) for name in pubsub]
        asked.append(pool.submit(project.apis, [*APIS, *(["pubsub"] if pubsub else [])]))
        return [answer.result() for answer in asked]


def _lines(checks: list[Check]) -> str:
    return "\n".join(f"  {check.as_line()}" for check in checks)
