#!/bin/sh
# Runs one order with what lies beside this script. First argument: the root of the job's folders.
set -eu
root="${1:-/opt/ml}"
here="$(cd "$(dirname "$0")" && pwd)"
# A zip archive keeps no permissions.
chmod +x "$here/node"
mkdir -p "$root/processing/output/result" "$root/processing/output/candidate" "$root/output"
exec "$here/node" "$here/run-order.mjs" "$root"
