package estate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
)

// allAccess are objects of each kind of the security plugin, in the order of their application, with what it writes in its own way.
func (b *bench) allAccess() []string {
	b.file("base/action-groups/looks.yaml", "allowed_actions: [indices:data/read/search*, get]\ntype: index\ndescription: looks at documents\n")
	b.file("base/action-groups/nothing.yaml", "allowed_actions: []\n")
	b.file("base/tenants/bare.yaml", "{}\n")
	b.file("base/tenants/shop.yaml", "description: what the shop looks at\n")
	b.file("base/roles/bare.json", `{"cluster_permissions": [], "index_permissions": [], "description": ""}`)
	b.file("base/roles/reader.yaml", `
description: reads
cluster_permissions: [cluster_monitor, cluster_composite_ops_ro]
index_permissions:
  - {index_patterns: ["web-*", "app-*"], allowed_actions: [read, looks], dls: '{"term": {"public": true}}', fls: ["~secret"], masked_fields: [user]}
  - {index_patterns: ["a-*"], allowed_actions: [read]}
tenant_permissions: [{tenant_patterns: [shop], allowed_actions: [kibana_all_read]}]
`)
	b.file("base/roles/a b.yaml", "cluster_permissions: [cluster_monitor]\n")
	b.file("base/role-mappings/bare.yaml", "backend_roles: []\n")
	b.file("base/role-mappings/kibana_user.yaml", "users: [bob]\n") // of a static role
	b.file("base/role-mappings/reader.json", `{"users": ["eve", "bob"], "backend_roles": ["web"], "and_backend_roles": ["x", "y"], "hosts": ["*.example"], "description": "who reads"}`)
	return []string{
		"action-groups/looks", "action-groups/nothing", "tenants/bare", "tenants/shop", "roles/a b", "roles/bare", "roles/reader",
		"role-mappings/bare", "role-mappings/kibana_user", "role-mappings/reader",
	}
}

func TestAccessIsCreatedChangedAdoptedUndoneAndDeleted(t *testing.T) { accessLives(t, newBench(t)) }

