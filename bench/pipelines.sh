#!/bin/bash
# pipelines.sh [RUNS=3]: pipelines in production. Medians of RUNS:
#   Kafka -> grok, date -> OpenSearch    EVENTS (1,000,000) lines of an access log from a real broker, to a server that keeps nothing
#   Beats -> OpenSearch                  as many events from CONNECTIONS (4) that send as Filebeat does
#   file -> Kafka                        as many lines, as JSON
#   tcp -> null                          as many events, with a disk queue (queue.type: persisted) and without (memory)
#   http -> null                         as many events in requests of 100, with a disk queue
# Given are the CPU seconds and the peak memory of the one process that is measured, and not of brokers, servers and those who
# send. Every event must have arrived, once. Beside it gogstash, on PEER_EVENTS (20,000), where it has the plugins; PEER=no
# leaves it out. Then once, unless MOVES=no: members of a group that come and go, and servers that are restarted, under load
# (see moves/main.go). JOBS names what is to be done: "kafka beats file tcp http moves". Needs python3, Java and Maven for the broker, and
# strace to count fsyncs; NARU is a binary to measure instead of this tree's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cache=${NARU_CACHE:-$root/.cache}
export NARU_CACHE=$cache
out=$cache/bench
runs=${1:-3} events=${EVENTS:-1000000} peer_events=${PEER_EVENTS:-20000} conns=${CONNECTIONS:-4} kafka=${KAFKA:-4.4.0}
jobs=" ${JOBS:-kafka beats file tcp http moves} "
peer=$out/gogstash
peer_version=v0.0.0-20260819065957-49cf379a400b
broker_script=$root/internal/testbed/kafka/broker.sh
mkdir -p "$out"
. "$here/nodes.sh"
doing() { [[ $jobs == *" $1 "* ]]; }

if [ -n "${NARU:-}" ]; then cp "$NARU" "$work/naru"; else (cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$work/naru" .); fi
for tool in nullbulk feed moves apache; do (cd "$root" && CGO_ENABLED=0 go build -o "$work/$tool" "./bench/$tool"); done
"$work/apache" "$events" >"$work/access.log"
if [ "${PEER:-yes}" = yes ] && [ ! -x "$peer" ]; then
  GOBIN=$out CGO_ENABLED=0 go install "github.com/tsaikd/gogstash@$peer_version" >"$work/install" 2>&1 || { tail -3 "$work/install" >&2; echo "without gogstash" >&2; }
fi
[ "${PEER:-yes}" = yes ] && [ -x "$peer" ] || peer=

# ports N: so many free ports in a row, the first one
ports() {
  python3 -c '
import socket, sys
for _ in range(50):
    row = [socket.socket()]
    row[0].bind(("127.0.0.1", 0))
    first = row[0].getsockname()[1]
    try:
        for n in range(1, int(sys.argv[1])):
            row.append(socket.socket())
            row[-1].bind(("127.0.0.1", first + n))
    except (OSError, OverflowError):
        continue
    print(first)
    break
else:
    sys.exit("no free ports")' "$1"
}

fail() { echo "$*" >&2; [ ! -s "${log:-}" ] || tail -n 20 "$log" >&2; exit 1; }

# forget PID: one that has ended is not to be stopped at the end
forget() {
  local at
  for at in "${!pids[@]}"; do [ "${pids[at]}" != "$1" ] || unset "pids[at]"; done
}

# end PID: of what was started here
end() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  forget "$1"
}

# started FILE PATTERN PID: waits until a program that runs has written it
started() {
  local patience=1200
  until grep -q "$2" "$1" 2>/dev/null; do
    kill -0 "$3" 2>/dev/null && [ $((patience--)) -gt 0 ] || { tail -n 20 "$1" >&2; return 1; }
    sleep 0.1
  done
}

# server: an OpenSearch that keeps nothing, whose address is then in $url
server() {
  : >"$work/nullbulk.log"
  "$work/nullbulk" -addr 127.0.0.1:0 >"$work/nullbulk.log" 2>&1 &
  sink=$!
  pids+=("$sink")
  started "$work/nullbulk.log" '^http' "$sink" || fail "nullbulk does not start"
  url=$(head -n 1 "$work/nullbulk.log")
}

taken() { call GET "$url/_count" | sed 's/{"count":\([0-9]*\).*/\1/'; }

# begin COMMAND…: starts what is measured; what it says goes to $log
begin() {
  log=$work/log
  (cd "$work" && exec python3 "$here/usage.py" /dev/null "$@") >"$work/usage" 2>"$log" &
  measured=$!
  pids+=("$measured")
  begun=$(date +%s.%N)
}

