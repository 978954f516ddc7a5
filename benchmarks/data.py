"""The data of the benchmarks: generated once per size and seed, kept in a cache folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.sizes import Size
from modelfleet.data.census import ORDER, write_census
from modelfleet.errors import DataError
from modelfleet.whole_file import replacing

SEED = 7
ENTITY, TARGET = "education", "income"
NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CATEGORIES = ("workclass", "marital_status", "occupation", "relationship", "race", "sex", "native_country")
"""The features of fleets/income.yaml: ``fnlwgt`` is not among them; the baselines split by it, as by a row id."""

SLICES = ("race", "sex")
"""Columns by whose values every side evaluates candidate and champion once more."""

ROW_GROUP = 131_072


def census(folder: Path, size: Size, zipf: float | None = None) -> Path:
    """Return a Parquet file of census-like rows, making it if it is not there.

    Args:
        folder: The cache.
        size: Rows and entities.
        zipf: Exponent of the entities' sizes; None means even ones.
    """
    kind = "even" if zipf is None else f"zipf{zipf:g}"
    path = folder / f"census-{size.rows}-{size.entities}-{kind}-seed{SEED}.parquet"
    if not path.exists():
        write_census(path, size.rows, size.entities, SEED, zipf)
    return path


def first_entities(path: Path, entities: int) -> Path:
    """Return a file with the rows of a data set's first entities, in the same order, making it if it is not there.

    Args:
        path: What ``census`` returned.
        entities: How many; entities are as large as chance made them, so the first are as good as any.
    """
    part = path.with_name(f"{path.stem}-first{entities}.parquet")
    if not part.exists():
        table = pq.read_table(path, read_dictionary=[ENTITY])
        names = sorted(pc.unique(table[ENTITY].cast(pa.string())).to_pylist())[:entities]
        mask = pc.is_in(table[ENTITY].cast(pa.string()), value_set=pa.array(names))
        with replacing(part) as temporary:
            pq.write_table(table.filter(mask), temporary, row_group_size=ROW_GROUP)
    return part


def adult(folder: Path, source: Path) -> Path:
    """Return the Adult data as Parquet with typed columns, making it if it is not there.

    Args:
        folder: The cache.
        source: ``adult.data``: CSV without a header, ``?`` where a value is unknown.

    Raises:
        DataError: The file is not there: an installed modelfleet does not bring it.
    """
    path = folder / "adult.parquet"
    if path.exists():
        return path
    if not source.exists():
        raise DataError(f"{source}: is not there; run the work 'adult' from a checkout")
    from pyarrow import csv

    numbers = {name: pa.int32() for name in (*NUMBERS, "fnlwgt")}
    text = source.read_bytes().replace(b", ", b",")
    table = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=list(ORDER)),
        convert_options=csv.ConvertOptions(
            null_values=["?"],
            strings_can_be_null=True,
            column_types={name: numbers.get(name, pa.dictionary(pa.int32(), pa.string())) for name in ORDER},
        ),
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, row_group_size=ROW_GROUP)
    return path
