#!/bin/sh
# Builds .build/flink/job-server.jar: Beam's Flink runner with Flink inside, mended, merged into one jar.
# Needs Maven and a JDK 17. A second call sees that nothing changed and ends at once.
#
#   infra/flink/build.sh                        the pinned Beam
#   BEAM_VERSION=2.65.0 infra/flink/build.sh    another one
#   MEND=no infra/flink/build.sh                without the mends, to see whether they are still needed
#   MAVEN_REPO=/some/folder infra/flink/build.sh    another local Maven repository
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${MODELFLEET_BUILD:-$(dirname "$(dirname "$here")")/.build}/flink
jar=$out/job-server.jar
main_class=org.apache.beam.runners.flink.FlinkJobServerDriver

stamp=$({ cat "$here/pom.xml" "$here/flink-conf.yaml" "$here/MendFlinkRunner.java" "$here/MergeJars.java"; echo "${BEAM_VERSION:-} ${MEND:-}"; } \
  | cksum)
if [ -f "$jar" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

say() { printf 'job server: %s\n' "$*" >&2; }
for tool in mvn java; do
  command -v "$tool" >/dev/null || { say "'$tool' is not installed; on Debian: apt-get install maven openjdk-17-jdk-headless"; exit 2; }
done

mkdir -p "$out"
if command -v flock >/dev/null; then  # two builds at once: the second waits and then finds the work done
  exec 9>"$out/lock"
  flock 9
  if [ -f "$jar" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
  fi
fi
rm -rf "$out/lib" "$out/classes"

say "1 of 3: downloading Beam's Flink runner (about 150 MB; one to two minutes the first time)"
if ! mvn -B -ntp -q -f "$here/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$out/lib" -DincludeScope=runtime \
    ${BEAM_VERSION:+"-Dbeam.version=$BEAM_VERSION"} \
    ${MAVEN_REPO:+"-Dmaven.repo.local=$MAVEN_REPO"} >"$out/maven.log" 2>&1; then
  tail -n 20 "$out/maven.log" >&2
  say "Maven failed; its log is $out/maven.log. Run this again when Maven Central can be reached"
  exit 4
fi
say "2 of 3: mending the runner"
mkdir -p "$out/classes"
[ "${MEND:-}" = no ] || java -cp "$out/lib/*" "$here/MendFlinkRunner.java" "$out/classes" >&2
say "3 of 3: merging $(find "$out/lib" -name '*.jar' | wc -l | tr -d ' ') jars into one"
java "$here/MergeJars.java" "$jar" "$main_class" "$out/classes" "$out/lib" >&2
rm -rf "$out/lib" "$out/classes"
cp "$here/flink-conf.yaml" "$out/flink-conf.yaml"
printf '%s' "$stamp" >"$out/stamp"
say "built $jar"
