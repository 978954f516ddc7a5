"""Making a release ready to answer: open, verify, load and try it before anybody depends on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import BundleError, ReleaseError
from modelfleet.serving.failing import FailingModels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.bundles.loaded import LoadedBundle
    from modelfleet.bundles.reader import Bundle
    from modelfleet.bundles.shard_memory import Part, ShardMemory
    from modelfleet.data.schema import Schema
    from modelfleet.releases.manifest import Release
    from modelfleet.serving.cache import BundleCache
    from modelfleet.serving.watchdog import Watchdog

TRIED_ENTITIES = 64
"""Most entities whose own model is tried before a bundle serves; one per file comes first."""

TRIED_UNDER_A_LIMIT = 8
"""The same where not every file fits into memory, so that trying does not drive out what answers now."""


@dataclass(frozen=True, eq=False)
class LoadedFleet:
    """A bundle in memory, ready to predict.

    Attributes:
        generation: The release it was loaded for; 0 where it was not released.
        models: The loaded files.
        uri: Where the release says the bundle is; None where it was not released.
        failing: Asks the models, and knows which of them fail.
    """

    generation: int
    models: LoadedBundle
    uri: str | None = None
    failing: FailingModels = field(default_factory=FailingModels)

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """Every schema of the bundle by its fingerprint; they agree on entity columns and task."""
        return self.models.bundle.manifest.schemas

    @property
    def any_schema(self) -> Schema:
        """One of the schemas, for what they agree on: the entity columns and the task."""
        return next(iter(self.schemas.values()))


def load_release(
    release: Release,
    *,
    fleet: str,
    reuse: LoadedFleet | None = None,
    memory: ShardMemory | None = None,
    watchdog: Watchdog | None = None,
    cache: BundleCache | None = None,
    lazy: bool = False,
) -> LoadedFleet:
    """Load the bundle a release names.

    Args:
        release: What to load.
        fleet: The fleet this process serves.
        reuse: What serves now; where its bundle is asked for again, nothing is loaded.
        memory: As in ``load_bundle``.
        watchdog: As in ``load_bundle``.
        cache: Where a bundle that is named by a URL is kept; None reads it there each time.
        lazy: As in ``load_bundle``.

    Raises:
        ReleaseError: The release is another fleet's.
        BundleError: The bundle is not there, is truncated, tampered with or does not fit, or a model cannot predict;
            or the pooled model shall answer for all, and there is none.
    """
    from modelfleet.bundles.reader import Bundle
    from modelfleet.bundles.storage import is_remote, open_storage

    if release.fleet != fleet:
        raise ReleaseError(
            f"generation {release.generation} is a release of fleet '{release.fleet}', "
            f"but this process serves '{fleet}'"
        )
    uri, sha256 = release.bundle.uri, release.bundle.sha256
    if reuse is not None and (reuse.uri, reuse.models.bundle.sha256) == (uri, sha256):
        models = reuse.models  # a pin, or another mode: what is in memory answers under the new number
    else:
        storage = cache.storage(uri, sha256) if cache is not None and is_remote(uri) else open_storage(uri)
        bundle = Bundle.open(storage, sha256=sha256, verify=False)
        models = load_bundle(
            bundle, fleet=fleet, generation=release.generation, memory=memory, watchdog=watchdog, lazy=lazy
        ).models
    if release.pooled_only and models.bundle.manifest.pooled is None:
        raise BundleError(f"{uri}: has no pooled model, which generation {release.generation} asks for")
    models = models.answering(pooled_only=release.pooled_only)
    return LoadedFleet(release.generation, models, uri, FailingModels(watchdog, release.generation))


def load_bundle(
    bundle: Bundle,
    *,
    fleet: str,
    generation: int,
    memory: ShardMemory | None = None,
    watchdog: Watchdog | None = None,
    lazy: bool = False,
) -> LoadedFleet:
    """Load an opened bundle: check that it fits, read its models, and let some of them predict.

    Args:
        bundle: An opened bundle; its files are verified here, unless ``lazy``.
        fleet: The fleet it must be of.
        generation: Recorded in every answer.
        memory: Where the models are kept; those of files that are in it already are not read again. Where it has no
            room for all, they are loaded block by block: those that answered last now, each of the others when a row
            needs it. None means memory of its own.
        watchdog: Watches every prediction; None lets each take as long as it likes.
        lazy: Read, check and load each file when a row needs it first; of the models, none is tried.

    Raises:
        BundleError: It is another fleet's, its schemas disagree, or a model of it cannot predict.
    """
    from modelfleet.bundles.loaded import LoadedBundle

    manifest = bundle.manifest
    if manifest.fleet != fleet:
        raise BundleError(f"{bundle.where}: is a bundle of fleet '{manifest.fleet}', but this process serves '{fleet}'")
    _check_schemas(bundle)
    models = LoadedBundle(bundle, memory=memory, lazy=True)
    if not lazy:
        whole = models.memory.fits(models.files)
        if whole:
            bundle.verify()
            models.load(range(len(models.parts)))
        else:
            models.by_block()
            models.load(_hot(models))
        tried = FailingModels(watchdog, generation)
        _try_models(bundle, models, tried, TRIED_ENTITIES if whole else TRIED_UNDER_A_LIMIT)
    return LoadedFleet(generation, models, failing=FailingModels(watchdog, generation))


def _check_schemas(bundle: Bundle) -> None:
    schemas = list(bundle.manifest.schemas.values())
    if not schemas:
        raise BundleError(f"{bundle.where}: has no schema, so nothing can be predicted with it")
    first = schemas[0]
    for schema in schemas[1:]:
        for what in ("entity", "task", "target"):
            if getattr(schema, what) != getattr(first, what):
                theirs = f"{getattr(first, what)} and {getattr(schema, what)}"
                raise BundleError(f"{bundle.where}: its schemas disagree on {what}: {theirs}")
        if first.task == "binary" and schema.classes != first.classes:
            raise BundleError(
                f"{bundle.where}: its schemas disagree on the two classes: {first.classes} and {schema.classes}"
            )


def _hot(models: LoadedBundle) -> list[int]:
    """Return the parts in whose place in their shards something was used last, as many as fill half the memory.

    The other half is left to the bundle that still answers.
    """
    memory = models.memory
    age = {(one.file.shard, one.block): i for i, one in reversed(list(enumerate(memory.recent())))}
    numbers = range(len(models.parts))
    room = (memory.limit or 0) // 2
    chosen = []
    for number in sorted(numbers, key=lambda number: age.get(_place(models.parts[number]), len(age))):
        room -= memory.size(models.parts[number])
        if room < 0:
            break
        chosen.append(number)
    return chosen


def _place(part: Part) -> tuple[int | None, int | None]:
    return part.file.shard, part.block


def _try_models(bundle: Bundle, models: LoadedBundle, asking: FailingModels, most: int) -> None:
    """Predict one plain row with the pooled model and with the first model of each file, or refuse the bundle."""
    entities = _sample(bundle, most)
    tries = [f"the model of entity '{entity}'" for entity in entities]
    slots = models.slots_of(entities)
    if bundle.manifest.pooled is not None:
        tries.append("the pooled model")
        slots = np.append(slots, models.pooled_slot)
    if not tries:
        raise BundleError(f"{bundle.where}: has no models at all")
    models.load(models.parts_of(slots))  # what cannot be read is told as it is
    failures = models.predict_slots(lambda schema: plain_rows(schema, len(slots)), slots, asking).failures
    for i, reason in sorted(failures.items()):
        raise BundleError(f"{bundle.where}: {tries[i]} cannot answer a plain row: {reason}")


def _sample(bundle: Bundle, most: int) -> list[str]:
    """Return the first entity of each file, and a few from all over the index."""
    count = bundle.places.num_rows
    if not count:
        return []
    first = np.unique(bundle.places["path"].chunk(0).indices.to_numpy(), return_index=True)[1]
    spread = np.linspace(0, count - 1, num=min(count, 8), dtype=int)
    chosen = list(dict.fromkeys([*sorted(first.tolist()), *spread.tolist()]))[:most]
    sample: list[str] = bundle.places["entity"].take(chosen).to_pylist()
    return sample


def plain_rows(schema: Schema, n: int) -> EncodedRows:
    """Return n equal rows nobody can object to: the first level of each category, and zero for each number."""
    codes = np.zeros((n, len(schema.categories)), dtype=np.int32)
    for j, feature in enumerate(schema.categories):
        codes[:, j] = 1 if feature.levels else 0
    return EncodedRows(codes, np.zeros((n, len(schema.numbers)), dtype=np.float64))
