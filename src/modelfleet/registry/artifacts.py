"""What lies beside an MLflow run: its tables, its figures and the name of its data."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from modelfleet.registry.base import DatasetRef, RunReport

DECISIONS = "decisions.json"
"""The decisions' file, as MLflow's pages show it."""

SHOWN = (
    "entity", "kind", "outcome", "sentence", "candidate_loss", "reference_loss", "difference", "p_value", "q_value",
    "rows_independent",
)  # fmt: skip
"""Its columns."""


def log_dataset(client: MlflowClient, run_id: str, dataset: DatasetRef) -> None:
    """Say what was trained on without reading it again."""
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.types import ColSpec, DataType, Schema

    kinds = {"number": DataType.double, "integer": DataType.long, "boolean": DataType.boolean}
    columns = [ColSpec(kinds.get(kind, DataType.string), name) for name, kind in dataset.columns.items()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The specified dataset source can be interpreted in multiple ways")
        source = resolve_dataset_source(dataset.uri)
    meta = MetaDataset(source, name=dataset.name[:500], digest=dataset.digest, schema=Schema(columns))
    tag = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, [DatasetInput(meta._to_mlflow_entity(), [tag])])


def log_tables(client: MlflowClient, run_id: str, report: RunReport) -> None:
    """Keep the tables whole as Parquet, the decisions as the table MLflow's pages compare, and the figures.

    All at once: MLflow asks its database about the run for every call.
    """
    from modelfleet.registry.figures import figures

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("tables", "figures"):
            (folder / part).mkdir()
        for title, table in {"evaluation": report.evaluation, "decisions": report.decisions, **report.tables}.items():
            path = folder / "tables" / f"{title}.parquet"
            # nearly every value is another number: dictionaries and statistics would double the cost for nothing
            pq.write_table(table, path, compression="zstd", use_dictionary=texts_of(table), write_statistics=False)
        (folder / DECISIONS).write_bytes(comparable(report.decisions))
        for title, figure in figures(report.decisions).items():
            # lightly compressed it takes a third of the time and little more room
            figure.savefig(folder / title, format="png", dpi=110, pil_kwargs={"compress_level": 1})
        client.log_artifacts(run_id, name)


def texts_of(table: pa.Table) -> list[str]:
    """Return the names of a table's columns of texts."""
    return [field.name for field in table.schema if pa.types.is_string(field.type)]


def comparable(decisions: pa.Table) -> bytes:
    """Return what MLflow's pages show of the decisions, in the format of its ``log_table``.

    That one looks at every cell on its own, and so takes ten times as long.
    """
    names = [name for name in SHOWN if name in decisions.column_names]
    rows = list(zip(*(decisions[name].to_pylist() for name in names), strict=True))
    return orjson.dumps({"columns": names, "data": rows})


def table_tag() -> dict[str, str]:
    """Return the tag by which MLflow's pages know that the decisions are a table, as its ``log_table`` sets it."""
    return {"mlflow.loggedArtifacts": json.dumps([{"path": DECISIONS, "type": "table"}])}