// accessLives has each kind of the security plugin through all that can happen to it.
func accessLives(t *testing.T, b *bench) {
	t.Helper()
	const api = "/_plugins/_security/api/"
	others := b.get(api+"roles") + b.get(api+"rolesmapping") + b.get(api+"actiongroups") + b.get(api+"tenants")
	keys := b.allAccess()
	p := b.plan()
	b.wants(p, prefixed("create ", keys)...)
	first := b.apply(p)
	if p := b.plan(); len(p.Changes) > 0 || p.Unchanged != len(keys) {
		t.Errorf("after all is applied: %s\n%s", p.Summary(), fields(p))
	}
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift of what nobody touched: %q", d)
	}

	b.file("base/action-groups/looks.yaml", "allowed_actions: [get]\ntype: index\n")
	b.file("base/tenants/shop.yaml", "description: the shop's\n")
	b.file("base/roles/reader.yaml", "description: reads\ncluster_permissions: [cluster_composite_ops_ro]\nindex_permissions: [{index_patterns: [\"web-*\"], allowed_actions: [read]}]\n")
	b.file("base/role-mappings/reader.json", `{"users": ["eve"]}`)
	changed := []string{"change action-groups/looks", "change tenants/shop", "change roles/reader", "change role-mappings/reader"}
	p = b.plan()
	b.wants(p, changed...)
	second := b.apply(p)
	b.wants(b.plan())
	if text := b.get(api + "rolesmapping/reader"); strings.Contains(text, "bob") || strings.Contains(text, "web") || !strings.Contains(text, "eve") {
		t.Errorf("what is declared no more is still mapped: %s", text)
	}

	d, _ := b.observe()
	undo, err := estate.NewUndo(t.Context(), b.target(), d, second.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.wants(undo, changed...)
	b.apply(undo)
	for path, want := range map[string]string{"roles/reader": `"~secret"`, "rolesmapping/reader": `"*.example"`, "tenants/shop": "looks at", "actiongroups/looks": "search*"} {
		if text := b.get(api + path); !strings.Contains(text, want) {
			t.Errorf("the undo did not bring back %s of %s: %s", want, path, text)
		}
	}
	b.wants(b.plan(), changed...)
	b.apply(b.plan())

	b.send("PUT", api+"roles/reader", `{"cluster_permissions": ["*"]}`)
	b.send("DELETE", api+"tenants/shop", "")
	b.send("PUT", api+"rolesmapping/reader", `{"users": ["mallory", "eve"]}`)
	want := []string{"tenants/shop gone", "roles/reader cluster_permissions description index_permissions", "role-mappings/reader users"}
	if got := b.drift(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("drift: %q, want %q", got, want)
	}
	b.wants(b.plan(), "create tenants/shop", "change roles/reader", "change role-mappings/reader")
	b.apply(b.plan())
	if d := b.drift(); len(d) > 0 {
		t.Errorf("drift after it was put back: %q", d)
	}

	b.send("PUT", api+"roles/theirs", `{"cluster_permissions": ["cluster_monitor", "a"], "index_permissions": [{"index_patterns": ["x"], "allowed_actions": ["read"], "fls": []}]}`)
	b.send("PUT", api+"roles/same", `{"cluster_permissions": ["b", "a"]}`)
	b.file("base/roles/theirs.yaml", "cluster_permissions: [cluster_monitor]\nindex_permissions: [{index_patterns: [x], allowed_actions: [read], dls: null, masked_fields: []}]\n")
	b.file("base/roles/same.yaml", "{reserved: false, hidden: false, static: false, cluster_permissions: [a, b], tenant_permissions: []}\n") // as one copies it from an answer
	p = b.plan()
	b.wants(p, "adopt roles/same", "adopt roles/theirs")
	adopted := b.apply(p)
	if text := b.get(api + "roles/theirs"); !strings.Contains(text, `"a"`) {
		t.Errorf("adopting changed it: %s", text)
	}
	p = b.plan()
	b.wants(p, "change roles/theirs")
	if f := p.Changes[0].Fields; len(f) != 1 || f[0].Path != "cluster_permissions" {
		t.Errorf("%+v", f)
	}
	undo, err = estate.NewUndo(t.Context(), b.target(), d, adopted.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.wants(undo, "forget roles/theirs", "forget roles/same")
	b.apply(undo)
	b.file("base/roles/same.yaml", "")
	b.file("base/roles/theirs.yaml", "")
	b.wants(b.plan())
	b.send("DELETE", api+"roles/theirs", "")
	b.send("DELETE", api+"roles/same", "")

	undo, err = estate.NewUndo(t.Context(), b.target(), d, first.ID, b.now)
	if err != nil {
		t.Fatal(err)
	}
	if undo.Problems() != 4 { // those that were changed since
		t.Errorf("the undo of an apply that others followed: %s", undo.Summary())
	}
	if err := os.RemoveAll(filepath.Join(b.dir, "base")); err != nil {
		t.Fatal(err)
	}
	p = b.plan()
	var gone []string
	for i := range keys {
		gone = append(gone, "delete "+keys[len(keys)-1-i])
	}
	b.wants(p, gone...)
	b.apply(p)
	b.wants(b.plan())
	if now := b.get(api+"roles") + b.get(api+"rolesmapping") + b.get(api+"actiongroups") + b.get(api+"tenants"); len(now) != len(others) {
		t.Errorf("what was not naru's changed:\nbefore %s\nafter  %s", others, now)
	}
}

func TestWhatIsTheSystemsOwnIsLeftAlone(t *testing.T) { ownAccess(t, newBench(t), "roles/all_access") }

// ownAccess declares what the system has by itself (keys), and wants a problem of each, and nothing done.
func ownAccess(t *testing.T, b *bench, keys ...string) {
	t.Helper()
	b.wants(b.plan()) // of nothing: it is nobody's
	b.file("base/roles/mine.yaml", "cluster_permissions: [cluster_monitor]\n")
	for _, key := range keys {
		b.file("base/"+key+".yaml", "description: mine now\n")
	}
	p := b.plan()
	if p.Problems() != len(keys) || len(p.Changes) != len(keys)+1 {
		t.Errorf("%s: %+v", p.Summary(), p.Changes)
	}
	for i := range p.Changes {
		if ch := &p.Changes[i]; ch.Name != "mine" && !strings.Contains(ch.Problem, "reserved, hidden or static") {
			t.Errorf("%s: %s %q", ch.Key, ch.Action, ch.Problem)
		}
	}
	if _, err := b.try(t.Context(), p); err == nil {
		t.Error("a plan with problems was applied")
	}
	if text := b.get("/_plugins/_security/api/roles"); strings.Contains(text, "mine") {
		t.Errorf("something was done: %s", text)
	}
	for _, key := range keys {
		b.file("base/"+key+".yaml", "")
	}
	b.apply(b.plan())
	b.file("base/roles/mine.yaml", "")
	b.apply(b.plan())
}

func TestAMappingWithoutItsRoleIsAProblemOfThePlan(t *testing.T) {
	b := newBench(t)
	roleless(t, b)
}

// roleless declares a mapping before its role.
func roleless(t *testing.T, b *bench) {
	t.Helper()
	b.file("base/role-mappings/reader.yaml", "users: [bob]\n")
	p := b.plan()
	if p.Problems() != 1 || !strings.Contains(p.Changes[0].Problem, "declare roles/reader") {
		t.Errorf("%+v", p.Changes)
	}
	// It is true: the system refuses it.
	_, err := b.client.Do(t.Context(), opensearch.Request{Method: "PUT", Path: "/_plugins/_security/api/rolesmapping/reader", Body: []byte(`{"users": ["bob"]}`)})
	if err == nil || !strings.Contains(err.Error(), "role 'reader' not found (HTTP status 404)") {
		t.Errorf("%v", err)
	}
	b.file("base/roles/reader.yaml", "cluster_permissions: [cluster_monitor]\n")
	b.wants(b.plan(), "create roles/reader", "create role-mappings/reader")
	b.apply(b.plan())
	b.file("base/roles/reader.yaml", "") // and not the mapping
	p = b.plan()
	b.wants(p, "delete roles/reader")
	if e := strings.Join(p.Changes[0].Effects, "; "); !strings.Contains(e, "the mapping of its name stays") {
		t.Errorf("effects: %s", e)
	}
	b.file("base/role-mappings/reader.yaml", "")
	p = b.plan()
	b.wants(p, "delete role-mappings/reader", "delete roles/reader")
	if e := strings.Join(p.Changes[1].Effects, "; "); strings.Contains(e, "stays") {
		t.Errorf("effects: %s", e)
	}
	b.apply(p)
	b.wants(b.plan())
}

func TestWhatTheSecurityPluginWouldRefuseIsAMistakeOfTheFile(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"roles/a.yaml", "cluster_permissionss: [a]\n", `base/roles/a.yaml: cluster_permissionss: the security plugin has no such key; did you mean "cluster_permissions"?`},
		{"roles/a.yaml", "cluster_permissions: a\n", "cluster_permissions: want a list of texts"},
		{"roles/a.yaml", "cluster_permissions: [1]\n", "cluster_permissions: want a list of texts"},
		{"roles/a.yaml", "index_permissions: {a: b}\n", "index_permissions: want a list of objects"},
		{"roles/a.yaml", "index_permissions: [a]\n", "index_permissions[0]: want an object"},
		{"roles/a.yaml", "index_permissions: [{index_pattern: [a]}]\n", `index_permissions[0].index_pattern: the security plugin has no such key; did you mean "index_patterns"?`},
		{"roles/a.yaml", "index_permissions: [{dls: {term: {a: 1}}}]\n", "index_permissions[0].dls: want a text"},
		{"role-mappings/a.yaml", "user: [a]\n", `did you mean "users"?`},
		{"action-groups/a.yaml", "allowed_actions: a\n", "want a list of texts"},
		{"tenants/a.yaml", "description: [a]\n", "description: want a text"},
		// A later version may have more.
		{"roles/a.yaml", "workspaces: [a]\nindex_permissions: [{dls: null, reserved: 1}]\nreserved: false\n", ""},
	} {
		b := newBench(t)
		b.file("base/"+c.file, c.text)
		_, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
		if c.want == "" && err != nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}
