"""The confirm step: waits until every live serving process serves the new generation, or goes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from modelfleet.errors import ModelfleetError, ReleaseConflictError, ReleaseError
from modelfleet.loop.aliases import reconcile
from modelfleet.loop.register import default_registry
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.promote import rollback
from modelfleet.serving.lease import LeaseFolder

if TYPE_CHECKING:
    from modelfleet.registry.base import Registry
    from modelfleet.releases.manifest import Release
    from modelfleet.run import Run
    from modelfleet.serving.lease import Lease

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 0.5
"""Seconds between two looks at the leases, at most."""

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
    wait: Callable[[float], None] = time.sleep,
) -> Confirmed:
    """Wait until every live process serves the run's generation or a newer one, and one lease period has passed.

    A process that refuses it, or still serves an older one when the time is up, makes the previous bundle serve
    again as a new generation, if this one is still the newest. With no live process nothing is changed.

    Args:
        run: A promoted run.
        registry: Told of a rollback; None means MLflow, as the environment says.
        clock: Returns the time, with a time zone.
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
    if (back := _own_rollback(ledger, generation)) is not None:  # by a try that died before it could say so
        _end_rolled_back(run, ledger, release, back, registry, back.note, ())
    watch = _Watch(run, release, clock)
    while (verdict := watch.look()) is None:
        wait(watch.pause)
    if isinstance(verdict, Confirmed):
        return _done(run, verdict)
    reason, leases = verdict
    _roll_back(run, ledger, release, registry, reason, leases)


class _Watch:
    """Looks at the leases, again and again, until they say how a promotion ended."""

    def __init__(self, run: Run, release: Release, clock: Callable[[], datetime]) -> None:
        serving = run.spec.serving
        self.release = release
        self.pause = min(LONGEST_PAUSE, serving.lease_seconds / 4)
        self._leases = LeaseFolder(run.fleet_home.leases)
        self._clock = clock
        self._settled = release.created_at + timedelta(seconds=serving.lease_seconds)
        self._timeout = serving.confirm_timeout_seconds
        self._deadline = max(clock(), release.created_at) + timedelta(seconds=self._timeout)
        self._seen_any = False

    def look(self) -> Confirmed | tuple[str, list[Lease]] | None:
        """Return how it ended, or why to go back and the leases that say so; None means wait."""
        now = self._clock()
        live = self._leases.live(now)
        self._seen_any = self._seen_any or bool(live)
        number = self.release.generation
        behind = [lease for lease in live if lease.serving is None or lease.serving < number]
        for lease in behind:
            why = next((refusal.reason for refusal in lease.refused if refusal.generation == number), None)
            if why is not None:
                return f"process {lease.process} refuses generation {number}: {why}", live
        if live and not behind and now >= self._settled:
            who = "1 live process serves" if len(live) == 1 else f"{len(live)} live processes serve"
            sentence = f"{who} generation {number} or newer"
            return self._end("confirmed", live, sentence)
        if not self._seen_any:
            return self._end("unconfirmed", live, f"generation {number} is published, but no process serves this fleet")
        if now < self._deadline:
            return None
        late = [lease for lease in behind if lease.serving is not None]
        if late:
            return (
                f"process {late[0].process} still serves generation {late[0].serving}, not {number}, "
                f"{self._timeout:g} s after it was published",
                live,
            )
        sentence = f"generation {number} is published, but every process has gone or has yet to load its first one"
        return self._end("unconfirmed", live, sentence)

    def _end(self, outcome: Literal["confirmed", "unconfirmed"], live: Sequence[Lease], reason: str) -> Confirmed:
        return Confirmed(outcome, self.release.generation, _processes(live, self.release.generation), reason)


def _roll_back(
    run: Run, ledger: Ledger, release: Release, registry: Registry | None, reason: str, leases: Sequence[Lease]
) -> NoReturn:
    if release.previous is None:
        raise ModelfleetError(
            f"{reason}. It is the first generation, so there is none to go back to; run the loop again"
        )
    try:
        back = rollback(ledger, to=release.previous, actor=CONFIRM, note=reason, after=release.generation)
    except ReleaseConflictError:
        raise ModelfleetError(
            f"{reason}. A newer generation was published in the meantime, so nothing was rolled back: "
            "see `modelfleet status`"
        ) from None
    except ReleaseError as error:
        raise ModelfleetError(f"{reason}. Going back failed: {error}") from error
    _end_rolled_back(run, ledger, release, back, registry, reason, leases)


def _own_rollback(ledger: Ledger, generation: int) -> Release | None:
    found = (release for release in ledger.all() if release.previous == generation)
    return next((release for release in found if (release.reason, release.actor) == ("rollback", CONFIRM)), None)


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
