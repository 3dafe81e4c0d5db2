package tlsoption

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/option"
)

// CheckServer says what is wrong with the options of a server together. It opens nothing.
func (c *Config) CheckServer() error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Certificate == "" && c.Keystore.Path == "" {
		return option.Errorf(c.name("ssl_certificate"), "a server needs a certificate and its key")
	}
	trusted := len(c.CertificateAuthorities) > 0 || c.Truststore.Path != "" || c.KeystoreIsTrusted && c.Keystore.Path != "" || c.ExtendSystem
	if asks := c.ClientAuth == "optional" || c.ClientAuth == "required"; asks && !trusted {
		return option.Errorf(c.name("ssl_client_authentication"), "it is %s, but ssl_certificate_authorities does not say whose certificates are trusted", c.ClientAuth)
	}
	return nil
}

// CheckClient says what is wrong with the options of a client together. It opens nothing.
func (c *Config) CheckClient() error { return c.check() }

func (c *Config) check() error {
	switch {
	case c.Certificate != "" && c.Key == "":
		return option.Errorf(c.name("ssl_certificate"), "it needs its key: %s", c.name("ssl_key"))
	case c.Key != "" && c.Certificate == "":
		return option.Errorf(c.name("ssl_key"), "it needs its certificate: %s", c.name("ssl_certificate"))
	case c.Certificate != "" && c.Keystore.Path != "":
		return option.Errorf(c.name("ssl_keystore_path"), "there is %s, too: give one of them", c.name("ssl_certificate"))
	case len(c.CertificateAuthorities) > 0 && c.Truststore.Path != "":
		return option.Errorf(c.name("ssl_truststore_path"), "there is %s, too: give one of them", c.name("ssl_certificate_authorities"))
	case c.Keystore.Path == "" && c.Keystore.Password != nil:
		return option.Errorf(c.name("ssl_keystore_password"), "there is no %s", c.name("ssl_keystore_path"))
	case c.Truststore.Path == "" && c.Truststore.Password != nil:
		return option.Errorf(c.name("ssl_truststore_password"), "there is no %s", c.name("ssl_truststore_path"))
	}
	for name, s := range map[string]Store{"ssl_keystore_path": c.Keystore, "ssl_truststore_path": c.Truststore} {
		if s.java() {
			return option.Errorf(c.name(name), "%w", errJKS(s.Path))
		}
	}
	if _, _, err := c.versions(); err != nil {
		return err
	}
	_, err := c.suites()
	return err
}

// java reports a store in Java's own format, by what is said of it.
func (s Store) java() bool {
	switch strings.ToLower(s.Type) {
	case "jks":
		return true
	case "":
		return strings.HasSuffix(strings.ToLower(s.Path), ".jks")
	}
	return false
}

func errJKS(path string) error {
	return fmt.Errorf("%s has Java's own format, which naru does not read: convert it with keytool -importkeystore -srckeystore %[1]s -destkeystore %s.p12 -deststoretype pkcs12",
		path, strings.TrimSuffix(path, ".jks"))
}

var versions = map[string]uint16{"TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func (c *Config) versions() (low, high uint16, err error) {
	if len(c.SupportedProtocols) == 0 {
		return tls.VersionTLS12, 0, nil
	}
	var have []uint16
	for _, p := range c.SupportedProtocols {
		v, ok := versions[p]
		if !ok {
			return 0, 0, option.Errorf(c.name("ssl_supported_protocols"), "naru knows TLSv1.1, TLSv1.2 and TLSv1.3, not %q", p)
		}
		have = append(have, v)
	}
	slices.Sort(have)
	have = slices.Compact(have)
	low, high = have[0], have[len(have)-1]
	if int(high-low) != len(have)-1 {
		return 0, 0, option.Errorf(c.name("ssl_supported_protocols"), "the versions must have no gap: add TLSv1.2")
	}
	return low, high, nil
}

