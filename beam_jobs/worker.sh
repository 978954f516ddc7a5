#!/bin/sh
# What Beam's worker pool starts for every worker. The pool keeps a worker's output in a pipe that nobody reads, so a
# worker that logged to it would stop when the pipe is full: the log is a file.
set -eu
log="${MODELFLEET_HOME:?}/logs/beam-worker.log"
mkdir -p "${log%/*}"
# numba uses no cache at all that it cannot write to, and the image may be read-only: the workers share a copy.
if [ -d "${NUMBA_CACHE_DIR:-}" ]; then
  copy="${TMPDIR:-/tmp}/numba"
  if [ ! -d "$copy" ]; then
    cp -R "$NUMBA_CACHE_DIR" "$copy.$$"
    mv -T "$copy.$$" "$copy" 2>/dev/null || rm -rf "$copy.$$" # another worker was first
  fi
  export NUMBA_CACHE_DIR="$copy"
fi
exec python -m beam_jobs.worker_boot --log="$log" "$@" >>"$log" 2>&1
