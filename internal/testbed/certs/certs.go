// Package certs makes certificates for tests: an authority, and what it signs, as files.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority signs certificates.
type Authority struct {
	Dir  string // where its files are
	File string // its own certificate (PEM)
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Pair is a certificate and its key, in files (PEM) and as they are.
type Pair struct {
	CertFile, KeyFile string
	Cert              *x509.Certificate
	Key               *ecdsa.PrivateKey
}

// New makes an authority, in a folder of the test.
func New(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{Dir: tb.TempDir()}
	a.File = filepath.Join(a.Dir, "ca.pem")
	template := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: "naru test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.Cert, a.key = sign(tb, template, nil, nil)
	write(tb, a.File, "CERTIFICATE", a.Cert.Raw)
	return a
}

// Issue makes a certificate for a name, which is good for servers at localhost and for clients.
func (a *Authority) Issue(tb testing.TB, name string) Pair {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: name, Organization: []string{"naru"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	p := Pair{CertFile: filepath.Join(a.Dir, name+".pem"), KeyFile: filepath.Join(a.Dir, name+".key")}
	p.Cert, p.Key = sign(tb, template, a.Cert, a.key)
	write(tb, p.CertFile, "CERTIFICATE", p.Cert.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, p.KeyFile, "PRIVATE KEY", der)
	return p
}

func sign(tb testing.TB, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, key
}

func serial(tb testing.TB) *big.Int {
	tb.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func write(tb testing.TB, name, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
}
