package tlsoption

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/narudata/naru/internal/testbed/certs"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// shake lets a client and a server talk, and gives what the server knows of the client, and how long its certificate is good.
func shake(server, client *tls.Config) (tls.ConnectionState, *x509.Certificate, error) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		return tls.ConnectionState{}, nil, err
	}
	defer l.Close()
	type answer struct {
		s   tls.ConnectionState
		err error
	}
	done := make(chan answer, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer c.Close()
		t, _ := c.(*tls.Conn)
		_ = t.SetDeadline(time.Now().Add(5 * time.Second))
		if err = t.Handshake(); err == nil {
			_, err = t.Write([]byte("x"))
		}
		done <- answer{t.ConnectionState(), err}
	}()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.Addr().String(), client)
	if err != nil {
		<-done
		return tls.ConnectionState{}, nil, err
	}
	defer c.Close()
	_, err = io.ReadFull(c, make([]byte, 1)) // a refused client of TLS 1.3 learns it here
	a := <-done
	return a.s, c.ConnectionState().PeerCertificates[0], errors.Join(err, a.err)
}

func mustServer(t *testing.T, c *Config) *tls.Config {
	t.Helper()
	s, err := c.Server()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClient(t *testing.T, c *Config) *tls.Config {
	t.Helper()
	s, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secret(s string) *option.Password {
	p := option.Password(s)
	return &p
}

func identity(p certs.Pair) Identity { return Identity{Certificate: p.CertFile, Key: p.KeyFile} }

func TestBothSidesShowCertificatesOfTheAuthority(t *testing.T) {
	a, other := certs.New(t), certs.New(t)
	server, client, stranger := a.Issue(t, "server"), a.Issue(t, "client"), other.Issue(t, "stranger")
	trust := Authorities{[]string{a.File}}
	for _, c := range []struct {
		name           string
		server, client Config
		subject        string
		fails          bool
	}{
		{"without a client certificate", Config{Identity: identity(server)}, Config{Authorities: trust}, "", false},
		{"a client that trusts nobody", Config{Identity: identity(server)}, Config{}, "", true},
		{"a client that checks nothing", Config{Identity: identity(server)}, Config{Verification: Verification{"none"}}, "", false},
		{"another name", Config{Identity: identity(server)}, Config{Authorities: trust, ServerName: "elsewhere"}, "", true},
		{"another name, unchecked", Config{Identity: identity(server)}, Config{Authorities: trust, ServerName: "elsewhere", Verification: Verification{"certificate"}}, "", false},
		{"another authority, name unchecked", Config{Identity: identity(server)}, Config{Authorities: Authorities{[]string{other.File}}, Verification: Verification{"certificate"}}, "", true},
		{"mutual", Config{Identity: identity(server), Authorities: trust, ClientAuth: "required"}, Config{Authorities: trust, Identity: identity(client)}, "client", false},
		{"mutual, client without", Config{Identity: identity(server), Authorities: trust, ClientAuth: "required"}, Config{Authorities: trust}, "", true},
		{"mutual, stranger", Config{Identity: identity(server), Authorities: trust, ClientAuth: "required"}, Config{Authorities: trust, Identity: identity(stranger)}, "", true},
		{"optional, without", Config{Identity: identity(server), Authorities: trust, ClientAuth: "optional"}, Config{Authorities: trust}, "", false},
		{"optional, stranger", Config{Identity: identity(server), Authorities: trust, ClientAuth: "optional"}, Config{Authorities: trust, Identity: identity(stranger)}, "", true},
		{"no version in common", Config{Identity: identity(server), Protocols: Protocols{SupportedProtocols: []string{"TLSv1.3"}}},
			Config{Authorities: trust, Protocols: Protocols{SupportedProtocols: []string{"TLSv1.2"}}}, "", true},
		{"a suite of one's own", Config{Identity: identity(server), Protocols: Protocols{[]string{"TLSv1.2"}, []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}}},
			Config{Authorities: trust, Protocols: Protocols{[]string{"TLSv1.2"}, []string{"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"}}}, "", false},
		{"no suite in common", Config{Identity: identity(server), Protocols: Protocols{[]string{"TLSv1.2"}, []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}}},
			Config{Authorities: trust, Protocols: Protocols{[]string{"TLSv1.2"}, []string{"ECDHE-ECDSA-AES128-GCM-SHA256"}}}, "", true},
		{"a folder of authorities", Config{Identity: identity(server)}, Config{Authorities: Authorities{[]string{a.Dir}}}, "", false},
	} {
		state, _, err := shake(mustServer(t, &c.server), mustClient(t, &c.client))
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		if len(state.PeerCertificates) > 0 {
			got = state.PeerCertificates[0].Subject.CommonName
		}
		if err == nil && got != c.subject {
			t.Errorf("%s: the client is %q", c.name, got)
		}
	}
}

