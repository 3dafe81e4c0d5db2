package operator

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/operator/v1alpha1"
)

// bridged is the Secret that a bridge wrote: values as annotations.
func bridged(values map[string]string) *corev1.Secret {
	s := secret("naru-bridge", nil)
	s.Annotations = values
	return s
}

func TestWhatTheBridgeLacksIsNamedAndComesWithItsSecret(t *testing.T) {
	b := newEnvBed(t, bridged(map[string]string{"environment": "prod", "aws_region": "eu-central-1"}))
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Target = nil
		s.Bridge = &v1alpha1.Bridge{SecretRef: v1alpha1.BridgeSecretRef{Name: "naru-bridge"}}
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("${aws_region}-${shards}")}})
		s.Variables = raw(map[string]any{"shards": 3})
	})
	got, _ := b.look("shop")
	b.is(got, "Stalled/MissingValues")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "opensearch_url is missing, which is for environment: give Terraform an output opensearch_url") {
		t.Error(m)
	}
	b.put(bridged(map[string]string{"environment": "prod", "aws_region": "eu-central-1", "opensearch_url": b.search.URL()}))
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	if b.field("web") != "eu-central-1-3" {
		t.Errorf("the pipeline sets %q", b.field("web"))
	}
	b.put(bridged(map[string]string{"environment": "prod", "aws_region": "$${shards} ${shards}", "opensearch_url": b.search.URL()}))
	b.look("shop")
	if b.field("web") != "$${shards} ${shards}-3" { // a value is no text to be filled in
		t.Errorf("the pipeline sets %q", b.field("web"))
	}
	b.put(bridged(map[string]string{"environment": "dev", "opensearch_url": b.search.URL()}))
	got, _ = b.look("shop")
	b.is(got, "Stalled/InvalidSpec")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "is of the environment dev, not of prod") {
		t.Error(m)
	}
}

func TestABridgeOfAnotherNamespaceIsReadOnlyWhereTheOperatorAllowsIt(t *testing.T) {
	s := bridged(map[string]string{"environment": "prod"})
	b := newEnvBed(t, s)
	s = s.DeepCopy()
	s.Namespace, s.ResourceVersion = "argocd", ""
	s.Annotations["opensearch_url"] = b.search.URL()
	b.put(s)
	b.environment("shop", func(e *v1alpha1.EnvironmentSpec) {
		e.Target = nil
		e.Bridge = &v1alpha1.Bridge{SecretRef: v1alpha1.BridgeSecretRef{Name: "naru-bridge", Namespace: "argocd"}}
	})
	got, _ := b.look("shop")
	b.is(got, "Stalled/MissingReference")
	b.r.BridgeNamespaces = []string{"argocd"}
	got, _ = b.look("shop")
	b.is(got, "Ready/NothingToApply")
}

func TestCredentialsComeFromSecretsAndAreSaidNowhere(t *testing.T) {
	search := osfake.Start(t, osfake.Options{Username: "naru", Password: "rotated-secret", TLS: true})
	ca, err := os.ReadFile(search.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	b := newEnvBed(t)
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Target = &v1alpha1.SearchTarget{
			URLs: search.URLs, Auth: &v1alpha1.Auth{SecretRef: &v1alpha1.SecretRef{Name: "login"}},
			TLS: &v1alpha1.TLSFields{CAConfigMapRef: &v1alpha1.KeyRef{Name: "ca", Key: "ca.crt"}},
		}
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	got, _ := b.look("shop")
	b.is(got, "Stalled/MissingReference")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "there is no ConfigMap naru-system/ca") {
		t.Error(m)
	}
	b.put(configMap("ca", map[string]string{"ca.crt": string(ca)}))
	b.put(secret("login", map[string]string{"username": "naru"}))
	got, _ = b.look("shop")
	b.is(got, "Stalled/MissingReference")
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "the Secret naru-system/login has no key password") {
		t.Error(m)
	}
	b.put(secret("login", map[string]string{"username": "naru", "password": "first-secret"}))
	got, _ = b.look("shop")
	b.is(got, "Stalled/Forbidden")
	b.put(secret("login", map[string]string{"username": "naru", "password": "rotated-secret\n"}))
	got, _ = b.look("shop")
	b.is(got, "Ready/Applied")
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range append(b.told(), string(text)) {
		if strings.Contains(where, "-secret") {
			t.Errorf("a password is in %s", where)
		}
	}
}

