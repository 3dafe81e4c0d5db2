package convert_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
)

func noEnv(string) string { return "" }

// A cluster is a live one, a fake or a real.
type cluster struct {
	t       *testing.T
	url     string
	brokers []string
	target  *estate.Target
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return clusterAt(t, osfake.Start(t, osfake.Options{Plugins: []string{osfake.IndexManagement, osfake.Security}}).URL())
}

func clusterAt(t *testing.T, url string) *cluster {
	t.Helper()
	client, err := (opensearch.Target{URLs: []string{url}}).Connect(t.Context(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{t: t, url: url, target: &estate.Target{Search: client}}
}

func (c *cluster) send(method, path, body string) {
	c.t.Helper()
	if _, err := c.target.Search.Do(c.t.Context(), opensearch.Request{Method: method, Path: path, Body: []byte(body)}); err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// declare writes what came of a conversion, and reads it as an environment at the cluster.
func (c *cluster) declare(r *convert.Result) *estate.Desired {
	c.t.Helper()
	dir := c.t.TempDir()
	files, err := r.Files("base")
	if err != nil {
		c.t.Fatal(err)
	}
	env, err := convert.Env{Name: "prod", Estate: "shop", URLs: []string{c.url}, Brokers: c.brokers}.File()
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := convert.Write(dir, append(files, env), false); err != nil {
		c.t.Fatal(err)
	}
	d, err := estate.Read(c.t.Context(), dir, "prod", noEnv)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range r.Objects {
		if got := d.Objects[o.Key]; got == nil || !same(got.Body, o.Body) {
			c.t.Errorf("%s is read as %v, and was %v", o.Key, got, o.Body)
		}
	}
	return d
}

func same(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func (c *cluster) plan(d *estate.Desired) *estate.Plan {
	c.t.Helper()
	o, err := estate.Observe(c.t.Context(), c.target, d)
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := estate.NewPlan(c.t.Context(), c.target, d, o, true, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// adopts wants the plan to take over each object as it is, and after that to be empty.
func (c *cluster) adopts(r *convert.Result) {
	c.t.Helper()
	d := c.declare(r)
	p := c.plan(d)
	if len(p.Changes) != len(r.Objects) || len(r.Objects) == 0 {
		c.t.Errorf("%d changes for %d objects: %s", len(p.Changes), len(r.Objects), p.Summary())
	}
	for i := range p.Changes {
		ch := &p.Changes[i]
		if ch.Action != estate.Adopt || len(ch.Fields) > 0 || ch.Problem != "" {
			c.t.Errorf("%s %s %s", ch.Action, ch.Key, ch.Problem)
			for _, f := range ch.Fields {
				c.t.Errorf("  %s: %s -> %s", f.Path, f.From, f.To)
			}
		}
	}
	if _, err := (&estate.Applier{Target: c.target, By: "tester", Now: time.Now}).Apply(c.t.Context(), p); err != nil {
		c.t.Fatal(err)
	}
	if p := c.plan(d); len(p.Changes) > 0 {
		c.t.Errorf("after the adoption: %s", p.Summary())
	}
}

// converted gives what came of texts, which has to be right.
func converted(t *testing.T, options convert.Options, inputs ...string) *convert.Result {
	t.Helper()
	b := &convert.Batch{Options: options}
	for i, in := range inputs {
		b.Read(fmt.Sprintf("input%d", i), []byte(in))
	}
	r, err := b.Result()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused wants an error that has all the texts.
func refused(t *testing.T, input string, wants ...string) {
	t.Helper()
	var b convert.Batch
	b.Read("a.yaml", []byte(input))
	r, err := b.Result()
	if err == nil {
		t.Errorf("no error; %+v", r)
		return
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the error %q", want, err)
		}
	}
}

func keys(r *convert.Result) []string {
	var out []string
	for _, o := range r.Objects {
		out = append(out, o.Key.String())
	}
	return out
}

func left(r *convert.Result) []string {
	var out []string
	for _, l := range r.Left {
		out = append(out, string(l.Cause)+" "+l.What)
	}
	return out
}

func wants(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwanted %q", got, want)
	}
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheSameObjectFromTwoPlacesHasToBeTheSame(t *testing.T) {
	const one = "apiVersion: %s\nkind: OpensearchRole\nmetadata: {name: reader, namespace: shop}\nspec: {opensearchCluster: {name: logs}, clusterPermissions: [%s]}\n"
	r := converted(t, convert.Options{}, fmt.Sprintf(one, "opensearch.opster.io/v1", "a, b"), fmt.Sprintf(one, "opensearch.org/v1", "b, a"))
	wants(t, keys(r), "roles/reader") // as the operator itself copies from the old group to the new
	var b convert.Batch
	b.Read("one", []byte(fmt.Sprintf(one, "opensearch.org/v1", "a")))
	b.Read("two", []byte(fmt.Sprintf(one, "opensearch.org/v1", "b")))
	if _, err := b.Result(); err == nil || !strings.Contains(err.Error(), "roles/reader comes from") {
		t.Errorf("%v", err)
	}
}

func TestTextsThatLookLikeVariablesStayTexts(t *testing.T) {
	c := newCluster(t)
	c.send(http.MethodPut, "/_ingest/pipeline/p", `{"processors": [{"set": {"field": "a", "value": "${shards} and $${x}, $${{y}} {{ctx.a}}"}}]}`)
	var b convert.Batch
	if err := b.Live(t.Context(), c.target, "fake"); err != nil {
		t.Fatal(err)
	}
	r, err := b.Result()
	if err != nil {
		t.Fatal(err)
	}
	c.adopts(r)
}

func TestNamesThatNoFileCanHaveAreLeft(t *testing.T) {
	const role = "apiVersion: opensearch.org/v1\nkind: OpensearchIndexTemplate\nmetadata: {name: x%d}\nspec: {name: %q, indexPatterns: [a]}\n"
	var in []string
	for i, name := range []string{".hidden", "a/b", "logs.patch", strings.Repeat("x", 251)} {
		in = append(in, fmt.Sprintf(role, i, name))
	}
	r := converted(t, convert.Options{}, in...)
	if len(r.Objects) != 0 || len(r.Left) != 4 || r.Complete() || len(r.Handover) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsThereAlreadyIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	files := []convert.File{{Path: "base/roles/a.yaml", Data: []byte("a: 1\n")}, {Path: "base/roles/b.yaml", Data: []byte("b: 1\n")}}
	write := func(replace bool, want int, wrong string) {
		t.Helper()
		n, err := convert.Write(dir, files, replace)
		if n != want || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%d, %v; wanted %d, %q", n, err, want, wrong)
		}
	}
	write(false, 2, "")
	write(false, 0, "") // once more
	files[1].Data = []byte("b: 2\n")
	files = append(files, convert.File{Path: "base/roles/c.yaml", Data: []byte("c: 1\n")})
	write(false, 0, "base/roles/b.yaml: there is such a file already")
	if _, err := os.Stat(filepath.Join(dir, "base/roles/c.yaml")); err == nil {
		t.Error("a part was written")
	}
	write(true, 2, "")
	files = append(files, convert.File{Path: "base/roles/C.yaml"})
	write(false, 0, "one file where case does not count")
	files = []convert.File{{Path: "base/roles/d.yaml"}}
	if err := os.WriteFile(filepath.Join(dir, "base/roles/d.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(false, 0, "declares the same object")
}

// withKafka adds a Kafka that has what testdata/terraform.tfstate says.
func (c *cluster) withKafka() {
	c.t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(fake.Close)
	c.brokers = fake.ListenAddrs()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	adm, ctx := kadm.NewClient(client), c.t.Context()
	week, policy := "604800000", "delete"
	if r, err := adm.CreateTopic(ctx, 12, 3, map[string]*string{"retention.ms": &week, "cleanup.policy": &policy}, "orders"); err != nil || r.Err != nil {
		c.t.Fatal(err, r.Err)
	}
	allow := func(b *kadm.ACLBuilder, pattern kmsg.ACLResourcePatternType, op kmsg.ACLOperation) {
		c.t.Helper()
		results, err := adm.CreateACLs(ctx, b.Allow("User:orders").AllowHosts("*").ResourcePatternType(pattern).Operations(op))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				c.t.Fatal(r.Err)
			}
		}
	}
	allow(kadm.NewACLs().Topics("orders"), kadm.ACLPatternLiteral, kadm.OpRead)
	allow(kadm.NewACLs().Topics("orders"), kadm.ACLPatternLiteral, kadm.OpDescribe)
	allow(kadm.NewACLs().Groups("orders-"), kadm.ACLPatternPrefixed, kadm.OpRead)
	allow(kadm.NewACLs().TransactionalIDs("orders"), kadm.ACLPatternLiteral, kadm.OpWrite)
	name := "orders"
	altered, err := adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &name}}, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 1048576}},
	}})
	if err != nil || altered[0].Err != nil {
		c.t.Fatal(err, altered)
	}
	if c.target.Kafka, err = (&kafka.Config{Brokers: c.brokers}).Admin(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.target.Kafka.Close)
}
