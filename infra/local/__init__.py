"""The whole platform on one machine: Airflow, MLflow and the Flink job server, on loopback, under supervisord."""
