#!/bin/bash
# make.sh: writes ./repo anew with a real Elasticsearch 7.17 node, which is stopped afterwards (see make.py). Needs Java 17,
# Maven and python3, as internal/testbed/search/node.sh does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-19230} work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill $pid 2>/dev/null && wait $pid || true; }; rm -rf "$work"' EXIT
"$here/../../internal/testbed/search/node.sh" es717 "$port" "$work/node" "$work/repos" >"$work/node.log" 2>&1 &
pid=$!
until grep -q '^started' "$work/node.log"; do
  kill -0 $pid 2>/dev/null || { cat "$work/node.log" >&2; exit 1; }
  sleep 1
done
python3 "$here/make.py" "http://127.0.0.1:$port" "$work/repos/shop"
rm -rf "$here/repo"
cp -r "$work/repos/shop" "$here/repo"
