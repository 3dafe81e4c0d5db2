package cost_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/estate/cost"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// logs is a family of daily indices, the newest of today and half full.
func logs(days, primaries, replicas int, each cost.Bytes) (out []*cost.Index) {
	for i := range days {
		day := today.Truncate(24*time.Hour).AddDate(0, 0, i-days+1)
		x := &cost.Index{
			Name: "logs-" + day.Format("2006.01.02"), Open: true, Primaries: primaries, Replicas: replicas, Documents: 1000, Primary: each, Stored: each * cost.Bytes(1+replicas), Created: day, Codec: "default",
			Queries: 5, Counting: today.AddDate(0, 0, -20),
		}
		if i == days-1 {
			x.Written = 500
			x.Primary, x.Stored = each/2, each/2*cost.Bytes(1+replicas)
		}
		out = append(out, x)
	}
	return out
}

// facts are of a cluster of n nodes of 500 GiB, 32 GiB of heap and 8 processors.
func facts(n int, indices ...*cost.Index) *cost.Facts {
	f := &cost.Facts{Environment: "prod", Cluster: "c", Version: "OpenSearch 2.19.5", At: today, Zstd: true, Indices: indices, MaxShards: 1000, Objects: cost.Declared(nil)}
	for i := range n {
		f.Nodes = append(f.Nodes, cost.Node{ID: fmt.Sprint(i), Name: fmt.Sprint("n", i), Data: true, CPUs: 8, Heap: 32 * cost.GiB, Used: 50, Disk: 500 * cost.GiB, Free: 400 * cost.GiB, Started: today.AddDate(0, 0, -20)})
	}
	return f
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	b, err := cost.Body(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const policy = `{"policy": {"default_state": "hot", "ism_template": {"index_patterns": ["logs-*"], "priority": 1}, "states": [
	{"name": "hot", "actions": [], "transitions": [{"state_name": "warm", "conditions": {"min_index_age": "10d"}}]},
	{"name": "warm", "actions": [{"replica_count": {"number_of_replicas": 0}}], "transitions": [{"state_name": "gone", "conditions": {"min_index_age": "30d"}}]},
	{"name": "gone", "actions": [{"delete": {}}]}]}}`

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// The examples of the services' own sizing guides.
func TestThePublishedExamplesComeOut(t *testing.T) {
	k := cost.DefaultConstants()
	disk, _ := cost.Disk(cost.Source(66*cost.GiB, 1, k), 2, true, k)
	near(t, "66 GiB of source, 1 replica", float64(disk)/float64(cost.GiB), 191, 0.5)
	disk, how := cost.Disk(cost.Source(2000*cost.GiB, 1, k), 6, true, k)
	near(t, "2000 GiB of source, 1 replica, 6 nodes", float64(disk)/float64(cost.GiB), 4752, 1)
	if !strings.Contains(how, "6 nodes × 20 GiB") {
		t.Error(how)
	}
	disk, _ = cost.Disk(85*cost.GiB, 3, false, k)
	near(t, "a cluster of one's own", float64(disk)/float64(cost.GiB), 85/0.95/0.85, 0.1)

	stored := cost.Bytes(10 * float64(cost.MiB) * 168 * 3600 * 3)
	large := cost.BrokersFor(10, 30, 20, 60, 300, stored, k)
	near(t, "disks of brokers", float64(large.Disk)/float64(cost.GiB), 35437.5, 0.1)
	near(t, "peak by capacity of large brokers", large.Parts[0].Need, 30/6.06, 0.01)
	if large.Brokers != 6 {
		t.Errorf("%d large brokers: %+v", large.Brokers, large.Parts)
	}
	file := filepath.Join(t.TempDir(), "sizing.yaml")
	if err := os.WriteFile(file, []byte("broker_disk_mib_s: 156.25\nbroker_network_mib_s: 250\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := cost.ReadConstants(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := cost.BrokersFor(10, 30, 20, 60, 300, stored, k); n.Brokers != 3 {
		t.Errorf("%d larger brokers: %+v", n.Brokers, n.Parts)
	}
	if n := cost.Primaries(300*cost.GiB, true, k); n != 7 { // 330 / 50
		t.Errorf("%d primaries", n)
	}
}

func TestNamesThatCountUpAreOneFamily(t *testing.T) {
	for name, want := range map[string]string{
		"logs-2026.11.20": "logs-*", "logs-2026-11-20": "logs-*", "logs-20261120": "logs-*", "logs-2026.11": "logs-*", "logs-2026.11.20-13": "logs-*", "metrics-2026-w45": "metrics-*",
		"app1-000012": "app1-*", ".ds-logs-nginx-000001": ".ds-logs-nginx-*", "logs-2026.11.20-000003": "logs-*", "2026.11.20-logs": "*-logs", "logs-2026.11.20-v2": "logs-*-v2",
		"orders": "orders", "orders-v12": "orders-v12", "users-2": "users-2",
	} {
		if got := cost.FamilyOf(name); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}

func TestGrowthIsOfTheIndicesThatAreFull(t *testing.T) {
	g := cost.FamiliesOf(facts(3, logs(20, 1, 1, 10*cost.GiB)...))[0].Growth
	if g == nil || g.Likely != 10*cost.GiB || g.Low != g.Likely || g.High != g.Likely || g.Every != 1 || g.Indices != 14 {
		t.Errorf("%+v", g)
	}
	uneven := logs(20, 1, 1, 10*cost.GiB)
	for i, x := range uneven {
		if i%2 == 0 {
			x.Primary = 20 * cost.GiB
		}
	}
	if g := cost.FamiliesOf(facts(3, uneven...))[0].Growth; g.Low != 10*cost.GiB || g.High != 20*cost.GiB || g.Likely != 15*cost.GiB {
		t.Errorf("%+v", g)
	}
	atOnce := logs(20, 1, 1, cost.GiB)
	for i, x := range atOnce {
		x.Name, x.Created = fmt.Sprintf("logs-%06d", i), today.Add(time.Duration(i)*time.Second)
	}
	if g := cost.FamiliesOf(facts(3, atOnce...))[0].Growth; g != nil {
		t.Errorf("of indices that were restored at once: %+v", g)
	}
	if g := cost.FamiliesOf(facts(3, logs(2, 1, 1, cost.GiB)...))[0].Growth; g != nil {
		t.Errorf("of two: %+v", g)
	}
	// Documents are older than the index that they were carried into: the name's date counts.
	carried := logs(20, 1, 1, 10*cost.GiB)
	for _, x := range carried {
		x.Created = today
	}
	if g := cost.FamiliesOf(facts(3, carried...))[0].Growth; g == nil || g.Likely != 10*cost.GiB {
		t.Errorf("carried: %+v", g)
	}
}

func TestTemplatesAndPoliciesSayWhatBecomesOfIndices(t *testing.T) {
	o := cost.Declared(map[string]map[string]map[string]any{
		cost.ComponentTemplates: {"base": object(t, `{"template": {"settings": {"index": {"number_of_shards": "4", "codec": "zstd"}, "number_of_replicas": 2}}}`)},
		cost.IndexTemplates: {
			"all":  object(t, `{"index_patterns": ["*"], "priority": 0}`),
			"logs": object(t, `{"index_patterns": ["logs-*", "-logs-x*"], "priority": 10, "composed_of": ["base"], "template": {"settings": {"index.number_of_replicas": 1}}}`),
		},
		cost.ISMPolicies: {"logs": object(t, policy), "rolled": object(t, `{"default_state": "a", "ism_template": [{"index_patterns": ["web-*"]}], "states": [
			{"name": "a", "actions": [{"rollover": {"min_primary_shard_size": "50gb", "min_index_age": "7d"}}], "transitions": [{"state_name": "b", "conditions": {"min_rollover_age": "23d"}}]},
			{"name": "b", "actions": [{"delete": {}}], "transitions": []}]}`),
			"odd": object(t, `{"default_state": "a", "ism_template": [{"index_patterns": ["odd-*"]}], "states": [{"name": "a", "transitions": [{"state_name": "b", "conditions": {"min_doc_count": 5}}]}, {"name": "b", "actions": [{"delete": {}}], "transitions": [{"state_name": "a"}]}]}`)},
	})
	want := cost.Life{Template: "logs", Policy: "logs", Primaries: 4, Replicas: 1, Codec: "zstd", Steps: []cost.Step{{Days: 10, Replicas: 0}}, Retention: 30}
	if got := cost.LifeOf(o, "logs-2026.11.20"); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got := cost.LifeOf(o, "web-000001"); got.Retention != 30 || got.ShardSize != 50*cost.GiB || got.Days != 7 || got.Template != "all" || got.Replicas != 1 {
		t.Errorf("%+v", got)
	}
	if got := cost.LifeOf(o, "odd-1"); got.Retention != 0 || !strings.Contains(got.Unclear, "min_doc_count") {
		t.Errorf("%+v", got)
	}
	if got := cost.LifeOf(nil, "x"); got.Replicas != -1 {
		t.Errorf("%+v", got)
	}
}

func TestWhatWillBeIsGrowthTimesRetentionTimesCopies(t *testing.T) {
	f := facts(3, logs(20, 2, 1, 10*cost.GiB)...)
	f.Objects = cost.Declared(map[string]map[string]map[string]any{
		cost.IndexTemplates: {"logs": object(t, `{"index_patterns": ["logs-*"], "template": {"settings": {"number_of_shards": 2}}}`)},
		cost.ISMPolicies:    {"logs": object(t, policy)},
	})
	e := (&cost.Model{}).Estimate(f, nil, nil, cost.Limits{})
	steady := e.Families[0].Steady
	if steady.Copies != 10*cost.GiB*(10*2+20) || !steady.Steady || steady.How != "10.0 GiB a day × (10d × 2 copies + 20d × 1 copy)" {
		t.Errorf("%+v", steady)
	}
	if steady.Shards != 10*2*2+20*2+4 || steady.Indices != 31 || steady.Primary != 300*cost.GiB {
		t.Errorf("%+v", steady)
	}
	if e.Now.Copies != 195*2*cost.GiB || e.Now.Shards != 80 || e.Have.Nodes != 3 || e.Have.Money != nil {
		t.Errorf("%+v %+v", e.Now.Totals, e.Have)
	}
	disk, _ := cost.Disk(400*cost.GiB, 1, false, cost.DefaultConstants())
	if e.Steady.Need.Disk != disk || e.Steady.Need.Nodes != 2 || e.Steady.Need.By != "copies" {
		t.Errorf("%+v", e.Steady.Need)
	}
}

func TestAWhatIfSaysWhatAChangeSaves(t *testing.T) {
	f := facts(3, logs(60, 2, 1, 10*cost.GiB)...)
	f.Objects = cost.Declared(map[string]map[string]map[string]any{
		cost.ISMPolicies: {"logs": object(t, strings.ReplaceAll(strings.ReplaceAll(policy, `{"replica_count": {"number_of_replicas": 0}}`, ""), "30d", "60d"))},
	})
	gib := func(b cost.Bytes) int64 { return int64(b / cost.GiB) }
	for text, want := range map[string][4]int64{ // now before, after; steady before, after, in GiB
		"replicas=0@30d":            {1190, 890, 1200, 900},
		"replicas=0":                {1190, 595, 1200, 600},
		"retention=20d":             {1190, 390, 1200, 400},
		"codec=zstd":                {1190, 844, 1200, 852},
		"replicas=0@30d:logs-*":     {1190, 890, 1200, 900},
		"replicas=0@30d:web-*":      {1190, 1190, 1200, 1200},
		"shards=1":                  {1190, 1190, 1200, 1200},
		"replicas=0, retention=20d": {1190, 195, 1200, 200},
	} {
		rules, err := cost.ParseRules(text)
		if err != nil {
			t.Fatal(err)
		}
		d := (&cost.Model{}).Estimate(f, nil, rules, cost.Limits{}).WhatIf
		if got := [4]int64{gib(d.Before.Copies), gib(d.After.Copies), gib(d.SteadyBefore.Copies), gib(d.SteadyAfter.Copies)}; got != want {
			t.Errorf("%s: %v, not %v", text, got, want)
		}
	}
	rules, _ := cost.ParseRules("rollover=100GiB,shards=1")
	d := (&cost.Model{}).Estimate(f, nil, rules, cost.Limits{}).WhatIf
	if d.SteadyBefore.Shards != 60*4+4 || d.SteadyAfter.Shards != 6*2+2 {
		t.Errorf("shards %d → %d", d.SteadyBefore.Shards, d.SteadyAfter.Shards)
	}
	for _, wrong := range []string{"", "replicas", "replicas=x", "replicas=-1", "replicas=1@soon", "retention=5", "codec=mp3", "shards=0", "rollover=big", "copies=1", "shards=1:[", "replicas=0@30d,"} {
		if _, err := cost.ParseRules(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestWhatIsDeclaredIsComparedWithWhatIsThere(t *testing.T) {
	f := facts(3, logs(60, 1, 1, 10*cost.GiB)...)
	f.Objects = cost.Declared(map[string]map[string]map[string]any{
		cost.IndexTemplates: {"logs": object(t, `{"index_patterns": ["logs-*"], "template": {"settings": {"number_of_replicas": 1}}}`)},
		cost.ISMPolicies:    {"logs": object(t, strings.ReplaceAll(policy, "30d", "60d"))},
	})
	declared := f.Objects.Clone()
	declared.Set(cost.ISMPolicies, "logs", object(t, policy))
	model := &cost.Model{}
	e := model.Estimate(f, declared, nil, cost.Limits{})
	if e.Plan == nil || e.Plan.SteadyBefore.Copies != 700*cost.GiB || e.Plan.SteadyAfter.Copies != 400*cost.GiB || e.Plan.Before.Copies != e.Plan.After.Copies || len(e.Plan.Families) != 1 {
		t.Errorf("%+v", e.Plan)
	}
	if same := model.Estimate(f, f.Objects.Clone(), nil, cost.Limits{}); same.Plan != nil {
		t.Errorf("%+v", same.Plan)
	}
	declared.Set(cost.ISMPolicies, "logs", nil)
	if e := model.Estimate(f, declared, nil, cost.Limits{}); e.Plan.SteadyAfter.Copies != e.Now.Copies {
		t.Errorf("without a policy: %v, not %v", e.Plan.SteadyAfter.Copies, e.Now.Copies)
	}
}

func TestLimitsAreHeldAgainstWhatIsDeclared(t *testing.T) {
	f := facts(3, logs(60, 2, 1, 10*cost.GiB)...)
	f.Objects = cost.Declared(map[string]map[string]map[string]any{cost.ISMPolicies: {"logs": object(t, policy)}})
	prices, err := cost.ReadPrices("testdata/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	model := &cost.Model{Prices: prices}
	for _, c := range []struct {
		limits cost.Limits
		want   string
	}{
		{cost.Limits{}, ""},
		{cost.Limits{Storage: 600 * cost.GiB, Shards: 100, Nodes: 3, Monthly: 4000}, ""},
		{cost.Limits{Storage: 400 * cost.GiB}, "storage"},
		{cost.Limits{Shards: 50, Nodes: 1}, "shards nodes"},
		{cost.Limits{Monthly: 2000}, "monthly"},
	} {
		var got []string
		for _, x := range model.Check(f, f.Objects, c.limits) {
			got = append(got, x.Limit)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, not %s", c.limits, got, c.want)
		}
	}
}

// TestEachSuggestionShowsItsArithmetic holds the text of each against its numbers.
func TestEachSuggestionShowsItsArithmetic(t *testing.T) {
	prices, err := cost.ReadPrices("testdata/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := facts(6, logs(100, 1, 1, 2*cost.GiB)...)
	tiny := &cost.Index{Name: "tiny", Open: true, Primaries: 10, Replicas: 1, Primary: cost.GiB, Stored: 2 * cost.GiB, Created: today.AddDate(-1, 0, 0), Codec: "default", Documents: 10, Queries: 1, Counting: today.AddDate(0, 0, -20)}
	dusty := &cost.Index{Name: "dusty", Open: true, Primaries: 1, Replicas: 0, Primary: 50 * cost.GiB, Stored: 50 * cost.GiB, Created: today.AddDate(-1, 0, 0), Codec: "zstd", Documents: 10, Counting: today.AddDate(0, 0, -20)}
	fresh := &cost.Index{Name: "fresh", Open: true, Primaries: 1, Primary: 50 * cost.GiB, Stored: 50 * cost.GiB, Created: today, Codec: "zstd", Documents: 60, Deleted: 40, Counting: today.Add(-time.Hour)}
	hidden := &cost.Index{Name: ".system-2026.11.01", Open: true, Primaries: 50, Primary: 1, Created: today, Codec: "default", Counting: today.AddDate(0, 0, -20)}
	f.Indices = append(f.Indices, tiny, dusty, fresh, hidden)
	f.Kafka = &cost.Kafka{Brokers: make([]cost.Broker, 3), Topics: []cost.Topic{
		{Name: "wide", Partitions: 3, Replicas: 5, Stored: 100 * cost.GiB, Groups: []string{"g"}, Days: 7}, {Name: "alone", Partitions: 3, Replicas: 3, Stored: 30 * cost.GiB, Days: 7},
		{Name: "__consumer_offsets", Partitions: 50, Replicas: 5, Stored: 100 * cost.GiB},
	}}
	e := (&cost.Model{Prices: prices}).Estimate(f, nil, nil, cost.Limits{})
	by := map[string]cost.Suggestion{}
	var order []string
	for _, s := range e.Suggestions {
		by[s.What+" "+s.Where] = s
		order = append(order, s.What+" "+s.Where)
		if len(s.How) == 0 || s.Do == "" {
			t.Errorf("%+v", s)
		}
	}
	want := []string{
		"codec zstd logs-*", "copies of a topic topic wide", "deleted documents fresh", "never searched dusty", "nodes that nothing needs 4 of 6 data nodes", "replicas of what is old logs-*", "retention logs-*",
		"too many shards tiny", "a topic that no group reads topic alone",
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(order)); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	replicas := by["replicas of what is old logs-*"]
	if replicas.Bytes != 70*2*cost.GiB || replicas.Shards != 70 || !strings.Contains(replicas.How[0], "70 indices older than 30 days have 140 GiB of primary shards, and 140 GiB of replicas") {
		t.Errorf("%+v", replicas)
	}
	near(t, "disk of it", float64(replicas.Disk)/float64(replicas.Bytes), 1/0.95/0.85, 0.001)
	near(t, "money of it", replicas.Monthly, float64(replicas.Disk)/float64(cost.GiB)*0.1, 0.01)
	if s := by["retention logs-*"]; s.Bytes != 10*4*cost.GiB || !strings.Contains(s.How[1], "2.00 GiB a day") {
		t.Errorf("%+v", s)
	}
	if s := by["too many shards tiny"]; s.Shards != 18 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
	if s := by["copies of a topic topic wide"]; s.Bytes != 40*cost.GiB || s.Disk != 80*cost.GiB {
		t.Errorf("%+v", s)
	}
	if s := by["deleted documents fresh"]; s.Bytes != 20*cost.GiB {
		t.Errorf("%+v", s)
	}
	if s := by["never searched dusty"]; s.Bytes != 50*cost.GiB || !strings.Contains(s.How[0], "since 2026-11-04") {
		t.Errorf("%+v", s)
	}
	if s := by["nodes that nothing needs 4 of 6 data nodes"]; s.Nodes != 4 || math.Abs(s.Monthly-(4*2*730+2000*0.1)) > 0.01 {
		t.Errorf("%+v", s)
	}
	for i := 1; i < len(e.Suggestions); i++ {
		if e.Suggestions[i].Monthly > e.Suggestions[i-1].Monthly {
			t.Errorf("%s saves more than %s before it", order[i], order[i-1])
		}
	}
}

func TestACountThatIsYoungIsNoEvidence(t *testing.T) {
	f := facts(3, &cost.Index{Name: "x", Open: true, Primaries: 1, Primary: 50 * cost.GiB, Created: today.AddDate(-1, 0, 0), Counting: today.AddDate(0, 0, -6)})
	for _, s := range (&cost.Model{}).Estimate(f, nil, nil, cost.Limits{}).Suggestions {
		if s.What == "never searched" {
			t.Errorf("%+v", s)
		}
	}
}

func TestMoneyComesWithPricesOnlyAndSaysWhatHasNone(t *testing.T) {
	f := facts(3, logs(60, 2, 1, 10*cost.GiB)...)
	f.Documents, f.Searches = 1000, 2
	prices, err := cost.ReadPrices("testdata/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e := (&cost.Model{Prices: prices}).Estimate(f, nil, nil, cost.Limits{})
	want := 3*2*730 + 1500*0.1 + 1000*730*3600/1e6*0.25 + 2*730*3600/1e6*4
	near(t, "what there is", e.Have.Money.Monthly, want, 0.01)
	if len(e.Have.Money.Lines) != 4 || e.Have.Money.Currency != "ZZD" || e.Have.Money.Valid != "2026-11-24" {
		t.Errorf("%+v", e.Have.Money)
	}
	f.Environment = "dev"
	f.Kafka = &cost.Kafka{Brokers: make([]cost.Broker, 3)}
	if m := (&cost.Model{Prices: prices}).Estimate(f, nil, nil, cost.Limits{}).Have.Money; len(m.Missing) != 1 || !strings.Contains(m.Missing[0], "brokers: environments.dev.broker says no type") {
		t.Errorf("%+v", m)
	}
	for text, want := range map[string]string{
		"currency: E\nvalid: x\nsource: y\ninstance_hours: {a: 1}": "instance_hours",
		"valid: x\nsource: y": "currency is missing",
		"currency: E":         "valid and source are missing",
		"currency: E\nvalid: x\nsource: y\ngib_month: {a: -1}":                                  "not negative",
		"currency: E\nvalid: x\nsource: y\ninstance_hour: {a: 1}\nenvironments: {p: {data: b}}": `environments.p.data: "b" has no price; there are a`,
	} {
		if _, err := cost.ParsePrices("p.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestConstantsAreSetByAFileAndCheckedWithItsLines(t *testing.T) {
	k, err := cost.ParseConstants("k.yaml", []byte("logs_shard_gib: 40\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range k.List() {
		if c.What == "" || c.Source == "" {
			t.Errorf("%s: nobody says what it is, or where it comes from", c.Name)
		}
		if c.Name == "logs_shard_gib" && (c.Value != 40 || c.Source != "k.yaml") {
			t.Errorf("%+v", c)
		}
	}
	for text, want := range map[string]string{
		"a: 1": `k.yaml:1:1: there is no constant "a"`, "\nlogs_shard_gib: x": "k.yaml:2:1: logs_shard_gib: want a number", "disk_full: 0": "larger than 0", "linux_reserve: 1": "less than 1", "- 1": "want names with values",
		"logs_shard_gib: -3": "larger than 0", "logs_shard_gib: .nan": "want a number",
	} {
		if _, err := cost.ParseConstants("k.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{"500GiB": "500 GiB", "1.5TiB": "1.50 TiB", "200GB": "186 GiB", "0": "0 B", "1023": "1023 B", "1536": "1.50 KiB", "10 MiB": "10.0 MiB"} {
		if b, err := cost.ParseBytes(text); err != nil || b.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, b, err, want)
		}
	}
	for _, wrong := range []string{"", "GiB", "-1", "1e400", "many", "9999999PiB", "NaN"} {
		if b, err := cost.ParseBytes(wrong); err == nil {
			t.Errorf("%q is %v", wrong, b)
		}
	}
}

func TestDeclaredTopicsAreSized(t *testing.T) {
	f := facts(3)
	f.Indices = nil
	f.Kafka = &cost.Kafka{Brokers: make([]cost.Broker, 3), Topics: []cost.Topic{{Name: "t", Partitions: 6, Replicas: 3, Stored: 30 * cost.GiB, In: float64(cost.MiB), Days: 1, Groups: []string{"g"}}}}
	declared := cost.Declared(nil)
	declared.Set(cost.KafkaTopics, "t", object(t, `{"partitions": 12, "replicationFactor": 2, "configs": {"retention.ms": 604800000}}`))
	declared.Set(cost.KafkaTopics, "new", object(t, `{"partitions": 4}`))
	d := (&cost.Model{}).Estimate(f, declared, nil, cost.Limits{}).Plan
	if d == nil || d.SteadyBefore.Kafka.Copies != 18 || d.SteadyAfter.Kafka.Copies != 12*2+4 || d.SteadyAfter.Kafka.Stored != 2*7*86400*cost.MiB || d.SteadyBefore.Kafka.Stored != 3*86400*cost.MiB {
		t.Errorf("%+v", d)
	}
}

func FuzzLife(f *testing.F) {
	f.Add([]byte(policy), []byte(`{"index_patterns": ["logs-*"], "template": {"settings": {"number_of_shards": "4"}}}`))
	f.Fuzz(func(t *testing.T, policy, template []byte) {
		var p, x map[string]any
		if json.Unmarshal(policy, &p) != nil || json.Unmarshal(template, &x) != nil || p == nil || x == nil {
			return
		}
		o := cost.Declared(map[string]map[string]map[string]any{cost.ISMPolicies: {"p": p}, cost.IndexTemplates: {"t": x}})
		facts := facts(3, logs(20, 1, 1, cost.GiB)...)
		e := (&cost.Model{}).Estimate(facts, o, nil, cost.Limits{Shards: 1})
		if e.Steady.Copies < 0 || e.Steady.Shards < 0 {
			t.Errorf("%+v", e.Steady)
		}
		if e.Plan != nil && (e.Plan.SteadyAfter.Copies < 0 || e.Plan.SteadyAfter.Shards < 0) {
			t.Errorf("%+v", e.Plan.SteadyAfter)
		}
	})
}
