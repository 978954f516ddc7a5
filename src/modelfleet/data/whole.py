"""Preparing a fleet's data on one machine: threads, and files for the rows on their way to their shards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.data.batch import BATCH_ROWS, piece_groups, read_part, typed_batches
from modelfleet.data.facts import Facts, merge_facts
from modelfleet.data.prepared import SHARDS, write_error, write_results
from modelfleet.data.resolve import resolve_schema
from modelfleet.data.shard import assemble_shard, champion_thresholds, write_shard
from modelfleet.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.plan import PreparePlan
    from modelfleet.data.reading import Piece

ROWS = "rows"
"""Folder, beside the shards' files, of rows on their way; removed when the step ends."""

Count = Callable[[Facts], None]


def prepare_here(
    plan: PreparePlan, pieces: Sequence[Piece], folder: Path, threads: int, count: Count = lambda _: None
) -> dict[str, Any] | None:
    """Prepare a fleet's data by threads of this process; leaves what the prepare pipeline leaves.

    Of the rows, each thread holds a batch while it reads and a shard while it writes, whatever the size of the data:
    in between they lie in files.

    Args:
        plan: What to do with the rows.
        pieces: What to read; at least one.
        folder: The run's; its folder of shards exists.
        threads: How many.
        count: Told of every batch, in the calling thread.

    Returns:
        The summary; None where the data cannot be used, and the reason has been left.
    """
    rows = folder / SHARDS / ROWS
    rows.mkdir(parents=True, exist_ok=True)
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="prepare") as pool:
            known = sum(piece.rows or 0 for piece in pieces)
            groups = piece_groups(pieces, min(BATCH_ROWS, -(-known // threads)))
            read = pool.map(lambda number, group: _read(plan, number, group, rows), range(len(groups)), groups)
            sizes = np.zeros(plan.spec.resources.shards, np.int64)
            files: list[Path] = []
            counted: list[Facts] = []
            for more_files, more_facts, more_sizes in read:
                files += more_files
                counted += more_facts
                sizes += more_sizes
                for each in more_facts:
                    count(each)
            facts = merge_facts(counted)
            try:
                schema, capped = resolve_schema(plan, facts)
            except DataError as error:
                write_error(folder, str(error), facts)
                return None
            thresholds = champion_thresholds(plan.champion_index, plan.split_fingerprint)

            def assemble(shard: int) -> Any:
                prepared, profile = assemble_shard(
                    (read_part(path, shard) for path in files),
                    shard=shard,
                    schema=schema,
                    split=plan.spec.split,
                    thresholds=thresholds,
                )
                write_shard(folder / SHARDS, shard, prepared)
                return profile

            # The largest first: whoever is last then has little left to do
            largest_first = np.argsort(-sizes, kind="stable")
            profiles = list(pool.map(assemble, [int(shard) for shard in largest_first if sizes[shard]]))
    finally:
        shutil.rmtree(rows, ignore_errors=True)
    return write_results(folder, plan=plan, schema=schema, capped=capped, facts=facts, profiles=profiles)


def _read(
    plan: PreparePlan, number: int, pieces: Sequence[Piece], folder: Path
) -> tuple[list[Path], list[Facts], NDArray[np.int64]]:
    """Read and type a group of pieces; return the files of rows, what was counted, and each shard's rows."""
    files: list[Path] = []
    facts: list[Facts] = []
    sizes = np.zeros(plan.spec.resources.shards, np.int64)
    try:
        for batch, counted in typed_batches(plan, pieces):
            facts.append(counted)
            if batch is not None:
                files.append(folder / f"{number:06d}-{len(files):04d}.arrow")
                batch.write(files[-1])
                sizes += np.diff(batch.bounds)
    except DataError as error:
        # The user's file is at fault: no second try would do better, so the step ends with the reason
        facts.append(Facts(error=str(error)))
    return files, facts, sizes
