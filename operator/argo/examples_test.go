package argo

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/narudata/naru/internal/testbed"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// written gives the YAML of the documentation and of the examples, by file.
func written(t *testing.T) map[string]string {
	t.Helper()
	root := testbed.Root(t)
	out := map[string]string{}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, block := range yamlBlock.FindAllStringSubmatch(read(filepath.Join(root, "docs", "canary.md")), -1) {
		out["docs/canary.md"] += "\n---\n" + block[1]
	}
	err := filepath.WalkDir(filepath.Join(root, "examples", "gitops"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			if text := read(path); strings.Contains(text, Name) {
				out[path] = text
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// What people copy is what the controller and the plugin take.
func TestExamplesAreWhatTheControllerAndThePluginTake(t *testing.T) {
	metrics, rollouts, steps := 0, 0, 0
	for file, text := range written(t) {
		d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
		for {
			var o unstructured.Unstructured
			err := d.Decode(&o.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			switch o.GetKind() {
			case "AnalysisTemplate":
				var a v1alpha1.AnalysisTemplate
				if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &a, true); err != nil {
					t.Errorf("%s: %s: %v", file, o.GetName(), err)
				}
				for _, m := range a.Spec.Metrics {
					// As ValidateMetric of the controller's utils/analysis says.
					count := m.Count.IntValue()
					for _, limit := range []*intstr.IntOrString{m.FailureLimit, m.InconclusiveLimit} {
						if limit != nil && count > 0 && count < limit.IntValue() {
							t.Errorf("%s: %s: metric %s: a limit of %d of %d measurements", file, o.GetName(), m.Name, limit.IntValue(), count)
						}
					}
					if count > 1 && m.Interval == "" {
						t.Errorf("%s: %s: metric %s: several measurements without an interval", file, o.GetName(), m.Name)
					}
					if _, ours := m.Provider.Plugin[Name]; ours {
						metrics++
						if _, err := metricOf(m); err != nil {
							t.Errorf("%s: %s: metric %s: %v", file, o.GetName(), m.Name, err)
						}
					}
				}
			case "Rollout":
				var r v1alpha1.Rollout
				if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &r, true); err != nil {
					t.Errorf("%s: %s: %v", file, o.GetName(), err)
				}
				rollouts++
				if _, err := routingOf(&r); err != nil {
					t.Errorf("%s: %s: %v", file, o.GetName(), err)
				}
				for i, s := range r.Spec.Strategy.Canary.Steps {
					if s.Plugin == nil || s.Plugin.Name != Name {
						continue
					}
					steps++
					var step Step
					err := decode(s.Plugin.Config, &step)
					if err == nil {
						err = step.validate()
					}
					if err != nil {
						t.Errorf("%s: %s: step %d: %v", file, o.GetName(), i, err)
					}
				}
			}
		}
	}
	if metrics < 4 || rollouts < 1 || steps < 1 {
		t.Errorf("found %d metrics, %d Rollouts and %d steps", metrics, rollouts, steps)
	}
}
