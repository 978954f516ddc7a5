"""Fitting a family: encode a whole table and fit every entity at once.

Configuration: ``data``, ``family``, ``parameters``; ``warm_data``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clock import Config, Work, main
from benchmarks.data import CATEGORIES, ENTITY, NUMBERS, TARGET

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.data.schema import Schema

CLASSES = ("<=50K", ">50K")


def schema_of(table: pa.Table) -> Schema:
    """Return the schema that the step prepare would find for census rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from modelfleet.data.schema import Feature, Schema

    levels = {
        name: tuple(sorted(level for level in pc.unique(table[name].cast(pa.string())).to_pylist() if level))
        for name in CATEGORIES
    }
    return Schema(
        entity=(ENTITY,),
        target=TARGET,
        task="binary",
        classes=CLASSES,
        features=(
            *(Feature(name=name, type="category", levels=levels[name]) for name in CATEGORIES),
            *(Feature(name=name, type="number") for name in NUMBERS),
        ),
    )


def setup(config: Config) -> Work:
    """Warm up on a few entities and return the work."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from modelfleet.data.encode import encode_table
    from modelfleet.families.base import TrainingShard
    from modelfleet.families.catalog import make_family

    def fit(path: str) -> Work:
        table = pq.read_table(Path(path))
        table = table.take(pc.sort_indices(table[ENTITY].cast(pa.string())))
        schema = schema_of(table)
        family = make_family(config["family"], schema, config["parameters"], 0)
        keys = table[ENTITY].cast(pa.string()).to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        entities = tuple(str(key) for key in keys[starts])
        bounds = np.append(starts, len(keys)).astype(np.int64)
        target = pc.equal(table[TARGET].cast(pa.string()), CLASSES[1]).cast(pa.float64()).to_numpy()

        def work() -> dict[str, int]:
            fitted = family.fit(TrainingShard(entities, bounds, encode_table(schema, table), target))
            return {"units": len(entities), "models": fitted.models.num_rows}

        return work

    fit(config["warm_data"])()
    return fit(config["data"])


if __name__ == "__main__":
    main(setup)
