"""Making a release ready to answer: open, verify, load and try it before anybody depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import BundleError, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelfleet.bundles.loaded import LoadedBundle
    from modelfleet.bundles.reader import Bundle
    from modelfleet.data.schema import Schema
    from modelfleet.releases.manifest import Release

TRIED_ENTITIES = 64
"""Most entities whose own model is tried before a bundle serves; one per file comes first."""


@dataclass(frozen=True, eq=False)
class LoadedFleet:
    """A bundle in memory, ready to predict.

    Attributes:
        generation: The release it was loaded for; 0 where it was not released.
        models: The loaded files.
        uri: Where the release says the bundle is; None where it was not released.
    """

    generation: int
    models: LoadedBundle
    uri: str | None = None

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """Every schema of the bundle by its fingerprint; they agree on entity columns and task."""
        return self.models.bundle.manifest.schemas

    @property
    def any_schema(self) -> Schema:
        """One of the schemas, for what they agree on: the entity columns and the task."""
        return next(iter(self.schemas.values()))


def load_release(release: Release, *, fleet: str, reuse: LoadedFleet | None = None, lazy: bool = False) -> LoadedFleet:
    """Load the bundle a release names.

    Args:
        release: What to load.
        fleet: The fleet this process serves.
        reuse: What serves now; its files of equal hash are not read again.
        lazy: As in ``load_bundle``.

    Raises:
        ReleaseError: The release is another fleet's.
        BundleError: The bundle is not there, is truncated, tampered with or does not fit, or a model cannot predict;
            or the pooled model shall answer for all, and there is none.
    """
    from modelfleet.bundles.reader import Bundle

    if release.fleet != fleet:
        raise ReleaseError(
            f"generation {release.generation} is a release of fleet '{release.fleet}', "
            f"but this process serves '{fleet}'"
        )
    ref = release.bundle
    if reuse is not None and (reuse.uri, reuse.models.bundle.sha256) == (ref.uri, ref.sha256):
        models = reuse.models  # a pin, or another mode: what is in memory answers under the new number
    else:
        bundle = Bundle.open(ref.uri, sha256=ref.sha256, verify=not lazy)
        models = load_bundle(bundle, fleet=fleet, generation=release.generation, reuse=reuse, lazy=lazy).models
    if release.pooled_only and models.bundle.manifest.pooled is None:
        raise BundleError(f"{ref.uri}: has no pooled model, which generation {release.generation} asks for")
    return LoadedFleet(release.generation, models.answering(pooled_only=release.pooled_only), ref.uri)


def load_bundle(
    bundle: Bundle,
    *,
    fleet: str,
    generation: int,
    reuse: LoadedFleet | None = None,
    lazy: bool = False,
) -> LoadedFleet:
    """Load an opened bundle: check that it fits, read its models, and let some of them predict.

    Args:
        bundle: An opened bundle, its hashes verified.
        fleet: The fleet it must be of.
        generation: Recorded in every answer.
        reuse: As in ``load_release``.
        lazy: Read, check and load each file when a row needs it first; of the models, none is tried.

    Raises:
        BundleError: It is another fleet's, its schemas disagree, or a model of it cannot predict.
    """
    from modelfleet.bundles.loaded import LoadedBundle

    manifest = bundle.manifest
    if manifest.fleet != fleet:
        raise BundleError(f"{bundle.path}: is a bundle of fleet '{manifest.fleet}', but this process serves '{fleet}'")
    _check_schemas(bundle)
    models = LoadedBundle(bundle, reuse=None if reuse is None else reuse.models, lazy=lazy)
    if not lazy:
        _try_models(bundle, models)
    return LoadedFleet(generation, models)


def _check_schemas(bundle: Bundle) -> None:
    schemas = list(bundle.manifest.schemas.values())
    if not schemas:
        raise BundleError(f"{bundle.path}: has no schema, so nothing can be predicted with it")
    first = schemas[0]
    for schema in schemas[1:]:
        for what in ("entity", "task", "target"):
            if getattr(schema, what) != getattr(first, what):
                raise BundleError(
                    f"{bundle.path}: its schemas disagree on {what}: {getattr(first, what)} and {getattr(schema, what)}"
                )
        if first.task == "binary" and schema.classes != first.classes:
            raise BundleError(
                f"{bundle.path}: its schemas disagree on the two classes: {first.classes} and {schema.classes}"
            )


def _try_models(bundle: Bundle, models: LoadedBundle) -> None:
    """Predict one plain row with the pooled model and with the first model of each file, or refuse the bundle."""
    entities = _sample(bundle)
    tries = [f"the model of entity '{entity}'" for entity in entities]
    try:
        values = [models.predict_encoded(lambda schema: plain_rows(schema, len(entities)), entities).values]
        if bundle.manifest.pooled is not None:
            values.append(models.predict_pooled(lambda schema: plain_rows(schema, 1), 1).values)
            tries.append("the pooled model")
    except Exception as error:
        raise BundleError(f"{bundle.path}: its models cannot predict: {type(error).__name__}: {error}") from error
    if not tries:
        raise BundleError(f"{bundle.path}: has no models at all")
    for model, predicted in zip(tries, np.concatenate(values), strict=True):
        if not np.isfinite(predicted).all():
            raise BundleError(f"{bundle.path}: {model} predicts {predicted.tolist()} for a plain row")


def _sample(bundle: Bundle) -> list[str]:
    entities: Sequence[str] = bundle.index["entity"].to_pylist()
    first: dict[str, str] = {}
    for entity, path in zip(entities, bundle.index["path"].to_pylist(), strict=True):
        first.setdefault(path, entity)
    spread = np.linspace(0, len(entities) - 1, num=min(len(entities), 8), dtype=int)
    return list(dict.fromkeys([*first.values(), *(entities[i] for i in spread)]))[:TRIED_ENTITIES]


def plain_rows(schema: Schema, n: int) -> EncodedRows:
    """Return n equal rows nobody can object to: the first level of each category, and zero for each number."""
    codes = np.zeros((n, len(schema.categories)), dtype=np.int32)
    for j, feature in enumerate(schema.categories):
        codes[:, j] = 1 if feature.levels else 0
    return EncodedRows(codes, np.zeros((n, len(schema.numbers)), dtype=np.float64))
