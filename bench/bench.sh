#!/bin/bash
# bench.sh [RUNS]: every live document's `_source` out of the same segments, by naru's snapshot reader out of the
# repository and by Lucene's own Java reader out of the shards' folders, one thread on one core each, in turns: RUNS
# (default 3) processes of each, of ROUNDS (default 6) rounds, of which the first is left out as warming up. Prints
# medians; and then what writing archives takes. CPU says which core (default: the last).
# Writes the repository first if it is not there (repository.sh). Needs Java 17, Maven and python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cache=${NARU_CACHE:-$root/.cache}
out=$cache/bench
runs=${1:-3} rounds=${ROUNDS:-6} cpu=${CPU:-$(($(nproc) - 1))}
java=${JDK17:+$JDK17/bin/}java   # any from 11 on

[ -s "$out/count" ] || "$here/repository.sh"
lucene=$cache/lucene
mkdir -p "$lucene"
if [ ! -s "$lucene/cp" ] || [ "$here/lucene/pom.xml" -nt "$lucene/cp" ] || [ "$here/lucene/ReadSource.java" -nt "$lucene/cp" ]; then
  mvn -B -q -f "$here/lucene/pom.xml" -Dout="$lucene/out" \
    dependency:build-classpath -Dmdep.outputFile="$lucene/jars" compile
  echo "$lucene/out/classes:$(cat "$lucene/jars")" >"$lucene/cp"
fi
(cd "$root" && CGO_ENABLED=0 go build -o "$out/read" ./bench/read)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for _ in $(seq "$runs"); do
  for index in bench-lz4 bench-deflate; do
    taskset -c "$cpu" "$java" -Xmx512m -XX:+UseSerialGC -cp "$(cat "$lucene/cp")" ReadSource "$rounds" "$out/shards/$index" >"$work/run"
    grep -v peak "$work/run" | tail -n +2 >>"$work/$index.java"
    grep peak "$work/run" >>"$work/$index.java.peak"
    taskset -c "$cpu" "$out/read" "$rounds" "$out/repo" "$index" >"$work/run"
    grep -v peak "$work/run" | tail -n +2 >>"$work/$index.naru"
    grep peak "$work/run" >>"$work/$index.naru.peak"
  done
done

# median FILE: documents, bytes, and the medians of wall and CPU seconds and of allocations per document
median() {
  middle() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
  echo "$(awk 'NR == 1 {print $1, $2}' "$1") $(middle "$1" 3) $(middle "$1" 4) $(middle "$1" 5)"
}
printf '%-14s %-22s %10s %10s %12s %10s %12s\n' index reader 'MB/s' 'by CPU' 'docs/s' 'peak MB' 'allocs/doc'
for index in bench-lz4 bench-deflate; do
  read -r docs bytes jwall jcpu _ <<<"$(median "$work/$index.java")"
  read -r ndocs nbytes nwall ncpu mallocs <<<"$(median "$work/$index.naru")"
  if [ "$docs $bytes" != "$ndocs $nbytes" ]; then
    echo "$index: Lucene read $docs documents of $bytes bytes, naru $ndocs of $nbytes" >&2
    exit 1
  fi
  peak() { sort -k2n "$1" | awk 'END {print $2 / 1024}'; }
  awk -v index_="$index" -v docs="$docs" -v bytes="$bytes" -v jw="$jwall" -v jc="$jcpu" -v nw="$nwall" -v nc="$ncpu" -v m="$mallocs" \
    -v jp="$(peak "$work/$index.java.peak")" -v np="$(peak "$work/$index.naru.peak")" 'BEGIN {
    f = "%-14s %-22s %10.0f %10.0f %12.0f %10.0f %12s\n"
    printf f, index_, "Lucene 8.11.3 (Java)", bytes / jw * 1e3, bytes / jc * 1e3, docs / jw * 1e9, jp, "-"
    printf f, index_, "naru", bytes / nw * 1e3, bytes / nc * 1e3, docs / nw * 1e9, np, sprintf("%.4f", m / docs)
    printf "%-14s %-22s %9.2fx %9.2fx %11.2fx %9.2fx\n", index_, "naru / Lucene", jw / nw, jc / nc, jw / nw, np / jp
  }'
done

# Archives: the same documents out of the repository into files, one worker on the same core, not read back.
(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$out/naru" .)
printf '\n%-14s %-22s %10s %10s %12s %10s\n' index archive 'MB/s' 'by CPU' 'docs/s' 'peak MB'
for format in ndjson parquet; do
  for _ in $(seq "$runs"); do
    rm -rf "$work/archive"
    GOMAXPROCS=1 taskset -c "$cpu" python3 "$here/usage.py" "$work/report" "$out/naru" carry "$out/repo" "$format:$work/archive" \
      -i bench-lz4 --workers 1 --verify=false --progress none -o json >>"$work/$format.run"
  done
  read -r docs bytes < <(python3 -c 'import json, sys; run = json.load(sys.stdin)["run"]; print(run["documents"], run["bytes"])' <"$work/report")
  sort -n "$work/$format.run" | awk -v format="$format" -v docs="$docs" -v bytes="$bytes" '
    { wall[NR] = $1; cpu[NR] = $2; if ($3 > peak) peak = $3 }
    END { m = int((NR + 1) / 2); printf "%-14s %-22s %10.0f %10.0f %12.0f %10.0f\n", "bench-lz4", format, bytes / wall[m] / 1e6, bytes / cpu[m] / 1e6, docs / wall[m], peak }'
done
