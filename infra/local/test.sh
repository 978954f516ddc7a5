#!/usr/bin/env bash
# Every test, in three processes: Airflow keeps its home, its plugins and its deprecated names in the process that
# imports it, and the platform of the end-to-end tests wants the machine for itself.
set -uo pipefail
cd "$(dirname "$0")/../.."
# The tests are about the code, not about what the caller's shell happens to set
unset PYTHONDONTWRITEBYTECODE MODELFLEET_HOME MODELFLEET_FLEETS MLFLOW_TRACKING_URI
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
failed=0
run() { # run NAME ARGUMENTS...
  printf '\033[1m==>\033[0m tests: %s\n' "$1"
  .venv/bin/python -m pytest -q "${@:2}" || { failed=1; failures+=("$1"); }
}
failures=()
run "library, jobs and command line" tests --ignore tests/airflow --ignore tests/e2e
run "Airflow" tests/airflow
run "end to end" tests/e2e
if [ "$failed" = 1 ]; then
  printf 'failed: %s\n' "${failures[*]}" >&2
  exit 1
fi
