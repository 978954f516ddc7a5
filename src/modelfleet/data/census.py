"""A seeded generator of census-like data of any size: Adult's columns, with as many entities as you like.

``python -m modelfleet.data.census --rows 1000000 --entities 10000 --output census.parquet`` writes a file.
The labels depend on the features, and differently so in each entity, so that a model per entity has something to
learn that one model for all has not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import typer

from modelfleet.errors import InputError
from modelfleet.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CATEGORIES: dict[str, tuple[str, ...]] = {
    "workclass": (
        *("Private", "Self-emp-not-inc", "Local-gov", "State-gov", "Self-emp-inc", "Federal-gov", "Without-pay"),
        "Never-worked",
    ),
    "marital_status": (
        *("Married-civ-spouse", "Never-married", "Divorced", "Separated", "Widowed", "Married-spouse-absent"),
        "Married-AF-spouse",
    ),
    "occupation": (
        *("Prof-specialty", "Craft-repair", "Exec-managerial", "Adm-clerical", "Sales", "Other-service"),
        *("Machine-op-inspct", "Transport-moving", "Handlers-cleaners", "Farming-fishing", "Tech-support"),
        *("Protective-serv", "Priv-house-serv", "Armed-Forces"),
    ),
    "relationship": ("Husband", "Not-in-family", "Own-child", "Unmarried", "Wife", "Other-relative"),
    "race": ("White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"),
    "sex": ("Male", "Female"),
    "native_country": ("United-States", *(f"Country-{number:02d}" for number in range(1, 41))),
}
"""Values of each category, the most frequent first."""

MISSING_SHARE = {"workclass": 0.056, "occupation": 0.057, "native_country": 0.018}
"""Share of unknown values, as in Adult."""

LABELS = ("<=50K", ">50K")


def census_table(rows: int, entities: int, seed: int, zipf: float | None = None) -> pa.Table:
    """Return census-like rows in random order, with Adult's columns (``fleets/income.yaml`` names them).

    Args:
        rows: Number of rows; at least one per entity.
        entities: Number of entities, ``level-000000`` and so on, in the column ``education``.
        seed: Equal arguments give equal tables.
        zipf: Exponent of the entities' sizes: the k-th gets rows in proportion to ``1 / k**zipf``. None means
            sizes as even as chance makes them.

    Returns:
        15 columns: numbers as int32, categories as dictionary<int32, string>, unknown values null. Every
        entity has at least one row, and from 12 rows per entity on at least 12.

    Raises:
        InputError: Fewer rows than entities, or a number below 1.
    """
    if entities < 1 or rows < entities:
        raise InputError(f"a census of {rows:,} rows cannot have {entities:,} entities: give each at least one row")
    if zipf is not None and zipf < 0:
        raise InputError(f"zipf is {zipf}: the exponent of the entities' sizes cannot be negative")
    random = np.random.default_rng(seed)
    entity = _entities(random, rows, entities, zipf)
    codes = {name: _codes(random, rows, len(values)) for name, values in CATEGORIES.items()}
    numbers = {
        "age": np.clip(random.gamma(4.0, 6.5, rows) + 15, 17, 90).astype(np.int32),
        "fnlwgt": random.integers(12_285, 1_484_706, rows, dtype=np.int32),
        "education_num": (entity % 16 + 1).astype(np.int32),
        "capital_gain": _seldom(random, rows, share=0.083, low=114, high=99_999),
        "capital_loss": _seldom(random, rows, share=0.047, low=155, high=4_356),
        "hours_per_week": np.clip(random.normal(40, 12, rows), 1, 99).astype(np.int32),
    }
    effect = random.normal(scale=0.6, size=(entities, 4))[entity]
    score = (
        -2.4
        + (numbers["age"] - 38) / 25 * (1 + effect[:, 0])
        + (numbers["hours_per_week"] - 40) / 20 * (1 + effect[:, 1])
        + (codes["marital_status"] == 0) * (1.2 + effect[:, 2])
        + (codes["sex"] == 0) * (0.4 + effect[:, 3])
        + (numbers["education_num"] - 9) / 8
        + (numbers["capital_gain"] > 0) * 1.5
    )
    income = (random.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int32)

    columns: dict[str, pa.Array] = {name: pa.array(values) for name, values in numbers.items()}
    for name, values in CATEGORIES.items():
        unknown = random.random(rows) < MISSING_SHARE[name] if name in MISSING_SHARE else None
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(codes[name], mask=unknown), list(values))
    names = [f"level-{number:06d}" for number in range(entities)]
    columns["education"] = pa.DictionaryArray.from_arrays(pa.array(entity), names)
    columns["income"] = pa.DictionaryArray.from_arrays(pa.array(income), list(LABELS))
    return pa.table({name: columns[name] for name in ORDER})


ORDER = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship"),
    *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"),
)
"""Adult's columns, in its order."""