func TestVariablesOfTheOperatorsProcessAreNobodys(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-the-operator")
	b := newEnvBed(t)
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Variables = raw(map[string]any{"key": map[string]any{"env": "AWS_SECRET_ACCESS_KEY"}})
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("${key}")}})
	})
	got, _ := b.look("shop")
	b.is(got, "Stalled/InvalidSpec")
	if b.field("web") != "" {
		t.Errorf("the pipeline sets %q", b.field("web"))
	}
	if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "which is not set") {
		t.Error(m)
	}
}

func TestMistakesOfADeclarationAreSaidWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.EnvironmentSpec)
		want   string
	}{
		"kind": {func(s *v1alpha1.EnvironmentSpec) {
			s.Objects = raw(map[string]any{"index-template": map[string]any{"a": map[string]any{}}})
		}, `did you mean "index-templates"?`},
		"path": {func(s *v1alpha1.EnvironmentSpec) {
			s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"../x": 1}})
		}, `name "../x"`},
		"no body": {func(s *v1alpha1.EnvironmentSpec) { s.Objects = raw(map[string]any{"ingest-pipelines": 1}) }, "want names with bodies"},
		"variable": {func(s *v1alpha1.EnvironmentSpec) {
			s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"a": pipeline("${x}")}})
		}, "ingest-pipelines/a.json:1:"},
		"target":   {func(s *v1alpha1.EnvironmentSpec) { s.Target = nil }, "say the urls of the OpenSearch cluster"},
		"password": {func(s *v1alpha1.EnvironmentSpec) { s.Target.URLs = []string{"https://a:b@host"} }, "a name and password in a URL"},
		"limits":   {func(s *v1alpha1.EnvironmentSpec) { s.Limits = raw(map[string]any{"nonsense": 1}) }, "nonsense"},
		"repair":   {func(s *v1alpha1.EnvironmentSpec) { s.Drift = &v1alpha1.DriftPolicy{Repair: []string{"nonsense"}} }, "drift.repair"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEnvBed(t)
			b.environment("shop", c.change)
			got, _ := b.look("shop")
			b.is(got, "Stalled/InvalidSpec")
			if m := readyMessage(got.Status.Conditions); !strings.Contains(m, c.want) {
				t.Errorf("%q is not in: %s", c.want, m)
			}
		})
	}
}

func TestDeletingWithThePolicyDeleteTakesWhatTheEnvironmentOwns(t *testing.T) {
	b := newEnvBed(t)
	b.change("others", "o")
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.DeletionPolicy = v1alpha1.DeleteObjects
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
		s.Sources = []v1alpha1.ObjectSource{{Kind: "ingest-pipelines", ConfigMapRef: v1alpha1.ConfigMapRef{Name: "more"}}}
	})
	b.put(configMap("more", map[string]string{"api.json": `{"processors": [{"set": {"field": "b", "value": "x"}}]}`}))
	got, _ := b.look("shop")
	b.is(got, "Ready/Applied")
	if !slices.Contains(got.Finalizers, EnvironmentFinalizer) {
		t.Fatalf("finalizers: %v", got.Finalizers)
	}
	for _, o := range []client.Object{configMap("more", nil), e} { // the source may go first
		if err := b.kube.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ = b.look("shop"); got != nil {
		t.Fatalf("it is still there: %s", readyMessage(got.Status.Conditions))
	}
	if b.field("web") != "" || b.field("api") != "" || b.field("others") != "o" {
		t.Errorf("web %q, api %q, others %q", b.field("web"), b.field("api"), b.field("others"))
	}
	b.wasTold("Normal Deleted 2 objects deleted")
}

