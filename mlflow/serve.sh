#!/usr/bin/env bash
# The MLflow tracking server: SQLite and artifacts on disk, loopback only.
# Reads MODELFLEET_HOME and MLFLOW_PORT. There is no .py file in this folder: one would shadow the library.
set -euo pipefail
data="${MODELFLEET_HOME:?}/mlflow"
mkdir -p "$data/artifacts"
# One worker: SQLite takes one writer, and each worker costs 300 MB. The job runner serves only LLM features.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server \
  --host 127.0.0.1 --port "${MLFLOW_PORT:?}" --workers 1 \
  --backend-store-uri "sqlite:///$data/mlflow.db" \
  --artifacts-destination "$data/artifacts"
