"""Publish a release by hand: go back to an earlier bundle, pin or unpin the fleet, turn the kill switch.

Running jobs follow from the next batch. A pin refuses promotions; the kill switch lets the pooled model answer for
every entity, and nothing is loaded anew.
"""

from __future__ import annotations

from airflow.sdk import DAG

from modelfleet_airflow.dags.assets import release_asset
from modelfleet_airflow.dags.fleets import good_fleets
from modelfleet_airflow.dags.params import rollback_params
from modelfleet_airflow.dags.serving_tasks import publish
from modelfleet_airflow.dags.settings import dag_settings
from modelfleet_airflow.sensors.served_release import ServedReleaseSensor

for fleet in good_fleets(__file__):
    with DAG(**dag_settings(fleet, "rollback", __doc__), schedule=None, params=rollback_params()):
        # Never tried again by itself: if the first try published and then died, a second would undo it
        by_hand = publish.override(outlets=[release_asset(fleet.name)], retries=0)
        ServedReleaseSensor(
            task_id="confirm",
            fleet=fleet.name,
            generation=by_hand(str(fleet.path)),
            poke_interval=1,
            timeout=fleet.spec.serving.confirm_timeout_seconds,
        )
