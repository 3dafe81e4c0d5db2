package cutover

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/connect/opensearch/osfake"
)

func nobody(string) string { return "" }

// cluster starts a fake with indices, and gives a client of it.
func cluster(t *testing.T, indices ...string) (*osfake.Server, *opensearch.Client) {
	t.Helper()
	s := osfake.Start(t, osfake.Options{})
	c, err := opensearch.Target{URLs: s.URLs}.Connect(t.Context(), nobody)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range indices {
		if err := c.JSON(t.Context(), http.MethodPut, "/"+name, map[string]any{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, c
}

func actions(t *testing.T, c *opensearch.Client, all ...any) {
	t.Helper()
	if err := c.JSON(t.Context(), http.MethodPost, "/_aliases", map[string]any{"actions": all}, nil); err != nil {
		t.Fatal(err)
	}
}

func add(index, alias string, more ...any) any {
	a := map[string]any{"index": index, "alias": alias}
	for i := 0; i+1 < len(more); i += 2 {
		a[fmt.Sprint(more[i])] = more[i+1]
	}
	return map[string]any{"add": a}
}

// named gives what each index has for the alias.
func named(t *testing.T, c *opensearch.Client, alias string) map[string]entry {
	t.Helper()
	indices, err := indicesOf(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]entry{}
	for _, x := range indices {
		if e, ok := x.aliases[alias]; ok {
			out[x.name] = e
		}
	}
	return out
}

func switched(t *testing.T, c *opensearch.Client, wanted map[string]string) *Plan {
	t.Helper()
	p, err := New(t.Context(), c, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAllAliasesAreSwitchedByOneRequest(t *testing.T) {
	s, c := cluster(t, "old-logs", "old-users", "logs-1", "logs-2", "users-1", ".hidden")
	filter := map[string]any{"term": map[string]any{"env": "prod"}}
	actions(t, c, add("old-logs", "logs", "filter", filter, "is_write_index", true), add("old-users", "users"))
	before := s.Count("aliases")
	p := switched(t, c, map[string]string{"logs": "logs-*", "users": "users-1"})
	if n := s.Count("aliases") - before; n != 1 {
		t.Errorf("%d requests, not 1: %v", n, s.Requests())
	}
	if d := cmp.Diff(map[string]entry{"logs-1": {"filter": filter}, "logs-2": {"filter": filter, "is_write_index": true}}, named(t, c, "logs")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]entry{"users-1": {}}, named(t, c, "users")); d != "" {
		t.Error(d)
	}
	if p.Switches[0].Writes != "logs-2" || p.Switches[1].Writes != "" {
		t.Errorf("writes: %+v", p.Switches)
	}

	again, err := New(t.Context(), c, map[string]string{"logs": "logs-*", "users": "users-*"})
	if err != nil || again.Changes() != 0 {
		t.Errorf("%d changes of what is switched already, %v", again.Changes(), err)
	}
	back := switched(t, c, map[string]string{"logs": "old-logs"})
	if d := cmp.Diff(map[string]entry{"old-logs": {"filter": filter, "is_write_index": true}}, named(t, c, "logs")); d != "" || back.Changes() != 1 {
		t.Errorf("not as it was: %s", d)
	}
}

func TestAnIndexThatStaysKeepsWhatItHas(t *testing.T) {
	_, c := cluster(t, "logs-1", "logs-2", "logs-3")
	actions(t, c, add("logs-1", "logs", "routing", "a", "is_write_index", true), add("logs-2", "logs", "routing", "a"))
	switched(t, c, map[string]string{"logs": "logs-*,-logs-2"})
	want := map[string]entry{
		"logs-1": {"index_routing": "a", "search_routing": "a", "is_write_index": true},
		"logs-3": {"index_routing": "a", "search_routing": "a"},
	}
	if d := cmp.Diff(want, named(t, c, "logs")); d != "" {
		t.Error(d)
	}
}

func TestWhatIsInTheWayIsSaidAndNothingIsSwitched(t *testing.T) {
	s, c := cluster(t, "old", "odd", "new-1", "shut", "users")
	actions(t, c, add("old", "logs", "routing", "a"), add("odd", "logs", "routing", "b"))
	if err := c.JSON(t.Context(), http.MethodPost, "/shut/_close", nil, nil); err != nil {
		t.Fatal(err)
	}
	before := s.Count("aliases")
	_, err := New(t.Context(), c, map[string]string{"logs": "new-*", "users": "new-1", "a": "nothing-*", "b": "shut", "c": "[", "d": "new-1"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"alias logs: its indices odd, old have different filters or routing", "alias users: an index is called users", "alias a: no index matches nothing-*",
		"alias b: index shut is closed", `alias c: pattern "["`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "alias d") || s.Count("aliases") != before {
		t.Errorf("%v; %d requests", err, s.Count("aliases")-before)
	}
}

func TestALostAnswerIsLookedForAndARefusalIsNot(t *testing.T) {
	s, c := cluster(t, "old", "new")
	actions(t, c, add("old", "logs"))
	for _, cut := range []osfake.Fault{{Cut: osfake.CutAfter}, {Cut: osfake.CutBefore}} {
		p, err := New(t.Context(), c, map[string]string{"logs": "new"})
		if err != nil {
			t.Fatal(err)
		}
		s.SetHook(func(r *osfake.Request) osfake.Fault {
			if r.API == "aliases" {
				return cut
			}
			return osfake.Fault{}
		})
		err = p.Apply(t.Context(), c)
		s.SetHook(nil)
		done := named(t, c, "logs")["new"] != nil
		if done != (err == nil) {
			t.Errorf("%+v: switched: %t, and the error is %v", cut, done, err)
		}
		if _, err := New(t.Context(), c, map[string]string{"logs": "new"}); err != nil {
			t.Error(err)
		}
		switched(t, c, map[string]string{"logs": "old"})
	}
	p, err := New(t.Context(), c, map[string]string{"logs": "new"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.JSON(t.Context(), http.MethodDelete, "/new", nil, nil); err != nil { // in between
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), c); err == nil || !strings.Contains(err.Error(), "none was switched") {
		t.Errorf("an index that is gone: %v", err)
	}
	if d := cmp.Diff(map[string]entry{"old": {}}, named(t, c, "logs")); d != "" {
		t.Error(d)
	}
}
