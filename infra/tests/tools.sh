#!/bin/sh
# Says what the Terraform tests lack, and how to get it; ends with 2 where they lack something.
missing=
command -v terraform >/dev/null || missing="$missing Terraform 1.11 or newer (https://developer.hashicorp.com/terraform/install);"
command -v go >/dev/null || missing="$missing Go 1.25 or newer (https://go.dev/dl; it builds the stand-in provider);"
if [ -n "$missing" ]; then
  echo "the Terraform tests need what this machine lacks: install$missing then run this again" >&2
  exit 2
fi
version=$(terraform version 2>/dev/null | sed -n '1s/^Terraform v\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
# shellcheck disable=SC2086 # two words on purpose
set -- $version
if [ "${1:-0}" -lt 1 ] || { [ "$1" -eq 1 ] && [ "$2" -lt 11 ]; }; then
  echo "the Terraform tests need Terraform 1.11 or newer, this is ${1:-?}.${2:-?}: mocks are told of plans only since then" >&2
  exit 2
fi