func TestDeletingWithThePolicyOrphanLeavesAll(t *testing.T) {
	b := newEnvBed(t)
	e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.DeletionPolicy = v1alpha1.DeleteObjects
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	b.look("shop")
	b.update(e, func(e *v1alpha1.Environment) { e.Spec.DeletionPolicy = v1alpha1.OrphanObjects })
	got, _ := b.look("shop")
	if len(got.Finalizers) != 0 {
		t.Errorf("finalizers: %v", got.Finalizers)
	}
	if err := b.kube.Delete(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.look("shop"); got != nil || b.field("web") != "a" {
		t.Errorf("gone: %t, web sets %q", got == nil, b.field("web"))
	}
}

func TestADeletionNeverHangs(t *testing.T) {
	for name, c := range map[string]struct {
		namespaceGoes bool
		wait          time.Duration
		gone          bool
	}{
		"waits for a while":                {false, time.Minute, false},
		"gives up after its time":          {false, 11 * time.Minute, true},
		"does not wait with its namespace": {true, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEnvBed(t)
			e := b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
				s.DeletionPolicy = v1alpha1.DeleteObjects
				s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
			})
			b.look("shop")
			if c.namespaceGoes {
				var ns corev1.Namespace
				if err := b.kube.Get(t.Context(), types.NamespacedName{Name: envNamespace}, &ns); err != nil {
					t.Fatal(err)
				}
				ns.Finalizers = []string{"kubernetes"}
				b.put(&ns)
				if err := b.kube.Delete(t.Context(), &ns); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.kube.Delete(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			b.search.StopNode(0)
			b.clock = time.Now().Add(c.wait)
			got, result := b.look("shop")
			if (got == nil) != c.gone {
				t.Fatalf("gone: %t", got == nil)
			}
			if c.gone {
				b.wasTold("Warning GaveUp what the Environment owns in prod may still be there")
				return
			}
			b.is(got, "Reconciling/Unreachable")
			if m := readyMessage(got.Status.Conditions); !strings.Contains(m, "given up in") || result.RequeueAfter == 0 {
				t.Errorf("again in %s: %s", result.RequeueAfter, m)
			}
			b.search.StartNode(0)
			if got, _ := b.look("shop"); got != nil || b.field("web") != "" {
				t.Error("the cluster is back, and it is still there")
			}
		})
	}
}

func TestAnEnvironmentVanishesWhenItsTimeIsOver(t *testing.T) {
	b := newEnvBed(t)
	b.environment("preview", func(s *v1alpha1.EnvironmentSpec) {
		s.TTL = &metav1.Duration{Duration: time.Hour}
		s.DeletionPolicy = v1alpha1.DeleteObjects
		s.Objects = raw(map[string]any{"ingest-pipelines": map[string]any{"web": pipeline("a")}})
	})
	got, result := b.look("preview")
	b.is(got, "Ready/Applied")
	if got.Status.ExpiresAt == nil || result.RequeueAfter > time.Hour {
		t.Errorf("expires at %v, again in %s", got.Status.ExpiresAt, result.RequeueAfter)
	}
	b.clock = b.clock.Add(time.Hour)
	got, _ = b.look("preview")
	if got == nil || got.DeletionTimestamp.IsZero() || got.Annotations[ApproveDeleteAnnotation] != "true" {
		t.Fatal("it is not being deleted")
	}
	b.clock = time.Now()
	if got, _ = b.look("preview"); got != nil || b.field("web") != "" {
		t.Error("it is still there")
	}
	b.wasTold("Normal Expired its ttl of 1h0m0s is over: the Environment is deleted, and what it owns is deleted")
}

func TestReferencesOfAnEnvironmentAreWatched(t *testing.T) {
	tls := &v1alpha1.TLSFields{CASecretRef: &v1alpha1.KeyRef{Name: "ca", Key: "x"}, CertSecretRef: &v1alpha1.SecretRef{Name: "cert"}}
	e := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: v1alpha1.EnvironmentSpec{
		Target:     &v1alpha1.SearchTarget{TLS: tls, Auth: &v1alpha1.Auth{SecretRef: &v1alpha1.SecretRef{Name: "search"}}},
		Kafka:      &v1alpha1.KafkaTarget{SASL: &v1alpha1.KafkaSASL{SecretRef: &v1alpha1.SecretRef{Name: "kafka"}}},
		Dashboards: &v1alpha1.DashboardsTarget{Auth: &v1alpha1.Auth{SecretRef: &v1alpha1.SecretRef{Name: "dash"}}},
		Bridge:     &v1alpha1.Bridge{SecretRef: v1alpha1.BridgeSecretRef{Name: "bridge", Namespace: "argocd"}},
		Sources:    []v1alpha1.ObjectSource{{ConfigMapRef: v1alpha1.ConfigMapRef{Name: "objects"}}},
	}}
	got := environmentRefers(e)
	for _, want := range []string{"Secret/ns/ca", "Secret/ns/cert", "Secret/ns/search", "Secret/ns/kafka", "Secret/ns/dash", "Secret/argocd/bridge", "ConfigMap/ns/objects"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not watched: %v", want, got)
		}
	}
}

