"""Plays DAGs in an Airflow of their own: ``python -m tests.cloud.dataflow.play_dag DAG_ID CONF [DAG_ID CONF ...]``.

A process of its own, because Airflow takes its home and plugins from the environment when it is imported. Writes one
line of JSON per run to standard output: its state, and the states of its tasks.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def main(arguments: list[str]) -> None:
    """Make the database, then play the runs in their order."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=str(REPOSITORY / "dags"))
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)
    for dag_id, conf in zip(arguments[::2], arguments[1::2], strict=True):
        run = DagBag(dag_folder=str(REPOSITORY / "dags")).dags[dag_id].test(run_conf=json.loads(conf))
        tasks = {task.task_id: str(task.state) for task in run.get_task_instances()}
        sys.stdout.write("PLAYED " + json.dumps({"dag": dag_id, "state": str(run.state), "tasks": tasks}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # Google's clients leave threads behind
