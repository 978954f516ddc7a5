"""Retrain a fleet: prepare, validate, train, gate, register, promote, confirm, report, collect what nothing needs.

A failure anywhere leaves the champion serving. Where the gate refuses the run, it ends in success with `promote` and
`confirm` skipped: the refusal is a result, and MLflow has its figures.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from modelfleet_airflow.dags import loop_tasks
from modelfleet_airflow.dags.assets import release_asset, retrain_schedule
from modelfleet_airflow.dags.fleets import good_fleets
from modelfleet_airflow.dags.params import retrain_params
from modelfleet_airflow.dags.settings import dag_settings
from modelfleet_airflow.operators.beam_job import BeamJobOperator

for fleet in good_fleets(__file__):
    with DAG(
        **dag_settings(fleet, "retrain", __doc__),
        schedule=retrain_schedule(fleet.spec),
        params=retrain_params(fleet),
    ):
        run = loop_tasks.open_run(str(fleet.path))
        chain(
            run,
            BeamJobOperator(task_id="prepare", job="prepare", run=run),
            loop_tasks.validate(run),
            BeamJobOperator(task_id="train", job="train", run=run),
            loop_tasks.gate(run),
            loop_tasks.register(run),
            loop_tasks.promote.override(outlets=[release_asset(fleet.name)])(run),
            loop_tasks.confirm(run),
            loop_tasks.report(run),
            loop_tasks.collect(run),
        )