# reach N COUNT…: waits until the command COUNT prints N, at least
reach() {
  local n=$1 have=0 patience=2400
  shift
  until have=$("$@") && [ "${have:-0}" -ge "$n" ]; do
    [ $((patience--)) -gt 0 ] && kill -0 "$measured" 2>/dev/null || fail "$job: ${have:-0} of $n events have arrived"
    sleep 0.05
  done
  arrived=$(date +%s.%N)
}

# finished NAME [EVENTS]: what is measured is told to end, unless it has ended; appends "seconds CPU peak written" to $work/NAME.run
finished() {
  local status=0
  pkill -TERM -P "$measured" 2>/dev/null || true
  wait "$measured" || status=$?
  forget "$measured"
  case $status in 0 | 130 | 143) ;; *) fail "$1: ended with $status" ;; esac
  awk -v wall="$(awk -v a="$begun" -v b="${arrived:-$begun}" 'BEGIN {print b - a}')" '{print wall, $2, $3, $4}' "$work/usage" >>"$work/$1.run"
}

# exactly HAVE WANTED
exactly() { [ "$1" = "$2" ] || fail "$job: $1 events of $2 have arrived"; }

naru() { begin "$work/naru" logstash --path.data "$work/data" --path.settings "$work/settings" -f "$work/naru.conf" "${api[@]}"; }
# queue TYPE: settings, without anything of the run before
queue() {
  rm -rf "$work/data" "$work/settings"
  mkdir -p "$work/data" "$work/settings"
  echo "queue.type: $1" >"$work/settings/logstash.yml"
}
# With its API it can be asked how many events have come out.
api=()
if "$work/naru" logstash --help | grep -q api.http.port; then api=(--api.http.port "$(ports 1)"); fi
out_of_naru() {
  curl -sS "http://127.0.0.1:${api[1]}/_node/stats/pipelines" 2>/dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["pipelines"]["main"]["events"]["out"])' 2>/dev/null || echo 0
}

broker=
if doing kafka || doing file || doing moves; then
  if CHECK=1 "$broker_script" "$kafka" 2>"$work/missing" && PREPARE=1 "$broker_script" "$kafka" 2>"$work/missing"; then
    if doing kafka || doing file; then
      port=$(ports 5)
      TETHER=1 "$broker_script" "$kafka" "$port" "$work/kafka" >"$work/kafka.log" 2>&1 < <(exec tail -f /dev/null --pid=$$) &
      pids+=("$!")
      started "$work/kafka.log" 'Kafka Server started' "$!" || fail "Kafka does not start"
      broker=127.0.0.1:$port
    fi
  else
    echo "without Kafka: $(cat "$work/missing")" >&2
    for without in kafka file moves; do jobs=${jobs// $without / }; done
  fi
fi

grok='grok { match => { "message" => "%{COMBINEDAPACHELOG}" } } date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] } if [tags] { drop { } }'
to_opensearch() { printf 'output { opensearch { hosts => ["%s"] index => "events" manage_template => false } }\n' "$url"; }

# job_kafka RUN, and so on: a run of each
job_kafka() {
  job="Kafka -> OpenSearch"
  server
  queue persisted
  { printf 'input { kafka { bootstrap_servers => "%s" topics => ["access"] group_id => "naru-%s" auto_offset_reset => "earliest" } }\n' "$broker" "$1"
    echo "filter { $grok }"; to_opensearch; } >"$work/naru.conf"
  naru
  reach "$events" taken
  finished kafka
  exactly "$(taken)" "$events"
  end "$sink"
}

job_beats() {
  job="Beats -> OpenSearch"
  server
  queue persisted
  local port; port=$(ports 1)
  { echo "input { beats { host => \"127.0.0.1\" port => $port } }"; to_opensearch; } >"$work/naru.conf"
  naru
  "$work/feed" beats -to "127.0.0.1:$port" -n "$events" -conns "$conns" >"$work/fed" || fail "$job: was not read"
  reach "$events" taken
  finished beats
  exactly "$(taken)" "$events"
  end "$sink"
}

in_topic() { "$work/feed" count -to "$broker" -topic "$1"; }

job_file() {
  job="file -> Kafka"
  queue persisted
  "$work/feed" topic -to "$broker" -topic "file-$1"
  cat >"$work/naru.conf" <<C
input { file { path => "$work/access.log" mode => "read" exit_after_read => true file_completed_action => "log" file_completed_log_path => "$work/completed" } }
output { kafka { bootstrap_servers => "$broker" topic_id => "file-$1" codec => json } }
C
  naru
  wait_for_end
  finished file
  exactly "$(in_topic "file-$1")" "$events"
}

# wait_for_end: of what ends by itself
wait_for_end() {
  local patience=2400
  while kill -0 "$measured" 2>/dev/null && [ $((patience--)) -gt 0 ]; do sleep 0.05; done
  arrived=$(date +%s.%N)
}

# to_null NAME QUEUE KIND: what is listened for is fed, and goes nowhere
to_null() {
  job="$3 -> null ($2)"
  queue "$2"
  local port codec to; port=$(ports 1)
  case $3 in
    tcp) codec='codec => json_lines dns_reverse_lookup_enabled => false' to=127.0.0.1:$port ;;
    http) codec='additional_codecs => { "application/x-ndjson" => "json_lines" }' to=http://127.0.0.1:$port ;;
  esac
  echo "input { $3 { host => \"127.0.0.1\" port => $port $codec } } output { null { } }" >"$work/naru.conf"
  if [ "${4:-}" = syncs ]; then
    begin strace -f --seccomp-bpf -qq -e trace=fsync,fdatasync -o "$work/$1.trace" "$work/naru" logstash --path.data "$work/data" --path.settings "$work/settings" -f "$work/naru.conf" "${api[@]}"
  else
    naru
  fi
  "$work/feed" "$3" -to "$to" -n "$events" -conns "$conns" >"$work/fed" || fail "$job: was not read"
  [ "${#api[@]}" = 0 ] || { reach "$events" out_of_naru; exactly "$(out_of_naru)" "$events"; }
  arrived=$(date +%s.%N)
  if [ "${4:-}" = syncs ]; then
    awk -v n="$(grep -cE 'f(data)?sync\(' "$work/$1.trace" || true)" '{print n / $1}' "$work/fed" >"$work/$1.syncs"
    pkill -TERM -P "$(pgrep -P "$measured" -x strace)" || true
    finished traced
  else
    finished "$1"
  fi
}

