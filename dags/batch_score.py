"""Score files with the fleet that serves now, as a Beam job: by hand, or by the clock where the spec has a schedule.

Airflow's backfill scores the days of the past.
"""

from __future__ import annotations

from airflow.sdk import DAG

from modelfleet_airflow.dags.assets import score_schedule
from modelfleet_airflow.dags.fleets import good_fleets
from modelfleet_airflow.dags.params import score_arguments, score_params
from modelfleet_airflow.dags.settings import dag_settings
from modelfleet_airflow.operators.beam_job import BeamJobOperator

for fleet in good_fleets(__file__):
    with DAG(**dag_settings(fleet, "score", __doc__), schedule=score_schedule(fleet.spec), params=score_params(fleet)):
        BeamJobOperator(task_id="score", job="score", spec=fleet.path, arguments=score_arguments(fleet))
