"""Writes the columns of the BigQuery tables from the code that fills them: `python -m infra.tests.bigquery_columns`.

A test compares the files with what this makes, so an answer or an evaluation that gains a field asks for it to be run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from modelfleet.evaluation.table import evaluation_schema
from modelfleet.serving.answer import Answer
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).resolve().parents[1] / "modules" / "bigquery" / "columns"

TIMES = ("event_time", "processed_time")
"""ISO 8601 in an answer; BigQuery reads them as points in time."""

OF_RUN = [
    {"name": "run_id", "type": "STRING", "mode": "REQUIRED", "description": "The run that measured"},
    {"name": "evaluated_at", "type": "TIMESTAMP", "mode": "REQUIRED", "description": "When it did"},
]
"""What the evaluation of a run is told by, beside the others in one table."""


def predictions(prediction: str) -> list[dict[str, Any]]:
    """Return the columns of answers.

    Args:
        prediction: BigQuery's type of a prediction: ``STRING`` for a label, ``FLOAT64`` for a number.
    """
    columns = []
    for name, hint in get_type_hints(Answer).items():
        types = {str: "STRING", int: "INT64", float: "FLOAT64"}
        kinds = {types[part] for part in getattr(hint, "__args__", (hint,)) if part in types}
        of = (
            prediction if name == "prediction" else "TIMESTAMP" if name in TIMES else kinds.pop() if kinds else "STRING"
        )
        optional = type(None) in getattr(hint, "__args__", ())
        columns.append({"name": name, "type": of, "mode": "NULLABLE" if optional else "REQUIRED"})
    return columns


def evaluation(task: Task) -> list[dict[str, Any]]:
    """Return the columns of the evaluation of a task."""
    schema: pa.Schema = evaluation_schema(task)
    types = {"string": "STRING", "int64": "INT64", "double": "FLOAT64", "bool": "BOOL"}
    return [*OF_RUN, *({"name": field.name, "type": types[str(field.type)], "mode": "NULLABLE"} for field in schema)]


def files() -> dict[str, str]:
    """Return the text of each file."""
    columns = {"predictions_label": predictions("STRING"), "predictions_number": predictions("FLOAT64")}
    columns |= {f"evaluation_{task.value}": evaluation(task) for task in Task}
    return {
        f"{name}.json": "[\n" + ",\n".join(f"  {json.dumps(column)}" for column in listed) + "\n]\n"
        for name, listed in columns.items()
    }


def main() -> int:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
