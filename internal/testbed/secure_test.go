//go:build servers

package testbed

import (
	"net/http"
	"testing"
)

// TestServersWithTheSecurityPluginAskWhoIsThere: a node that let everybody in would prove nothing.
func TestServersWithTheSecurityPluginAskWhoIsThere(t *testing.T) {
	ok, missing := CanStart(t, Secured)
	Need(t, ok, missing)
	n := StartSecure(t, Options{})
	for _, c := range []struct {
		name, password string
		want           int
	}{{n.Username, n.Password, http.StatusOK}, {n.Username, "wrong", http.StatusUnauthorized}, {"", "", http.StatusUnauthorized}} {
		if got := n.as(t, c.name, c.password, "/_cluster/health"); got != c.want {
			t.Errorf("%q with %q: status %d, want %d", c.name, c.password, got, c.want)
		}
	}
	n.Restart(t)
	if got := n.as(t, n.Username, n.Password, "/_cluster/health"); got != http.StatusOK {
		t.Errorf("after a restart: status %d", got)
	}
}

// as asks without the certificate.
func (n *SecureNode) as(t *testing.T, name, password, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		req.SetBasicAuth(name, password)
	}
	transport := n.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = nil
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return resp.StatusCode
}
