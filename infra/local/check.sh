#!/usr/bin/env bash
# Everything that can be checked without running the code.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/bin:$PATH"
run() { printf '\033[1m==>\033[0m %s\n' "$*"; "$@"; }
run ruff format --check .
run ruff check .
run mypy
PYTHONPATH=plugins run lint-imports
run codespell README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md docs src beam_jobs dags plugins infra examples/demo benchmarks
