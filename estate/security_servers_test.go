//go:build servers

package estate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/testbed"
)

// secureNode starts OpenSearch with its security plugin.
func secureNode(t *testing.T) *testbed.SecureNode {
	t.Helper()
	ok, missing := testbed.CanStart(t, testbed.Secured)
	testbed.Need(t, ok, missing)
	return testbed.StartSecure(t, testbed.Options{})
}

// secureBench is a bench whose client is the node's user, or who has the administrator's certificate.
func secureBench(t *testing.T, n *testbed.SecureNode, administrator bool) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), url: n.URL, now: time.Now()}
	target := opensearch.Target{URLs: []string{n.URL}, TLS: opensearch.TLS{CAFile: n.Authority.File}}
	if administrator {
		target.TLS.CertFile, target.TLS.KeyFile = n.Admin.CertFile, n.Admin.KeyFile
	} else {
		target.Auth = opensearch.Auth{Username: n.Username, Password: opensearch.Password(n.Password)}
	}
	var err error
	if b.client, err = target.Connect(t.Context(), noEnv); err != nil {
		t.Fatal(err)
	}
	b.file("overlays/prod/env.yaml", fmt.Sprintf("estate: shop\ntarget: {urls: [%q], tls: {caFile: %q}}\nvariables: {shards: 3, age: 30d}\n", n.URL, n.Authority.File))
	return b
}

// TestServersWithTheSecurityPluginGetWhatIsDeclared has the plugin of 2.19.1, with TLS.
func TestServersWithTheSecurityPluginGetWhatIsDeclared(t *testing.T) {
	n := secureNode(t)
	for _, administrator := range []bool{false, true} {
		b := secureBench(t, n, administrator)
		accessLives(t, b)
		roleless(t, b)
		own := []string{"roles/kept", "roles/all_access", "role-mappings/all_access", "action-groups/read", "tenants/global_tenant"}
		if administrator { // who could change them, and sees what is hidden
			own = append(own, "roles/unseen")
		}
		ownAccess(t, b, own...)
	}

	// What is hidden is not there for who plans, and its apply says so; what came before it is done.
	b := secureBench(t, n, false)
	b.file("base/roles/mine.yaml", "cluster_permissions: [cluster_monitor]\n")
	b.file("base/roles/unseen.yaml", "cluster_permissions: [cluster_monitor]\n")
	p := b.plan()
	b.wants(p, "create roles/mine", "create roles/unseen")
	_, err := b.try(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "roles/unseen") || !strings.Contains(err.Error(), "Resource 'unseen' is not available") || !strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	b.file("base/roles/unseen.yaml", "")
	b.wants(b.plan(), "forget roles/unseen")
	b.apply(b.plan())
	b.wants(b.plan())
	if text := n.Call(t, "GET", "/_plugins/_security/api/roles/unseen", nil); !strings.Contains(string(text), `"hidden":true`) {
		t.Errorf("%s", text)
	}

	// The core's kinds go the same way as without the plugin.
	b = secureBench(t, n, false)
	b.file("overlays/prod/env.yaml", fmt.Sprintf("estate: other\ntarget: {urls: [%q], tls: {caFile: %q}}\nvariables: {shards: 3, age: 30d}\n", n.URL, n.Authority.File))
	b.send("PUT", "/logs-1", `{}`)
	lifecycle(t, b, b.everything(false))
}
