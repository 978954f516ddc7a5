"""What lies beside an MLflow run: its tables, its figures and the name of its data."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

    from modelfleet.registry.base import DatasetRef, RunReport


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
    """Keep the tables whole as Parquet, and the decisions as the table MLflow's pages compare across runs."""
    from modelfleet.registry.figures import figures

    for name, table in {"evaluation": report.evaluation, "decisions": report.decisions, **report.tables}.items():
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        _log_bytes(client, run_id, sink.getvalue().to_pybytes(), f"tables/{name}.parquet")
    client.log_table(run_id, _frame(report.decisions), "decisions.json")
    for name, figure in figures(report.decisions).items():
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=110, pil_kwargs={"compress_level": 1})  # a third sooner, little larger
        _log_bytes(client, run_id, image.getvalue(), name)


def _frame(decisions: pa.Table) -> pd.DataFrame:
    """Return what the pages show. Texts are categories: in every other cell MLflow looks whether it is a picture."""
    shown = ("entity", "kind", "outcome", "sentence", "candidate_loss", "reference_loss", "difference", "p_value",
             "q_value", "rows_independent")  # fmt: skip
    columns = {name: decisions[name] for name in shown if name in decisions.column_names}
    texts = {name: column.dictionary_encode() for name, column in columns.items() if pa.types.is_string(column.type)}
    frame: pd.DataFrame = pa.table(columns | texts).to_pandas()
    return frame


def _log_bytes(client: MlflowClient, run_id: str, data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(name).name)
        path.write_bytes(data)
        client.log_artifact(run_id, str(path), str(Path(name).parent))
