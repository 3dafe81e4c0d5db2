#!/bin/bash
# broker.sh VERSION PORT DATA_DIR [setting=value ...]
# Starts one Kafka node (KRaft: broker and controller) in the foreground, with the jars from Maven Central and no
# distribution. The first start of a VERSION downloads under .cache/kafka of the project. Listeners on 127.0.0.1:
#   PORT    PLAINTEXT         PORT+1  the controller's
#   PORT+2  SASL_PLAINTEXT    PORT+3  SASL_SSL (TLS)    PORT+4  SSL (TLS)
# SASL is PLAIN, SCRAM-SHA-256 and -512: user naru, password naru-secret. In the environment:
#   TLS      not empty: the listeners with TLS, too; DATA_DIR/ca.pem vouches for the server
#   HEAP     heap size, 400m unless told
#   JAVA     the java binary to run
#   CHECK    not empty: only say what is missing to start it
#   PREPARE  not empty: only download
#   TETHER   not empty: stop when standard input ends
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$1
shift
cache=${NARU_CACHE:-$(cd "$here/../../.." && pwd)/.cache}/kafka
lib=$cache/$version
java=${JAVA:-java}
for tool in mvn flock keytool "$java"; do
  command -v "$tool" >/dev/null || { echo "starting Kafka $version needs $tool" >&2; exit 1; }
done
[ -z "${CHECK:-}" ] || exit 0

# One at a time: brokers may be started by several processes.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -f "$lib/complete" ]; then
  rm -rf "$lib"
  get() { mvn -B -q -f "$here/pom.xml" -Dkafka.version="$version" "$@" >"$cache/$version.log" 2>&1 9>&- || { cat "$cache/$version.log" >&2; exit 1; }; }
  get org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$lib"
  # What SLF4J logs by: Kafka 4 has log4j 2, Kafka 3 nothing without its tools.
  core=$(find "$lib" -name 'log4j-core-*.jar' | sed -n 's/.*log4j-core-\(.*\)\.jar$/\1/p')
  loggers=(ch.qos.reload4j:reload4j:1.2.25 org.slf4j:slf4j-reload4j:1.7.36)
  [ -z "$core" ] || loggers=("org.apache.logging.log4j:log4j-slf4j-impl:$core")
  for logger in "${loggers[@]}"; do
    get org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$logger" -DoutputDirectory="$lib"
  done
  touch "$lib/complete"
fi
exec 9>&-
[ -z "${PREPARE:-}" ] || exit 0

port=$1 data=$2; shift 2
mkdir -p "$data"
data=$(cd "$data" && pwd)
# Logs go to standard output: Kafka 4 has log4j 2, Kafka 3 reload4j.
cat >"$data/log4j2.properties" <<L
status=error
rootLogger.level=INFO
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=[%d] %p %m (%c)%n
L
cat >"$data/log4j.properties" <<L
log4j.rootLogger=INFO,C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.layout=org.apache.log4j.PatternLayout
log4j.appender.C.layout.ConversionPattern=[%d] %p %m (%c)%n
L
if [ -n "${TLS:-}" ] && [ ! -f "$data/server.p12" ]; then
  store=(-storetype PKCS12 -storepass changeit)
  {
    keytool -genkeypair -alias ca -keyalg RSA -keysize 2048 -validity 3650 -dname CN=testbed -ext bc:c -keystore "$data/ca.p12" "${store[@]}"
    keytool -exportcert -alias ca -rfc -keystore "$data/ca.p12" -storepass changeit >"$data/ca.pem"
    for who in server client; do
      keytool -genkeypair -alias $who -keyalg RSA -keysize 2048 -validity 3650 -dname CN=$who -keystore "$data/$who.p12" "${store[@]}"
      keytool -certreq -alias $who -keystore "$data/$who.p12" -storepass changeit |
        keytool -gencert -alias ca -rfc -ext san=ip:127.0.0.1,dns:localhost -keystore "$data/ca.p12" -storepass changeit >"$data/$who.pem"
      keytool -importcert -noprompt -alias ca -file "$data/ca.pem" -keystore "$data/$who.p12" -storepass changeit
      keytool -importcert -noprompt -alias $who -file "$data/$who.pem" -keystore "$data/$who.p12" -storepass changeit
    done
    keytool -importcert -noprompt -alias ca -file "$data/ca.pem" -keystore "$data/trust.p12" "${store[@]}"
    keytool -importcert -noprompt -alias ca -file "$data/ca.pem" -keystore "$data/trust.jks" -storetype JKS -storepass changeit
  } 2>"$data/keytool.log" || { cat "$data/keytool.log" >&2; exit 1; }
fi
at=127.0.0.1
clients="PLAINTEXT://$at:$port,SASL_PLAINTEXT://$at:$((port + 2))"
[ -z "${TLS:-}" ] || clients="$clients,SASL_SSL://$at:$((port + 3)),SSL://$at:$((port + 4))"
{
  cat <<S
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$at:$((port + 1))
controller.listener.names=CONTROLLER
listeners=$clients,CONTROLLER://$at:$((port + 1))
advertised.listeners=$clients
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=PLAINTEXT
log.dirs=$data/log
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
S
  for l in sasl_plaintext ${TLS:+sasl_ssl}; do
    echo "listener.name.$l.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_naru=\"naru-secret\";"
    for m in 256 512; do
      echo "listener.name.$l.scram-sha-$m.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
    done
  done
  if [ -n "${TLS:-}" ]; then
    cat <<S
ssl.keystore.location=$data/server.p12
ssl.keystore.password=changeit
ssl.keystore.type=PKCS12
ssl.truststore.location=$data/trust.p12
ssl.truststore.password=changeit
ssl.truststore.type=PKCS12
ssl.client.auth=none
listener.name.ssl.ssl.client.auth=required
S
  fi
  case $version in
    3.[0-6].*) ;;
    3.*) echo "group.coordinator.rebalance.protocols=classic,consumer" ;; # KIP-848 before Kafka 4
  esac
  for setting in "$@"; do echo "$setting"; done
} >"$data/server.properties"
logging=(-Dlog4j2.configurationFile="$data/log4j2.properties" -Dlog4j.configuration=file:"$data/log4j.properties")
if [ ! -f "$data/log/meta.properties" ]; then
  id=k$(head -c 32 /dev/urandom | base64 | tr -dc 'a-zA-Z0-9' | head -c 20)A # 16 bytes in base64, whose last digit ends in zeros
  "$java" -Xmx256m "${logging[@]}" -cp "$lib/*" kafka.tools.StorageTool format -t "$id" \
    -c "$data/server.properties" \
    --add-scram 'SCRAM-SHA-256=[name=naru,password=naru-secret]' --add-scram 'SCRAM-SHA-512=[name=naru,password=naru-secret]' \
    >"$data/format.log" 2>&1 || { cat "$data/format.log" >&2; exit 1; }
fi
run=(nice -n 5 "$java" -Xms128m -Xmx"${HEAP:-400m}" -XX:+UseSerialGC -Djava.awt.headless=true "${logging[@]}" -cp "$lib/*" kafka.Kafka "$data/server.properties")
[ -n "${TETHER:-}" ] || exec "${run[@]}"
"${run[@]}" </dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server"; exit' TERM INT
(cat; kill "$server") <&0 >/dev/null 2>&1 &
wait "$server"
