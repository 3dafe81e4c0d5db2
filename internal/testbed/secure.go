package testbed

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/internal/testbed/certs"
)

// Secured is the server that StartSecure starts: OpenSearch with its security plugin.
const Secured = "os219sec"

// A SecureNode is a node with the security plugin: it speaks TLS only, knows its users by name and password, and who has the
// administrator's certificate may do all, also what the plugin reserves. Call and Send ask with that certificate.
type SecureNode struct {
	*Node
	Authority *certs.Authority // vouches for the node and the administrator
	Admin     certs.Pair
	// A user with all rights but those of the administrator's certificate.
	Username, Password string
}

// securityConfig is what the plugin begins with: users by name and password, the roles that it has by itself, one that is
// reserved and one that is hidden, and a user who may do all.
var securityConfig = []struct{ file, typ, content string }{
	{"config.yml", "config", `
config:
  dynamic:
    http: {anonymous_auth_enabled: false}
    authc:
      basic:
        http_enabled: true
        transport_enabled: true
        order: 0
        http_authenticator: {type: basic, challenge: true}
        authentication_backend: {type: intern}
`},
	{"internal_users.yml", "internalusers", ""},
	{"roles.yml", "roles", "kept: {reserved: true, cluster_permissions: [cluster_monitor]}\nunseen: {hidden: true, cluster_permissions: [cluster_monitor]}\n"},
	{"roles_mapping.yml", "rolesmapping", "all_access: {reserved: true, users: [operator]}\n"},
	{"action_groups.yml", "actiongroups", ""},
	{"tenants.yml", "tenants", ""},
	{"nodes_dn.yml", "nodesdn", ""},
	{"allowlist.yml", "allowlist", "config: {enabled: false, requests: {}}\n"},
	{"whitelist.yml", "whitelist", "config: {enabled: false, requests: {}}\n"},
	{"audit.yml", "audit", "config: {enabled: false}\n"},
}

// StartSecure is Start for a server with the security plugin, with certificates that are made for the test. It waits until
// the plugin is ready and the user is there. CanStart says whether this machine has what it needs.
func StartSecure(tb testing.TB, o Options) *SecureNode {
	tb.Helper()
	authority := certs.New(tb)
	n := &SecureNode{Node: newNode(tb, Secured, o), Authority: authority, Admin: authority.Issue(tb, "admin"), Username: "operator", Password: "A1-" + rand.Text()}
	n.URL = strings.Replace(n.URL, "http:", "https:", 1)
	n.configure(tb, authority.Issue(tb, "node"))

	authorities := x509.NewCertPool()
	authorities.AddCert(authority.Cert)
	pair, err := tls.LoadX509KeyPair(n.Admin.CertFile, n.Admin.KeyFile)
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: authorities, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
	}}
	tb.Cleanup(transport.CloseIdleConnections)
	n.client.Transport = transport
	n.answers = func(ctx context.Context) error {
		status, reply, err := n.Send(ctx, http.MethodGet, "/_plugins/_security/health", "", nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %.300s", status, reply)
		}
		return err
	}
	n.start(tb)
	n.User(tb, n.Username, n.Password)
	return n
}

// User makes a user, or gives him another password. What he may do is for role mappings to say.
func (n *SecureNode) User(tb testing.TB, name, password string) {
	tb.Helper()
	n.Call(tb, http.MethodPut, "/_plugins/_security/api/internalusers/"+url.PathEscape(name), map[string]string{"password": password})
}

// configure writes what the node and its plugin are started with.
func (n *SecureNode) configure(tb testing.TB, node certs.Pair) {
	tb.Helper()
	files := map[string]string{"opensearch.yml": fmt.Sprintf(`
plugins.security.ssl.transport: {pemcert_filepath: %[1]s, pemkey_filepath: %[2]s, pemtrustedcas_filepath: %[3]s}
plugins.security.ssl.http: {enabled: true, pemcert_filepath: %[1]s, pemkey_filepath: %[2]s, pemtrustedcas_filepath: %[3]s}
plugins.security.allow_default_init_securityindex: true
plugins.security.authcz.admin_dn: ["CN=admin,O=naru"]
plugins.security.nodes_dn: ["CN=node,O=naru"]
plugins.security.restapi.roles_enabled: [all_access]
`, node.CertFile, node.KeyFile, n.Authority.File)}
	for _, c := range securityConfig {
		files["opensearch-security/"+c.file] = fmt.Sprintf("_meta: {type: %s, config_version: 2}\n%s", c.typ, c.content)
	}
	for name, content := range files {
		path := filepath.Join(n.home, "config", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