func TestKeysMayBeEncrypted(t *testing.T) {
	a := certs.New(t)
	p := a.Issue(t, "server")
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p.Key)), []byte("hush"), x509.PEMCipherAES256) //nolint:staticcheck // what people have
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"pkcs8": {Type: "ENCRYPTED PRIVATE KEY", Bytes: must(pkcs8.MarshalPrivateKey(p.Key, []byte("hush"), nil))},
		"old":   legacy,
	} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &Config{Identity: Identity{p.CertFile, file, secret("hush")}}
		if _, _, err := shake(mustServer(t, c), mustClient(t, &Config{Authorities: Authorities{[]string{a.File}}})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, wrong := range []*option.Password{nil, secret("loud")} {
			c.KeyPassphrase = wrong
			if _, err := c.Server(); err == nil || !strings.Contains(err.Error(), "passphrase") {
				t.Errorf("%s with a wrong passphrase: %v", name, err)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return v
}

func TestStoresAreReadIfTheyArePKCS12(t *testing.T) {
	a := certs.New(t)
	p, client := a.Issue(t, "server"), a.Issue(t, "client")
	dir := t.TempDir()
	keystore, truststore, java := filepath.Join(dir, "key.p12"), filepath.Join(dir, "trust.p12"), filepath.Join(dir, "old.store")
	for name, data := range map[string][]byte{
		keystore:   must(pkcs12.Modern.Encode(p.Key, p.Cert, []*x509.Certificate{a.Cert}, "hush")),
		truststore: must(pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{a.Cert}, "trust")),
		java:       append(append([]byte{}, jksMagic...), 0, 0, 0, 2),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := &Config{Dir: dir, Keystore: Store{"key.p12", secret("hush"), ""}, ClientAuth: "required", KeystoreIsTrusted: true}
	caller := &Config{Truststore: Store{truststore, secret("trust"), "pkcs12"}, Identity: identity(client)}
	if _, _, err := shake(mustServer(t, server), mustClient(t, caller)); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{Keystore: Store{keystore, secret("loud"), ""}}, "password"},
		{Config{Keystore: Store{java, nil, ""}}, "keytool -importkeystore"},
		{Config{Keystore: Store{"x.jks", nil, ""}}, "keytool -importkeystore"},
		{Config{Keystore: Store{keystore, nil, "jks"}}, "keytool -importkeystore"},
	} {
		if _, err := c.c.Server(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.c.Keystore, err)
		}
	}
}

func TestARenewedCertificateIsTakenUpWithoutARestart(t *testing.T) {
	a := certs.New(t)
	p := a.Issue(t, "server")
	conf := &Config{Identity: identity(p)}
	m, err := conf.material(false)
	if err != nil {
		t.Fatal(err)
	}
	before := m.now.Load().own.Leaf.SerialNumber
	touch := func() {
		m.mu.Lock()
		m.looked = time.Time{}
		m.mu.Unlock()
	}
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(p.KeyFile, []byte("half of a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch()
	m.refresh()
	if got := m.now.Load().own.Leaf.SerialNumber; got.Cmp(before) != 0 {
		t.Error("a broken file was taken up")
	}
	renewed := a.Issue(t, "server") // the same files
	if err := os.Chtimes(renewed.CertFile, later, later); err != nil {
		t.Fatal(err)
	}
	m.refresh() // too early
	if got := m.now.Load().own.Leaf.SerialNumber; got.Cmp(before) != 0 {
		t.Error("files are looked at for each connection")
	}
	touch()
	m.refresh()
	if got := m.now.Load().own.Leaf.SerialNumber; got.Cmp(renewed.Cert.SerialNumber) != 0 {
		t.Error("the renewed certificate was not taken up")
	}
}

func TestWhatDoesNotGoTogetherIsSaid(t *testing.T) {
	for _, c := range []struct {
		c      Config
		server bool
		want   string
	}{
		{Config{}, true, "ssl_certificate: a server needs"},
		{Config{Identity: Identity{Certificate: "a"}}, false, "ssl_certificate: it needs its key"},
		{Config{Identity: Identity{Key: "a"}}, false, "ssl_key: it needs its certificate"},
		{Config{Identity: Identity{Certificate: "a", Key: "b"}, Keystore: Store{Path: "k"}}, true, "ssl_keystore_path: there is ssl_certificate"},
		{Config{Authorities: Authorities{[]string{"a"}}, Truststore: Store{Path: "k"}}, false, "ssl_truststore_path: there is"},
		{Config{Keystore: Store{Password: secret("x")}}, false, "ssl_keystore_password: there is no"},
		{Config{Truststore: Store{Password: secret("x")}}, false, "ssl_truststore_password: there is no"},
		{Config{Identity: Identity{Certificate: "a", Key: "b"}, ClientAuth: "required"}, true, "ssl_client_authentication: it is required, but"},
		{Config{Protocols: Protocols{SupportedProtocols: []string{"TLSv1.1", "TLSv1.3"}}}, false, "no gap"},
		{Config{Protocols: Protocols{SupportedProtocols: []string{"SSLv3"}}}, false, `not "SSLv3"`},
		{Config{Protocols: Protocols{CipherSuites: []string{"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"}}}, false, "naru has none of"},
	} {
		err := c.c.CheckClient()
		if c.server {
			err = c.c.CheckServer()
		}
		if invalid := (*option.Invalid)(nil); err == nil || !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q: %v", c.want, err)
		}
	}
}

// plugin is an input with all groups.
type plugin struct {
	Server
	Keystore
	Truststore
	Port int64 `ls:"port"`
}

func TestEmbeddedGroupsAreOptionsOfThePlugin(t *testing.T) {
	a := certs.New(t)
	p := a.Issue(t, "server")
	text := `input { thing { port => 1 ssl_enabled => true ssl_certificate => "` + p.CertFile + `" ssl_key => "server.key" ssl_key_passphrase => "x"
		ssl_client_authentication => "optional" ssl_supported_protocols => ["TLSv1.2"] ssl_certificate_authorities => "ca.pem" ssl_truststore_password => "y" } }`
	cfg, err := syntax.Parse("a.conf", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Input)) {
		var got plugin
		if problems := option.Decode(node, &got, option.Env{Section: syntax.Input, Dir: a.Dir}); len(problems) > 0 {
			t.Fatal(problems)
		}
		c := got.Server.Of(Config{Dir: a.Dir})
		if !got.Enabled || c.Key != "server.key" || string(*c.KeyPassphrase) != "x" || c.ClientAuth != "optional" || *got.TruststorePassword != "y" {
			t.Errorf("%+v", got)
		}
		if _, err := c.Server(); err != nil {
			t.Error(err)
		}
	}
}
