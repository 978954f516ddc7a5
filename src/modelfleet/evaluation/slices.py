"""The slice table: candidate and champion measured on parts of an entity's holdout, such as each region's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.evaluation.losses import loss_name, row_losses
from modelfleet.evaluation.metrics import DEFAULT, metric_names, metrics_of_each
from modelfleet.evaluation.paired import Observations
from modelfleet.evaluation.undefined import undefined_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.evaluation.table import HoldoutShard
    from modelfleet.spec.evaluation import EvaluationSpec
    from modelfleet.spec.fleet import Task
    from modelfleet.spec.gate import GatePolicy

SLICED: Final = ("candidate", "champion")
"""Whose models are measured on slices."""


def slice_schema(task: Task) -> pa.Schema:
    """Return the columns of the slice table of a task, in order."""
    columns: list[tuple[str, pa.DataType]] = [(name, pa.string()) for name in ("entity", "column", "value")]
    columns += [("rows_holdout", pa.int64()), ("rows_independent", pa.int64())]
    for who in SLICED:
        columns += [(f"{who}_{name}", pa.float64()) for name in ("loss", *metric_names(task))]
    columns += [(f"undefined_{who}", pa.string()) for who in SLICED]
    return pa.schema(columns)


def slice_shard(
    schema: Schema,
    policy: GatePolicy,
    holdout: HoldoutShard,
    predictions: Mapping[str, NDArray[np.float64] | None],
    values: Mapping[str, pa.Array | pa.ChunkedArray],
    options: EvaluationSpec = DEFAULT,
) -> pa.Table:
    """Measure every entity of a shard on every slice of its holdout, all at once.

    Args:
        schema: The fleet's schema.
        policy: The gate policy: which loss, which clip.
        holdout: The rows.
        predictions: As ``evaluate_shard`` takes them; of ``SLICED`` only.
        values: By column to slice by, the n rows' values.
        options: How many bins, which quantile.

    Returns:
        One row per entity, column and value that occurs among its rows, in that order, values ascending; columns
        ``slice_schema(schema.task)``. A null value is the slice of the rows without one. Losses and metrics are as
        in the evaluation table; NaN means undefined or no prediction, and ``undefined_<who>`` says why.
    """
    segment = np.repeat(np.arange(len(holdout.entities), dtype=np.int64), np.diff(holdout.bounds))
    observations = Observations.group(holdout.row_hash, segment, len(holdout.entities))
    loss = loss_name(schema.task, policy)
    there = {who: prediction for who in SLICED if (prediction := predictions.get(who)) is not None}
    losses = {who: row_losses(loss, each, holdout.target, policy.clip) for who, each in there.items()}
    entities = pa.array(holdout.entities, pa.string())
    fields = slice_schema(schema.task)
    tables = [fields.empty_table()]
    for column, cells in values.items():
        code, texts = _coded(cells)
        keys, here = np.unique(segment * (len(texts) + 1) + code, return_inverse=True)
        size = len(keys)
        own = observations.within(here, size)
        columns: dict[str, object] = {
            "entity": entities.take(pa.array(keys // (len(texts) + 1))),
            "column": pa.repeat(pa.scalar(column), size),
            "value": pa.array([*texts, None], pa.string()).take(pa.array(keys % (len(texts) + 1))),
            "rows_holdout": np.bincount(here, minlength=size),
            "rows_independent": own.counts,
        }
        metrics = metrics_of_each(schema.task, there, holdout.target, here, size, options) if there else {}
        for who in SLICED:
            if who not in there:
                columns |= {f"{who}_{name}": np.full(size, np.nan) for name in ("loss", *metric_names(schema.task))}
                columns[f"undefined_{who}"] = ["no_prediction"] * size
                continue
            columns[f"{who}_loss"] = own.mean(losses[who])
            columns |= {f"{who}_{name}": found for name, found in metrics[who].items()}
            columns[f"undefined_{who}"] = undefined_text(schema.task, metrics[who], there[who], here, size)
        arrays = [pa.array(columns[f.name], f.type, from_pandas=False) for f in fields]
        tables.append(pa.Table.from_arrays(arrays, schema=fields))
    return pa.concat_tables(tables)


def _coded(cells: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Return each row's place among the distinct values, as texts and in the values' order; missing comes last."""
    values = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if isinstance(values, pa.ChunkedArray):  # combine_chunks leaves it so where there are no rows
        return np.empty(0, dtype=np.int64), []
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    distinct = pc.unique(values).drop_null()
    distinct = distinct.take(pc.sort_indices(distinct))
    code = pc.fill_null(pc.index_in(values, value_set=distinct), len(distinct))
    return code.to_numpy(zero_copy_only=False).astype(np.int64), distinct.cast(pa.string()).to_pylist()
