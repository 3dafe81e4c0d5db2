//go:build servers

package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/certs"
)

// A securedBench is a folder with a declared environment beside a node with the security plugin.
type securedBench struct {
	t    *testing.T
	node *testbed.SecureNode
}

func newSecuredBench(t *testing.T) *securedBench {
	t.Helper()
	ok, missing := testbed.CanStart(t, testbed.Secured)
	testbed.Need(t, ok, missing)
	b := &securedBench{t, testbed.StartSecure(t, testbed.Options{HeapMB: 768})}
	return b
}

// A person asks by name and password, or by neither.
type person struct{ name, password string }

func (b *securedBench) operator() person { return person{b.node.Username, b.node.Password} }

// naru runs a command as who, wants its exit status and texts in what it wrote, and gives that. No password may stand there.
func (b *securedBench) naru(who person, want int, texts []string, args ...string) string {
	b.t.Helper()
	var out bytes.Buffer
	env := Process()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &out
	env.Getenv = func(name string) string {
		return map[string]string{"NARU_USERNAME": who.name, "NARU_PASSWORD": who.password}[name]
	}
	if got := Main(b.t.Context(), env, args); got != want {
		b.t.Errorf("naru %s as %q: exit status %d, want %d\n%s", strings.Join(args, " "), who.name, got, want, &out)
	}
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			b.t.Errorf("naru %s as %q does not say %q:\n%s", strings.Join(args, " "), who.name, text, &out)
		}
	}
	if who.password != "" && strings.Contains(out.String(), who.password) {
		b.t.Errorf("naru %s prints a password:\n%s", strings.Join(args, " "), &out)
	}
	return out.String()
}

