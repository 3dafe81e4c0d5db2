package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// TLS says which certificates count.
type TLS struct {
	CAFile             string `json:"caFile,omitempty" doc:"file with the authorities that vouch for the brokers: PEM, PKCS #12 or JKS; without it the system's"`
	CAPasswordFile     string `json:"caPasswordFile,omitempty" doc:"file with the password of a caFile that is PKCS #12"`
	CertFile           string `json:"certFile,omitempty" doc:"file with naru's own certificate: PEM, or PKCS #12 with its key"`
	KeyFile            string `json:"keyFile,omitempty" doc:"PEM file with its key, if certFile is PEM without it"`
	CertPasswordFile   string `json:"certPasswordFile,omitempty" doc:"file with the password of a certFile that is PKCS #12"`
	ServerName         string `json:"serverName,omitempty" doc:"the name that the brokers' certificates must have, instead of their address"`
	Insecure           bool   `json:"insecure,omitempty" doc:"do not check the brokers' certificates: anyone can read and change what is carried"`
	InsecureServerName bool   `json:"insecureServerName,omitempty" doc:"check the brokers' certificates, but not whose they are"`

	// For configurations of others, which have them in them.
	CAPEM, CertPEM           []byte `json:"-"`
	CAPassword, CertPassword Secret `json:"-"`
}

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} //nolint:gosec // only when told so
	if t.CAFile != "" || len(t.CAPEM) > 0 {
		certs, err := t.authorities()
		if err != nil {
			return nil, fmt.Errorf("tls: caFile: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		for _, cert := range certs {
			c.RootCAs.AddCert(cert)
		}
	}
	if t.CertFile != "" || len(t.CertPEM) > 0 {
		cert, err := t.certificate()
		if err != nil {
			return nil, fmt.Errorf("tls: certFile: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if t.InsecureServerName && !t.Insecure {
		roots := c.RootCAs
		c.InsecureSkipVerify = true // VerifyConnection does all of it but the name
		c.VerifyConnection = func(s tls.ConnectionState) error {
			o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
			for _, cert := range s.PeerCertificates[1:] {
				o.Intermediates.AddCert(cert)
			}
			_, err := s.PeerCertificates[0].Verify(o)
			return err
		}
	}
	return c, nil
}

// Check reads the files, and says what is wrong with the authorities, and with the certificate.
func (t *TLS) Check() (ca, cert error) {
	if t.CAFile != "" || len(t.CAPEM) > 0 {
		_, ca = t.authorities()
	}
	if t.CertFile != "" || len(t.CertPEM) > 0 {
		_, cert = t.certificate()
	}
	return ca, cert
}

func password(file string, given Secret) (string, error) {
	if file == "" {
		return string(given), nil
	}
	b, err := os.ReadFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

func content(file string, given []byte) ([]byte, error) {
	if len(given) > 0 {
		return given, nil
	}
	return os.ReadFile(file)
}

// authorities reads certificates in any of the three forms, which are told apart by how they begin.
func (t *TLS) authorities() ([]*x509.Certificate, error) {
	text, err := content(t.CAFile, t.CAPEM)
	if err != nil {
		return nil, err
	}
	secret, err := password(t.CAPasswordFile, t.CAPassword)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return fromPEM(text)
	case len(text) >= 4 && binary.BigEndian.Uint32(text) == jksMagic:
		return fromJKS(text)
	}
	certs, err := pkcs12.DecodeTrustStore(text, secret)
	if err == nil {
		return certs, nil
	}
	// A store with keys in it, too, as brokers have them: its chain counts.
	_, cert, chain, whole := pkcs12.DecodeChain(text, secret)
	if whole != nil {
		return nil, fmt.Errorf("neither PEM nor JKS, and as PKCS #12: %w", err)
	}
	return append(chain, cert), nil
}

func (t *TLS) certificate() (tls.Certificate, error) {
	text, err := content(t.CertFile, t.CertPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		key := text
		if t.KeyFile != "" {
			if key, err = os.ReadFile(t.KeyFile); err != nil {
				return tls.Certificate{}, fmt.Errorf("keyFile: %w", err)
			}
		}
		return tls.X509KeyPair(text, key)
	}
	if len(text) >= 4 && binary.BigEndian.Uint32(text) == jksMagic {
		return tls.Certificate{}, errors.New("a JKS store with a private key: convert it to PKCS #12 (keytool -importkeystore -deststoretype pkcs12)")
	}
	secret, err := password(t.CertPasswordFile, t.CertPassword)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, cert, chain, err := pkcs12.DecodeChain(text, secret)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("neither PEM nor PKCS #12: %w", err)
	}
	c := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for _, more := range chain {
		c.Certificate = append(c.Certificate, more.Raw)
	}
	return c, nil
}
