#!/bin/sh
# Builds the local Kafka broker in .build/kafka/: its jars and the template of its configuration.
# Needs Maven. A second call sees that nothing changed and ends at once.
#
#   infra/kafka/build.sh                            the pinned Kafka
#   KAFKA_VERSION=4.2.0 infra/kafka/build.sh        another one
#   MAVEN_REPO=/some/folder infra/kafka/build.sh    another local Maven repository
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${MODELFLEET_BUILD:-$(dirname "$(dirname "$here")")/.build}/kafka

stamp=$({ cat "$here/pom.xml" "$here/server.properties"; echo "${KAFKA_VERSION:-}"; } | cksum)
built() { [ -d "$out/lib" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; }
if built; then exit 0; fi

say() { printf 'Kafka broker: %s\n' "$*" >&2; }
command -v mvn >/dev/null || { say "'mvn' is not installed; on Debian: apt-get install maven"; exit 2; }

mkdir -p "$out"
if command -v flock >/dev/null; then  # two builds at once: the second waits and then finds the work done
  exec 9>"$out/lock"
  flock 9
  if built; then exit 0; fi
fi
rm -rf "$out/stamp" "$out/lib"

say "downloading Kafka (about 45 MB)"
if ! mvn -B -ntp -q -f "$here/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$out/lib" -DincludeScope=runtime \
    ${KAFKA_VERSION:+"-Dkafka.version=$KAFKA_VERSION"} \
    ${MAVEN_REPO:+"-Dmaven.repo.local=$MAVEN_REPO"} >"$out/maven.log" 2>&1; then
  tail -n 20 "$out/maven.log" >&2
  say "Maven failed; its log is $out/maven.log. Run this again when Maven Central can be reached"
  exit 4
fi
cp "$here/server.properties" "$out/server.properties"
printf '%s' "$stamp" >"$out/stamp"
say "built $out"
