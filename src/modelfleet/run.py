"""One run of the loop: the folder in which each step finds what the steps before it left."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from modelfleet.errors import BundleError, InputError, ReleaseError, RunBusyError, StepError
from modelfleet.home import FleetHome, Home
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.overrides import override
from modelfleet.whole_file import replacing, write_whole
from modelfleet.workplace import Workplace

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.bundles.reader import Bundle
    from modelfleet.data.schema import Schema
    from modelfleet.releases.manifest import Release

logger = logging.getLogger(__name__)

STEP_OF = {
    "schema": "prepare",
    "profile": "prepare",
    "prepare": "prepare",
    "quarantine": "validate",
    "validation": "validate",
    "evaluation": "train",
    "slices": "train",
    "candidates": "train",
    "train": "train",
    "decisions": "gate",
    "gate": "gate",
    "register": "register",
    "promote": "promote",
    "confirm": "confirm",
}
"""Which step writes which result."""


class ChampionRef(BaseModel):
    """The bundle that served when the run began: what its candidates are compared with.

    Attributes:
        generation: The release that named it.
        bundle: Its folder.
        sha256: Its hash.
        damaged: Why it cannot be compared with anything; a run by force goes on as if there were none. Empty where
            it is whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: int
    bundle: str
    sha256: str
    damaged: str = ""


