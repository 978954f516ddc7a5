"""The pages modelfleet adds to Airflow's UI."""
