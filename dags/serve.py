"""Make sure that a fleet's streaming job runs: after every release, and whenever somebody asks.

A job that runs already is left alone: it sees a release by itself and swaps to it without a restart. By hand it can
also be restarted (for another spec or newer code), drained or stopped.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from modelfleet_airflow.dags.assets import release_asset
from modelfleet_airflow.dags.fleets import good_fleets
from modelfleet_airflow.dags.params import serve_params
from modelfleet_airflow.dags.serving_tasks import operate
from modelfleet_airflow.dags.settings import dag_settings
from modelfleet_airflow.sensors.dataflow_running import DataflowRunningSensor
from modelfleet_airflow.sensors.live_lease import LiveLeaseSensor

for fleet in good_fleets(__file__):
    with DAG(**dag_settings(fleet, "serve", __doc__), schedule=[release_asset(fleet.name)], params=serve_params()):
        job = operate(str(fleet.path))
        answers = LiveLeaseSensor(
            task_id="wait_until_it_answers",
            fleet=fleet.name,
            poke_interval=1,
            timeout=timedelta(minutes=5).total_seconds(),
        )
        if fleet.spec.engine == "dataflow":
            job >> DataflowRunningSensor(task_id="wait_until_it_runs", spec=fleet.spec, job=job) >> answers
        else:
            job >> answers
