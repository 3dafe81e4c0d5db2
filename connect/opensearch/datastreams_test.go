package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/flow"
)

func TestTheIndicesOfADataStreamAreOneGroupWhereThatIsAskedFor(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	c := dial(t, fake.URL())
	put(t, c, "PUT", "/_index_template/web", `{"index_patterns":["web"],"data_stream":{},"template":{"settings":{"number_of_shards":2}}}`)
	put(t, c, "PUT", "/_data_stream/web", ``)
	put(t, c, "PUT", "/plain", `{}`)
	var lines strings.Builder
	for i := range 50 {
		fmt.Fprintf(&lines, "{\"create\":{\"_index\":\"web\",\"_id\":\"%d\"}}\n{\"@timestamp\":\"2026-01-01\",\"n\":%d}\n", i, i)
	}
	put(t, c, "POST", "/_bulk", lines.String())
	if _, err := c.Do(t.Context(), opensearch.Request{Method: "PUT", Path: "/web/_doc/x", Body: []byte(`{}`)}); err == nil {
		t.Error("a data stream takes what is not created")
	}
	s := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"web", "plain"}, Streams: true})
	groups, err := s.Groups(t.Context())
	if err != nil || len(groups) != 2 || groups[0].Name != "web" || groups[0].Records != 50 || groups[1].Name != "plain" {
		t.Fatalf("%+v, %v", groups, err)
	}
	n := 0
	for p, err := range s.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Group == "plain" {
			continue
		}
		if !strings.HasPrefix(p.ID, ".ds-web-000001/") {
			t.Errorf("part %s of %s", p.ID, p.Group)
		}
		r, err := s.Open(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b flow.Batch
		for err == nil {
			err = r.Read(t.Context(), &b)
		}
		for _, rec := range b.Records {
			if n++; rec.Index != "web" {
				t.Errorf("a record of %s", rec.Index)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n != 50 {
		t.Errorf("%d records", n)
	}
	if s := open(t, c, opensearch.SourceOptions{Indices: flow.Patterns{"web"}}); true {
		if groups, err := s.Groups(t.Context()); err != nil || len(groups) != 1 || groups[0].Name != ".ds-web-000001" {
			t.Errorf("unless asked for: %+v, %v", groups, err)
		}
	}
}

func TestASinkThatMayNotTakeMoreStopsTheFlowBeforeItWrites(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	full := errors.New("full")
	var taken atomic.Int64
	sink := newSink(t, fake, opensearch.Options{Unprocessed: true, Admit: func(_ context.Context, recs []flow.Record) error {
		if taken.Add(int64(len(recs))) > 15 {
			return full
		}
		return nil
	}})
	if err := sink.Write(t.Context(), records(10, 10)); err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(t.Context(), records(20, 10)); !errors.Is(err, full) || !flow.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	for _, r := range fake.Requests() {
		if strings.Contains(r.Path, "_bulk") && !strings.Contains(r.Query, "pipeline=_none") {
			t.Errorf("%s?%s goes through pipelines", r.Path, r.Query)
		}
	}
}

func TestTwoClustersMayHaveTwoPasswords(t *testing.T) {
	environment := func(name string) string {
		return map[string]string{"NARU_USERNAME": "naru", "NARU_PASSWORD": "one", "PROD_PASSWORD": "two"}[name]
	}
	fake := osfake.Start(t, osfake.Options{Username: "naru", Password: "two"})
	target := opensearch.Target{URLs: []string{fake.URL()}}
	if _, err := target.Connect(t.Context(), environment); err == nil {
		t.Error("the other password does")
	}
	target.Auth.PasswordEnv = "PROD_PASSWORD"
	if _, err := target.Connect(t.Context(), environment); err != nil {
		t.Error(err)
	}
	target.Auth.PasswordEnv = "NO_PASSWORD"
	if _, err := target.Connect(t.Context(), environment); err == nil || !strings.Contains(err.Error(), "NO_PASSWORD") {
		t.Errorf("%v", err)
	}
	target.Auth.PasswordFile = "x"
	if err := target.Validate(); err == nil {
		t.Error("two passwords")
	}
}
