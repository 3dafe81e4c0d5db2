package tlsoption

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/narudata/naru/logstash/option"
)

// lookAgain is how often files are looked at for a change, at most.
const lookAgain = 10 * time.Second

// material is what is in the files, as they are now.
type material struct {
	of    *Config
	trust bool // authorities are needed
	now   atomic.Pointer[loaded]

	mu     sync.Mutex // guards what follows
	looked time.Time
	seen   []stamp
}

// loaded is what was read at one time.
type loaded struct {
	own     *tls.Certificate // nil: none
	trusted *x509.CertPool   // nil: those of the system
}

// A stamp tells whether a file has changed.
type stamp struct {
	name string
	size int64
	time time.Time
}

func (c *Config) material(trust bool) (*material, error) {
	m := &material{of: c, trust: trust, looked: time.Now()}
	m.seen = m.stamps()
	l, err := c.load(trust)
	if err != nil {
		return nil, err
	}
	m.now.Store(l)
	return m, nil
}

// refresh reads the files again if they have changed. What cannot be read leaves all as it was: a file that is being
// written, say.
func (m *material) refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.looked) < lookAgain {
		return
	}
	m.looked = time.Now()
	seen := m.stamps()
	if slices.Equal(seen, m.seen) {
		return
	}
	l, err := m.of.load(m.trust)
	if err != nil {
		if m.of.Log != nil {
			m.of.Log.Warn("changed certificates cannot be read: those from before stay", "error", err)
		}
		return
	}
	m.seen = seen
	m.now.Store(l)
	if m.of.Log != nil {
		m.of.Log.Info("changed certificates are in use")
	}
}

func (m *material) stamps() []stamp {
	c := m.of
	names := slices.Concat([]string{c.Certificate, c.Key, c.Keystore.Path, c.Truststore.Path}, c.Chain, c.CertificateAuthorities)
	out := make([]stamp, 0, len(names))
	for _, name := range names {
		if name == "" {
			continue
		}
		s := stamp{name: name, size: -1}
		if info, err := os.Stat(c.path(name)); err == nil {
			s.size, s.time = info.Size(), info.ModTime()
		}
		out = append(out, s)
	}
	return out
}

func (c *Config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

func (c *Config) load(trust bool) (*loaded, error) {
	l := &loaded{}
	var fromStore []*x509.Certificate
	switch {
	case c.Certificate != "":
		own, err := c.pair()
		if err != nil {
			return nil, err
		}
		l.own = own
	case c.Keystore.Path != "":
		own, chain, err := c.keystore()
		if err != nil {
			return nil, err
		}
		l.own, fromStore = own, chain
	}
	if !trust {
		return l, nil
	}
	trusted, err := c.authorities()
	if err != nil {
		return nil, err
	}
	if len(trusted) == 0 && c.KeystoreIsTrusted {
		trusted = fromStore
	}
	if len(trusted) > 0 {
		l.trusted = x509.NewCertPool()
		if c.ExtendSystem {
			if system, err := x509.SystemCertPool(); err == nil {
				l.trusted = system
			}
		}
		for _, cert := range trusted {
			l.trusted.AddCert(cert)
		}
	}
	return l, nil
}

// pair reads the certificate, and its key.
func (c *Config) pair() (*tls.Certificate, error) {
	chain, err := os.ReadFile(c.path(c.Certificate))
	if err != nil {
		return nil, option.Errorf(c.name("ssl_certificate"), "%w", err)
	}
	for _, more := range c.Chain {
		b, err := os.ReadFile(c.path(more))
		if err != nil {
			return nil, option.Errorf(c.name("ssl_extra_chain_certs"), "%w", err)
		}
		chain = append(append(chain, '\n'), b...)
	}
	key, err := os.ReadFile(c.path(c.Key))
	if err != nil {
		return nil, option.Errorf(c.name("ssl_key"), "%w", err)
	}
	var passphrase []byte
	if c.KeyPassphrase != nil {
		passphrase = []byte(string(*c.KeyPassphrase))
	}
	if key, err = decryptKey(key, passphrase); err != nil {
		return nil, option.Errorf(c.name("ssl_key"), "%s: %w", c.Key, err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, option.Errorf(c.name("ssl_certificate"), "with %s: %w", c.name("ssl_key"), err)
	}
	return &pair, nil
}

// decryptKey gives a PEM file with its key in the clear.
func decryptKey(text, passphrase []byte) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY":
			if len(passphrase) == 0 {
				return nil, errors.New("the key is encrypted: give ssl_key_passphrase")
			}
			key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, passphrase)
			if err != nil {
				return nil, fmt.Errorf("it cannot be decrypted, perhaps the passphrase is wrong: %w", err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				return nil, err
			}
			return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
		case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // what people have; it is as safe as the file
			if len(passphrase) == 0 {
				return nil, errors.New("the key is encrypted: give ssl_key_passphrase")
			}
			der, err := x509.DecryptPEMBlock(block, passphrase) //nolint:staticcheck // see above
			if err != nil {
				return nil, fmt.Errorf("it cannot be decrypted, perhaps the passphrase is wrong: %w", err)
			}
			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
		}
	}
}

