package opensearch

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CloudURL gives the address that an id of Elastic Cloud stands for: label:base64(host[:port]$elasticsearch[:port]$kibana[:port]).
//
// Source: org.logstash.util.CloudSettingId.
func CloudURL(id string) (string, error) {
	encoded := id
	if i := strings.LastIndexByte(id, ':'); i >= 0 {
		encoded = id[i+1:]
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		text, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	parts := strings.Split(string(text), "$")
	if err != nil || len(parts) < 2 || parts[0] == "" || parts[1] == "" || parts[1] == "undefined" {
		return "", errors.New("expected label:text, as Elastic Cloud shows it")
	}
	domain, port, _ := strings.Cut(parts[0], ":")
	name, own, _ := strings.Cut(parts[1], ":")
	return fmt.Sprintf("https://%s.%s:%s", name, domain, cmp.Or(own, port, "443")), nil
}

// ParseAPIKey gives an API key as it is sent: it is so already, of Elastic Cloud, or id:key.
func ParseAPIKey(key string) (string, error) {
	if raw, err := base64.StdEncoding.DecodeString(key); err == nil && base64.StdEncoding.EncodeToString(raw) == key || strings.HasPrefix(key, "essu_") {
		return key, nil
	}
	if strings.Count(key, ":") != 1 || strings.HasPrefix(key, ":") || strings.HasSuffix(key, ":") {
		return "", errors.New("expected id:key, or that in base64")
	}
	return base64.StdEncoding.EncodeToString([]byte(key)), nil
}

var fingerprint = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ParseFingerprints gives SHA-256 fingerprints of certificates in small letters and without colons.
func ParseFingerprints(texts []string) ([]string, error) {
	var all []string
	for _, text := range texts {
		f := strings.ToLower(strings.ReplaceAll(text, ":", ""))
		if !fingerprint.MatchString(f) {
			return nil, fmt.Errorf("expected a SHA-256 fingerprint of 64 hexadecimal digits, found %q", text)
		}
		all = append(all, f)
	}
	return all, nil
}

// Trust has certificates count that an authority with one of the fingerprints vouches for, if the server shows it, beside those that
// count anyway. It changes conf.
func Trust(conf *tls.Config, fingerprints []string) *tls.Config {
	if len(fingerprints) == 0 || conf.InsecureSkipVerify {
		return conf
	}
	conf.InsecureSkipVerify = true //nolint:gosec // what is checked instead follows
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		roots := conf.RootCAs
		for _, c := range s.PeerCertificates {
			if sum := sha256.Sum256(c.Raw); c.IsCA && slices.Contains(fingerprints, hex.EncodeToString(sum[:])) {
				more := x509.NewCertPool()
				if roots != nil {
					more = roots.Clone()
				}
				more.AddCert(c)
				roots = more
			}
		}
		return verify(s, roots)
	}
	return conf
}

// verify checks a server's certificate, as crypto/tls does.
func verify(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
