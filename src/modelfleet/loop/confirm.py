"""The confirm step: waits until every live serving process serves the new generation, or goes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from modelfleet.errors import ModelfleetError, ReleaseConflictError, ReleaseError
from modelfleet.loop.aliases import reconcile
from modelfleet.loop.lease_watch import LeaseWatch
from modelfleet.loop.register import default_registry
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import STEADY
from modelfleet.releases.promote import rollback
from modelfleet.serving.lease import LeaseFolder

if TYPE_CHECKING:
    from modelfleet.registry.base import Registry
    from modelfleet.releases.manifest import Release
    from modelfleet.run import Run
    from modelfleet.serving.lease import Lease

logger = logging.getLogger(__name__)

CONFIRM = "confirm"


@dataclass(frozen=True)
class Confirmed:
    """How a promotion ended.

    Attributes:
        outcome: ``confirmed``; ``unconfirmed`` where no live process could say; ``rolled_back``; or
            ``nothing_to_confirm`` where nothing was published.
        generation: The generation in question; None where nothing was published.
        processes: Each live process: its name, what it serves, and why it refused the generation (or null).
        reason: One sentence.
        rolled_back_to: The generation whose bundle serves again; None unless ``rolled_back``.
    """

    outcome: Literal["confirmed", "unconfirmed", "rolled_back", "nothing_to_confirm"]
    generation: int | None
    processes: tuple[dict[str, Any], ...]
    reason: str
    rolled_back_to: int | None = None


def _now() -> datetime:
    return datetime.now(UTC)


def confirm(
    run: Run,
    registry: Registry | None = None,
    *,
    clock: Callable[[], datetime] = _now,
    monotonic: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Confirmed:
    """Wait until every live process serves the run's generation or a newer one, and one lease period has passed.

    A process that refuses it, or still serves an older one when the time is up, makes the previous bundle serve
    again as a new generation, if this one's is still the newest. With no live process nothing is changed; nor does a
    process do harm that was stopped, that has yet to load anything, or that has trouble of its own for a while.

    Args:
        run: A promoted run.
        registry: Told of a rollback; None means MLflow, as the environment says.
        clock: Returns the time, with a time zone.
        monotonic: Returns seconds that never jump.
        wait: Waits for some seconds.

    Raises:
        StepError: The run is not promoted.
        ModelfleetError: A process refused the generation, or did not take it in time; the message names it.
    """
    promoted = run.read("promote")
    generation = promoted["generation"]
    if generation is None:
        why = promoted.get("reason") or f"nothing was published: {promoted['outcome']}"
        return _done(run, Confirmed("nothing_to_confirm", None, (), why))
    if run.has(CONFIRM) and (before := run.read(CONFIRM))["outcome"] == "rolled_back":
        raise ModelfleetError(before["reason"])  # a retried task must not look like a success
    ledger = Ledger(run.fleet_home.releases, run.fleet_home.leases)
    release = ledger.get(generation)
    if (back := _own_rollback(ledger, release)) is not None:  # by a try that died before it could say so
        _end_rolled_back(run, ledger, release, back, registry, back.note, ())
    serving = run.spec.serving
    watch = LeaseWatch(
        LeaseFolder(run.fleet_home.leases),
        release,
        lease_seconds=serving.lease_seconds,
        timeout_seconds=serving.confirm_timeout_seconds,
        clock=clock,
        monotonic=monotonic,
    )
    while (verdict := watch.look()) is None:
        wait(watch.pause)
    if verdict.outcome == "refused":
        _roll_back(run, ledger, release, registry, verdict.reason, verdict.leases)
    processes = _processes(verdict.leases, generation)
    return _done(run, Confirmed(verdict.outcome, generation, processes, verdict.reason))


def _roll_back(
    run: Run, ledger: Ledger, release: Release, registry: Registry | None, reason: str, leases: Sequence[Lease]
) -> NoReturn:
    if release.previous is None:
        raise ModelfleetError(
            f"{reason}. It is the first generation, so there is none to go back to; run the loop again"
        )
    try:
        newest = _with_this_bundle(ledger, release)[-1]
        back = rollback(ledger, to=release.previous, actor=CONFIRM, note=reason, after=newest)
    except ReleaseConflictError:
        raise ModelfleetError(
            f"{reason}. A newer generation was published in the meantime, so nothing was rolled back: "
            "see `modelfleet status`"
        ) from None
    except ReleaseError as error:
        raise ModelfleetError(f"{reason}. Going back failed: {error}") from error
    _end_rolled_back(run, ledger, release, back, registry, reason, leases)


def _with_this_bundle(ledger: Ledger, release: Release) -> list[int]:
    """Return the release's generation, and those of the pins and switches that followed it and left its bundle."""
    chain = [release.generation]
    for later in ledger.all():
        follows = later.previous == chain[-1] and later.reason in STEADY
        if follows and later.bundle.sha256 == release.bundle.sha256:
            chain.append(later.generation)
    return chain


def _own_rollback(ledger: Ledger, release: Release) -> Release | None:
    chain = _with_this_bundle(ledger, release)
    found = (later for later in ledger.all() if later.previous in chain)
    return next((later for later in found if (later.reason, later.actor) == ("rollback", CONFIRM)), None)


def _end_rolled_back(
    run: Run,
    ledger: Ledger,
    release: Release,
    back: Release,
    registry: Registry | None,
    reason: str,
    leases: Sequence[Lease],
) -> NoReturn:
    sentence = (
        f"{reason}. Generation {back.generation} serves the bundle of generation {back.rolled_back_to} again; "
        "mend the cause, then run the loop again"
    )
    reconcile(run.spec.fleet, ledger, registry or default_registry(run))
    processes = _processes(leases, release.generation)
    _done(run, Confirmed("rolled_back", release.generation, processes, sentence, back.rolled_back_to))
    raise ModelfleetError(sentence)


def _processes(leases: Sequence[Lease], generation: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "process": lease.process,
            "serving": lease.serving,
            "refused": next((r.reason for r in lease.refused if r.generation == generation), None),
        }
        for lease in leases
    )


def _done(run: Run, result: Confirmed) -> Confirmed:
    run.write(CONFIRM, asdict(result))
    logger.info("%s: %s", result.outcome, result.reason)
    return result
