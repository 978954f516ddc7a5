#!/usr/bin/env bash
# Every test, in four processes: Airflow keeps its home, its plugins and its deprecated names in the process that
# imports it, and the platform of the end-to-end tests wants the machine for itself. `test.sh cloud` runs only the tests
# of the deployment's files, which need more tools than the code does.
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
run_cloud() { # without its tools it is left out with a word on a developer's machine, and a failure in CI
  local missing=()
  for tool in go terraform kubectl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  if [ ${#missing[@]} = 0 ]; then
    run "cloud" tests/cloud
  elif [ -n "${CI:-}" ] || [ "${1:-}" = required ]; then
    echo "the cloud tests need ${missing[*]}: install what is missing and run \`make test-cloud\`" >&2
    failed=1
    failures+=("cloud")
  else
    printf '\033[1m==>\033[0m tests: cloud: NOT RUN, for %s is not installed (CI=true makes this a failure)\n' "${missing[*]}"
  fi
}
if [ "${1:-}" = cloud ]; then
  run_cloud required
  exit "$failed"
fi
run "library, jobs and command line" tests --ignore tests/airflow --ignore tests/e2e --ignore tests/cloud
run "Airflow" tests/airflow
run_cloud
run "end to end" tests/e2e
if [ "$failed" = 1 ]; then
  printf 'failed: %s\n' "${failures[*]}" >&2
  exit 1
fi
