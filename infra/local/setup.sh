#!/usr/bin/env bash
# Makes .venv and the Flink job server from a fresh clone, for the tests a Kafka broker too: `infra/local/setup.sh demo|test`.
# A stamp per flavour keeps a second call to about a second.
set -euo pipefail
cd "$(dirname "$0")/../.."
flavour=${1:?usage: setup.sh demo|test}
case $flavour in
  demo) lock=requirements/demo.lock ;;
  test) lock=requirements/all.lock ;;
  *) echo "setup.sh: unknown flavour '$flavour' (demo or test)" >&2; exit 2 ;;
esac

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

debian_root() { [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ]; }

need() { # need WHAT TEST PACKAGES...: installs the packages as root on Debian, says what is missing elsewhere
  local what=$1 test=$2; shift 2
  eval "$test" >/dev/null 2>&1 && return
  if debian_root; then
    say "installing $what ($*)"
    [ -n "${updated:-}" ] || { apt-get update -qq; updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
    eval "$test" >/dev/null 2>&1 && return
  fi
  echo "setup: $what is needed and was not found; install it (Debian: $*) and run this again" >&2
  exit 2
}

find_python() { # the first Python 3.11 with venv
  for candidate in python3.11 python3 python; do
    command -v "$candidate" >/dev/null || continue
    "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  return 1
}

need "Python 3.11 with venv" find_python python3.11 python3.11-venv
need "Java 17 (a JDK)" "javac -version 2>&1 | grep -E 'javac (1[7-9]|2[0-9])'" openjdk-17-jdk-headless
need "Maven" "mvn --version" maven
if [ "$flavour" = test ]; then
  need "Chromium (the browser tests)" "command -v chromium || command -v chromium-browser || command -v google-chrome" chromium
fi

stamp=.venv/.modelfleet-$flavour
wanted=$(cat "$lock" pyproject.toml requirements/uv.txt | sha256sum | cut -d' ' -f1)
server_log=.build/job-server.log
broker_log=.build/kafka-broker.log
mkdir -p .build
# Jars and Python packages come from different registries: fetch them side by side
infra/flink/build.sh >"$server_log" 2>&1 & server=$!
[ "$flavour" = demo ] || { infra/kafka/build.sh >"$broker_log" 2>&1 & broker=$!; }

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  started=$SECONDS
  [ -x .venv/bin/python ] || { say "making .venv"; "$(find_python)" -m venv .venv; }
  [ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt
  say "installing $(grep -c '==' "$lock") pinned packages"
  # Byte-compiled at once: start-up of Beam, MLflow and Airflow is twice as slow without
  UV_LINK_MODE=copy .venv/bin/uv pip install --quiet --python .venv/bin/python --compile-bytecode -r "$lock" -r requirements/uv.txt
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
  echo "$wanted" >"$stamp"
  say "packages ready after $((SECONDS - started)) s"
fi

built() { # built WHAT PROCESS LOG: waits for a build and says how it failed
  if kill -0 "$2" 2>/dev/null; then say "waiting for the $1's jars (see $3)"; fi
  wait "$2" && return
  tail -n 20 "$3" >&2
  echo "setup: the $1 could not be built; the log above is $3" >&2
  exit 4
}
built "Flink job server" "$server" "$server_log"
[ "$flavour" = demo ] || built "Kafka broker" "$broker" "$broker_log"
