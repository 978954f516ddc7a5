#!/bin/sh
# Starts one of Airflow's processes: start-airflow api-server | scheduler | dag-processor | triggerer | ...
# or a command, as Airflow's Helm chart does: start-airflow bash -c 'exec airflow scheduler'
# What is secret stands in files (/run/secrets); Airflow reads them by the *_CMD options of the environment.
set -eu
if [ -n "${MODELFLEET_ADMIN_PASSWORD_FILE:-}" ]; then
  # Airflow opens the file of its passwords for writing, so it gets a copy of its own
  passwords=${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE:?}
  umask 077
  python -c 'import json, sys; print(json.dumps({"admin": open(sys.argv[1]).read().strip()}))' \
    "$MODELFLEET_ADMIN_PASSWORD_FILE" >"$passwords"
fi
case ${1:-} in
  airflow|bash|sh|python) exec "$@" ;;
  *) exec airflow "$@" ;;
esac
