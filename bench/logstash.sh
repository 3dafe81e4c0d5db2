#!/bin/bash
# logstash.sh [RUNS=3]: Logstash pipelines in naru: LINES (1,000,000) lines of an access log through the full
# %{COMBINEDAPACHELOG} and date, to a file, to nowhere and to a server that takes _bulk requests and keeps nothing; the same with the
# names of the Elastic Common Schema; the same lines cut by dissect; JSON; documents as Beats send them; twenty mutates and ten
# conditions; and how long 200 pipelines take to be checked. Medians, with the CPU seconds of the process. Beside it gogstash, which runs the
# same grok pattern with Go's regular expressions, on PEER_LINES (20,000) of the lines; PEER=no leaves it out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
runs=${1:-3} lines=${LINES_OF_LOG:-1000000} peer_lines=${PEER_LINES:-20000}
cache=${NARU_CACHE:-$root/.cache}/bench
peer=$cache/gogstash
version=v0.0.0-20260819065957-49cf379a400b
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && CGO_ENABLED=0 go build -o "$work/naru" . && go build -o "$work/nullbulk" ./bench/nullbulk && go run ./bench/apache "$lines" >"$work/access.log")
"$work/nullbulk" -addr 127.0.0.1:0 >"$work/nullbulk.log" 2>&1 &
sink=$!
trap 'kill $sink 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do [ -s "$work/nullbulk.log" ] && break; sleep 0.1; done
url=$(head -n 1 "$work/nullbulk.log")
# a line of the log in six maps, as Filebeat has it
awk '{
  at += length($0) + 1; text = substr($0, 1, 80); gsub(/["\\]/, "\\\\&", text)
  printf "{\"@timestamp\":\"2026-01-02T03:04:05.678Z\",\"@metadata\":{\"beat\":\"filebeat\",\"type\":\"_doc\",\"version\":\"8.19.0\"},\"message\":\"%s\",\"log\":{\"offset\":%d,\"file\":{\"path\":\"/var/log/access.log\"}},\"input\":{\"type\":\"log\"},\"host\":{\"name\":\"web-%d\"},\"agent\":{\"type\":\"filebeat\",\"version\":\"8.19.0\"},\"ecs\":{\"version\":\"8.0.0\"}}\n", text, at, NR % 9
}' "$work/access.log" >"$work/beats.json"
if [ "${PEER:-yes}" = yes ] && [ ! -x "$peer" ]; then
  GOBIN=$cache go install "github.com/tsaikd/gogstash@$version" >"$work/install" 2>&1 || { tail -3 "$work/install"; echo "without gogstash"; }
fi

grok='grok { match => { "message" => "%{COMBINEDAPACHELOG}" } } date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] }'
dissect='dissect { mapping => { "message" => "%{clientip} %{ident} %{auth} [%{timestamp}] \"%{verb} %{request} %{http}\" %{response} %{bytes} \"%{referrer}\" \"%{agent}\"" } }'
mutates=''
for n in 1 2 3 4 5; do
  mutates+="mutate { add_field => { \"n$n\" => \"Value $n\" } } if [n$n] { mutate { rename => { \"n$n\" => \"m$n\" } } }
    mutate { uppercase => [\"m$n\"] } if [m$n] == \"VALUE $n\" { mutate { remove_field => [\"m$n\"] } }
  "
done
conf() { printf 'input { stdin { codec => %s } }\nfilter { %s }\noutput { %s }\n' "$2" "$3" "$4" >"$work/$1.conf"; }
conf grok-file plain "$grok" "file { path => \"$work/out.json\" codec => json_lines }"
conf grok-null plain "$grok" 'null { }'
conf grok-ecs 'plain { ecs_compatibility => disabled }' "${grok/grok \{/grok \{ ecs_compatibility => v8}" 'null { }'
conf grok-bulk plain "$grok" "opensearch { hosts => [\"$url\"] index => \"logs-%{+yyyy.MM.dd}\" manage_template => false }"
conf dissect-null plain "$dissect" 'null { }'
conf json-null json '' 'null { }'
conf beats-null json '' 'null { }'
conf nothing plain '' 'null { }'
conf mutates plain "$mutates" 'null { }'
mkdir "$work/many"
for n in $(seq 200); do sed "s#COMBINEDAPACHELOG}#COMBINEDAPACHELOG} %{NUMBER:n$n}#" "$work/grok-null.conf" >"$work/many/$n.conf"; done

# naru JOB INPUT: runs a job
naru() {
  rm -f "$work/out.json"
  python3 "$here/usage.py" /dev/null "$work/naru" logstash --pipeline.ecs_compatibility disabled -w 1 -f "$work/$1.conf" <"$2" >>"$work/$1.run"
}
for _ in $(seq "$runs"); do
  naru grok-file "$work/access.log"
  [ "$(wc -l <"$work/out.json")" = "$lines" ] || { echo "grok-file: $(wc -l <"$work/out.json") of $lines lines"; exit 1; }
  if grep -q _grokparsefailure "$work/out.json"; then echo "grok-file: a line does not match"; exit 1; fi
  mv "$work/out.json" "$work/events.json"
  for job in grok-null grok-ecs grok-bulk dissect-null nothing mutates; do naru $job "$work/access.log"; done
  naru json-null "$work/events.json"
  naru beats-null "$work/beats.json"
  python3 "$here/usage.py" /dev/null "$work/naru" logstash check "$work/many" >>"$work/check.run"
done

# middle FILE COLUMN
middle() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
# row NAME JOB LINES
row() {
  awk -v name="$1" -v n="$3" -v wall="$(middle "$work/$2.run" 1)" -v cpu="$(middle "$work/$2.run" 2)" -v rss="$(middle "$work/$2.run" 3)" -v peer="${per_peer:-0}" \
    'BEGIN {printf "%-42s %9.0f %12.0f %8.1f %6.0f %9s\n", name, n / cpu, cpu / n * 1e9, wall, rss, (peer > 0 ? sprintf("%.0fx", n / cpu / peer) : "")}'
}
if [ "${PEER:-yes}" = yes ] && [ -x "$peer" ]; then
  head -n "$peer_lines" "$work/access.log" >"$work/few.log"
  cat >"$work/gogstash.yml" <<EOF
chsize: 1000
worker: 1
input: [{type: file, path: '$work/few.log', start_position: beginning, sincepath: '$work/since', codec: default}]
filter: [{type: grok, match: ["%{COMBINEDAPACHELOG}"], source: message}, {type: date, format: ["02/Jan/2006:15:04:05 -0700"], source: timestamp}]
output: [{type: file, path: "$work/gogstash.json", codec: json}]
EOF
  (cd "$work" && exec "$peer" --config gogstash.yml) >"$work/gogstash.log" 2>&1 &
  pid=$!
  trap 'kill $pid $sink 2>/dev/null; rm -rf "$work"' EXIT
  for _ in $(seq 1200); do [ "$(cat "$work/gogstash.json" 2>/dev/null | wc -l)" -ge "$peer_lines" ] && break; sleep 0.1; done
  ticks=0   # of all processes of the group that it starts
  for p in $pid $(pgrep -P $pid || true); do ticks=$((ticks + $(awk '{print $14 + $15}' "/proc/$p/stat"))); done
  kill $pid; wait $pid 2>/dev/null || true
  per_peer=$(awk -v n="$peer_lines" -v t="$ticks" -v hz="$(getconf CLK_TCK)" 'BEGIN {print n / (t / hz)}')
fi
printf '%-42s %9s %12s %8s %6s %9s\n' "" "lines/CPU-s" "CPU ns/line" seconds MiB "/ gogstash"
row "grok + date, to a file" grok-file "$lines"
row "grok + date" grok-null "$lines"
row "grok + date, to a null _bulk server" grok-bulk "$lines"
row "grok + date, ECS names" grok-ecs "$lines"
row "dissect" dissect-null "$lines"
row "json" json-null "$lines"
row "json, documents of Beats" beats-null "$lines"
row "20 mutates under 10 conditions" mutates "$lines"
row "nothing" nothing "$lines"
[ -z "${per_peer:-}" ] || printf '%-42s %9.0f\n' "gogstash: grok + date, to a file" "$per_peer"
awk -v wall="$(middle "$work/check.run" 1)" 'BEGIN {printf "200 pipelines are checked in %.0f ms\n", wall * 1000}'
