#!/bin/sh
# Starts the store with one identity, whose key and secret stand in files.
set -eu
umask 077
identities=/tmp/identities.json
cat >"$identities" <<END
{"identities": [{"name": "modelfleet", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$(cat "${S3_KEY_FILE:?}")", "secretKey": "$(cat "${S3_SECRET_FILE:?}")"}]}]}
END
exec weed server -dir=/var/lib/objects -ip="$(hostname)" -ip.bind=0.0.0.0 \
  -volume.max=0 -master.volumeSizeLimitMB=1024 -filer -s3 -s3.port=8333 -s3.config="$identities"
