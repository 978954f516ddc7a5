#!/bin/sh
# Writes .env for docker compose: `infra/compose/make_env.sh [FILE]`. A file that exists is left alone: its passwords are
# those of the databases.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../.env}
if [ -e "$target" ]; then
  echo "$target exists; it is left as it is" >&2
  exit 0
fi
umask 077
temporary=$target.$$
while IFS= read -r line; do
  case $line in
    AIRFLOW_FERNET_KEY=) # Fernet's own format: 32 bytes, url-safe base64
      printf '%s%s\n' "$line" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')" ;;
    [A-Z]*=)
      printf '%s%s\n' "$line" "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$here/env.example" >"$temporary"
mv "$temporary" "$target"
echo "wrote $target" >&2