class RunRecord(BaseModel):
    """What a run was asked to do; written once, when it begins.

    Attributes:
        run_id: Its name, also its folder's.
        fleet: The fleet.
        overrides: The merge patch applied to the fleet's spec, as given.
        entities: Entities to train; None means all.
        reason: Why somebody (or something) started it.
        force: Promote in spite of the comparison with the champion.
        actor: Who or what started it.
        started_at: When.
        champion: What served then; None before the first release.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    fleet: str
    overrides: dict[str, Any] = {}
    entities: tuple[str, ...] | None = None
    reason: str = ""
    force: bool = False
    actor: str = ""
    started_at: datetime
    champion: ChampionRef | None = None


class Run:
    """A run and its folder.

    Attributes:
        home: The root folder.
        folder: The run's own folder, ``<home>/fleets/<fleet>/runs/<run_id>``.
        record: What it was asked to do.
        spec: The spec it uses, overrides applied.
    """

    def __init__(self, home: Home, folder: Path, record: RunRecord, spec: FleetSpec) -> None:
        self.home = home
        self.folder = folder
        self.record = record
        self.spec = spec

    @classmethod
    def open(  # noqa: D417 - the keyword arguments are RunRecord's
        cls,
        home: Home,
        spec: FleetSpec,
        *,
        run_id: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        entities: Iterable[str] | None = None,
        reason: str = "",
        force: bool = False,
        actor: str = "",
    ) -> Run:
        """Begin a run, or return the one of this name if it has begun already (a retried task).

        Args:
            home: The root folder.
            spec: The fleet's spec, without overrides.
            run_id: Its name; characters that do not belong in a folder's name are replaced. None makes one up.

        Raises:
            SpecError: The overrides do not make a valid spec.
            InputError: ``entities`` is empty.
            BundleError: The champion is damaged, and this is no run by force of the whole fleet.
        """
        from modelfleet.releases.ledger import Ledger

        patch = dict(overrides or {})
        chosen = None if entities is None else tuple(dict.fromkeys(str(entity) for entity in entities))
        if chosen is not None and not chosen:
            raise InputError("entities: the list is empty; leave it out to train all of them")
        effective = override(spec, patch) if patch else spec
        fleet_home = home.fleet(spec.fleet)
        name = _folder_name(run_id) if run_id else _new_run_id()
        folder = fleet_home.runs / name
        if (folder / "run.json").exists():
            return cls.load(folder)
        release = Ledger(fleet_home.releases).latest()
        record = RunRecord(
            run_id=name,
            fleet=spec.fleet,
            overrides=patch,
            entities=chosen,
            reason=reason,
            force=force,
            actor=actor,
            started_at=datetime.now(UTC),
            champion=release and _champion_ref(release, replaceable=force and chosen is None),
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "spec.json", effective.model_dump_json(indent=2))
        write_whole(folder / "run.json", record.model_dump_json(indent=2))
        return cls(home, folder, record, effective)

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Return a run that has begun.

        Raises:
            StepError: There is no run in the folder.
        """
        folder = Path(folder).absolute()
        try:
            record = RunRecord.model_validate_json((folder / "run.json").read_text())
            spec = FleetSpec.model_validate_json((folder / "spec.json").read_text())
        except (OSError, ValidationError) as error:
            raise StepError(f"{folder}: holds no run of the loop ({error}); begin one with `modelfleet run`") from error
        return cls(Home.at(folder.parents[3]), folder, record, spec)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other processes of this machine from working on the same run; a lock that dies with its holder.

        Raises:
            RunBusyError: One does.
        """
        with (self.folder / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunBusyError(
                    f"run {self.record.run_id}: another process works on it just now; wait for it, or begin a new run"
                ) from None
            yield

    @property
    def busy(self) -> bool:
        """Whether a process of this machine works on it."""
        try:
            with self.exclusively():
                return False
        except RunBusyError:
            return True

    @property
    def fleet_home(self) -> FleetHome:
        """The fleet's folders."""
        return self.home.fleet(self.spec.fleet)

    @property
    def entities(self) -> frozenset[str] | None:
        """The entities to train; None means all."""
        return None if self.record.entities is None else frozenset(self.record.entities)

    def workplace(self) -> Workplace:
        """Return where the workers of a new job find this folder's files."""
        above = self.fleet_home.shared_runs if self.spec.engine == "dataflow" else None
        return Workplace.at(self.folder, above and above / self.record.run_id)

    @property
    def prepared(self) -> Path:
        """Folder of the prepared shards."""
        return self.folder / "prepared"

    @property
    def candidate(self) -> Path:
        """Folder of the candidate bundle."""
        return self.folder / "candidate"

    def schema(self) -> Schema:
        """Return the resolved schema.

        Raises:
            StepError: The data has not been prepared yet.
        """
        from modelfleet.data.schema import Schema

        return Schema.model_validate(self.read("schema"))

    def champion(self) -> Bundle | None:
        """Return the bundle that served when the run began, on this machine; None where there was none to compare with.

        One of a bucket is copied here first, once.
        """
        return self._champion

    @cached_property
    def _champion(self) -> Bundle | None:
        from modelfleet.bundles.transfer import fetch

        champion = self.record.champion
        if champion is None or champion.damaged:
            return None
        return fetch(champion.bundle, champion.sha256, self.fleet_home.bundles)

    def has(self, name: str) -> bool:
        """Return whether a step has left this result."""
        return (self.folder / f"{name}.json").exists()

    def read(self, name: str) -> dict[str, Any]:
        """Return a step's result.

        Args:
            name: Such as ``prepare`` for prepare.json.

        Raises:
            StepError: The step has not run.
        """
        path = self.folder / f"{name}.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise self._not_there(path) from None
        except ValueError as error:
            raise StepError(f"run {self.record.run_id}: {path.name} is not valid JSON: {error}") from error
        if not isinstance(document, dict):
            found = type(document).__name__
            raise StepError(f"run {self.record.run_id}: {path.name} should hold an object, not {found}")
        return document

    def write(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a step's result, whole or not at all; it is the last thing a step does."""
        write_whole(self.folder / f"{name}.json", json.dumps(dict(result), indent=2, ensure_ascii=False, default=str))

    def table(self, name: str) -> pa.Table:
        """Return a table that a step has left.

        Args:
            name: ``profile``, ``evaluation``, ``slices``, ``candidates`` or ``decisions``.

        Raises:
            StepError: The step has not run.
        """
        import pyarrow.parquet as pq

        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise self._not_there(path)
        with pq.ParquetFile(path) as file:  # pq.read_table goes through data sets, which costs a small table double
            return file.read(use_threads=False)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a table for the steps that follow, whole or not at all."""
        import pyarrow.parquet as pq

        with replacing(self.folder / f"{name}.parquet") as temporary:
            # nearly every value is another number: dictionaries and statistics would double the cost for nothing
            pq.write_table(table, temporary, compression="zstd", use_dictionary=False, write_statistics=False)

    def _not_there(self, path: Path) -> StepError:
        first = f"run the step '{STEP_OF.get(path.stem, path.stem)}' first"
        return StepError(f"run {self.record.run_id}: {path.name} is not there: {first}")


def _champion_ref(release: Release, *, replaceable: bool) -> ChampionRef:
    """Return what a release serves, after checking every byte of it: better now than after an hour's training.

    Args:
        release: The newest one.
        replaceable: Whether the run may go on where it is damaged.
    """
    ref = release.bundle
    damaged = ""
    try:
        ref.open()
    except (BundleError, ReleaseError) as error:
        damaged = f"generation {release.generation}, which serves now, is damaged: {error}"
        if not replaceable:
            raise BundleError(
                f"{damaged}. Go back to an older one (`modelfleet rollback`), or train the whole fleet anew without "
                "comparing it with this one (`modelfleet run --force`)"
            ) from error
        logger.warning("%s; this run is not compared with it", damaged)
    return ChampionRef(generation=release.generation, bundle=ref.uri, sha256=ref.sha256, damaged=damaged)


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def _folder_name(run_id: str) -> str:
    """Return a name that is safe as a folder, equal for equal run ids and never ``.`` or ``..``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", run_id).lstrip(".")[:200] or "run"
