package opensearch_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/internal/testbed/certs"
)

// TestARefusalSaysWhatTheServerSaidAndWhatToDo has answers of OpenSearch 2.19.1 with its security plugin.
func TestARefusalSaysWhatTheServerSaidAndWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status      int
		body, want  string
		name, other string // who asks; what must not be said
	}{
		{401, "Unauthorized", `Unauthorized; it does not take the name "bob" with the password given`, "bob", "set NARU_USERNAME and"},
		{401, "Unauthorized", "Unauthorized; set NARU_USERNAME and NARU_PASSWORD", "", ""},
		{403, `{"error":{"root_cause":[],"type":"security_exception","reason":"no permissions for [cluster:monitor/main] and User [name=bob, backend_roles=[], requestedTenant=null]"},"status":403}`,
			"security_exception: no permissions for [cluster:monitor/main] and User [name=bob, backend_roles=[], requestedTenant=null]; this user may not do that: a role", "bob", ""},
		{403, "", "this user may not do that: a role with the permission is to be mapped to them (HTTP status 403)", "bob", ": :"},
		{403, `{"status":"FORBIDDEN","message":"No permission to access REST API: User bob with Security roles [] does not have any role privileged for admin access. No client TLS certificate found in request"}`,
			"User bob with Security roles [] does not have any role privileged for admin access. No client TLS certificate found in request; the nodes' setting plugins.security.restapi.roles_enabled", "bob", "FORBIDDEN"},
		{403, `{"status":"FORBIDDEN","message":"Resource 'kept' is reserved."}`, "Resource 'kept' is reserved (HTTP status 403)", "bob", "may not"},
		{400, `{"status":"error","reason":"Invalid configuration","invalid_keys":{"keys":"cluster_permissionss"}}`, "Invalid configuration: invalid keys: cluster_permissionss (HTTP status 400)", "bob", ""},
		{400, `{"status":"error","reason":"Wrong datatype","cluster_permissions":"Array expected"}`, "Wrong datatype: cluster_permissions: Array expected", "bob", ""},
		{400, `{"status":"error","reason":"Request body required for this action."}`, "PUT /x: Request body required for this action (HTTP", "bob", `"error"`},
		{502, "<html>proxy</html>", "<html>proxy</html> (HTTP status 502)", "bob", ""},
		{400, `{"status": 400, "message": 5}`, `{"status": 400, "message": 5} (HTTP status 400)`, "bob", ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		target := opensearch.Target{URLs: []string{server.URL}}
		if c.name != "" {
			target.Auth = opensearch.Auth{Username: c.name, Password: "hidden"}
		}
		client, err := target.Open(t.Context(), func(string) string { return "" }, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Do(t.Context(), opensearch.Request{Method: http.MethodPut, Path: "/x"})
		server.Close()
		if text := fmt.Sprint(err); !strings.Contains(text, c.want) || c.other != "" && strings.Contains(text, c.other) || strings.Contains(text, "hidden") {
			t.Errorf("status %d %s\n is %q\nwants %q and not %q", c.status, c.body, text, c.want, c.other)
		}
	}
}

func TestATLSErrorSaysWhatToDo(t *testing.T) {
	ours, theirs := certs.New(t), certs.New(t)
	node, me, stranger := ours.Issue(t, "node"), ours.Issue(t, "me"), theirs.Issue(t, "me")
	pair, err := tls.LoadX509KeyPair(node.CertFile, node.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ours.Cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"cluster_name":"c","version":{"number":"2.19.1","distribution":"opensearch"}}`))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()

	other := httptest.NewTLSServer(server.Config.Handler) // its certificate is not one of localhost
	defer other.Close()
	_, port, err := net.SplitHostPort(other.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	vouches := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})

	for _, c := range []struct {
		url, want string
		tls       opensearch.TLS
	}{
		{server.URL, "", opensearch.TLS{CAFile: ours.File, CertFile: me.CertFile, KeyFile: me.KeyFile}},
		{server.URL, "caFile (--ca-file)", opensearch.TLS{CertFile: me.CertFile, KeyFile: me.KeyFile}},
		{server.URL, "caFile (--ca-file)", opensearch.TLS{CAFile: theirs.File, CertFile: me.CertFile, KeyFile: me.KeyFile}},
		{"https://localhost:" + port, "by a name that its certificate has", opensearch.TLS{CAPEM: vouches}},
		{server.URL, "certFile and keyFile (--cert-file, --key-file)", opensearch.TLS{CAFile: ours.File, CertFile: stranger.CertFile, KeyFile: stranger.KeyFile}},
		{server.URL, "certFile and keyFile (--cert-file, --key-file)", opensearch.TLS{CAFile: ours.File}},
		{server.URL, "certFile", opensearch.TLS{CAFile: ours.File, CertFile: me.CertFile, KeyFile: stranger.KeyFile}},
		{server.URL, "no certificate in it", opensearch.TLS{CAFile: me.KeyFile}},
		{server.URL, "no such file", opensearch.TLS{CAFile: "/nowhere/ca.pem"}},
	} {
		_, err := opensearch.Target{URLs: []string{c.url}, TLS: c.tls}.Connect(t.Context(), func(string) string { return "" })
		if c.want == "" && err != nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s %+v: %v, want %q", c.url, c.tls, err, c.want)
		}
	}
	// Go's server answers a request without TLS by a text; OpenSearch's plugin ends the connection.
	ends := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer ends.Close()
	if _, err := (opensearch.Target{URLs: []string{ends.URL}}).Connect(t.Context(), func(string) string { return "" }); !strings.Contains(fmt.Sprint(err), "then it is https://") {
		t.Errorf("%v", err)
	}
}
