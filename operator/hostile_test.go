package operator

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/operator/v1alpha1"
)

// TestNoObjectThatTheAPIServerTakesCannotBeRead tries values that fit the type of a schema, and not that of Go: an operator that cannot read
// one object can list none.
func TestNoObjectThatTheAPIServerTakesCannotBeRead(t *testing.T) {
	t.Parallel()
	b := kubeTest(t)
	const pipeline, move = "pipeline: {config: 'input { stdin {} }'}", "from: {archive: {dir: /a}}, to: {ndjson: {dir: /b}}"
	for i, text := range []string{
		"Environment {environment: x, ttl: soon}", "Environment {environment: x, ttl: ''}", "Environment {environment: x, ttl: 9999999h}",
		"Environment {environment: x, interval: 5}", "Environment {environment: x, interval: 1d}", "Environment {environment: x, interval: 5m5}",
		"Environment {environment: x, measure: {before: soon}}", "Environment {environment: x, measure: {after: 1x}}",
		"Flow {" + pipeline + ", volumes: [{name: a, secret: {secretName: a, defaultMode: 99999999999}}]}",
		"Flow {" + pipeline + ", tolerations: [{key: a, tolerationSeconds: 1.0e+30}]}",
		"Flow {" + pipeline + ", terminationGracePeriodSeconds: 92233720368547758080}",
		"Flow {" + pipeline + ", resources: {limits: {memory: lots}}}", "Flow {" + pipeline + ", resources: {limits: {memory: 1.5.5}}}",
		"Flow {" + pipeline + ", volumes: [{name: a, emptyDir: {sizeLimit: x}}]}",
		"Flow {" + pipeline + ", volumes: [{name: a, ephemeral: {volumeClaimTemplate: {metadata: {creationTimestamp: now}, spec: {}}}}]}",
		"Flow {" + pipeline + ", volumes: [{name: a, ephemeral: {volumeClaimTemplate: {metadata: 5, spec: {}}}}]}",
		"Flow {" + pipeline + ", volumes: [{name: a, ephemeral: {volumeClaimTemplate: {metadata: {labels: {a: 5}}, spec: {}}}}]}",
		"Flow {" + pipeline + ", topologySpreadConstraints: [{maxSkew: 3000000000, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}",
		"Migration {" + move + ", template: {volumes: [{name: a, configMap: {name: b, defaultMode: 3000000000}}]}}",
		"Migration {" + move + ", template: {env: [{name: A, valueFrom: {resourceFieldRef: {resource: cpu, divisor: x}}}]}}",
		"Migration {" + move + ", template: {terminationGracePeriodSeconds: -99999999999999999999}}",
	} {
		var kind, spec string
		if n, err := fmt.Sscanf(text, "%s", &kind); n != 1 || err != nil {
			t.Fatal(err)
		}
		spec = text[len(kind)+1:]
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(fmt.Appendf(nil, "apiVersion: naru.dev/v1alpha1\nkind: %s\nmetadata: {name: h%d, namespace: %s}\nspec: %s\n", kind, i, b.namespace, spec), &u.Object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		refused := b.client.Create(t.Context(), u)
		for _, l := range []client.ObjectList{&v1alpha1.FlowList{}, &v1alpha1.MigrationList{}, &v1alpha1.EnvironmentList{}} {
			if err := b.client.List(t.Context(), l, client.InNamespace(b.namespace)); err != nil {
				t.Errorf("%s was taken, and cannot be read: %v", text, err)
				if err := b.client.Delete(t.Context(), u); err != nil {
					t.Fatal(err)
				}
			}
		}
		if refused == nil {
			t.Logf("%s is taken", text)
		}
	}
}
