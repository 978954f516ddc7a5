#!/bin/sh
# Builds the stand-in for the google provider into .build/terraform/mirror, laid out as Terraform wants a filesystem
# mirror, with the command line configuration that points there. A second call sees that nothing changed.
# Needs Go; fetches Go modules the first time.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${MODELFLEET_BUILD:-$(dirname "$(dirname "$(dirname "$here")")")/.build}/terraform
stamp=$(cat "$here"/*.go "$here"/go.* "$here/schema.json" "$here/build.sh" | cksum)
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

command -v go >/dev/null || { echo "terraform tests: 'go' is not installed; it builds the stand-in provider" >&2; exit 2; }
mkdir -p "$out"
if command -v flock >/dev/null; then  # two builds at once: the second waits and then finds the work done
  exec 9>"$out/lock"
  flock 9
  if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
  fi
fi

version=$(sed -n 's/^ "version": "\(.*\)",$/\1/p' "$here/schema.json")
platform=$(go env GOOS)_$(go env GOARCH)
folder=$out/mirror/registry.terraform.io/hashicorp/google/$version/$platform
rm -rf "$out/mirror"
mkdir -p "$folder"
(cd "$here" && go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$folder/terraform-provider-google_v${version}_x5" .)
cat >"$out/terraformrc" <<EOF
provider_installation {
  filesystem_mirror {
    path    = "$out/mirror"
    include = ["registry.terraform.io/hashicorp/google"]
  }
}
EOF
printf '%s' "$stamp" >"$out/stamp"
