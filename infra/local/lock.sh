#!/usr/bin/env bash
# Resolves pyproject.toml anew. The demo's lock is a subset of the full one, so that both environments agree.
set -euo pipefail
cd "$(dirname "$0")/../.."
resolve() { # resolve LOCK ARGUMENTS...
  local lock=$1; shift
  .venv/bin/uv pip compile --quiet pyproject.toml --no-header --no-annotate --no-emit-index-url \
    --python-version 3.11.4 --output-file "requirements/$lock.lock" "$@"
}
resolve all --extra all --extra dev
resolve demo --extra demo --constraint requirements/all.lock
