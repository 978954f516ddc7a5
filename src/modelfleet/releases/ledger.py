"""The ledger: a folder of releases, each written once, seen whole or not at all, and never changed."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from modelfleet.errors import ReleaseConflictError, ReleaseError, StoreRefusedError, StoreUnavailableError
from modelfleet.releases.floor import leased_floor
from modelfleet.releases.guard import bundles_in_place
from modelfleet.releases.manifest import BundleRef, Reason, Release
from modelfleet.releases.notifier import announce
from modelfleet.releases.release_file import parse, signed, to_bytes
from modelfleet.signing.keyring import Keyring
from modelfleet.signing.signer import Signer, signer_from_environment
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place, place

logger = logging.getLogger(__name__)

NAME = re.compile(r"(\d{10})\.json")


class Ledger:
    """The releases of one fleet.

    Where public keys are configured, a release that none of them signed is no release: it is passed over like a damaged
    one by whoever reads the ledger, so that nothing is served, compared with or built upon that nobody vouches for.

    Attributes:
        folder: Where they lie; need not exist yet.
        leases: Folder of the serving processes' leases, which remember numbers even if a release file is deleted.
        keys: Whose releases are believed; where there is none, everybody's.
    """

    def __init__(
        self,
        folder: str | Place,
        leases: str | Place | None = None,
        *,
        keys: Keyring | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Point at a ledger; reads nothing.

        Args:
            folder: ``FleetHome.releases``.
            leases: ``FleetHome.leases``; None means the folder ``leases`` beside the ledger.
            keys: Whose releases are believed; None means those of the environment.
            signer: Signs what is published; None means that of the environment, if it names one.

        Raises:
            InputError: The environment names public keys that are not there, or the folder is a URL of a kind that
                is not known.
        """
        self.folder = place(folder)
        self.leases = self.folder.parent / "leases" if leases is None else place(leases)
        self._store = open_store(self.folder)
        self.keys = Keyring.from_environment() if keys is None else keys
        self._signer = signer

    @property
    def fleet(self) -> str:
        """Name of the fleet, by the folder the ledger lies in."""
        return self._root.name

    def bundles_in_place(self) -> AbstractContextManager[None]:
        """Hold off whoever removes bundles of this fleet, from the look at one until a release names it.

        Raises:
            FleetBusyError: See ``guard.bundles_in_place``.
        """
        return bundles_in_place(self._root)

    @property
    def _root(self) -> Place:
        return (self.folder.absolute() if isinstance(self.folder, Path) else self.folder).parent

    def path(self, generation: int) -> Place:
        """Return where the release of this number lies, or would lie."""
        return self.folder / _name(generation)

    def generations(self) -> list[int]:
        """Return the numbers of all release files, readable or not, ascending."""
        return sorted(int(found[1]) for name in self._store.names() if (found := NAME.fullmatch(name)))

    def newest(self) -> int:
        """Return the highest number of a release file, readable or not; 0 where there is none."""
        return max(self.generations(), default=0)

    def latest(self) -> Release | None:
        """Return the newest release that can be read, or None where there is none.

        An unreadable one is logged and passed over: what served before goes on serving.
        """
        for generation in reversed(self.generations()):
            try:
                return self.get(generation)
            except ReleaseError as error:
                logger.warning("%s; passed over", error)
        return None

    def all(self, known: Iterable[Release] = ()) -> list[Release]:
        """Return every release that can be read, oldest first; the others are logged and listed by ``problems``.

        Args:
            known: Releases that were read before; they never change, so only whether they are there still is asked.
        """
        return self._read({release.generation: release for release in known})[0]

    def problems(self) -> list[str]:
        """Return one sentence for each release file that cannot be read."""
        return self._read({})[1]

    def get(self, generation: int) -> Release:
        """Return one release.

        Raises:
            SignatureError: It is not signed by a key that is believed, or was altered.
            ReleaseError: There is none of this number, or its file is damaged.
        """
        path = self.path(generation)
        try:
            data = self._store.read(_name(generation))
        except (StoreUnavailableError, StoreRefusedError):
            raise  # not a word about this release
        except OSError as error:
            known = self.generations()
            there = f"there are {known[0]} to {known[-1]}" if known else "there is none yet"
            raise ReleaseError(f"{path}: no release {generation} ({error.strerror}); {there}") from None
        return parse(data, str(path), generation, self.keys, self.fleet)

    def publish(
        self,
        *,
        bundle: BundleRef,
        reason: Reason,
        fleet: str | None = None,
        model_version: str | None = None,
        actor: str = "",
        note: str = "",
        run_id: str | None = None,
        rolled_back_to: int | None = None,
        pinned: bool | None = None,
        pooled_only: bool | None = None,
        floor: int = 0,
        after: int | None = None,
    ) -> Release:
        """Publish the next generation.

        The number is one above the highest ever seen: in the ledger, in the leases, or in ``floor``.

        Args:
            bundle: What shall serve.
            reason: Why.
            fleet: Name of the fleet; None means that of the folder the ledger lies in.
            model_version: The registered model's version.
            actor: Who or what publishes.
            note: Free text.
            run_id: The run it comes from.
            rolled_back_to: For a rollback, the generation whose bundle serves again.
            pinned: Whether promotions are refused from now on; None means as before.
            pooled_only: Whether the pooled model answers for every entity from now on; None means as before.
            floor: Highest number that others, such as the registry, know of.
            after: Publish only while this generation is the newest (0: while there is none). None means whatever is
                the newest.

        Returns:
            The release, which every reader sees from now on.

        Raises:
            ReleaseConflictError: Somebody else published in the meantime; nothing was written.
            InputError: It would not be signed, or by a key that is not believed; nothing was written.
            SigningUnavailableError: The key service does not answer; nothing was written.
        """
        newest = self.newest()
        if after is not None and after != newest:
            raise ReleaseConflictError(
                f"{self.folder}: generation {after} was to be followed, but {newest} is the newest: "
                "look at it, then retry"
            )
        latest = self.latest()
        release = Release(
            fleet=fleet or self.fleet,
            generation=max(newest, floor, leased_floor(self.leases)) + 1,
            bundle=bundle,
            model_version=model_version,
            reason=reason,
            actor=actor,
            note=note,
            run_id=run_id,
            previous=None if latest is None else latest.generation,
            rolled_back_to=rolled_back_to,
            pinned=(latest is not None and latest.pinned) if pinned is None else pinned,
            pooled_only=(latest is not None and latest.pooled_only) if pooled_only is None else pooled_only,
            nonce=uuid.uuid4().hex,
            created_at=datetime.now(UTC),
        )
        release = signed(release, self._signer or signer_from_environment(), self.keys)
        self._write(release)
        announce(self.folder, release)
        return release

    def _write(self, release: Release) -> None:
        """Write it, unless its number is taken."""
        path = self.path(release.generation)
        try:
            self._store.create(path.name, to_bytes(release))
        except FileExistsError:
            try:
                winner = self.get(release.generation)
            except ReleaseError as error:
                raise ReleaseConflictError(f"{path}: taken by somebody else ({error}): retry") from None
            if winner.nonce != release.nonce:
                raise ReleaseConflictError(
                    f"{path}: '{winner.actor}' published generation {winner.generation} first "
                    f"({winner.reason}, bundle {winner.bundle.uri}): look at it, then retry"
                ) from None

    def _read(self, known: Mapping[int, Release]) -> tuple[list[Release], list[str]]:
        releases, problems = [], []
        for generation in self.generations():
            try:
                releases.append(known.get(generation) or self.get(generation))
            except ReleaseError as error:
                problems.append(str(error))
                logger.warning("%s; passed over", error)
        return releases, problems


def _name(generation: int) -> str:
    return f"{generation:010d}.json"
