#!/bin/sh
# A part of a standalone Flink cluster, from the jar that infra/flink/build.sh makes:
#
#   start.sh job-manager | task-manager | job-server [ARGUMENTS OF THE PROCESS]
#
#   MODELFLEET_HOME             shared by all parts: checkpoints, savepoints, staged jars
#   FLINK_JOB_MANAGER           name of the job manager's host
#   FLINK_HOST                  name under which the others reach this part; default: this host's
#   FLINK_BIND                  address that Flink's own processes listen on; default 0.0.0.0, for a container's network
#   FLINK_REST_PORT, FLINK_JOB_PORT, FLINK_ARTIFACT_PORT, FLINK_SLOTS, FLINK_HEAP
#   MODELFLEET_JOB_SERVER_JAR   the jar
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
home=${MODELFLEET_HOME:?}
job_manager=${FLINK_JOB_MANAGER:?}
host=${FLINK_HOST:-$(hostname)}
bind=${FLINK_BIND:-0.0.0.0}
rest_port=${FLINK_REST_PORT:-8081}
jar=${MODELFLEET_JOB_SERVER_JAR:?}
conf=${FLINK_CONF_DIR:-$here/conf}
work=${TMPDIR:-/tmp}/flink
mkdir -p "$home/flink/checkpoints" "$home/flink/savepoints" "$work"
export FLINK_PLUGINS_DIR="$work/plugins" # else it takes any folder `plugins` it is started beside for its own

java_flags="-XX:+ExitOnOutOfMemoryError -Djava.io.tmpdir=$work -Dorg.slf4j.simpleLogger.defaultLogLevel=${FLINK_LOG:-warn}"
for package in lang lang.invoke lang.reflect util util.concurrent util.concurrent.atomic net io nio time text; do
  java_flags="$java_flags --add-opens=java.base/java.$package=ALL-UNNAMED" # Flink 1.19's serializers on Java 17
done

run() { # run HEAP CLASS ARGUMENTS...
  heap=$1; shift
  # shellcheck disable=SC2086 # one flag per word is what is meant
  exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" "-Xmx${FLINK_HEAP:-$heap}" $java_flags -cp "$jar" "$@"
}

run_part() { # run_part HEAP CLASS -D...: a process of Flink's own
  heap=$1 class=$2; shift 2
  run "$heap" "$class" --configDir "$conf" \
    -D "jobmanager.rpc.address=$job_manager" -D "rest.address=$job_manager" -D "rest.port=$rest_port" \
    -D "state.checkpoints.dir=file://$home/flink/checkpoints" -D "state.savepoints.dir=file://$home/flink/savepoints" \
    -D "io.tmp.dirs=$work" "$@"
}

role=${1:-}
[ $# = 0 ] || shift
case $role in
  job-manager)
    run_part 768m org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
      -D "jobmanager.bind-host=$bind" -D "rest.bind-address=$bind" "$@" ;;
  task-manager)
    run_part 1024m org.apache.flink.runtime.taskexecutor.TaskManagerRunner \
      -D "taskmanager.bind-host=$bind" -D "taskmanager.host=$host" \
      -D "taskmanager.numberOfTaskSlots=${FLINK_SLOTS:-4}" "$@" ;;
  job-server)
    # The name is what it tells its clients; Beam's gRPC servers listen on every interface whatever they are told
    run 1g org.apache.beam.runners.flink.FlinkJobServerDriver \
      "--flink-master=$job_manager:$rest_port" "--flink-conf-dir=$conf" \
      "--job-host=$host" "--job-port=${FLINK_JOB_PORT:-8099}" "--artifact-port=${FLINK_ARTIFACT_PORT:-8098}" \
      --expansion-port=-1 "--artifacts-dir=$home/flink/artifacts" "$@" ;;
  *)
    echo "usage: start.sh job-manager|task-manager|job-server" >&2
    exit 2 ;;
esac