// authorities reads the certificates that are trusted; none are those of the system.
func (c *Config) authorities() ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, name := range c.CertificateAuthorities {
		certs, err := readAuthorities(c.path(name))
		if err != nil {
			return nil, option.Errorf(c.name("ssl_certificate_authorities"), "%w", err)
		}
		all = append(all, certs...)
	}
	if c.Truststore.Path == "" {
		return all, nil
	}
	data, password, err := c.store("ssl_truststore_path", c.Truststore)
	if err != nil {
		return nil, err
	}
	certs, err := pkcs12.DecodeTrustStore(data, password)
	if err != nil {
		// One with a key, too.
		if _, cert, chain, kerr := pkcs12.DecodeChain(data, password); kerr == nil {
			return append(append(all, cert), chain...), nil
		}
		return nil, option.Errorf(c.name("ssl_truststore_path"), "%s: %w", c.Truststore.Path, err)
	}
	return append(all, certs...), nil
}

func readAuthorities(path string) ([]*x509.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readCertificates(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, e := range entries {
		certs, err := readCertificates(filepath.Join(path, e.Name()))
		if err != nil && !errors.Is(err, errNoCertificate) {
			return nil, err
		}
		all = append(all, certs...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errNoCertificate)
	}
	return all, nil
}

var errNoCertificate = errors.New("there is no certificate in it")

// readCertificates reads a file of certificates, PEM or DER.
func readCertificates(path string) ([]*x509.Certificate, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the configuration names it
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		if cert, err := x509.ParseCertificate(text); err == nil {
			return append(all, cert), nil
		}
		return nil, fmt.Errorf("%s: %w", path, errNoCertificate)
	}
	return all, nil
}

// jksMagic begins a keystore of Java's own format.
var jksMagic = []byte{0xFE, 0xED, 0xFE, 0xED}

func (c *Config) store(name string, s Store) (data []byte, password string, err error) {
	if data, err = os.ReadFile(c.path(s.Path)); err != nil {
		return nil, "", option.Errorf(c.name(name), "%w", err)
	}
	if bytes.HasPrefix(data, jksMagic) {
		return nil, "", option.Errorf(c.name(name), "%w", errJKS(s.Path))
	}
	if s.Password != nil {
		password = string(*s.Password)
	}
	return data, password, nil
}

// keystore reads a certificate and its key, and the certificates that are with them.
func (c *Config) keystore() (*tls.Certificate, []*x509.Certificate, error) {
	data, password, err := c.store("ssl_keystore_path", c.Keystore)
	if err != nil {
		return nil, nil, err
	}
	key, cert, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return nil, nil, option.Errorf(c.name("ssl_keystore_path"), "%s: %w", c.Keystore.Path, err)
	}
	own := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for _, more := range chain {
		own.Certificate = append(own.Certificate, more.Raw)
	}
	return own, append([]*x509.Certificate{cert}, chain...), nil
}
