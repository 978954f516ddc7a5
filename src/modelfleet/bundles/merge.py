"""Merging: a new complete bundle of the candidate's accepted models and the champion's others."""

from __future__ import annotations

import os
import shutil
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.modelfile import write_shard
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import put_in_place
from modelfleet.bundles.writer import PLACE, BundleWriter
from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelfleet.bundles.format import ShardFile
    from modelfleet.data.schema import Schema
    from modelfleet.spec.fleet import Task


@dataclass(frozen=True)
class _Source:
    """The models that one bundle gives to the merged one."""

    bundle: Bundle
    index: pa.Table


def merge(
    folder_parent: Path,
    *,
    champion: Bundle | None,
    candidate: Bundle,
    accepted: Collection[str],
    retired: Collection[str] = (),
    pooled_accepted: bool = False,
    run_id: str,
) -> Bundle:
    """Make a complete bundle; the same inputs give the same bundle, and one that is there already is reused.

    Files of which nothing changes keep their bytes, so that a serving process need not load them again. Where no
    model differs from the champion's, the champion itself is returned.

    Args:
        folder_parent: Folder of bundles; the new one is named after its content, and appears whole or not at all.
        champion: What serves now; None where nothing does.
        candidate: What the run trained.
        accepted: Entities whose candidate model shall serve.
        retired: Entities that shall have no model of their own any more; the pooled model serves them.
        pooled_accepted: Whether the candidate's pooled model replaces the champion's.
        run_id: The run that merges.

    Returns:
        The merged bundle.

    Raises:
        BundleError: An accepted entity has no candidate model or is retired too, the result would have no model at
            all or would mix classes of a binary task, or one of the bundles is damaged.
    """
    _check_request(candidate, accepted, retired, pooled_accepted)
    if champion is not None:
        _check_same_fleet(champion, candidate)
    taken = pa.array(sorted(accepted), pa.string())
    gone = pa.array(sorted({*accepted, *retired}), pa.string())
    sources = [_Source(candidate, candidate.index.filter(pc.is_in(candidate.index[ENTITY], value_set=taken)))]
    if champion is not None:
        stays = pc.invert(pc.is_in(champion.index[ENTITY], value_set=gone))
        sources.append(_Source(champion, champion.index.filter(stays)))
    pooled = candidate if pooled_accepted else champion
    folder_parent.mkdir(parents=True, exist_ok=True)
    temporary = folder_parent / f".{uuid.uuid4().hex}.tmp"
    try:
        merged = _write(temporary, sources, pooled, run_id)
        if champion is not None and _same_models(champion, merged):
            return champion
        target = folder_parent / folder_name(merged.sha256)
        _flush(temporary)
        put_in_place(temporary, target, merged.sha256)
        return Bundle.open(target, sha256=merged.sha256)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_request(
    candidate: Bundle, accepted: Collection[str], retired: Collection[str], pooled_accepted: bool
) -> None:
    unknown = sorted(set(accepted) - candidate.entities)
    if unknown:
        raise BundleError(
            f"{candidate.where}: {len(unknown)} accepted entities have no model there, first {unknown[0]!r}"
        )
    both = sorted(set(accepted) & set(retired))
    if both:
        raise BundleError(f"{len(both)} entities are both accepted and retired, first {both[0]!r}")
    if pooled_accepted and candidate.manifest.pooled is None:
        raise BundleError(f"{candidate.where}: has no pooled model, but the gate accepted one")


def _check_same_fleet(champion: Bundle, candidate: Bundle) -> None:
    for name in ("fleet", "task"):
        ours, theirs = getattr(candidate.manifest, name), getattr(champion.manifest, name)
        if ours != theirs:
            raise BundleError(
                f"{candidate.where}: is of {name} '{ours}', but the champion {champion.where} of '{theirs}'"
            )


def _write(folder: Path, sources: list[_Source], pooled: Bundle | None, run_id: str) -> Bundle:
    newest = sources[0].bundle.manifest
    writer = BundleWriter(
        folder,
        fleet=newest.fleet,
        task=newest.task,
        split_fingerprint=newest.split_fingerprint,
        run_id=run_id,
    )
    parts: dict[str, list[_Source]] = defaultdict(list)
    for source in sources:
        for path in pc.unique(source.index["path"]).to_pylist():
            parts[path].append(_Source(source.bundle, source.index.filter(pc.equal(source.index["path"], path))))
    classes: dict[tuple[str, ...], str] = {}
    for path, givers in sorted(parts.items()):
        file, schema = _put(folder, path, givers)
        classes[schema.classes] = path
        writer.include(file, schema)
    if pooled is not None and (ref := pooled.manifest.pooled) is not None:
        file = pooled.files[ref.path]
        write_whole(folder / file.path, pooled.read(file))
        classes[pooled.schema_of(file).classes] = file.path
        writer.include_pooled(file, pooled.schema_of(file), run_id=ref.run_id, split_fingerprint=ref.split_fingerprint)
    _check_classes(newest.task, classes)
    if not classes:
        raise BundleError(
            f"{sources[0].bundle.where}: nothing was accepted and there is no champion: no model would serve"
        )
    facts = [source.index.select([n for n in source.index.column_names if n not in PLACE]) for source in sources]
    return writer.finish(pa.concat_tables(facts, promote_options="default"))


def _put(folder: Path, path: str, givers: list[_Source]) -> tuple[ShardFile, Schema]:
    """Write one model file: a copy where one bundle gives all of its file, else the chosen rows of each."""
    first = givers[0].bundle
    file = first.files[path]
    schema = first.schema_of(file)
    if len(givers) == 1 and givers[0].index.num_rows == file.rows:
        write_whole(folder / path, first.read(file))
        return file, schema
    tables = [giver.bundle.models(path).take(giver.index["row"]) for giver in givers]
    models = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    return write_shard(folder, file.shard, file.family, file.parameters, schema, models), schema


def _check_classes(task: Task, classes: dict[tuple[str, ...], str]) -> None:
    if task == "binary" and len(classes) > 1:
        found = "; ".join(f"{', '.join(labels)} in {path}" for labels, path in sorted(classes.items()))
        raise BundleError(
            f"models of a binary fleet disagree about the classes ({found}): "
            "relabel the data as before, or start a fleet under another name"
        )


def _flush(folder: Path) -> None:
    """Put every file on the disk before a release can name the bundle: a power cut must not leave it half-written."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _same_models(champion: Bundle, merged: Bundle) -> bool:
    ours, theirs = champion.manifest, merged.manifest
    if ours.files != theirs.files or (ours.pooled is None) != (theirs.pooled is None):
        return False
    place = [ENTITY, *PLACE]
    pooled_same = ours.pooled is None or theirs.pooled is None or ours.pooled.path == theirs.pooled.path
    return pooled_same and bool(champion.index.select(place).equals(merged.index.select(place)))
