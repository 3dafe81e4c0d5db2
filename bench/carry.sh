#!/bin/bash
# carry.sh [RUNS]: a million documents into an OpenSearch 2.19 on this machine, RUNS (default 3) times in turns:
#   naru      naru carry out of the snapshot repository that repository.sh wrote, no source cluster
#   ceiling   plain _bulk requests whose bodies were built before: 5 MB each, three at a time
# and then once each, out of an Elasticsearch 7.17 into which the repository was restored:
#   reindex       _reindex from remote, 5000 documents at a time, the most it takes a page
#   elasticdump   5000 documents at a time (ELASTICDUMP=no leaves it out)
# Every one fills the same index with the same mapping and settings (4 shards, no replicas, no refresh until the end) on
# the same node, which was warmed up before. Prints medians: documents a second of time and of
# all CPU time (the latter also where other things run at the same time), CPU seconds of whoever reads and sends
# (with reindex and elasticdump the source node too) and their share in all, the node's included, and the peak of resident
# memory. Needs Java 17, Maven, python3, and npm for elasticdump. HEAP (2g) is the OpenSearch node's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cache=${NARU_CACHE:-$root/.cache}
out=$cache/bench
runs=${1:-3} index=bench-lz4 port=${PORT:-19230} from=$((${PORT:-19230} + 1))
target=http://127.0.0.1:$port source=http://127.0.0.1:$from

mkdir -p "$out"
. "$here/nodes.sh"
prepare es717 os219
[ -s "$out/count" ] || "$here/repository.sh"
count=$(cat "$out/count")
(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$out/naru" . && CGO_ENABLED=0 go build -o "$out/ceiling" ./bench/ceiling)
if [ ! -s "$out/docs.bulk" ] || [ "$out/count" -nt "$out/docs.bulk" ]; then
  "$out/naru" carry "$out/repo" ndjson:- -i "$index" --progress none 2>"$out/carry.err" | "$out/ceiling" -build "$out/docs.bulk"
fi

empty() {
  call DELETE "$target/$index" -o /dev/null 2>/dev/null || true
  call DELETE "$target/.naru" -o /dev/null 2>/dev/null || true
}

create() {
  empty
  call PUT "$target/$index" -o /dev/null -d '{"settings":{"number_of_shards":4,"number_of_replicas":0,"refresh_interval":"-1"},
    "mappings":{"properties":{"@timestamp":{"type":"date"},"clientip":{"type":"ip"},"verb":{"type":"keyword"},
    "request":{"type":"keyword"},"response":{"type":"integer"},"bytes":{"type":"long"},"agent":{"type":"text"},
    "host":{"type":"keyword"},"took_ms":{"type":"double"},"message":{"type":"text"},"tags":{"type":"keyword"}}}}'
}

# measure NAME COMMAND…: appends "docs/s client-CPU target-CPU peak-MB" to $work/NAME
measure() {
  local name=$1 before after extra=0 more=0
  shift
  before=$(jiffies "$opensearch")
  [ -z "${elastic:-}" ] || extra=$(jiffies "$elastic")
  usage "$@"
  after=$(jiffies "$opensearch")
  [ -z "${elastic:-}" ] || more=$(jiffies "$elastic")
  call POST "$target/$index/_refresh" -o /dev/null
  local there
  there=$(call GET "$target/$index/_count?filter_path=count" | tr -dc 0-9)
  if [ "$there" != "$count" ]; then
    echo "$name: $there documents of $count have arrived" >&2
    tail -n 20 "$work/usage.out" >&2
    exit 1
  fi
  awk -v n="$count" -v b="$before" -v a="$after" -v e="$extra" -v m="$more" '{print n / $1, $2 + m - e, a - b, $3}' "$work/usage" | tee -a "$work/$name" | sed "s/^/$name: /" >&2
}

start os219 "$port" "${HEAP:-2g}" "reindex.remote.allowlist=127.0.0.1:$from"
opensearch=$node
for _ in 1 2; do # warm up, by both
  create
  "$out/ceiling" -url "$target" "$out/docs.bulk" >/dev/null
  empty
  "$out/naru" carry "$out/repo" "$target" -i "$index" --verify=false --progress none >/dev/null
done
for _ in $(seq "$runs"); do
  create
  measure ceiling "$out/ceiling" -url "$target" "$out/docs.bulk"
  empty
  measure naru "$out/naru" carry "$out/repo" "$target" -i "$index" --verify=false --progress none
done

start es717 "$from" 1g
elastic=$node
call PUT "$source/_snapshot/bench" -o /dev/null -d "{\"type\":\"fs\",\"settings\":{\"location\":\"$out/repo\",\"readonly\":true,\"max_restore_bytes_per_sec\":\"1gb\"}}"
call POST "$source/_snapshot/bench/snap-1/_restore?wait_for_completion=true" -o /dev/null -d "{\"indices\":\"$index\"}"
create
measure reindex curl -sS --fail-with-body -H 'Content-Type: application/json' -X POST "$target/_reindex?refresh=true&timeout=1h" \
  -d "{\"source\":{\"remote\":{\"host\":\"$source\",\"socket_timeout\":\"5m\"},\"index\":\"$index\",\"size\":5000},\"dest\":{\"index\":\"$index\",\"op_type\":\"create\"}}"
if [ "${ELASTICDUMP:-}" != no ]; then
  [ -x "$cache/elasticdump/node_modules/.bin/elasticdump" ] || npm install --silent --no-audit --no-fund --prefix "$cache/elasticdump" elasticdump@6.124.2 >&2
  create
  measure elasticdump "$cache/elasticdump/node_modules/.bin/elasticdump" --input="$source/$index" --output="$target/$index" --limit=5000 --type=data --quiet
fi

top=$(median "$work/ceiling" 1)
busy=$(awk '{print $2 + $3}' "$work/ceiling" | median /dev/stdin 1)
printf '%-12s %10s %12s %14s %12s %12s %12s %10s\n' '' 'docs/s' 'of ceiling' 'docs/CPU sec' 'of ceiling' 'CPU seconds' 'of all CPU' 'peak MiB'
for name in ceiling naru reindex elasticdump; do
  [ -s "$work/$name" ] || continue
  awk -v name="$name" -v n="$count" -v top="$top" -v busy="$busy" -v rate="$(median "$work/$name" 1)" -v own="$(median "$work/$name" 2)" -v node="$(median "$work/$name" 3)" -v peak="$(median "$work/$name" 4)" 'BEGIN {
    printf "%-12s %10.0f %11.2fx %14.0f %11.2fx %12.1f %11.1f%% %10.0f\n", name, rate, rate / top, n / (own + node), busy / (own + node), own, 100 * own / (own + node), peak }'
done