func TestTheBridgesOwnSecretNamesWhoOpensTheCluster(t *testing.T) {
	search := osfake.Start(t, osfake.Options{Username: "naru", Password: "pw"})
	b := newEnvBed(t, bridged(map[string]string{"environment": "prod", "opensearch_url": search.URL(), "opensearch_secret": "login"}), secret("login", map[string]string{"username": "naru", "password": "pw"}))
	b.environment("shop", func(s *v1alpha1.EnvironmentSpec) {
		s.Target = nil
		s.Bridge = &v1alpha1.Bridge{SecretRef: v1alpha1.BridgeSecretRef{Name: "naru-bridge"}}
	})
	got, _ := b.look("shop")
	b.is(got, "Ready/NothingToApply")
	login := secret("login", nil)
	if n := len(b.r.referring("Secret")(t.Context(), login)); n != 1 {
		t.Errorf("%d Environments are looked at when that Secret changes, not 1", n)
	}
}

func TestListsOfTheBridgeAreListsOfAddresses(t *testing.T) {
	d := &declaration{variables: map[string]any{"brokers": []any{"a:1", "b:2"}, "url": "https://x"}}
	got := fmt.Sprint(d.list([]string{"${brokers}", "${url}", "c:3", "x${brokers}"}))
	if got != "[a:1 b:2 ${url} c:3 x${brokers}]" {
		t.Error(got)
	}
}

// flows is what an Environment's Flows are kept in.
func (b *envBed) flows() *kubeFlows {
	return &kubeFlows{b.kube, &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: envNamespace, Name: "shop"}}}
}

func TestFlowsOfAnEnvironmentAreFlowsOfItsNamespace(t *testing.T) {
	b := newEnvBed(t)
	f := b.flows()
	body := estate.Body{"pipeline": map[string]any{"config": "input {} output {}", "settings": map[string]any{"pipeline.workers": "2"}}, "replicas": json.Number("2")}
	if err := f.Put(t.Context(), "web", body, nil); err != nil {
		t.Fatal(err)
	}
	live, err := f.Get(t.Context(), "web")
	if err != nil || live == nil {
		t.Fatalf("%v, %v", live, err)
	}
	if got, want := fmt.Sprint(live.Body["replicas"], live.Body["pipeline"]), fmt.Sprint(body["replicas"], body["pipeline"]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var flow v1alpha1.Flow
	if err := b.kube.Get(t.Context(), types.NamespacedName{Namespace: envNamespace, Name: "web"}, &flow); err != nil {
		t.Fatal(err)
	}
	if flow.Labels[EnvironmentLabel] != "shop" || len(flow.OwnerReferences) != 0 {
		t.Errorf("labels %v, owners %v", flow.Labels, flow.OwnerReferences)
	}
	if err := f.Put(t.Context(), "web", body, nil); err == nil {
		t.Error("a Flow that was not there when it was looked at was overwritten")
	}
	flow.Generation = 7
	b.put(&flow)
	if err := f.Put(t.Context(), "web", body, live); err == nil {
		t.Error("a Flow that somebody changed was overwritten")
	}
	if err := f.Remove(t.Context(), "web", live); err == nil {
		t.Error("a Flow that somebody changed was removed")
	}
	all, err := f.List(t.Context())
	if err != nil || all["web"] == nil || all["web"].SeqNo != 7 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := f.Remove(t.Context(), "web", all["web"]); err != nil {
		t.Fatal(err)
	}
	if live, err := f.Get(t.Context(), "web"); live != nil || err != nil {
		t.Errorf("%v, %v", live, err)
	}
	if err := f.Remove(t.Context(), "web", nil); err != nil {
		t.Error(err)
	}
}
