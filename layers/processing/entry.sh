#!/bin/sh
# Runs one order with what lies beside this script. Arguments: the root of the job's folders, and the kind of job.
set -eu
root="${1:-/opt/ml}"
kind="${2:-processing}"
here="$(cd "$(dirname "$0")" && pwd)"
# A zip archive keeps no permissions.
chmod +x "$here/node"
if [ "$kind" = training ]; then
  mkdir -p "$root/model" "$root/checkpoints" "$root/output"
else
  mkdir -p "$root/processing/output/result" "$root/processing/output/candidate" "$root/output"
fi
exec "$here/node" "$here/run-order.mjs" "$root" "$kind"
