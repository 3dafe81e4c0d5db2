package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/operator/v1alpha1"
)

func TestAnEnvironmentWithKafkaIsPlannedAndAppliedFromTheCommandLine(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("c1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := newEstateBench(t)
	b.file("d/base/env.yaml", "estate: shop\nkafka: {brokers: [\""+c.ListenAddrs()[0]+"\"]}\nvariables: {shards: 1, days: 7}\n")
	b.file("d/base/kafka-topics/orders.yaml", "partitions: 3\nreplicationFactor: 1\nconfigs: {retention.ms: 604800000}\n")
	b.file("d/base/kafka-groups/indexer.yaml", "topics: {orders: latest}\n")
	b.file("d/base/pipelines/web.conf", "input { stdin {} }\nfilter { mutate { add_field => { \"h\" => \"${HOST}\" } } }\noutput { stdout {} }\n")
	out, _ := b.naru(exitDifference, "plan", "-f", "d", "-e", "prod", "--out", "plan.json")
	b.has(out, "kafka c1 at "+c.ListenAddrs()[0], "+ create  kafka-topics/orders  risk low", "+ create  kafka-groups/indexer", "there is no such topic yet", "1 flow or pipeline is declared, and nothing here runs such")
	b.naru(exitOK, "apply", "plan.json")
	out, _ = b.naru(exitOK, "plan", "-f", "d", "-e", "prod")
	b.has(out, "No changes")
	b.file("d/base/kafka-topics/orders.yaml", "partitions: 2\nreplicationFactor: 1\nconfigs: {retention.ms: 7d}\n")
	_, errs := b.naru(exitFailed, "plan", "-f", "d", "-e", "prod")
	b.has(errs, `d/base/kafka-topics/orders.yaml: configs.retention.ms: "7d" is no number of milliseconds`[2:])
	b.file("d/base/kafka-topics/orders.yaml", "partitions: 2\nreplicationFactor: 1\n")
	out, _ = b.naru(exitDifference, "plan", "-f", "d", "-e", "prod")
	b.has(out, "  ! it has 3 partitions, and partitions can only be added")
	b.naru(exitFailed, "apply", "-f", "d", "-e", "prod", "--yes")
	b.file("d/overlays/prod/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"]}\nvariables: {shards: 3}\nkafka: {sasl: {mechanism: PLAIN}}\n")
	_, errs = b.naru(exitFailed, "plan", "-f", "d", "-e", "prod")
	b.has(errs, "set NARU_KAFKA_USERNAME and NARU_KAFKA_PASSWORD")
}

func TestRenderedManifestsAreTheSameEachTimeAndHaveNoSecrets(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/base/pipelines/web.conf", "input { stdin {} }\nfilter { mutate { add_field => { \"h\" => \"${HOST}\" \"n\" => \"${shards}\" } } }\noutput { stdout {} }\n")
	b.file("d/overlays/prod/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"], auth: {username: naru, passwordFile: /etc/secret}}\nvariables: {shards: 3}\n")
	_, errs := b.naru(exitFailed, "env", "render", "-f", "d", "-e", "prod")
	b.has(errs, "target.auth needs a Secret with username and password: say which, by --search-secret NAME")
	args := []string{"env", "render", "-f", "d", "-e", "prod", "-n", "shop", "--search-secret", "os"}
	first, _ := b.naru(exitOK, args...)
	again, _ := b.naru(exitOK, args...)
	if first != again {
		t.Error("twice the same directory, and another text")
	}
	if strings.Contains(first, "/etc/secret") {
		t.Errorf("a file of this machine: %s", first)
	}
	b.has(first, "kind: Environment\n", "\n---\napiVersion: naru.dev/v1alpha1\nkind: Flow\nmetadata:\n  name: web\n  namespace: shop\n", `"h" => "${HOST}" "n" => "3"`, "secretRef:\n        name: os\n")
	for doc := range strings.SplitSeq(first, "---\n") {
		var m struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(doc), &m); err != nil || m.APIVersion != "naru.dev/v1alpha1" || m.Metadata.Namespace != "shop" {
			t.Errorf("%+v %v", m, err)
		}
	}
	if err := os.RemoveAll("d/base/pipelines"); err != nil {
		t.Fatal(err)
	}
	if out, _ := b.naru(exitOK, args...); strings.Contains(out, "---") {
		t.Errorf("one manifest: %s", out)
	}
}

// TestRenderedManifestsAreWhatTheOperatorTakes decodes them strictly: a field that the API does not have is an error.
func TestRenderedManifestsAreWhatTheOperatorTakes(t *testing.T) {
	b := newEstateBench(t)
	b.file("d/base/pipelines/web.conf", "input { stdin {} }\noutput { stdout {} }\n")
	b.file("d/base/flows/history.yaml", "flow: {source: {archive: {path: /a}}, sink: {opensearch: {urls: [\"http://x:1\"]}}}\nreplicas: 3\n")
	b.file("d/base/kafka-topics/orders.yaml", "partitions: 3\n")
	b.file("d/overlays/prod/env.yaml", `
target: {urls: ["https://x:9200"], tls: {caFile: /ca.pem, certFile: /c.pem, keyFile: /k.pem}, auth: {username: naru}}
kafka: {brokers: ["k:9092"], tls: {caFile: /ca.pem}, sasl: {mechanism: SCRAM-SHA-512, username: naru}}
dashboards: {url: "https://d:5601", auth: {sigv4: es, region: eu-west-1}}
variables: {shards: 3}
drift: {repair: [ingest-pipelines]}
limits: {shards: 900, storage: 2TiB, monthly: 100.5}
`)
	out, _ := b.naru(exitOK, "env", "render", "-f", "d", "-e", "prod", "--name", "shop-prod", "--search-secret", "os", "--kafka-secret", "k", "--ca-secret", "ca", "--cert-secret", "cert")
	docs := strings.Split(out, "---\n")
	if len(docs) != 3 {
		t.Fatalf("%d documents", len(docs))
	}
	var e v1alpha1.Environment
	if err := yaml.UnmarshalStrict([]byte(docs[0]), &e); err != nil {
		t.Fatalf("%v\n%s", err, docs[0])
	}
	if e.Name != "shop-prod" || e.Spec.Environment != "prod" || e.Spec.Target.TLS.CASecretRef.Key != "ca.crt" || e.Spec.Target.TLS.CertSecretRef.Name != "cert" ||
		e.Spec.Kafka.SASL.SecretRef.Name != "k" || e.Spec.Dashboards.Auth.SigV4 != "es" || e.Spec.Drift.Repair[0] != "ingest-pipelines" || !strings.Contains(string(e.Spec.Limits.Raw), "900") {
		t.Errorf("%+v", e.Spec)
	}
	for _, doc := range docs[1:] {
		var f v1alpha1.Flow
		if err := yaml.UnmarshalStrict([]byte(doc), &f); err != nil || (f.Spec.Pipeline == nil) == (f.Spec.Flow == nil) {
			t.Errorf("%v\n%s", err, doc)
		}
	}
}
