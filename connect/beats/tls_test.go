package beats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-lumber/client/v2"
	"github.com/google/go-cmp/cmp"
)

// An authority signs certificates.
type authority struct {
	own  *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.own, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.own)
	return a
}

// certificate signs a certificate for an IP address, or for a name that is none.
func (a *authority) certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"example"}}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		cert.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.own, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestEventsComeThroughTLSAndTheClientIsKnown(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	own, others := ours.certificate(t, "web1"), theirs.certificate(t, "web2")
	for _, c := range []struct {
		name    string
		auth    tls.ClientAuthType
		shows   *tls.Certificate
		roots   *authority
		version uint16
		want    Peer   // of a record
		log     string // where it is refused
	}{
		{"none", tls.NoClientCert, nil, ours, 0, Peer{"127.0.0.1", "TLSv1.3", "TLS_", false, ""}, ""},
		{"none, 1.2", tls.NoClientCert, nil, ours, tls.VersionTLS12, Peer{"127.0.0.1", "TLSv1.2", "TLS_ECDHE_", false, ""}, ""},
		{"optional without", tls.VerifyClientCertIfGiven, nil, ours, 0, Peer{"127.0.0.1", "TLSv1.3", "TLS_", false, ""}, ""},
		{"optional", tls.VerifyClientCertIfGiven, &own, ours, 0, Peer{"127.0.0.1", "TLSv1.3", "TLS_", true, "CN=web1,O=example"}, ""},
		{"optional and wrong", tls.VerifyClientCertIfGiven, &others, ours, 0, Peer{}, "certificate signed by unknown authority"},
		{"required", tls.RequireAndVerifyClientCert, &own, ours, 0, Peer{"127.0.0.1", "TLSv1.3", "TLS_", true, "CN=web1,O=example"}, ""},
		{"required, 1.2", tls.RequireAndVerifyClientCert, &own, ours, tls.VersionTLS12, Peer{"127.0.0.1", "TLSv1.2", "TLS_ECDHE_", true, "CN=web1,O=example"}, ""},
		{"required without", tls.RequireAndVerifyClientCert, nil, ours, 0, Peer{}, "didn't provide a certificate"},
		{"required and wrong", tls.RequireAndVerifyClientCert, &others, ours, 0, Peer{}, "certificate signed by unknown authority"},
		{"the client does not trust", tls.NoClientCert, nil, theirs, 0, Peer{}, "bad certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{ours.certificate(t, "127.0.0.1")}, ClientAuth: c.auth, ClientCAs: ours.pool}})
			client := &tls.Config{RootCAs: c.roots.pool, MaxVersion: c.version}
			if c.shows != nil {
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.shows, nil }
			}
			dialer := tls.Dialer{Config: client}
			n := 0
			l, err := v2.SyncDialWith(func(network, address string) (net.Conn, error) {
				return dialer.DialContext(t.Context(), network, address)
			}, p.addr(), v2.CompressionLevel(3))
			if err == nil {
				n, err = l.Send(events(0, 20))
				_ = l.Close()
			}
			if c.log != "" {
				if err == nil {
					t.Error("it is not refused")
				}
				p.until("the log says why", func() bool { return strings.Contains(p.log.String(), c.log) })
				if log := p.log.String(); !strings.Contains(log, "TLS handshake has failed") || !strings.Contains(log, "client=127.0.0.1:") {
					t.Error(log)
				}
				return
			}
			if n != 20 || err != nil {
				t.Fatal(n, err)
			}
			if d := cmp.Diff(list(0, 20), p.delivered(20)); d != "" {
				t.Error(d)
			}
			got := ParsePeer([]byte(p.metas[0]))
			if !strings.HasPrefix(got.Cipher, c.want.Cipher) {
				t.Error(got.Cipher)
			}
			got.Cipher = c.want.Cipher
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAClientThatDoesNotEncryptIsToldOf(t *testing.T) {
	p := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{newAuthority(t).certificate(t, "127.0.0.1")}}, HandshakeTimeout: 100 * time.Millisecond})
	send(t, p.dial(), packed(t, 0, 1))
	p.until("the log says so", func() bool { return strings.Contains(p.log.String(), "the client does not encrypt") })
	p.dial()
	p.until("a silent one, too", func() bool { return strings.Contains(p.log.String(), "it took longer than 100ms") })
}

func TestATLSClientThatIsCutOrSlowLosesNothing(t *testing.T) {
	ca := newAuthority(t)
	p := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "127.0.0.1")}}})
	c := tls.Client(p.dial(), &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"})
	b := packed(t, 0, 50) // in pieces that are read one by one, and time out in between
	for n := 7; len(b) > 0; b = b[min(n, len(b)):] {
		send(t, c, b[:min(n, len(b))])
		time.Sleep(3 * time.Millisecond)
	}
	plain := windowOf(20)
	for i := range 20 {
		plain = append(plain, frame(i+1, 50+i)...)
	}
	for n := 11; len(plain) > 0; plain = plain[min(n, len(plain)):] {
		send(t, c, plain[:min(n, len(plain))])
		time.Sleep(4 * time.Millisecond)
	}
	for acked(t, c, 1)[0] != "2:50" {
	}
	for acked(t, c, 1)[0] != "2:20" {
	}
	if d := cmp.Diff(list(0, 70), p.delivered(70)); d != "" {
		t.Error(d)
	}
}

func TestAPeerIsWhatItsMetaSays(t *testing.T) {
	for _, p := range []Peer{
		{Address: "192.0.2.1"},
		{Address: "2001:db8::1", TLS: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256"},
		{Address: "192.0.2.1", TLS: "TLSv1.2", Cipher: "X", Verified: true, Subject: "CN=a,O=b"},
		{},
	} {
		if got := ParsePeer(p.AppendMeta(nil)); got != p {
			t.Errorf("%+v became %+v", p, got)
		}
	}
}
