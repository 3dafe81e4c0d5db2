#!/bin/bash
# repository.sh [COUNT]: writes the repository that bench.sh reads, under .cache/bench of the project: COUNT log documents
# (default 1000000, 391 MB of JSON) in the index bench-lz4 and again in bench-deflate, 4 shards each, in the snapshot
# snap-1 of a real Elasticsearch 7.17 node. Leaves
#   .cache/bench/repo            the snapshot repository
#   .cache/bench/shards/INDEX/N  the same shards as directories for Lucene: the segments of the snapshot, as the node had them
# Does nothing when they are there with that COUNT. Takes about four minutes, 2 GB of disk, Java 17, Maven and python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
count=${1:-1000000} out=${NARU_CACHE:-$root/.cache}/bench port=${PORT:-19220}
if [ "$(cat "$out/count" 2>/dev/null)" = "$count" ]; then
  echo "$out/repo has it already"
  exit 0
fi
rm -rf "$out"
mkdir -p "$out"
python3 "$here/documents.py" "$count" >"$out/docs.ndjson"
(cd "$root" && go build -o "$out/load" ./bench/load)

HEAP=${HEAP:-1g} "$root/internal/testbed/search/node.sh" es717 "$port" "$out/node" "$out" >"$out/node.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null && wait $pid || true' EXIT
until grep -q '^started' "$out/node.log"; do
  kill -0 $pid 2>/dev/null || { tail -n 30 "$out/node.log" >&2; exit 1; }
  sleep 1
done
"$out/load" -url "http://127.0.0.1:$port" -repo "$out/repo" "$out/docs.ndjson" >"$out/names"
kill $pid
wait $pid || true
trap - EXIT

# Nothing was written after the snapshot, so the last commit in the node's data folder is the snapshot's.
while read -r name uuid; do
  mkdir -p "$out/shards/$name"
  for shard in "$out/node/data/nodes/0/indices/$uuid"/[0-9]*; do
    mv "$shard/index" "$out/shards/$name/$(basename "$shard")"
  done
done <"$out/names"
rm -rf "$out/node" "$out/docs.ndjson" "$out/load" "$out/names"
echo "$count" >"$out/count"
du -sh "$out/repo" "$out/shards"
