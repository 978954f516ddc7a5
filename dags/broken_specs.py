"""Shows the fleet specs that do not load as an import error; defines no DAG of its own for Airflow.

Airflow keeps import errors per file and drops every DAG of that file, so the files that build the good fleets' DAGs
skip a broken spec, and this one tells of it.
"""

from __future__ import annotations

from modelfleet_airflow.dags.fleets import raise_broken

raise_broken(__file__)
