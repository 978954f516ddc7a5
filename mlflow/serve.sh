#!/usr/bin/env bash
# The MLflow tracking server: SQLite and artifacts on disk, loopback only, unless the environment says otherwise.
#   MODELFLEET_HOME, MLFLOW_PORT             where its files are, where it listens
#   MLFLOW_HOST                              the address; a container's own network needs 0.0.0.0
#   MLFLOW_DATABASE, MLFLOW_ARTIFACTS        URIs instead of the files on disk
#   MLFLOW_DATABASE_PASSWORD_FILE            fills in {password} in MLFLOW_DATABASE
#   MLFLOW_S3_KEY_FILE, MLFLOW_S3_SECRET_FILE  the object store's credentials
#   MLFLOW_SERVER_ALLOWED_HOSTS              which Host headers it answers
# There is no .py file in this folder: one would shadow the library.
set -euo pipefail
data="${MODELFLEET_HOME:?}/mlflow"
host=${MLFLOW_HOST:-127.0.0.1}
database=${MLFLOW_DATABASE:-}
artifacts=${MLFLOW_ARTIFACTS:-}
if [ -z "$database" ] || [ -z "$artifacts" ]; then mkdir -p "$data/artifacts"; fi
if [ -n "${MLFLOW_DATABASE_PASSWORD_FILE:-}" ]; then
  database=${database/\{password\}/$(<"$MLFLOW_DATABASE_PASSWORD_FILE")}
fi
if [ -n "${MLFLOW_S3_KEY_FILE:-}" ]; then
  AWS_ACCESS_KEY_ID=$(<"$MLFLOW_S3_KEY_FILE")
  AWS_SECRET_ACCESS_KEY=$(<"${MLFLOW_S3_SECRET_FILE:?}")
  export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fi
# By the environment, not by an option: a command line is readable by every process of the host.
export MLFLOW_BACKEND_STORE_URI=${database:-sqlite:///$data/mlflow.db}
export MLFLOW_ARTIFACTS_DESTINATION=${artifacts:-$data/artifacts}
# One worker where there is SQLite, which takes one writer; each costs 300 MB. The job runner serves only LLM features.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server --host "$host" --port "${MLFLOW_PORT:?}" --workers "${MLFLOW_WORKERS:-1}"
