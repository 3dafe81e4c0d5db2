# nodes.sh is sourced by scripts that measure with nodes. Wants $root, and $out: the folder of repository.sh, where nodes may
# have repositories. Makes $work, a temporary folder in the same file system. What is started by this ends with the script,
# however that ends.

work=$(mktemp -d "$out/work.XXXXXX")
pids=()
finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# skip WHY: nothing is measured here, which is no failure
skip() {
  echo "skipped: $*" >&2
  exit 0
}

# prepare NAME…: downloads and builds the servers
prepare() {
  local name
  for name; do
    if ! PREPARE=1 "$root/internal/testbed/search/node.sh" "$name" >"$work/prepare" 2>&1; then
      tail -n 30 "$work/prepare" >&2
      skip "$name cannot be started here"
    fi
  done
}

# start NAME PORT HEAP [setting…]: a node, whose process is then in $node
start() {
  local patience=180
  : >"$work/$1.log"
  TETHER=1 HEAP=$3 "$root/internal/testbed/search/node.sh" "$1" "$2" "$work/$1" "$out" "${@:4}" >>"$work/$1.log" 2>&1 < <(exec tail -f /dev/null --pid=$$) &
  node=$!
  pids+=("$node")
  until grep -q '^started' "$work/$1.log"; do
    kill -0 "$node" 2>/dev/null && [ $((patience--)) -gt 0 ] || { tail -n 30 "$work/$1.log" >&2; skip "$1 did not start on port $2"; }
    sleep 1
  done
}

call() { curl -sS --fail-with-body -H 'Content-Type: application/json' -X "$@"; }

# jiffies PID…: user and system time of processes so far, in seconds
jiffies() {
  local pid
  for pid; do cat "/proc/$pid/stat"; done | awk -v hz="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); t += $12 + $13} END {print t / hz}'
}

# written PID…: what processes have had written to disk so far, in MB
written() {
  local pid
  for pid; do cat "/proc/$pid/io"; done | awk '/^write_bytes/ {t += $2} END {print t / 1e6}'
}

# usage COMMAND…: runs it; its seconds, CPU seconds, peak MiB and MB written are then in $work/usage, what it printed in
# $work/usage.out
usage() {
  local client status=0
  python3 "$root/bench/usage.py" "$work/usage.out" "$@" >"$work/usage" &
  client=$!
  pids+=("$client")
  wait "$client" || status=$?
  unset 'pids[-1]'
  if [ "$status" != 0 ]; then
    tail -n 20 "$work/usage.out" >&2
    echo "$1 ended with $status" >&2
  fi
  return "$status"
}

# median FILE COLUMN
median() { awk -v c="$2" '{print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