def write_census(path: str | Path, rows: int, entities: int, seed: int = 7, zipf: float | None = None) -> Path:
    """Write ``census_table`` to a file that is there whole or not at all.

    Args:
        path: Ends in ``.parquet``, or ``.csv`` (with a header, unknown values empty).
        rows: As for ``census_table``.
        entities: As for ``census_table``.
        seed: As for ``census_table``.
        zipf: As for ``census_table``.

    Returns:
        The path.

    Raises:
        InputError: Another ending, or numbers ``census_table`` does not take.
    """
    path = Path(path)
    if path.suffix not in {".parquet", ".csv"}:
        raise InputError(f"{path}: the name must end in .parquet or .csv, to say which to write")
    table = census_table(rows, entities, seed, zipf)
    with replacing(path) as temporary:
        _write(table, temporary, path.suffix)
    return path


def _write(table: pa.Table, path: Path, suffix: str) -> None:
    if suffix == ".csv":
        from pyarrow import csv

        plain = [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
        csv.write_csv(table.cast(pa.schema(plain)), path)
    else:
        from pyarrow import parquet

        parquet.write_table(table, path, row_group_size=131_072)


def _entities(random: np.random.Generator, rows: int, entities: int, zipf: float | None) -> NDArray[np.int32]:
    """Return each row's entity: a few rows for everyone, the rest by chance, shuffled."""
    everyone = np.repeat(np.arange(entities, dtype=np.int32), min(12, rows // entities))
    rest = rows - len(everyone)
    if zipf is None:
        drawn = random.integers(0, entities, rest, dtype=np.int32)
    else:
        drawn = _draw(random, rest, 1 / np.arange(1, entities + 1) ** zipf)
    entity = np.concatenate([everyone, drawn])
    random.shuffle(entity)
    return entity


def _codes(random: np.random.Generator, rows: int, levels: int) -> NDArray[np.int32]:
    return _draw(random, rows, 1 / np.arange(1, levels + 1) ** 1.3)


def _draw(random: np.random.Generator, rows: int, weights: NDArray[np.float64] | Sequence[float]) -> NDArray[np.int32]:
    """Return ``rows`` numbers below ``len(weights)``, each with the chance its weight gives it."""
    edges = np.cumsum(weights)
    return np.searchsorted(edges / edges[-1], random.random(rows), side="right").astype(np.int32)


def _seldom(random: np.random.Generator, rows: int, *, share: float, low: int, high: int) -> NDArray[np.int32]:
    """Return zeros, and for a share of the rows an amount between ``low`` and ``high``."""
    return np.where(random.random(rows) < share, random.integers(low, high + 1, rows), 0).astype(np.int32)


def main(
    rows: Annotated[int, typer.Option(help="Number of rows.")],
    entities: Annotated[int, typer.Option(help="Number of entities.")],
    output: Annotated[Path, typer.Option(help="A .parquet or .csv file.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 7,
    zipf: Annotated[float | None, typer.Option(help="Exponent of the entities' sizes; even sizes without it.")] = None,
) -> None:
    """Write census-like data of any size, for examples and benchmarks."""
    try:
        write_census(output, rows, entities, seed, zipf)
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None
    typer.echo(f"{output}: {rows:,} rows, {entities:,} entities", err=True)


if __name__ == "__main__":
    typer.run(main)
