package kubetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/operator/v1alpha1"
)

// TestSamplingMaskingAndRetentionOfAnEnvironmentAreThoseOfEnvYaml declares a flow: its first stages are the Environment's, and what retention
// means and no policy does is said.
func TestSamplingMaskingAndRetentionOfAnEnvironmentAreThoseOfEnvYaml(t *testing.T) {
	t.Parallel()
	b := kube(t)
	s, _ := search(t, osfake.Options{})
	ns := b.namespace(t)
	b.apply(t, ns, `
apiVersion: naru.dev/v1alpha1
kind: Environment
metadata: {name: staging}
spec:
  environment: staging
  target: {urls: [%q]}
  variables: {share: 5%%, days: 30d}
  retention: {"logs-*": "${days}"}
  sampling: {rate: "${share}", by: trace.id}
  masking: {fields: [user.email, client.ip], keyFile: /keys/mask}
  ism: {changeManaged: true}
  measure: {disabled: true}
  objects:
    flows:
      shop: {flow: {source: {archive: {dir: /a}}, sink: {ndjson: {dir: /b}}, stages: [{drop: {fields: [x]}}]}, suspend: true}
      whole: {flow: {source: {archive: {dir: /a}}, sink: {ndjson: {dir: /c}}, stages: [{sample: {rate: 100%%}}]}, suspend: true}
`, s.URL())
	e := b.environmentIs(t, ns, "staging", "Ready/Applied")
	for name, want := range map[string][]string{"shop": {"sample", "mask", "drop"}, "whole": {"mask", "sample"}} {
		var f v1alpha1.Flow
		if err := b.client.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, &f); err != nil {
			t.Fatal(err)
		}
		var flow struct{ Stages []map[string]any }
		if err := yaml.Unmarshal(f.Spec.Flow.Raw, &flow); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, stage := range flow.Stages {
			for kind := range stage {
				got = append(got, kind)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stages of %s: %s", name, diff)
		}
		if name == "shop" {
			want := []map[string]any{{"sample": map[string]any{"rate": "5%", "by": "trace.id"}}, {"mask": map[string]any{"fields": []any{"user.email", "client.ip"}, "keyFile": "/keys/mask"}}}
			if diff := cmp.Diff(want, flow.Stages[:2]); diff != "" {
				t.Error(diff)
			}
		}
	}
	note := "retention of logs-* is 30 days, and no ISM policy that is declared manages such indices"
	within(t, patience, func() (bool, string) {
		e = b.environment(t, ns, "staging")
		return e.Status.Plan != nil && strings.Contains(strings.Join(e.Status.Plan.Notes, "\n"), note), asJSON(t, e.Status.Plan)
	})
	// The API server knows what cannot be right.
	for spec, why := range map[string]string{
		"sampling: {rate: some}":                        "should match",
		"sampling: {rate: 1%, by: 'trace.*'}":           "by names one field",
		"sampling: {by: trace.id}":                      "Required value",
		"masking: {fields: []}":                         "at least 1 items",
		"masking: {keyFile: /keys/mask}":                "Required value",
		"retention: {'logs-*': a while}":                "should match",
		"dashboards: {url: 'http://x', tenant: {a: b}}": "must be of type string",
		"ism: {changeManaged: maybe}":                   "must be of type boolean",
		"measure: {before: soon}":                       "should match",
	} {
		wrong := &unstructured.Unstructured{}
		text := fmt.Sprintf("apiVersion: naru.dev/v1alpha1\nkind: Environment\nmetadata: {name: wrong, namespace: %s}\nspec:\n  environment: x\n  target: {urls: [http://x]}\n  %s\n", ns, spec)
		if err := yaml.Unmarshal([]byte(text), &wrong.Object); err != nil {
			t.Fatal(err)
		}
		err := b.client.Create(t.Context(), wrong)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %s", spec, err, why)
		}
	}
}