// openssl are the names of OpenSSL for the suites that Go has.
var openssl = map[string]string{
	"ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-RSA-AES128-GCM-SHA256":   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-RSA-AES256-GCM-SHA384":   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-RSA-CHACHA20-POLY1305":   "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-ECDSA-AES128-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
	"ECDHE-ECDSA-AES256-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
	"ECDHE-ECDSA-AES128-SHA256":     "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
	"ECDHE-RSA-AES128-SHA":          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
	"ECDHE-RSA-AES256-SHA":          "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
	"ECDHE-RSA-AES128-SHA256":       "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
	"AES128-GCM-SHA256":             "TLS_RSA_WITH_AES_128_GCM_SHA256",
	"AES256-GCM-SHA384":             "TLS_RSA_WITH_AES_256_GCM_SHA384",
	"AES128-SHA":                    "TLS_RSA_WITH_AES_128_CBC_SHA",
	"AES256-SHA":                    "TLS_RSA_WITH_AES_256_CBC_SHA",
	"AES128-SHA256":                 "TLS_RSA_WITH_AES_128_CBC_SHA256",
}

// suites gives the cipher suites; nil are Go's own choice.
func (c *Config) suites() ([]uint16, error) {
	known := map[string]*tls.CipherSuite{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		known[strings.TrimSuffix(s.Name, "_SHA256_SHA256")] = s
	}
	var ids []uint16
	var unknown []string
	modern := false
	for _, list := range c.CipherSuites {
		for name := range strings.SplitSeq(list, ":") { // OpenSSL's lists
			name = strings.ToUpper(strings.TrimSpace(name))
			if n, ok := openssl[name]; ok {
				name = n
			}
			s, ok := known[name]
			switch {
			case !ok:
				unknown = append(unknown, name)
			case slices.Contains(s.SupportedVersions, tls.VersionTLS12):
				ids = append(ids, s.ID)
			default:
				modern = true // of TLS 1.3, where there is no choice
			}
		}
	}
	if len(unknown) > 0 && len(ids) == 0 && !modern {
		return nil, option.Errorf(c.name("ssl_cipher_suites"), "naru has none of %s; it has %s", strings.Join(unknown, ", "),
			strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	if len(unknown) > 0 && c.Log != nil {
		c.Log.Warn("cipher suites that naru does not have are left out", "suites", unknown)
	}
	return ids, nil
}

// Server makes the configuration of a server. It reads the files.
func (c *Config) Server() (*tls.Config, error) {
	if err := c.CheckServer(); err != nil {
		return nil, err
	}
	conf, err := c.common()
	if err != nil {
		return nil, err
	}
	switch c.ClientAuth {
	case "optional":
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	m, err := c.material(conf.ClientAuth != tls.NoClientCert)
	if err != nil {
		return nil, err
	}
	conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m.refresh()
		current := conf.Clone()
		current.GetConfigForClient = nil
		now := m.now.Load()
		current.ClientCAs = now.trusted
		current.Certificates = []tls.Certificate{*now.own}
		return current, nil
	}
	conf.ClientCAs = m.now.Load().trusted
	conf.Certificates = []tls.Certificate{*m.now.Load().own}
	return conf, nil
}

// Client makes the configuration of a client. It reads the files. Its own certificate is read again when it changes; the
// authorities are not.
func (c *Config) Client() (*tls.Config, error) {
	if err := c.CheckClient(); err != nil {
		return nil, err
	}
	conf, err := c.common()
	if err != nil {
		return nil, err
	}
	m, err := c.material(true)
	if err != nil {
		return nil, err
	}
	conf.ServerName = c.ServerName
	conf.RootCAs = m.now.Load().trusted
	if m.now.Load().own != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			m.refresh()
			return m.now.Load().own, nil
		}
	}
	switch c.VerificationMode {
	case "none":
		conf.InsecureSkipVerify = true // it is asked for
	case "certificate":
		conf.InsecureSkipVerify = true // what is checked instead follows
		conf.VerifyConnection = func(s tls.ConnectionState) error { return signed(s, conf.RootCAs) }
	}
	return conf, nil
}

// signed checks the signature of a server's certificate, and not its name.
func signed(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}

func (c *Config) common() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if conf.MinVersion, conf.MaxVersion, err = c.versions(); err != nil {
		return nil, err
	}
	conf.CipherSuites, err = c.suites()
	return conf, err
}
