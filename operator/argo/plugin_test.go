package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metricrpc "github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	steprpc "github.com/argoproj/argo-rollouts/rollout/steps/plugin/rpc"
	trafficrpc "github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/hashicorp/go-plugin"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// The test's own program is the plugin, as the controller starts it.
func TestMain(m *testing.M) {
	if kind := os.Getenv(Variable); kind != "" {
		if err := Serve(kind, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// dispense starts the plugin as a kind, as the controller does.
func dispense[T any](t *testing.T, kind, name string, as plugin.Plugin) T {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: Handshake(kind), Plugins: map[string]plugin.Plugin{name: as}, Cmd: cmd, Managed: true,
		Stderr: os.Stderr,
	})
	t.Cleanup(client.Kill)
	rpc, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := rpc.Dispense(name)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := raw.(T)
	if !ok {
		t.Fatalf("%T is no plugin of the kind %s", raw, kind)
	}
	return p
}

func rpcRouter(t *testing.T) *trafficrpc.TrafficRouterPluginRPC {
	return dispense[*trafficrpc.TrafficRouterPluginRPC](t, "trafficrouter", "RpcTrafficRouterPlugin", &trafficrpc.RpcTrafficRouterPlugin{})
}

func must(t *testing.T, err types.RpcError) {
	t.Helper()
	if err.HasError() {
		t.Fatal(err.ErrorString)
	}
}

// rollout is one with a configuration of the router, and steps.
func rollout(config string, at int32, steps ...v1alpha1.CanaryStep) *v1alpha1.Rollout {
	four := int32(4)
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "pipes", Annotations: map[string]string{}},
		Spec: v1alpha1.RolloutSpec{Replicas: &four, Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{
			Steps: steps, TrafficRouting: &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{Name: json.RawMessage(config)}},
		}}},
		Status: v1alpha1.RolloutStatus{CurrentStepIndex: &at},
	}
}

func mirrorStep(on bool) v1alpha1.CanaryStep {
	m := &v1alpha1.SetMirrorRoute{Name: "shadow"}
	if on {
		all := int32(100)
		m.Percentage, m.Match = &all, []v1alpha1.RouteMatch{{Path: &v1alpha1.StringMatch{Prefix: "/"}}}
	}
	return v1alpha1.CanaryStep{SetMirrorRoute: m}
}

func weightStep(w int32) v1alpha1.CanaryStep { return v1alpha1.CanaryStep{SetWeight: &w} }

// brokers is a Kafka with the topic t, and what the test knows of its group g.
type brokers struct {
	t       *testing.T
	cluster *kfake.Cluster
	admin   *kafka.Admin
	config  kafka.Config
	members sync.WaitGroup
}

