#!/usr/bin/env bash
# Every test. Two lanes run side by side, for what talks to engines and brokers mostly waits: one lane has those tests
# and Airflow's, the other has all that computes. Airflow keeps its home, its plugins and its deprecated names in the
# process that imports it, so it has a process of its own. The end-to-end tests come last and alone: their platform has
# fixed ports. `test.sh cloud` runs only the tests of the deployment's files, which need more tools than the code does.
set -uo pipefail
cd "$(dirname "$0")/../.."
# The tests are about the code, not about what the caller's shell happens to set
unset PYTHONDONTWRITEBYTECODE MODELFLEET_HOME MODELFLEET_FLEETS MLFLOW_TRACKING_URI
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
STREAMING=(tests/streaming tests/kafka tests/faults tests/bench)

say() { printf '\033[1m==>\033[0m tests: %s\n' "$*"; }

run() { # run NAME ARGUMENTS...: sets failed where a test does
  local name=$1
  shift
  say "$name"
  .venv/bin/python -m pytest -q --durations=5 "$@" || { failed=1; say "$name: FAILED" >&2; }
}

run_cloud() { # without its tools it is left out with a word on a developer's machine, and a failure in CI
  local missing=()
  for tool in go terraform kubectl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  if [ ${#missing[@]} = 0 ]; then
    run "cloud" tests/cloud
  elif [ -n "${CI:-}" ] || [ "${1:-}" = required ]; then
    echo "the cloud tests need ${missing[*]}: install what is missing and run \`make test-cloud\`" >&2
    failed=1
  else
    say "cloud: NOT RUN, for ${missing[*]} is not installed (CI=true makes this a failure)"
  fi
}

waiting() {
  failed=0
  run "streams, brokers, faults" "${STREAMING[@]}"
  run "Airflow" tests/airflow
  return "$failed"
}

computing() {
  failed=0
  run "library, jobs and command line" tests --ignore tests/airflow --ignore tests/e2e --ignore tests/cloud \
    "${STREAMING[@]/#/--ignore=}"
  run_cloud
  return "$failed"
}

if [ "${1:-}" = cloud ]; then
  failed=0
  run_cloud required
  exit "$failed"
fi

mkdir -p .build
log=.build/tests-beside.log
say "streams, brokers, faults, Airflow run beside the others; what they print comes at the end (meanwhile in $log)"
set -m # a group of its own, so that an interrupt reaches its tests, which then stop what they started
waiting >"$log" 2>&1 &
beside=$!
set +m
trap 'kill -INT -- "-$beside" 2>/dev/null; wait "$beside"' EXIT
all=0
computing || all=1
wait "$beside" || all=1
trap - EXIT
cat "$log"
failed=0
run "end to end" tests/e2e
[ "$failed" = 0 ] || all=1
[ "$all" = 0 ] || say "FAILED: see the summaries above" >&2
exit "$all"
