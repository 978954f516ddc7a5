"""This process's share of the memory that a fleet's models may take on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.bundles.shard_memory import ShardMemory

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from modelfleet.bundles.loaded import LoadedBundle
    from modelfleet.serving.lease import LeaseFolder


class MemoryShare:
    """The limit is the machine's: each process of the fleet there, by the leases, gets the same part of it.

    Attributes:
        memory: Where this process's models are.

    Args:
        machine_bytes: Most bytes of all processes together; None for no limit.
        leases: Of the fleet.
        process: This process's name.
        host: The machine's name.
    """

    def __init__(self, machine_bytes: int | None, leases: LeaseFolder, *, process: str, host: str) -> None:
        self.memory = ShardMemory(machine_bytes)
        self._machine_bytes = machine_bytes
        self._leases = leases
        self._process = process
        self._host = host

    def adjust(self, bundles: Collection[LoadedBundle], now: datetime) -> None:
        """Let the models take this process's share, less what the indices of the bundles in memory take.

        Args:
            bundles: In memory.
            now: The time leases are judged at, with a time zone.
        """
        if self._machine_bytes is not None:
            others = [one for one in self._leases.live(now) if one.process != self._process]
            processes = 1 + sum(one.host == self._host for one in others)
            self.memory.limit = max(self._machine_bytes // processes - index_bytes(bundles), 0)

    def fill(self, bundle: LoadedBundle) -> None:
        """Let go of what no bundle has any more, and load the rest of the one that answers, if it has come to fit."""
        if self.memory.use.limit is None:
            return
        missing = [i for i, part in enumerate(bundle.parts) if not self.memory.has(part)]
        if missing and self.memory.fits(bundle.files):
            bundle.load(missing)


def index_bytes(bundles: Collection[LoadedBundle]) -> int:
    """Return the bytes of what says which model serves whom; bundles that share an index count once."""
    return sum({id(one.entities): one.nbytes for one in bundles}.values())
