"""Score a file with the fleet that serves now, as a Beam job."""

from __future__ import annotations

from airflow.sdk import DAG

from modelfleet_airflow.dags.fleets import good_fleets
from modelfleet_airflow.dags.params import score_params
from modelfleet_airflow.dags.settings import dag_settings
from modelfleet_airflow.operators.beam_job import BeamJobOperator

for fleet in good_fleets(__file__):
    with DAG(**dag_settings(fleet, "score", __doc__), schedule=None, params=score_params()):
        BeamJobOperator(
            task_id="score",
            job="score",
            spec=fleet.path,
            arguments={"input": "{{ params.input }}", "output": "{{ params.output }}"},
        )