# gogstash JOB INPUT FILTER: what the peer needs for so many events, to the null server or a topic
gogstash() {
  printf 'chsize: 1000\nworker: 1\ninput: [{%s}]\nfilter: [%s]\noutput: [{%s}]\n' "$2" "$3" "$4" >"$work/gogstash.yml"
  begin "$peer" --config gogstash.yml
}
elastic() { echo "type: elastic, url: ['$url'], index: events, sniff: false, simple_client: true, bulk_actions: 1000, bulk_flush_interval: 1000000000"; }
peer_job() {
  set -e
  pids=()
  trap 'for pid in "${pids[@]}"; do kill "$pid" || true; done 2>/dev/null' EXIT # what a failure leaves
  trap 'exit 143' TERM
  job="gogstash: $1"
  local port; port=$(ports 1)
  case $1 in
    kafka)
      server
      gogstash kafka "type: kafka, version: 2.1.0, brokers: ['$broker'], topics: [few], group: gogstash, offset_oldest: true, assignor: range, codec: default" \
        '{type: grok, match: ["%{COMBINEDAPACHELOG}"], source: message}, {type: date, format: ["02/Jan/2006:15:04:05 -0700"], source: timestamp}' "$(elastic)"
      reach "$peer_events" taken ;;
    beats)
      server
      gogstash beats "type: beats, host: 127.0.0.1, port: $port, codec: json" '' "$(elastic)"
      "$work/feed" beats -to "127.0.0.1:$port" -n "$peer_events" -conns "$conns" >"$work/fed" || return 1
      reach "$peer_events" taken ;;
    file)
      "$work/feed" topic -to "$broker" -topic peer
      gogstash file "type: file, path: '$work/few.log', start_position: beginning, sincepath: '$work/since', codec: default" '' \
        "type: kafka, version: 2.1.0, brokers: ['$broker'], topics: [peer]"
      reach "$peer_events" in_topic peer ;;
  esac
  finished "peer-$1"
  [ "$1" = file ] || end "$sink"
}

began=$SECONDS
if doing kafka; then "$work/feed" kafka -to "$broker" -topic access -n "$events" "$work/access.log" >"$work/fed" || fail "Kafka cannot be filled"; fi
for run in $(seq "$runs"); do
  if doing kafka; then job_kafka "$run"; fi
  if doing beats; then job_beats "$run"; fi
  if doing file; then job_file "$run"; fi
  if doing tcp; then to_null tcp-persisted persisted tcp; to_null tcp-memory memory tcp; fi
  if doing http; then to_null http persisted http; fi
