"""Watching the leases until they say how a promotion ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from modelfleet.releases.manifest import Release
    from modelfleet.serving.lease import Lease, LeaseFolder

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 0.5
"""Seconds between two looks at the leases, at most."""

TELL_EVERY = 10.0
"""The log tells how far it is whenever something has changed, and at least once in so many seconds."""


@dataclass(frozen=True)
class Verdict:
    """How a promotion ended.

    Attributes:
        outcome: ``confirmed``; ``unconfirmed``, where no live process could say; or ``refused``, a reason to go back.
        reason: One sentence.
        leases: Those of the live processes.
    """

    outcome: Literal["confirmed", "unconfirmed", "refused"]
    reason: str
    leases: tuple[Lease, ...]


@dataclass(frozen=True)
class _Sighting:
    renewed_at: datetime  # by the process's clock
    since: float  # when that was first seen here
    renewed: bool  # whether an earlier renewal was seen before it


class LeaseWatch:
    """Looks at the leases again and again.

    Who is alive is judged by what is seen, not by comparing clocks: a process whose lease was renewed since the first
    look lives as long as its leases last, and one that is not renewed for so long is gone, whatever its clock says.
    Only at the first look the lease's own time counts.

    Args:
        leases: The fleet's leases.
        release: What should be served.
        lease_seconds: The lease period; a promotion is confirmed once one has passed.
        timeout_seconds: How long a process may take.
        clock: Returns the time, with a time zone; it may jump.
        monotonic: Returns seconds that never jump.
    """

    def __init__(
        self,
        leases: LeaseFolder,
        release: Release,
        *,
        lease_seconds: float,
        timeout_seconds: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.pause = min(LONGEST_PAUSE, lease_seconds / 4)
        self._leases = leases
        self._release = release
        self._clock = clock
        self._monotonic = monotonic
        self._begin = monotonic()
        self._timeout = timeout_seconds
        age = (clock() - release.created_at).total_seconds()
        self._settled = self._begin + min(max(lease_seconds - age, 0.0), lease_seconds)
        self._sightings: dict[str, _Sighting] = {}
        self._seen_any = False
        self._told: tuple[str, ...] = ()
        self._told_at = self._begin - TELL_EVERY

    def look(self) -> Verdict | None:
        """Return how it ended; None means wait."""
        live = self._alive()
        self._seen_any = self._seen_any or bool(live)
        number = self._release.generation
        behind = [lease for lease in live if lease.serving is None or lease.serving < number]
        verdict = self._refusal(live, behind)
        if verdict is None and live and not behind and self._monotonic() >= self._settled:
            verdict = Verdict("confirmed", f"{_serving(live)} generation {number} or newer", tuple(live))
        if verdict is None and not self._seen_any:
            sentence = f"generation {number} is published, but no process serves this fleet"
            verdict = Verdict("unconfirmed", sentence, ())
        if verdict is None and self._monotonic() >= self._begin + self._timeout:
            verdict = self._at_the_end(live, behind)
        if verdict is None:
            self._tell(live)
        return verdict

    def _alive(self) -> list[Lease]:
        now, ticks = self._clock(), self._monotonic()
        alive = []
        for lease in self._leases.all():
            seen = self._sightings.get(lease.process)
            if seen is None or seen.renewed_at != lease.renewed_at:
                seen = _Sighting(lease.renewed_at, ticks, seen is not None)
                self._sightings[lease.process] = seen
            lasts = (lease.expires_at - lease.renewed_at).total_seconds()
            if ticks - seen.since < lasts and (seen.renewed or lease.expires_at > now):
                alive.append(lease)
        return alive

    def _refusal(self, live: Iterable[Lease], behind: Iterable[Lease]) -> Verdict | None:
        number = self._release.generation
        for lease in behind:
            for refusal in lease.refused:
                if refusal.generation == number and not refusal.passing:
                    sentence = f"process {lease.process} refuses generation {number}: {refusal.reason}"
                    return Verdict("refused", sentence, tuple(live))
        return None

    def _at_the_end(self, live: list[Lease], behind: list[Lease]) -> Verdict | None:
        """Judge those who are late; one that may have been stopped has until its lease ends to speak up."""
        number = self._release.generation
        late = [lease for lease in behind if lease.serving is not None]
        for lease in late:
            seen = self._sightings[lease.process]
            if seen.renewed and seen.since >= self._begin + self._timeout:
                sentence = (
                    f"process {lease.process} still serves generation {lease.serving}, not {number}, "
                    f"{self._timeout:g} s after it was published"
                )
                own = next((r.reason for r in lease.refused if r.generation == number), None)
                if own is not None:
                    sentence += f", for a trouble of its own, which need not be the bundle's fault: {own}"
                return Verdict("refused", sentence, tuple(live))
        if late:
            return None
        up = [lease for lease in live if lease not in behind]
        starting = ", ".join(lease.process for lease in behind)
        rest = f"process {starting} has yet to load its first one" if starting else "every process has gone"
        who = f"{_serving(up)} it, but " if up else "but "
        return Verdict("unconfirmed", f"generation {number} is published; {who}{rest}", tuple(live))

    def _tell(self, live: Iterable[Lease]) -> None:
        """Log every process whenever something has changed, and now and then how far it is."""
        ticks = self._monotonic()
        picture = tuple(line for lease in live for line in _lines(lease))
        if picture == self._told and ticks - self._told_at < TELL_EVERY:
            return
        self._told, self._told_at = picture, ticks
        number = self._release.generation
        logger.info("waiting for generation %d: %.0f s of %g s", number, ticks - self._begin, self._timeout)
        for lease in live:
            age = max(ticks - self._sightings[lease.process].since, 0.0)
            for position, line in enumerate(_lines(lease)):
                logger.info("  %s%s", line, f", lease last renewed {age:.0f} s ago or before" if position == 0 else "")


def _lines(lease: Lease) -> list[str]:
    serves = "nothing yet" if lease.serving is None else f"generation {lease.serving}"
    return [f"{lease.process} serves {serves}", *(f"  {refusal.as_text()}" for refusal in lease.refused)]


def _serving(leases: list[Lease]) -> str:
    return "1 live process serves" if len(leases) == 1 else f"{len(leases)} live processes serve"
