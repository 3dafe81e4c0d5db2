package estate_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate"
)

// TestMergePatchesAreThoseOfTheRFC has the examples of RFC 7386, appendix A.
func TestMergePatchesAreThoseOfTheRFC(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var target, patch, want any
		for text, into := range map[string]*any{c.target: &target, c.patch: &patch, c.want: &want} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		if err := json.Unmarshal([]byte(c.target), &target); err != nil { // the same text may stand twice
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c.patch), &patch); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, estate.MergePatch(target, patch)); diff != "" {
			t.Errorf("%s with %s: %s", c.target, c.patch, diff)
		}
	}
}

// FuzzParse: whatever is in a file, it is a value or an error that names the file; and a value that is written as JSON is
// read as the same one.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a": [1, 2.50, "x-${s}", null, true]}`, "a: {b: ${s}}\nc: [1, 0x1f, 1e3, .inf]\n", `{"a": 1, "a": 2}`, "a: &x 1\nb: *x", `"${l}"`, "\t{}", "{", "--- 1\n--- 2", "? [a]\n: b", "<<: {a: 1}"} {
		f.Add([]byte(seed))
	}
	vars := map[string]any{"s": "text", "l": []any{"a"}, "n": json.Number("1")}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range []string{"x.json", "x.yaml"} {
			v, err := estate.Parse(file, data, vars)
			if err != nil {
				if !strings.Contains(err.Error(), file) {
					t.Errorf("an error without a place: %v", err)
				}
				continue
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%s gave what is no JSON: %v", file, err)
			}
			if strings.Contains(string(text), "${") {
				continue // a plain ${x} would be a reference the second time
			}
			again, err := estate.Parse("x.json", text, vars)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if diff := cmp.Diff(v, again); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// FuzzReadPlan: a file that is no plan is an error, and nothing else.
func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(`{"version":"naru.dev/plan/v1","id":"x","changes":[{"kind":"roles","name":"a","action":"create","body":{"a":"<"},"then":{}}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "plan")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := estate.ReadPlan(file); err == nil && p.Version != estate.PlanVersion {
			t.Errorf("a plan of version %q", p.Version)
		}
	})
}

// FuzzCanonical: a body of any shape has a canonical form, which is its own.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"policy":{"states":[{"actions":[{"rollover":{}}],"transitions":[null]}],"ism_template":{"index_patterns":"x"}}}`))
	f.Add([]byte(`{"index_patterns":"x","template":{"settings":{"a":{"b":[1,null]}},"aliases":{"x":{"routing":1}}},"data_stream":{}}`))
	f.Add([]byte(`{"persistent":{"a":{"b":1}},"indices":{"x":{"routing":null},"y":3},"users":["b","a","a"],"deletion":{"condition":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var body estate.Body
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		if d.Decode(&body) != nil || body == nil {
			return
		}
		for _, kind := range estate.Kinds {
			key := estate.Key{Kind: kind, Name: "x"}
			once := estate.Canonical(key, body)
			if diff := cmp.Diff(once, estate.Canonical(key, once)); diff != "" {
				t.Errorf("%s %s: %s", kind, data, diff)
			}
			if fields := estate.Compare(once, once, nil, nil); len(fields) > 0 {
				t.Errorf("%s differs from itself: %+v", data, fields)
			}
		}
	})
}

func TestAnAliasWhosePatternsMatchNothingYetWaits(t *testing.T) {
	b := newBench(t)
	b.file("base/aliases/logs.yaml", "indices: {logs-*: {}}\n")
	b.wants(b.plan())
	b.send("PUT", "/logs-1", `{}`)
	b.apply(b.plan())
	b.send("PUT", "/logs-2", `{"aliases": {"logs": {"is_write_index": true}}}`) // a rollover
	b.wants(b.plan())
	b.send("PUT", "/logs-3", `{}`)
	b.wants(b.plan(), "change aliases/logs")
	b.apply(b.plan())
	if text := b.get("/_alias/logs"); !strings.Contains(text, "logs-3") || !strings.Contains(text, `"logs-2":{"aliases":{"logs":{"is_write_index":true}}}`) {
		t.Errorf("%s", text)
	}
	for _, name := range []string{"logs-1", "logs-2", "logs-3"} {
		b.send("DELETE", "/"+name, "")
	}
	b.wants(b.plan(), "forget aliases/logs")
}

func TestAnApplyThatIsToldToStopDoesSoBetweenTwoChanges(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c"} {
		b.file("base/roles/"+name+".yaml", "cluster_permissions: [x]\n")
	}
	stop := make(chan struct{})
	a := estate.Applier{Target: b.target(), By: "tester", Now: timeNow, Stop: stop, Step: func(done int, _ *estate.Change) {
		if done == 2 {
			close(stop)
		}
	}}
	run, err := a.Apply(t.Context(), b.plan())
	if run == nil || run.Done != 2 || err == nil || !strings.Contains(err.Error(), "2 of 3 changes done") {
		t.Errorf("%+v, %v", run, err)
	}
	b.wants(b.plan(), "create roles/c")
	d, _ := b.observe()
	history, err := estate.History(t.Context(), b.target(), d)
	if err != nil || len(history) != 1 || history[0].Done != 2 || history[0].Failed == "" {
		t.Errorf("%+v, %v", history, err)
	}
}

func TestAPlanOfManyObjectsAsksLittle(t *testing.T) {
	b := newBench(t)
	for i := range 300 {
		b.file("base/ingest-pipelines/p"+string(rune('a'+i%26))+string(rune('a'+i/26))+".json", `{"processors": []}`)
	}
	p := b.plan()
	if n := b.fake.Count("simulate_pipeline"); n > 3 || len(p.Notes) != 0 {
		t.Errorf("asked %d times, notes %q", n, p.Notes)
	}
	b.apply(p)
	before := len(b.fake.Requests())
	b.wants(b.plan())
	if n := len(b.fake.Requests()) - before; n > 6 {
		t.Errorf("a plan of 300 objects that are as declared took %d requests: %v", n, requests(b.fake, before))
	}
}

func requests(s *osfake.Server, from int) []string {
	var out []string
	for _, r := range s.Requests()[from:] {
		out = append(out, r.Method+" "+r.Path)
	}
	return out
}

func TestTheRecordNamesTheCommit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here")
	}
	b := newBench(t)
	b.file("base/ingest-pipelines/a.json", `{"processors": []}`)
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", b.dir, "-c", "user.name=Ann", "-c", "user.email=a@example.org"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "the first one")
	run := b.apply(b.plan())
	want := estate.Commit{ID: git("rev-parse", "HEAD"), Subject: "the first one", Author: "Ann"}
	if run.Commit != want {
		t.Errorf("%+v, want %+v", run.Commit, want)
	}
	b.send("PUT", "/_ingest/pipeline/a", `{"processors": [], "description": "by hand"}`)
	b.file("base/ingest-pipelines/a.json", `{"processors": [], "version": 2}`)
	if p := b.plan(); !p.Commit.Dirty {
		t.Errorf("a change that is not committed: %+v", p.Commit)
	}
	d, o := b.observe()
	if drifted := estate.FindDrift(d, o); len(drifted) != 1 || drifted[0].Commit != want || drifted[0].By != "tester" || drifted[0].Apply != run.ID {
		t.Errorf("%+v", drifted)
	}
}
