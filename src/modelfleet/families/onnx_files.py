"""The model files a user brings: a folder of them, or a table that says whose each is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from modelfleet.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

WHERE = "model.parameters.models"


def model_files(source: str) -> Mapping[str, Path]:
    """Return each entity's file.

    Args:
        source: A folder of ``ENTITY.onnx`` files, whose names may be percent-encoded (``north%2Fsouth.onnx``); or a
            Parquet or CSV file with the columns ``entity`` and ``file``, a relative file being taken from its folder.

    Raises:
        SpecError: There is no such folder or file, or it does not say what it should.
    """
    path = Path(source)
    if path.is_dir():
        found = {unquote(file.name.removesuffix(".onnx")): file for file in sorted(path.glob("*.onnx"))}
        if not found:
            raise SpecError(f"{WHERE}: the folder {path.absolute()} has no *.onnx file")
        return found
    if not path.is_file():
        raise SpecError(f"{WHERE}: {path.absolute()} does not exist; name a folder, or a table of entity and file")
    table = _read(path)
    for name in ("entity", "file"):
        if name not in table.column_names:
            raise SpecError(f"{WHERE}: {path} has no column '{name}', only {', '.join(table.column_names)}")
    entities, files = (table[name].cast(pa.string()).to_pylist() for name in ("entity", "file"))
    found = {}
    for row, (entity, file) in enumerate(zip(entities, files, strict=True)):
        if entity is None or file is None:
            raise SpecError(f"{WHERE}: {path} names no {'entity' if entity is None else 'file'} in row {row + 1}")
        if entity in found:
            raise SpecError(f"{WHERE}: {path} names entity {entity!r} twice")
        found[entity] = path.parent / file
    return found


def _read(path: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".csv":
            text = pyarrow.csv.ConvertOptions(column_types={"entity": pa.string(), "file": pa.string()})
            return pyarrow.csv.read_csv(path, convert_options=text)
        return pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise SpecError(f"{WHERE}: {path} is no Parquet or CSV table: {error}") from error
