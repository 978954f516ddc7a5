"""A run's evaluation in a BigQuery table, beside those of the runs before it."""

from __future__ import annotations

import io
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.bigquery import TABLE, told
from modelfleet.errors import DataUnavailableError, MissingExtraError

if TYPE_CHECKING:
    from modelfleet.run import Run

logger = logging.getLogger(__name__)

TRIES = 5
"""So many load jobs of a run may fail before somebody has to look."""


def append_evaluation(run: Run, *, client: Any = None) -> int:
    """Append a run's evaluation to the table of ``evaluation.table``, once, however often it is called.

    Each load job is named after the run, and BigQuery runs a name once. The table must be there, with the columns of
    the task's evaluation behind ``run_id`` and ``evaluated_at`` (``infra/modules/bigquery`` makes it).

    Args:
        run: A run that is trained.
        client: As ``google.cloud.bigquery.Client``; None makes one, with the environment's credentials.

    Returns:
        How many rows the table has of this run; 0 where the spec names none.

    Raises:
        DataError: There is no such table, its columns are others, or this account may not write to it.
        DataUnavailableError: The service does not answer.
        StepError: The run is not trained.
    """
    named = run.spec.evaluation.table
    if named is None:
        return 0
    table = _rows(run)
    found = TABLE.fullmatch(named)
    assert found is not None  # the spec has seen to it
    with told(named, "evaluation.table", role="roles/bigquery.dataEditor", project_role="roles/bigquery.jobUser"):
        from google.api_core.exceptions import Conflict

        client = client or _client(found["project"])
        for number in range(TRIES):
            name = re.sub(r"[^\w-]", "_", f"modelfleet-{run.spec.fleet}-{run.record.run_id}-{number}")
            try:
                job = client.load_table_from_file(
                    io.BytesIO(table),
                    f"{found['project']}.{found['dataset']}.{found['table']}",
                    size=len(table),
                    job_id=name,
                    job_config=_config(),
                )
            except Conflict:  # by a try that died before it could say so
                job = client.get_job(name)
                if job.error_result:
                    continue  # that name is used up
            job.result()
            rows: int = job.output_rows
            logger.info("%s has %d rows of run %s", named, rows, run.record.run_id)
            return rows
    raise DataUnavailableError(
        f"evaluation.table {named}: {TRIES} load jobs of run {run.record.run_id} have failed; the last is {name}"
    )


def _rows(run: Run) -> bytes:
    evaluation = run.table("evaluation")
    measured = datetime.fromtimestamp((run.folder / "evaluation.parquet").stat().st_mtime, UTC)
    of_run = {
        "run_id": pa.array([run.record.run_id] * len(evaluation), pa.string()),
        "evaluated_at": pa.array([measured] * len(evaluation), pa.timestamp("us", "UTC")),
    }
    columns = of_run | {name: evaluation[name] for name in evaluation.column_names}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _config() -> Any:
    from google.cloud.bigquery import LoadJobConfig

    return LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND", create_disposition="CREATE_NEVER")


def _client(project: str) -> Any:
    try:
        from google.cloud import bigquery
    except ImportError as error:
        raise MissingExtraError("google.cloud.bigquery", "bigquery") from error
    return bigquery.Client(project=project)
