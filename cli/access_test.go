package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
)

// authority vouches for certificates, as the PEM files DIR/name.pem and DIR/name-key.pem.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, name, true)
	return a
}

func (a *authority) issue(t *testing.T, name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if ca {
		cert.KeyUsage, cert.ExtKeyUsage, parent, signer = x509.KeyUsageCertSign, nil, cert, key
	} else {
		cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// guarded puts a door before a cluster: what it does not refuse goes on to the cluster.
func guarded(t *testing.T, fake *osfake.Server, refuse func(r *http.Request) string) *httptest.Server {
	t.Helper()
	to, err := url.Parse(fake.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := refuse(r); why != "" {
			http.Error(w, `{"message":"`+why+`"}`, http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

func exampleRepository(t *testing.T) string {
	return filepath.Join(testbed.Root(t), "examples", "snapshot", "repo")
}

// A cluster that asks for certificates is carried into with the right one, and with no other.
func TestAClusterThatAsksForACertificateIsShownOne(t *testing.T) {
	a, stranger := newAuthority(t, "authority"), newAuthority(t, "stranger")
	a.issue(t, "node", false)
	a.issue(t, "naru", false)
	stranger.issue(t, "naru", false)
	pair, err := tls.LoadX509KeyPair(a.file("node.pem"), a.file("node-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	door := guarded(t, osfake.Start(t, osfake.Options{}), func(*http.Request) string { return "" })
	door.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	door.Config.ErrorLog = nil
	door.StartTLS()
	defer door.Close()
	carry := []string{"carry", exampleRepository(t), door.URL, "--progress", "none", "-i", "shop-logs-*"}
	ca := []string{"--ca-file", a.file("authority.pem")}
	own := []string{"--cert-file", a.file("naru.pem"), "--key-file", a.file("naru-key.pem")}
	for _, c := range []struct {
		what string
		args []string
		code int
		want string
	}{
		{"nobody vouches for the cluster", own, exitFailed, "certificate signed by unknown authority"},
		{"no certificate", ca, exitFailed, "certificate required"},
		{"a stranger's", append(ca, "--cert-file", stranger.file("naru.pem"), "--key-file", stranger.file("naru-key.pem")), exitFailed, "tls: "},
		{"half of one", append(ca, own[:2]...), exitFailed, "certFile and keyFile come together"},
		{"the right one", append(ca, own...), exitOK, "Verified: 1,800 documents"},
	} {
		out, err := naru(t, nil, append(carry, c.args...)...).CombinedOutput()
		code := 0
		if err != nil {
			code = codeOf(t, err)
		}
		if code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: exit status %d, want %d with %q\n%s", c.what, code, c.code, c.want, out)
		}
	}
}

// Requests to a cluster of Amazon's carry a signature of what they ask and what their body is, and credentials that have
// expired are said to be so.
func TestRequestsToAmazonAreSigned(t *testing.T) {
	const id, secret, region = "AKIDNARU", "a secret/of+naru", "ap-northeast-2"
	for _, service := range []string{"es", "aoss"} {
		refuse := func(r *http.Request) string {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return "the body broke off"
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			sum := sha256.Sum256(body)
			hash := hex.EncodeToString(sum[:])
			if r.Header.Get("X-Amz-Content-Sha256") != hash {
				return "the body is another one"
			}
			at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if err != nil || time.Since(at).Abs() > 5*time.Minute {
				return "signature expired"
			}
			// What is signed besides is what the signer chooses, of the headers that were there.
			_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
			list, _, _ = strings.Cut(list, ",")
			again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
			if err != nil {
				return err.Error()
			}
			for name := range strings.SplitSeq(list, ";") {
				if v := r.Header.Values(name); len(v) > 0 {
					again.Header[http.CanonicalHeaderKey(name)] = v
				}
			}
			if !strings.Contains(list, "content-length") {
				again.ContentLength = 0
			}
			err = v4.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, again, hash, service, region, at)
			if err != nil {
				return err.Error()
			}
			if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
				return "The request signature we calculated does not match the signature you provided"
			}
			return ""
		}
		door := guarded(t, osfake.Start(t, osfake.Options{}), refuse)
		door.Start()
		env := func(secret string) []string {
			none := filepath.Join(t.TempDir(), "none")
			return []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_SESSION_TOKEN=", "AWS_REGION=" + region, "AWS_PROFILE=",
				"AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none, "AWS_EC2_METADATA_DISABLED=true"}
		}
		args := []string{"carry", exampleRepository(t), door.URL, "--progress", "none", "-i", "shop-logs-*", "--sigv4", service}
		if out, err := naru(t, env(secret), args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified: 1,800 documents") {
			t.Errorf("%s: %v\n%s", service, err, out)
		}
		out, err := naru(t, env("another"), args...).CombinedOutput()
		if err == nil || codeOf(t, err) != exitFailed || !strings.Contains(string(out), "does not match the signature") {
			t.Errorf("%s, another secret: %v\n%s", service, err, out)
		}
		door.Close()
	}
}
