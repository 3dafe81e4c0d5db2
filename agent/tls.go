package agent

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/narudata/naru/format/filebeat"
)

// A TLS is what stands under ssl.
type TLS struct {
	Authorities  []string // files, or PEM
	Certificate  string   // a file, or PEM
	Key          string
	Mode         string   // full, strict, certificate, none
	Fingerprints []string // SHA-256 of authorities that the server may show, in hexadecimal
	Pins         []string // SHA-256 of keys of authorities, in base64
	Least, Most  uint16
}

// readTLS reads a section; nil: TLS is not spoken.
func readTLS(s *filebeat.Section, dir func(string) string) *TLS {
	if !s.Has("ssl") {
		return nil
	}
	s = s.Sub("ssl")
	defer s.Done()
	t := &TLS{Authorities: s.Texts("certificate_authorities"), Certificate: s.Text("certificate", ""), Key: s.Text("key", "")}
	t.Mode = s.Choice("verification_mode", "full", "full", "strict", "certificate", "none")
	if t.Mode == "none" {
		s.Say(filebeat.Note, "verification_mode", "anybody can pretend to be the server", "")
	}
	t.Pins = s.Texts("ca_sha256")
	if f := s.Text("ca_trusted_fingerprint", ""); f != "" {
		t.Fingerprints = []string{strings.ToLower(strings.ReplaceAll(f, ":", ""))}
	}
	s.Each(filebeat.Unsupported, "keys with a passphrase are not read", "take it off: openssl pkey -in old.key -out new.key", "key_passphrase", "key_passphrase_path")
	s.Each(filebeat.Note, "Go decides what is safe", "", "cipher_suites", "curve_types", "renegotiation")
	for _, v := range s.Texts("supported_protocols") {
		n, ok := map[string]uint16{"TLSv1.0": tls.VersionTLS10, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[v]
		if !ok {
			s.Say(filebeat.Wrong, "supported_protocols", "expected TLSv1.1, TLSv1.2 or TLSv1.3, found "+v, "")
			continue
		}
		if t.Least == 0 || n < t.Least {
			t.Least = n
		}
		t.Most = max(t.Most, n)
	}
	for i := range t.Authorities {
		t.Authorities[i] = fileOrPEM(t.Authorities[i], dir)
	}
	t.Certificate, t.Key = fileOrPEM(t.Certificate, dir), fileOrPEM(t.Key, dir)
	if (t.Certificate == "") != (t.Key == "") {
		s.Say(filebeat.Wrong, "", "certificate and key belong together: one is missing", "")
	}
	if !s.Bool("enabled", true) {
		return nil
	}
	return t
}

func isPEM(s string) bool { return strings.Contains(s, "-----BEGIN") }

func fileOrPEM(s string, dir func(string) string) string {
	if s == "" || isPEM(s) {
		return s
	}
	return dir(s)
}

func readPEM(s string) ([]byte, error) {
	if isPEM(s) {
		return []byte(s), nil
	}
	return os.ReadFile(s)
}

// authorities gives all certificates of authorities, as PEM.
func (t *TLS) authorities() ([]byte, error) {
	var out []byte
	for _, a := range t.Authorities {
		text, err := readPEM(a)
		if err != nil {
			return nil, fmt.Errorf("ssl.certificate_authorities: %w", err)
		}
		out = append(append(out, text...), '\n')
	}
	return out, nil
}

// identity gives the certificate with its key, as PEM.
func (t *TLS) identity() ([]byte, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	cert, err := readPEM(t.Certificate)
	if err != nil {
		return nil, fmt.Errorf("ssl.certificate: %w", err)
	}
	key, err := readPEM(t.Key)
	if err != nil {
		return nil, fmt.Errorf("ssl.key: %w", err)
	}
	return append(append(cert, '\n'), key...), nil
}

// Config reads the files; server is the name that the server's certificate must have.
func (t *TLS) Config(server string) (*tls.Config, error) {
	c := &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12, MaxVersion: t.Most} //nolint:gosec // others only when told so
	if t.Least != 0 {
		c.MinVersion = t.Least
	}
	if len(t.Authorities) > 0 {
		text, err := t.authorities()
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("ssl.certificate_authorities: no certificate (PEM) is in them")
		}
	}
	pair, err := t.identity()
	if err != nil {
		return nil, err
	}
	if pair != nil {
		cert, err := tls.X509KeyPair(pair, pair)
		if err != nil {
			return nil, fmt.Errorf("ssl.certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if t.Mode == "none" {
		c.InsecureSkipVerify = true
		return c, nil
	}
	if t.Mode == "certificate" || len(t.Pins) > 0 || len(t.Fingerprints) > 0 {
		roots, name := c.RootCAs, server
		if t.Mode == "certificate" {
			name = ""
		}
		c.InsecureSkipVerify = true // VerifyConnection does it
		c.VerifyConnection = func(s tls.ConnectionState) error { return t.verify(s, roots, name) }
	}
	return c, nil
}

// verify checks a server's certificates: signed by an authority, of the name unless it is "", and pinned as they should be.
func (t *TLS) verify(s tls.ConnectionState, roots *x509.CertPool, name string) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), DNSName: name}
	for _, cert := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	for _, cert := range s.PeerCertificates {
		sum := sha256.Sum256(cert.Raw)
		if cert.IsCA && slices.Contains(t.Fingerprints, hex.EncodeToString(sum[:])) {
			if o.Roots == nil {
				o.Roots = x509.NewCertPool()
			} else {
				o.Roots = o.Roots.Clone()
			}
			o.Roots.AddCert(cert)
		}
	}
	chains, err := s.PeerCertificates[0].Verify(o)
	if err != nil {
		return err
	}
	if len(t.Pins) == 0 {
		return nil
	}
	for _, chain := range chains {
		for _, cert := range chain {
			sum := sha256.Sum256(bytes.Clone(cert.RawSubjectPublicKeyInfo))
			if slices.Contains(t.Pins, base64.StdEncoding.EncodeToString(sum[:])) {
				return nil
			}
		}
	}
	return errors.New("no authority of the server's certificate is among ssl.ca_sha256")
}