done
if command -v strace >/dev/null; then
  if doing tcp; then to_null tcp-persisted persisted tcp syncs; fi
  if doing http; then to_null http persisted http syncs; fi
fi
if [ -n "$peer" ]; then
  head -n "$peer_events" "$work/access.log" >"$work/few.log"
  if doing kafka; then "$work/feed" kafka -to "$broker" -topic few -n "$peer_events" "$work/few.log" >"$work/fed"; fi
  for name in kafka beats file; do
    doing "$name" || continue
    (peer_job "$name") & # by itself: what it cannot do is no failure
    peering=$!
    pids+=("$peering")
    wait "$peering" || { rm -f "$work/peer-$name.run"; echo "without gogstash in $name" >&2; }
    forget "$peering"
  done
fi

# row NAME JOB [NOTE]
row() {
  [ -s "$work/$2.run" ] || return 0
  local per_peer=0 syncs=
  [ ! -s "$work/peer-$2.run" ] || per_peer=$(awk -v n="$peer_events" '{print n / $2}' "$work/peer-$2.run")
  [ ! -s "$work/$2.syncs" ] || syncs=$(cat "$work/$2.syncs")
  awk -v name="$1" -v n="$events" -v wall="$(median "$work/$2.run" 1)" -v cpu="$(median "$work/$2.run" 2)" -v rss="$(median "$work/$2.run" 3)" -v peer="$per_peer" -v syncs="$syncs" \
    'BEGIN {printf "%-44s %12.0f %13.0f %8.1f %6.0f %9s %10s\n", name, n / cpu, cpu / n * 1e9, wall, rss, (syncs != "" ? sprintf("%.0f", syncs) : ""), (peer > 0 ? sprintf("%.1fx", n / cpu / peer) : "")}'
}
table() {
  printf '%-44s %12s %13s %8s %6s %9s %10s\n' "$events events, median of $runs" events/CPU-s "CPU ns/event" seconds MiB fsyncs/s "/ gogstash"
  row "Kafka -> grok, date -> OpenSearch" kafka
  row "Beats -> OpenSearch" beats
  row "file -> Kafka" file
  row "tcp, json_lines -> null, disk queue" tcp-persisted
  row "tcp, json_lines -> null, queue in memory" tcp-memory
  row "http, 100 events a request -> null, disk queue" http
  for name in kafka beats file; do
    [ ! -s "$work/peer-$name.run" ] || awk -v name="gogstash: $name" -v n="$peer_events" '{printf "%-44s %12.0f %13.0f %8.1f %6.0f\n", name, n / $2, $2 / n * 1e9, $1, $3}' "$work/peer-$name.run"
  done
  if [ -s "$work/tcp-persisted.run" ]; then
    awk -v n="$events" -v with="$(median "$work/tcp-persisted.run" 2)" -v without="$(median "$work/tcp-memory.run" 2)" \
      'BEGIN {printf "the disk queue costs %.0f ns of CPU for an event\n", (with - without) / n * 1e9}'
  fi
}
if doing moves && [ "${MOVES:-yes}" = yes ]; then
  mkdir "$work/groups.d"
  "$work/moves" -naru "$work/naru" -broker "$broker_script" -version "$kafka" -dir "$work/groups.d" classic consumer >"$work/groups" &
  moving=$!; pids+=("$moving"); wait "$moving" || fail "moves: groups"; forget "$moving"
  mkdir "$work/restarts.d"
  "$work/moves" -naru "$work/naru" -broker "$broker_script" -version "$kafka" -dir "$work/restarts.d" broker opensearch >"$work/restarts" &
  moving=$!; pids+=("$moving"); wait "$moving" || fail "moves: restarts"; forget "$moving"
fi
table
if [ -s "$work/groups" ]; then
  printf '\n%-54s %14s %14s %9s %8s %6s\n' "4 members of a group, 12 partitions" "all read after" "stood still" events doubled lost
  awk -F '\t' '{printf "%-54s %12.1f s %12.1f s %9d %8d %6d\n", $1, $2, $3, $4, $5, $6}' "$work/groups"
  printf '\n%-40s %9s %14s %9s %9s %8s %6s\n' "a server is restarted" "away" "stood still" events/s events doubled lost
  awk -F '\t' '{printf "%-40s %7.1f s %12.1f s %9d %9d %8d %6d\n", $1, $2, $3, $4, $5, $6, $7}' "$work/restarts"
fi
echo "took $((SECONDS - began)) s; load of the machine: $(cut -d ' ' -f 1-3 /proc/loadavg)" >&2