func startBrokers(t *testing.T) *brokers {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("c"), kfake.SeedTopics(8, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	b := &brokers{t: t, cluster: c, config: kafka.Config{Brokers: c.ListenAddrs()}}
	if b.admin, err = b.config.Admin(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.admin.Close)
	t.Cleanup(b.members.Wait)
	return b
}

func (b *brokers) routing() string {
	return fmt.Sprintf(`{"group":"g","topic":"t","partitions":8,"kafka":{"brokers":"%s"}}`, b.config.Brokers[0])
}

func (b *brokers) route() *kafka.Route {
	b.t.Helper()
	r, err := b.admin.Route(b.t.Context(), "g")
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *brokers) is(want kafka.Route) {
	b.t.Helper()
	got := b.route()
	if got == nil || got.Canary != want.Canary || got.Stable != want.Stable || got.Weight != want.Weight || got.Mirror != want.Mirror || got.Ended != want.Ended {
		b.t.Errorf("the route is %+v, want %+v", got, want)
	}
}

// member reads as a version, and acknowledges everything, until stop is called.
func (b *brokers) member(group, hash string) (stop func()) {
	g := &kafka.Group{
		Config: b.config, Group: group, Topics: []string{"t"}, HeartbeatInterval: 50 * time.Millisecond, CommitInterval: 20 * time.Millisecond,
		Reading: kafka.Reading{FetchMaxWait: 50 * time.Millisecond},
	}
	if hash != "" {
		g.Route = &kafka.Routing{Hash: hash, Every: 100 * time.Millisecond}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	b.members.Go(func() {
		defer close(done)
		var streams sync.WaitGroup
		_ = g.Run(ctx, func(s stream.Stream) {
			streams.Go(func() {
				for s.Wait(context.Background()) == nil {
					batch := flow.Batch{MaxRecords: 100}
					err := s.Read(context.Background(), &batch)
					if batch.Next != nil {
						_ = s.Ack(context.Background(), batch.Next)
					}
					if err != nil {
						break
					}
				}
				_ = s.Close()
			})
		})
		streams.Wait()
	})
	stop = func() { cancel(); <-done }
	b.t.Cleanup(stop)
	return stop
}

func (b *brokers) produce(n int) {
	b.t.Helper()
	p, err := (&kafka.Sink{Config: b.config, Writing: kafka.Writing{Topic: "t", Partitioner: "roundrobin"}}).Open()
	if err != nil {
		b.t.Fatal(err)
	}
	recs := make([]flow.Record, n)
	for i := range recs {
		recs[i].Body = fmt.Append(nil, i)
	}
	if err := errors.Join(p.Write(b.t.Context(), recs), p.Close(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestTheRouterFollowsARolloutFromTheFirstVersionToAPromotion(t *testing.T) {
	b, r := startBrokers(t), rpcRouter(t)
	must(t, r.InitPlugin())
	steps := []v1alpha1.CanaryStep{{}, mirrorStep(true), {}, mirrorStep(false), weightStep(25), weightStep(50)}
	at := func(step int32) *v1alpha1.Rollout { return rollout(b.routing(), step, steps...) }

	// The first version: it has no predecessor.
	must(t, r.RemoveManagedRoutes(at(0)))
	must(t, r.UpdateHash(at(0), "v1", "", nil))
	must(t, r.SetWeight(at(0), 0, nil))
	b.is(kafka.Route{Canary: "v1"})
	must(t, r.UpdateHash(at(6), "v1", "v1", nil))
	must(t, r.SetWeight(at(6), 0, nil))
	b.is(kafka.Route{Stable: "v1"})
	b.member("g", "v1")
	until(t, "v1 has everything", func() bool { v, _ := r.VerifyWeight(at(6), 0, nil); return v == types.Verified })

	// The next one.
	must(t, r.UpdateHash(at(0), "v2", "v1", nil))
	must(t, r.SetWeight(at(0), 0, nil))
	b.is(kafka.Route{Canary: "v2", Stable: "v1"})
	must(t, r.SetMirrorRoute(at(1), steps[1].SetMirrorRoute))
	b.is(kafka.Route{Canary: "v2", Stable: "v1", Mirror: true})
	must(t, r.RemoveManagedRoutes(at(2))) // its pod is not ready for a moment
	must(t, r.SetWeight(at(2), 0, nil))
	b.is(kafka.Route{Canary: "v2", Stable: "v1", Mirror: true})
	must(t, r.SetMirrorRoute(at(3), steps[3].SetMirrorRoute))
	b.is(kafka.Route{Canary: "v2", Stable: "v1"})
	must(t, r.SetWeight(at(4), 25, nil))
	b.is(kafka.Route{Canary: "v2", Stable: "v1", Weight: 25})
	for range 10 { // nobody is there who could have it
		if v, err := r.VerifyWeight(at(4), 25, nil); v != types.NotVerified || err.HasError() {
			t.Fatalf("the canary has no members, and its weight is %v (%v)", v, err)
		}
	}
	b.member("g", "v2")
	until(t, "v2 has a quarter", func() bool { v, _ := r.VerifyWeight(at(4), 25, nil); return v == types.Verified })
	if v, _ := r.VerifyWeight(at(4), 50, nil); v != types.NotVerified {
		t.Errorf("another weight than the one that is set is %v", v)
	}
	must(t, r.SetWeight(at(6), 100, nil))
	until(t, "v2 has everything", func() bool { v, _ := r.VerifyWeight(at(6), 100, nil); return v == types.Verified })
	must(t, r.UpdateHash(at(6), "v2", "v2", nil))
	must(t, r.SetWeight(at(6), 0, nil))
	b.is(kafka.Route{Stable: "v2"})

	// A third one that is given up for a fourth at 50 %, and that aborted.
	must(t, r.UpdateHash(at(5), "v3", "v2", nil))
	must(t, r.SetWeight(at(5), 50, nil))
	must(t, r.UpdateHash(at(0), "v4", "v2", nil))
	b.is(kafka.Route{Canary: "v4", Stable: "v2"})
	aborted := at(1)
	aborted.Status.Abort = true
	must(t, r.SetWeight(aborted, 0, nil))
	b.is(kafka.Route{Canary: "v4", Stable: "v2", Ended: true})
	must(t, r.UpdateHash(aborted, "v4", "v2", nil)) // and again and again
	must(t, r.RemoveManagedRoutes(aborted))
	b.is(kafka.Route{Canary: "v4", Stable: "v2", Ended: true})
	must(t, r.UpdateHash(at(1), "v4", "v2", nil)) // somebody tries it again
	must(t, r.SetWeight(at(1), 0, nil))
	b.is(kafka.Route{Canary: "v4", Stable: "v2", Mirror: true})
}

func TestTheRouterIsCheapHoweverOftenItIsAsked(t *testing.T) {
	b, r := startBrokers(t), rpcRouter(t)
	ro := rollout(b.routing(), 0)
	must(t, r.UpdateHash(ro, "v2", "v1", nil))
	var asked, written atomic.Int64
	b.cluster.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	b.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		written.Add(1)
		return nil, nil, false
	})
	began := time.Now()
	const calls = 300
	for range calls {
		must(t, r.UpdateHash(ro, "v2", "v1", nil))
		must(t, r.SetWeight(ro, 25, nil))
		must(t, r.RemoveManagedRoutes(ro))
		if _, err := r.VerifyWeight(ro, 25, nil); err.HasError() {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	if written.Load() != 1 || asked.Load() > 4*int64(took/time.Second+2) {
		t.Errorf("%d rounds in %v: Kafka was asked %d times, and written to %d times", calls, took, asked.Load(), written.Load())
	}
	t.Logf("%v for a round of 4 calls", took/calls)
}

func TestMistakesInARolloutAreSaid(t *testing.T) {
	b := startBrokers(t)
	r := newRouter(newPlatform(slog.New(slog.DiscardHandler)))
	for config, want := range map[string]string{
		``:                                "there is no configuration",
		`{"group":"g"}`:                   "give group and topic",
		`{"group":"g","topic":"t","x":1}`: `unknown field "x"`,
		`{"group":"g","topic":"t"}`:       "give brokers",
		strings.Replace(b.routing(), `"partitions":8`, `"partitions":3`, 1): "4 replicas for 3 partitions",
		`{"group":"g","topic":"t","kafka":{"brokers":"127.0.0.1:1"}}`:       "127.0.0.1:1",
	} {
		if err := r.SetWeight(rollout(config, 0), 10, nil); !strings.Contains(err.ErrorString, want) {
			t.Errorf("%s: %q, want %q", config, err.ErrorString, want)
		}
		if v, err := r.VerifyWeight(rollout(config, 0), 10, nil); v != types.NotVerified || !err.HasError() {
			t.Errorf("%s: verified %v, %v", config, v, err)
		}
	}
	if err := r.SetHeaderRoute(rollout(b.routing(), 0), &v1alpha1.SetHeaderRoute{Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x"}}}); !err.HasError() {
		t.Error("records are routed by headers")
	}
	if err := Serve("else", os.Stderr); err == nil {
		t.Error("it serves as anything")
	}
}

func TestWeightsOfOtherScalesArePercent(t *testing.T) {
	ro := rollout("{}", 0)
	most := int32(1000)
	ro.Spec.Strategy.Canary.TrafficRouting.MaxTrafficWeight = &most
	for weight, want := range map[int32]int{0: 0, 1: 1, 4: 1, 250: 25, 999: 99, 1000: 100} {
		if got := percent(ro, weight); got != want {
			t.Errorf("%d of %d is %d %%, want %d", weight, most, got, want)
		}
	}
}

func TestASecretIsReadAndAConnectionFollowsIt(t *testing.T) {
	b := startBrokers(t)
	p := newPlatform(slog.New(slog.DiscardHandler))
	asked := 0
	secret := map[string][]byte{"brokers": []byte(strings.Join(b.config.Brokers, ","))}
	p.secret = func(_ context.Context, namespace, name string) (map[string][]byte, error) {
		if asked++; namespace != "pipes" || name != "naru-kafka" {
			return nil, fmt.Errorf("asked for %s/%s", namespace, name)
		}
		return secret, nil
	}
	k := Kafka{SecretRef: &SecretRef{"naru-kafka"}}
	first, err := p.admin(t.Context(), "pipes", k)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.admin(t.Context(), "pipes", k)
	if err != nil || again != first || asked != 1 {
		t.Errorf("asked %d times, the same connection: %t, %v", asked, again == first, err)
	}
	p.secrets = map[string]keptSecret{} // half a minute later
	secret = map[string][]byte{"brokers": []byte("127.0.0.1:1," + b.config.Brokers[0])}
	if again, err = p.admin(t.Context(), "pipes", k); err != nil || again == first {
		t.Errorf("the secret has changed, and the connection is the old one: %v", err)
	}
	for text, secret := range map[string]map[string][]byte{
		"SCRAM-SHA-512": {"username": []byte("u"), "password": []byte("p"), "ca.crt": []byte("pem")},
		"PLAIN":         {"username": []byte("u"), "password": []byte("p"), "mechanism": []byte("PLAIN\n"), "tls": []byte("true")},
	} {
		c, err := Kafka{Brokers: "k:1, l:2"}.config(secret)
		if err != nil || c.TLS == nil || c.SASL == nil || c.SASL.Mechanism != text || len(c.Brokers) != 2 {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

// search is an OpenSearch with documents of records 0 to n-1 of each of eight partitions, in an index of each version.
func (b *brokers) search(n int, change func(doc map[string]any, id string) map[string]any) *osfake.Server {
	b.t.Helper()
	fake := osfake.Start(b.t, osfake.Options{})
	var bulk strings.Builder
	for p := range 8 {
		for i := range n {
			for event, id := range []string{kafka.EventID("c", "t", int32(p), int64(i)), kafka.EventID("c", "t", int32(p), int64(i)) + ":1"} { //nolint:gosec // small
				doc := map[string]any{"n": i, "event": event, "status": "200", "@timestamp": "2026-11-24T10:00:00Z"}
				text, _ := json.Marshal(doc)
				fmt.Fprintf(&bulk, "{\"index\":{\"_index\":\"logs-1\",\"_id\":%q}}\n%s\n", id, text)
				doc["@timestamp"] = "2026-11-24T11:11:11Z"
				if doc = change(doc, id); doc == nil {
					continue
				}
				text, _ = json.Marshal(doc)
				fmt.Fprintf(&bulk, "{\"index\":{\"_index\":\"shadow-v2-logs-1\",\"_id\":%q}}\n%s\n", id, text)
			}
		}
	}
	resp, err := http.Post(fake.URL()+"/_bulk", "application/x-ndjson", strings.NewReader(bulk.String())) //nolint:noctx // a test
	if err != nil {
		b.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return fake
}

// shadowed lets both versions read n records, the canary in shadow.
func (b *brokers) shadowed(n int) {
	b.t.Helper()
	if _, err := b.admin.SetRoute(b.t.Context(), "g", "t", func(r *kafka.Route) { *r = kafka.Route{Stable: "v1"} }); err != nil {
		b.t.Fatal(err)
	}
	b.member("g", "v1")
	b.produce(8)
	until(b.t, "the live group has begun", func() bool {
		s, err := b.admin.Lag(b.t.Context(), kafka.LagOptions{Which: kafka.Which{Patterns: []string{"g"}}, For: 1})
		return err == nil && len(s.Lags) == 1 && s.Lags[0].Lag == 0 && s.Lags[0].Uncommitted == 0
	})
	if _, err := b.admin.SetRoute(b.t.Context(), "g", "t", func(r *kafka.Route) { r.Canary, r.Mirror = "v2", true }); err != nil {
		b.t.Fatal(err)
	}
	group, err := b.admin.BeginShadow(b.t.Context(), "g", "v2", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.member(group, "")
	b.produce(n)
	until(b.t, "both have read it", func() bool {
		spans, err := b.admin.ShadowSpan(b.t.Context(), "g", "v2", 1<<30)
		sum := int64(0)
		for _, s := range spans {
			sum += s.To - s.From
		}
		return err == nil && sum == int64(n)
	})
}

func metric(condition, config string) v1alpha1.Metric {
	return v1alpha1.Metric{Name: "m", SuccessCondition: condition, Provider: v1alpha1.MetricProvider{Plugin: map[string]json.RawMessage{Name: json.RawMessage(config)}}}
}

func TestADifferenceOfOutputsIsMeasuredOverTheSameRecords(t *testing.T) {
	b := startBrokers(t)
	b.shadowed(800)
	p := dispense[*metricrpc.MetricsPluginRPC](t, "metricprovider", "RpcMetricProviderPlugin", &metricrpc.RpcMetricProviderPlugin{})
	must(t, p.InitPlugin())
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "pipes"}}
	config := func(fake *osfake.Server, more string) string {
		return fmt.Sprintf(`{"measure":"difference","group":"g","kafka":{"brokers":"%s"},"opensearch":{"url":"%s"},"index":"logs-*"%s}`, b.config.Brokers[0], fake.URL(), more)
	}
	same := func(doc map[string]any, _ string) map[string]any { return doc }
	number := func(doc map[string]any, _ string) map[string]any { doc["status"] = 200; return doc }
	lossy := func(doc map[string]any, id string) map[string]any {
		if strings.HasPrefix(id, "c:t:3:") {
			return nil
		}
		return doc
	}
	for _, c := range []struct {
		name      string
		change    func(map[string]any, string) map[string]any
		documents int
		more      string
		phase     v1alpha1.AnalysisPhase
		says      string
	}{
		{"nothing differs", same, 101, "", v1alpha1.AnalysisPhaseSuccessful, ""},
		{"the time counts when it is asked for", same, 101, `,"ignore":[]`, v1alpha1.AnalysisPhaseFailed, "@timestamp"},
		{"a field has another type", number, 101, "", v1alpha1.AnalysisPhaseFailed, "status"},
		{"that is meant", number, 101, `,"ignore":["@timestamp","status"]`, v1alpha1.AnalysisPhaseSuccessful, ""},
		{"a partition's documents are missing", lossy, 101, "", v1alpha1.AnalysisPhaseFailed, "onlyStable 200"},
		{"there are no documents", same, 0, "", v1alpha1.AnalysisPhaseInconclusive, "neither version has documents"},
		{"too few records", same, 101, `,"least":801`, v1alpha1.AnalysisPhaseInconclusive, "800 records"},
		{"wrong", same, 0, `,"records":-1`, v1alpha1.AnalysisPhaseError, "records is 1 to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := p.Run(run, metric("result.share <= 0.001", config(b.search(c.documents, c.change), c.more)))
			if m.Phase != c.phase || !strings.Contains(m.Message, c.says) || m.FinishedAt == nil {
				t.Errorf("%s, want %s with %q: %s\n%s %v", m.Phase, c.phase, c.says, m.Message, m.Value, m.Metadata)
			}
			if m.Phase == v1alpha1.AnalysisPhaseSuccessful && !strings.Contains(m.Value, `"documents":1600`) {
				t.Errorf("%s", m.Value)
			}
		})
	}
	if m := p.Run(run, metric("", config(b.search(1, same), ""))); m.Phase != v1alpha1.AnalysisPhaseError || !strings.Contains(m.Message, "successCondition") {
		t.Errorf("without a condition: %s %s", m.Phase, m.Message)
	}
	if m := p.Run(run, metric("result.canary <= 5", fmt.Sprintf(`{"measure":"lag","group":"g","kafka":{"brokers":"%s"}}`, b.config.Brokers[0]))); m.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("lag: %s %s", m.Phase, m.Message)
	}
	if m := p.Run(run, metric("result.canary <= 5", fmt.Sprintf(`{"measure":"lag","group":"other","kafka":{"brokers":"%s"}}`, b.config.Brokers[0]))); m.Phase != v1alpha1.AnalysisPhaseInconclusive {
		t.Errorf("lag of a group without a canary: %s %s", m.Phase, m.Message)
	}
}

func TestAStepWaitsComparesAndIsApproved(t *testing.T) {
	b := startBrokers(t)
	b.shadowed(800)
	p := dispense[*steprpc.StepPluginRPC](t, "step", "RpcStepPlugin", &steprpc.RpcStepPlugin{})
	must(t, p.InitPlugin())
	ro := rollout(b.routing(), 0)
	ro.Status.CurrentPodHash = "v2"
	runs := func(config string, status json.RawMessage) types.RpcStepResult {
		t.Helper()
		r, err := p.Run(ro, &types.RpcStepContext{Config: json.RawMessage(config), Status: status})
		must(t, err)
		return r
	}
	at := fmt.Sprintf(`"group":"g","kafka":{"brokers":"%s"}`, b.config.Brokers[0])
	if r := runs(`{`+at+`,"wait":{"lagSeconds":30}}`, nil); r.Phase != types.PhaseSuccessful {
		t.Errorf("wait: %+v", r)
	}
	waiting := runs(`{"approve":{"timeout":"1s"}}`, nil)
	if waiting.Phase != types.PhaseRunning || waiting.RequeueAfter <= 10*time.Second || !strings.Contains(waiting.Message, "kubectl annotate rollout web naru.dev/approve-canary=v2") {
		t.Errorf("approve: %+v", waiting)
	}
	ro.Annotations[ApproveAnnotation] = "v1"
	time.Sleep(1100 * time.Millisecond)
	if r := runs(`{"approve":{"timeout":"1s"}}`, waiting.Status); r.Phase != types.PhaseFailed {
		t.Errorf("the approval of another version, too late: %+v", r)
	}
	ro.Annotations[ApproveAnnotation] = "v2"
	if r := runs(`{"approve":{}}`, waiting.Status); r.Phase != types.PhaseSuccessful {
		t.Errorf("approved: %+v", r)
	}
	compared := func(fake *osfake.Server) string {
		return `{` + at + `,"compare":{"opensearch":{"url":"` + fake.URL() + `"},"index":"logs-*","records":800}}`
	}
	if r := runs(compared(b.search(101, func(d map[string]any, _ string) map[string]any { return d })), nil); r.Phase != types.PhaseSuccessful || !strings.Contains(r.Message, "800 records") {
		t.Errorf("compare: %+v", r)
	}
	if r := runs(compared(b.search(101, func(d map[string]any, _ string) map[string]any { d["new"] = 1; return d })), nil); r.Phase != types.PhaseFailed || !strings.Contains(r.Message, "new: added") {
		t.Errorf("compare: %+v", r)
	}
	if r := runs(compared(b.search(0, nil)), nil); r.Phase != types.PhaseRunning {
		t.Errorf("compare without documents: %+v", r)
	}
	for _, wrong := range []string{`{}`, `{"wait":{"lagSeconds":1}}`, `{` + at + `,"wait":{"lagSeconds":-1}}`, `{"approve":{"timeout":"x"}}`, `{"approve":{},"x":1}`} {
		if r := runs(wrong, nil); r.Phase != types.PhaseFailed {
			t.Errorf("%s: %+v", wrong, r)
		}
	}
	for _, end := range []func(*v1alpha1.Rollout, *types.RpcStepContext) (types.RpcStepResult, types.RpcError){p.Terminate, p.Abort} {
		if r, err := end(ro, &types.RpcStepContext{}); err.HasError() || r.Phase != types.PhaseSuccessful {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// Brokers that take connections and never answer must not hold up the Rollouts of others, nor all of the controller's workers.
func TestBrokersThatDoNotAnswerHoldUpNobodyElse(t *testing.T) {
	b := startBrokers(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	var met atomic.Int64
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			met.Add(1)
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	r := newRouter(newPlatform(slog.New(slog.DiscardHandler)))
	stuck := rollout(fmt.Sprintf(`{"group":"g","topic":"t","kafka":{"brokers":"%s"}}`, silent.Addr()), 0)
	ended := make(chan types.RpcError, 1)
	go func() { ended <- r.SetWeight(stuck, 10, nil) }()
	until(t, "the silent broker was asked", func() bool { return met.Load() > 0 })
	began := time.Now()
	must(t, r.UpdateHash(rollout(b.routing(), 0), "v2", "v1", nil))
	select {
	case err := <-ended:
		t.Fatalf("the silent broker has answered: %v", err)
	default:
	}
	t.Logf("the other Rollout was served after %v", time.Since(began))
	if err := <-ended; !err.HasError() {
		t.Error("a weight was set in silence")
	}
	// For a while it is not tried again: ten workers that wait for one Rollout would be all there are.
	tried := met.Load()
	for range 50 {
		if err := r.SetWeight(stuck, 10, nil); !err.HasError() {
			t.Fatal("a weight was set in silence")
		}
	}
	if met.Load() != tried {
		t.Errorf("the silent broker was asked %d times more", met.Load()-tried)
	}
}

func TestAnotherVersionsWeightIsNotVerified(t *testing.T) {
	b, r := startBrokers(t), newRouter(newPlatform(slog.New(slog.DiscardHandler)))
	ro := rollout(b.routing(), 0)
	ro.Status.CurrentPodHash = "v2"
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { *r = kafka.Route{Stable: "v1", Canary: "v3", Weight: 50} }); err != nil {
		t.Fatal(err)
	}
	b.member("g", "v1")
	b.member("g", "v3")
	until(t, "the group is divided", func() bool { s, err := b.admin.RouteStatus(t.Context(), "g"); return err == nil && s.Settled })
	if v, err := r.VerifyWeight(ro, 50, nil); v != types.NotVerified || err.HasError() {
		t.Errorf("v3 has half of the partitions, and so v2 is %v (%v)", v, err)
	}
	ro.Status.CurrentPodHash = "v3"
	if v, err := r.VerifyWeight(ro, 50, nil); v != types.Verified || err.HasError() {
		t.Errorf("v3: %v, %v", v, err)
	}
}

// That a canary is not behind in an idle topic says nothing about it.
func TestALagWithoutEventsIsInconclusive(t *testing.T) {
	b := startBrokers(t)
	p := &provider{newPlatform(slog.New(slog.DiscardHandler))}
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { *r = kafka.Route{Stable: "v1"} }); err != nil {
		t.Fatal(err)
	}
	b.member("g", "v1")
	b.produce(80)
	until(t, "all is read", func() bool {
		s, err := b.admin.Lag(t.Context(), kafka.LagOptions{Which: kafka.Which{Patterns: []string{"g"}}, For: 1})
		return err == nil && len(s.Lags) == 1 && s.Lags[0].Lag == 0 && s.Lags[0].Uncommitted == 0
	})
	time.Sleep(10 * time.Millisecond) // the route is younger than the records, by a clock of milliseconds
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { r.Canary, r.Weight = "v2", 50 }); err != nil {
		t.Fatal(err)
	}
	b.member("g", "v2")
	until(t, "the group is divided", func() bool { s, err := b.admin.RouteStatus(t.Context(), "g"); return err == nil && s.Settled })
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "pipes"}}
	m := metric("result.canary <= 60", fmt.Sprintf(`{"measure":"lag","group":"g","kafka":{"brokers":"%s"}}`, b.config.Brokers[0]))
	if got := p.Run(run, m); got.Phase != v1alpha1.AnalysisPhaseInconclusive || !strings.Contains(got.Message, "nothing was written") {
		t.Errorf("an idle topic: %s %s %s", got.Phase, got.Value, got.Message)
	}
	b.produce(80)
	until(t, "it is judged", func() bool { return p.Run(run, m).Phase == v1alpha1.AnalysisPhaseSuccessful })
}

// Clocks of producers that are ahead make records younger than nothing; how far they are from the newest one is known all the same.
func TestALagIsSeenWhoeversClockIsAhead(t *testing.T) {
	b := startBrokers(t)
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { *r = kafka.Route{Stable: "v1"} }); err != nil {
		t.Fatal(err)
	}
	b.member("g", "v1")
	b.produce(80)
	until(t, "all is read", func() bool {
		s, err := b.admin.Lag(t.Context(), kafka.LagOptions{Which: kafka.Which{Patterns: []string{"g"}}, For: 1})
		return err == nil && len(s.Lags) == 1 && s.Lags[0].Lag == 0 && s.Lags[0].Uncommitted == 0
	})
	if _, err := b.admin.SetRoute(t.Context(), "g", "t", func(r *kafka.Route) { r.Canary, r.Mirror = "v2", true }); err != nil {
		t.Fatal(err)
	}
	group, err := b.admin.BeginShadow(t.Context(), "g", "v2", nil)
	if err != nil {
		t.Fatal(err)
	}
	stuck, err := kgo.NewClient(kgo.SeedBrokers(b.config.Brokers...), kgo.ConsumerGroup(group), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stuck.Close)
	writer, err := kgo.NewClient(kgo.SeedBrokers(b.config.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	ahead := time.Now().Add(time.Hour)
	for _, at := range []time.Time{ahead, ahead.Add(10 * time.Minute)} {
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: 3, Value: []byte("x"), Timestamp: at}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the lag is what it is", func() bool {
		got, err := lagOf(t.Context(), b.admin, "g", "v2")
		return err == nil && got.result["canary"] == 600 && got.result["canaryRecords"] == 2
	})
	if _, err := lagOf(t.Context(), b.admin, "g", "v3"); err == nil || !strings.Contains(err.Error(), "still v2") {
		t.Errorf("of another version: %v", err)
	}
}
