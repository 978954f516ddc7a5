"""Our own streaming job on the stage, and the releases it is given while it answers."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.stream.shops import shops_spec, write_bundle
from benchmarks.stream.stage import Stage, Topics, until
from modelfleet.bundles.reader import Bundle
from modelfleet.engines.operate import stop_serving
from modelfleet.engines.serve import start_serving
from modelfleet.home import FleetHome
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef, Release
from modelfleet.serving.lease import Lease, LeaseFolder

START_SECONDS = 240.0
SWITCH_SECONDS = 60.0


@dataclass(frozen=True)
class Switched:
    """One release and when it was taken up, in milliseconds since 1970.

    Attributes:
        generation: Its number.
        mark: That of its bundle.
        published: Just before its file was written.
        switched: When the last live process had switched.
    """

    generation: int
    mark: int
    published: float
    switched: float


@dataclass(frozen=True)
class Served:
    """A fleet that is being served.

    Attributes:
        topics: Its requests and answers.
        folders: Its place in the home folder.
    """

    topics: Topics
    folders: FleetHome

    def leases(self) -> list[Lease]:
        """Return the leases of its live processes."""
        return LeaseFolder(self.folders.leases).live()

    def processes(self) -> list[int]:
        """Return the process ids of its live processes."""
        return [lease.pid for lease in self.leases()]

    def publish(self, bundle: Bundle) -> Release:
        """Release a bundle."""
        ref = BundleRef(uri=str(bundle.path), sha256=bundle.sha256)
        return Ledger(self.folders.releases).publish(bundle=ref, reason="promote")

    def swap(self, bundle: Bundle, mark: int) -> Switched:
        """Release a bundle and wait until every live process serves it.

        Raises:
            EngineUnavailableError: One does not.
        """
        release = self.publish(bundle)
        found: list[Lease] = []

        def all_serve() -> bool:
            found[:] = self.leases()
            return bool(found) and all(lease.serving == release.generation for lease in found)

        until(all_serve, SWITCH_SECONDS, f"generation {release.generation} is not served by every process")
        last = max(lease.serving_since.timestamp() for lease in found if lease.serving_since)
        return Switched(release.generation, mark, release.created_at.timestamp() * 1e3, last * 1e3)

    def refuse(self, bundle: Bundle) -> Release:
        """Release a bundle that cannot be loaded and wait until every live process has refused it.

        Raises:
            EngineUnavailableError: One does not.
        """
        release = self.publish(bundle)

        def all_refuse() -> bool:
            leases = self.leases()
            return bool(leases) and all(
                release.generation in {refusal.generation for refusal in lease.refused} for lease in leases
            )

        until(all_refuse, SWITCH_SECONDS, f"generation {release.generation} is not refused by every process")
        return release


@contextlib.contextmanager
def serving(stage: Stage, first: int, *, shards: int | None = None, **fields: object) -> Iterator[tuple[Served, str]]:
    """Serve a new fleet of shops by Kafka for the length of the block.

    Args:
        stage: Broker and job server.
        first: Number of shops in the first bundle, whose mark is 1.
        shards: Its files; None means as many as by default.
        fields: Of the spec's section ``serving``.

    Yields:
        The fleet served, and its name.
    """
    name = f"shops_{uuid.uuid4().hex[:8]}"
    topics = stage.topics(name)
    kafka = {"kind": "kafka", "bootstrap_servers": stage.servers}
    source = kafka | {"topic": topics.requests}
    sink = kafka | {"answers": topics.answers, "dead_letters": topics.dead}
    spec = shops_spec(name, source=source, sink=sink, **fields)
    folders = stage.home.fleet(name)
    served = Served(topics, folders)
    bundle = write_bundle(folders.bundles, name, first, 1, **({} if shards is None else {"shards": shards}))
    served.publish(bundle)
    start_serving(spec, stage.home, wait_seconds=START_SECONDS)
    try:
        yield served, name
    finally:
        stop_serving(spec, stage.home)