func (b *securedBench) file(name, content string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// at declares the environment with its target.
func (b *securedBench) at(url, tls string) {
	b.t.Helper()
	b.file("d/overlays/prod/env.yaml", fmt.Sprintf("estate: shop\ntarget: {urls: [%q], tls: %s}\nmeasure: {off: true}\n", url, tls))
}

// there reports whether an index is there.
func (b *securedBench) there(index string) bool {
	b.t.Helper()
	status, _, err := b.node.Send(b.t.Context(), http.MethodHead, "/"+index, "", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return status == http.StatusOK
}

// grant gives a role, as JSON, to a user and to nobody else.
func (b *securedBench) grant(role, body, user string) {
	b.t.Helper()
	b.node.Call(b.t, "PUT", "/_plugins/_security/api/roles/"+role, body)
	b.node.Call(b.t, "PUT", "/_plugins/_security/api/rolesmapping/"+role, map[string]any{"users": []string{user}})
}

var documentedRole = regexp.MustCompile("(?s)```yaml\n# roles/([a-z-]+)\\.yaml\n(.*?)```")

// rolesOfDocs gives the roles of a page as JSON.
func rolesOfDocs(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]string{}
	for _, m := range documentedRole.FindAllStringSubmatch(string(text), -1) {
		role, err := yaml.YAMLToJSON([]byte(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		roles[m[1]] = string(role)
	}
	return roles
}

// TestServersWithTheSecurityPluginAreTrustedAndTrustUsOrSayWhy has TLS on both sides, passwords, and users who lack rights.
func TestServersWithTheSecurityPluginAreTrustedAndTrustUsOrSayWhy(t *testing.T) {
	roles := rolesOfDocs(t, "environments.md")
	b := newSecuredBench(t)
	t.Chdir(t.TempDir())
	operator, bob, nobody := b.operator(), person{"bob", "B2-otter-lantern-95"}, person{}
	b.node.User(t, bob.name, bob.password)
	authority := fmt.Sprintf("{caFile: %q}", b.node.Authority.File)
	plan, apply := []string{"plan", "-f", "d", "-e", "prod"}, []string{"apply", "-f", "d", "-e", "prod", "--yes"}
	b.file("d/base/index-templates/web.yaml", "index_patterns: web-*\ncomposed_of: [common]\n")
	b.file("d/base/component-templates/common.yaml", "template: {settings: {number_of_shards: 2}}\n")
	b.file("d/base/ingest-pipelines/web.yaml", "processors: [{set: {field: a, value: b}}]\n")
	b.file("d/base/cluster-settings/limits.yaml", "persistent: {cluster.max_shards_per_node: 1234}\n")
	b.file("d/base/aliases/all.yaml", "indices: {web-*: {}}\n")
	b.node.Call(t, "PUT", "/web-1", nil)

	// The cluster's certificate.
	strangers := certs.New(t)
	stranger := strangers.Issue(t, "admin")
	for _, command := range [][]string{plan, apply} {
		b.at(b.node.URL, "{}")
		b.naru(operator, exitFailed, []string{"certificate signed by unknown authority", "as caFile"}, command...)
		b.at(b.node.URL, fmt.Sprintf("{caFile: %q}", strangers.File))
		b.naru(operator, exitFailed, []string{"certificate signed by unknown authority"}, command...)
		b.at(strings.Replace(b.node.URL, "https:", "http:", 1), authority)
		b.naru(operator, exitFailed, []string{"then it is https://"}, command...)

		// Who asks.
		b.at(b.node.URL, authority)
		b.naru(person{b.node.Username, "wrong-password"}, exitFailed, []string{"HTTP status 401", `does not take the name "operator" with the password given`}, command...)
		b.naru(nobody, exitFailed, []string{"HTTP status 401", "set NARU_USERNAME and NARU_PASSWORD"}, command...)
		b.naru(bob, exitFailed, []string{"HTTP status 403", "no permissions for [cluster:monitor/main]", "name=bob"}, command...)
		b.at(b.node.URL, fmt.Sprintf("{caFile: %q, certFile: %q, keyFile: %q}", b.node.Authority.File, stranger.CertFile, stranger.KeyFile))
		b.naru(nobody, exitFailed, []string{"the node ended the TLS connection", "certFile"}, command...)
	}
	if b.there(".naru-estate") {
		t.Error("something was done")
	}
	b.at(b.node.URL, fmt.Sprintf("{caFile: %q, certFile: %q, keyFile: %q}", b.node.Authority.File, b.node.Admin.CertFile, b.node.Admin.KeyFile))
	b.naru(nobody, exitDifference, []string{"5 to create", "OpenSearch 2.19.1 at https://"}, plan...)
	b.at(b.node.URL, authority)
	b.naru(operator, exitDifference, []string{"5 to create"}, plan...)

	// What a user may do.
	b.grant("naru-apply", roles["naru-apply"], "carol")
	b.grant("naru-plan", roles["naru-plan"], bob.name)
	b.naru(bob, exitDifference, []string{"5 to create"}, plan...)
	b.naru(bob, exitFailed, []string{"no permissions for [indices:admin/create]", "name=bob", "make the index .naru-estate"}, apply...)
	if b.there(".naru-estate") {
		t.Error("something was done")
	}
	carol := person{"carol", "C3-otter-lantern-96"}
	b.node.User(t, carol.name, carol.password)
	b.naru(carol, exitOK, []string{"Applied 5 changes"}, apply...)
	b.naru(bob, exitOK, []string{"No changes"}, plan...)
	b.naru(bob, exitOK, nil, "drift", "-f", "d", "-e", "prod")
	b.node.Call(t, "PUT", "/_ingest/pipeline/web", `{"description": "by hand", "processors": []}`)
	b.naru(bob, exitDifference, []string{"ingest-pipelines/web", "by hand"}, "drift", "-f", "d", "-e", "prod")
	b.naru(carol, exitOK, []string{"Applied 1 change"}, apply...)

	b.file("d/base/roles/reader.yaml", "cluster_permissions: [cluster_monitor]\n")
	b.file("d/base/role-mappings/reader.yaml", "users: [bob]\n")
	b.naru(carol, exitFailed, []string{"No permission to access REST API: User carol with Security roles", "plugins.security.restapi.roles_enabled"}, apply...)
	b.naru(operator, exitOK, []string{"Applied 2 changes"}, apply...)
	b.naru(operator, exitOK, []string{"No changes"}, plan...)
	b.naru(operator, exitOK, []string{"roles", "naru-plan", "reserved"}, "convert", "--from", b.node.URL, "--ca-file", b.node.Authority.File, "--to", "inherited", "-e", "prod")
	b.naru(operator, exitDifference, []string{"to adopt"}, "plan", "-f", "inherited", "-e", "prod")
}

// TestServersWithTheSecurityPluginTakeAndGiveDocuments carries into a secured cluster, compares, and carries out of it again.
func TestServersWithTheSecurityPluginTakeAndGiveDocuments(t *testing.T) {
	roles := rolesOfDocs(t, "secured-clusters.md")
	of := func(role, indices string) string { return strings.ReplaceAll(roles[role], "logs-*", indices) }
	b := newSecuredBench(t)
	repo, url, ca := filepath.Join(testbed.Root(t), "examples", "snapshot", "repo"), b.node.URL, b.node.Authority.File
	t.Chdir(t.TempDir())
	operator, bob := b.operator(), person{"bob", "B2-otter-lantern-95"}
	b.node.User(t, bob.name, bob.password)
	carry := []string{"carry", repo, url, "-i", "shop-*", "--progress", "none"}

	b.naru(operator, exitFailed, []string{"unknown authority", "--ca-file"}, carry...)
	carry = append(carry, "--ca-file", ca)
	b.naru(person{b.node.Username, "wrong-password"}, exitFailed, []string{"HTTP status 401"}, carry...)
	b.naru(bob, exitFailed, []string{"no permissions for [cluster:monitor/main]"}, carry...)
	b.grant("stranger", `{"cluster_permissions": ["cluster_monitor", "cluster_composite_ops"]}`, bob.name)
	b.naru(bob, exitFailed, []string{"no permissions for [indices:"}, carry...)
	if b.there("shop-orders") || b.there(".naru") {
		t.Error("something was done")
	}
	b.grant("stranger", of("naru-write", "shop-*"), bob.name)
	b.naru(bob, exitPartial, []string{"2,190 documents in 5 indices were read back", "naru verify " + repo + " " + url + " -i 'shop-*' --ca-file " + ca}, carry...)
	b.naru(operator, exitOK, []string{"Equal: 2,190 documents"}, "verify", repo, url, "-i", "shop-*", "--ca-file", ca)
	b.naru(operator, exitOK, []string{"shop-orders"}, "status", url, "--ca-file", ca)
	b.naru(person{}, exitOK, []string{"Equal: 2,190 documents"}, "verify", repo, url, "-i", "shop-*", "--ca-file", ca, "--cert-file", b.node.Admin.CertFile, "--key-file", b.node.Admin.KeyFile)

	// Who may read some indices reads these; of which documents are hidden from him, that is said.
	b.grant("stranger", of("naru-read", "shop-orders"), bob.name)
	back := []string{"carry", url, "ndjson:back", "--ca-file", ca, "--progress", "none"}
	b.naru(bob, exitFailed, []string{"indices:monitor/settings/get", "by name or pattern"}, back...)
	b.naru(bob, exitOK, []string{"everything has arrived whole"}, append(back, "-i", "shop-orders")...)
	b.naru(operator, exitOK, []string{"Equal: 270 documents"}, "verify", url, "back", "-i", "shop-orders", "--ca-file", ca)
	b.grant("stranger", strings.Replace(of("naru-read", "shop-logs-*"), `"allowed_actions"`, `"dls": "{\"term\": {\"response\": 200}}", "allowed_actions"`, 1), bob.name)
	back[2] = "ndjson:seen"
	text := b.naru(bob, exitPartial, []string{"partial: roles hide documents from this user"}, append(back, "-i", "shop-logs-*")...)
	if strings.Contains(text, "total                  1,800") {
		t.Errorf("the role hides nothing:\n%s", text)
	}
	b.naru(operator, exitMismatch, nil, "verify", url, "seen", "-i", "shop-logs-*", "--ca-file", ca)
}
