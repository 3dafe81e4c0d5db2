#!/bin/bash
# graft.sh [RUNS]: an index of a million documents out of a snapshot of Elasticsearch 7.17 into an OpenSearch 2.19 on this
# machine, RUNS (default 2) times in turns:
#   graft           naru graft --restore: metadata written anew, data linked, restored by OpenSearch, until all shards are green
#   graft-no-limit  the same while the node's limit of what it copies, 40 MB/s unless told, is lifted
#   carry           naru carry, document by document, out of the same repository
#   reindex         _reindex from remote, out of an Elasticsearch 7.17 into which the snapshot was restored before, 5000
#                   documents at a time, the most it takes a page, no refresh until the end
# All with the same mapping, 4 shards, no replicas, on the same node, which was warmed up by graft and carry. Documents are
# counted after each. Prints medians: seconds; CPU seconds of the command, and of both servers; MB that all of
# them had written to disk meanwhile, and MB that the target then has; and how many times graft's time and CPU time that is.
# Then what planning alone takes, and what comparing every document does. Needs Java 17, Maven and python3; is skipped where
# the servers cannot be started. HEAP (2g) is the OpenSearch node's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
out=${NARU_CACHE:-$root/.cache}/bench
runs=${1:-2} index=bench-lz4 port=${PORT:-19240} from=$((${PORT:-19240} + 1))
target=http://127.0.0.1:$port source=http://127.0.0.1:$from

mkdir -p "$out"
. "$here/nodes.sh"
prepare es717 os219
[ -s "$out/count" ] || "$here/repository.sh"
count=$(cat "$out/count")
(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$work/naru" .)

empty() {
  local path
  for path in "$index" .naru _snapshot/naru-grafted; do call DELETE "$target/$path" -o /dev/null 2>/dev/null || true; done
  rm -rf "$work/grafted"
}

create() {
  empty
  call PUT "$target/$index" -o /dev/null -d "{\"settings\":{\"number_of_shards\":4,\"number_of_replicas\":0,\"refresh_interval\":\"-1\"},\"mappings\":$mappings}"
}

graft() { "$@" "$work/naru" graft "$out/repo" "$work/grafted" --restore "$target" -i "$index" --progress none -o json "${more[@]}"; }
carry() { "$@" "$work/naru" carry "$out/repo" "$target" -i "$index" --verify=false --progress none; }
reindex() {
  "$@" curl -sS --fail-with-body -H 'Content-Type: application/json' -X POST "$target/_reindex?refresh=true&timeout=1h" \
    -d "{\"source\":{\"remote\":{\"host\":\"$source\",\"socket_timeout\":\"5m\"},\"index\":\"$index\",\"size\":5000},\"dest\":{\"index\":\"$index\",\"op_type\":\"create\"}}"
}

# limit BYTES: what the node copies a second
limit() { call PUT "$target/_cluster/settings" -o /dev/null -d "{\"transient\":{\"indices.recovery.max_bytes_per_sec\":$1}}"; }

# counted NAME: every document is there, and every shard
counted() {
  local there health
  call POST "$target/$index/_refresh" -o /dev/null
  there=$(call GET "$target/$index/_count?filter_path=count" | tr -dc 0-9)
  health=$(call GET "$target/_cluster/health/$index?filter_path=status,active_primary_shards")
  if [ "$there" != "$count" ] || [ "$health" != '{"status":"green","active_primary_shards":4}' ]; then
    echo "$1: $there documents of $count have arrived: $health" >&2
    tail -n 20 "$work/usage.out" >&2
    exit 1
  fi
}

# measure NAME COMMAND…: appends "seconds CPU server-CPU MB-written MB-on-disk" to $work/NAME
measure() {
  local name=$1 cpu disk
  shift
  cpu=$(jiffies "${servers[@]}") disk=$(written "${servers[@]}")
  usage "$@"
  cpu="$cpu $(jiffies "${servers[@]}")" disk="$disk $(written "${servers[@]}")"
  counted "$name"
  call POST "$target/$index/_flush" -o /dev/null
  echo "$(cat "$work/usage") $cpu $disk $(du -s -B1 "$work/os219/data" | cut -f1)" |
    awk '{print $1, $2, $6 - $5, $4 + $8 - $7, $9 / 1e6}' | tee -a "$work/$name" | sed "s/^/$name: /" >&2
}

# of PATH…: values out of what a command printed as JSON
of() {
  python3 - "$work/usage.out" "$@" <<'PY'
import functools, json, sys
with open(sys.argv[1]) as f:
    document = json.load(f)
print(*(functools.reduce(lambda at, key: at[key], path.split("."), document) for path in sys.argv[2:]))
PY
}

start es717 "$from" 1g
servers=("$node")
call PUT "$source/_snapshot/bench" -o /dev/null -d "{\"type\":\"fs\",\"settings\":{\"location\":\"$out/repo\",\"readonly\":true,\"max_restore_bytes_per_sec\":\"1gb\"}}"
call POST "$source/_snapshot/bench/snap-1/_restore?wait_for_completion=true" -o /dev/null -d "{\"indices\":\"$index\"}"
start os219 "$port" "${HEAP:-2g}" "reindex.remote.allowlist=127.0.0.1:$from"
servers+=("$node")

usage "$work/naru" graft "$out/repo" --target 2.19 --plan -i "$index" -o json
plan=$(cut -d' ' -f1 "$work/usage")
more=()
graft usage
counted "graft, compared"
read -r verify compared <<<"$(of seconds.verify verification.documents)"
mappings=$(call GET "$target/$index/_mapping?filter_path=*.mappings" | sed 's/^{"[^"]*":{"mappings"://; s/}}$//')
more=(--verify=false)
empty
carry usage
for _ in $(seq "$runs"); do
  empty
  graft measure graft
  read -r blobs bytes linked size <<<"$(of written.metadata.blobs written.metadata.bytes written.linked.blobs written.linked.bytes)"
  empty
  limit '"0b"'
  graft measure graft-no-limit
  limit null
  empty
  carry measure carry
  create
  reindex measure reindex
done

seconds=$(median "$work/graft" 1)
busy=$(awk '{print $2 + $3}' "$work/graft" | median /dev/stdin 1)
printf '%-14s %8s %9s %12s %12s %11s %11s %8s %8s\n' '' seconds docs/s 'CPU command' 'CPU servers' 'MB written' 'MB on disk' time CPU
for name in graft graft-no-limit carry reindex; do
  awk -v name="$name" -v n="$count" -v s="$(median "$work/$name" 1)" -v own="$(median "$work/$name" 2)" -v nodes="$(median "$work/$name" 3)" \
    -v written="$(median "$work/$name" 4)" -v disk="$(median "$work/$name" 5)" -v least="$seconds" -v busy="$busy" 'BEGIN {
    printf "%-14s %8.1f %9.0f %12.2f %12.1f %11.0f %11.0f %7.2fx %7.2fx\n", name, s, n / s, own, nodes, written, disk, s / least, (own + nodes) / busy }'
done
awk -v b="$blobs" -v kb="$bytes" -v l="$linked" -v mb="$size" -v p="$plan" -v v="$verify" -v n="$compared" 'BEGIN {
  printf "graft wrote %d blobs of metadata, %.1f kB, and linked %d of data, %.0f MB; planning alone: %.3f s; comparing %d documents with the segments: %.1f s\n", b, kb / 1e3, l, mb / 1e6, p, n, v }'
