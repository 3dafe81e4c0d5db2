// Package tlsoption has the options that Logstash's inputs and outputs have for TLS, as structs that a plugin embeds, and
// makes a *tls.Config of them. A plugin embeds those groups that the original has, fills a Config in with their values, and
// calls Check in its Setup (which opens nothing) and Server or Client in its Open.
//
// Certificates that are given as files are read again when the files change, so that they can be renewed without a restart.
//
// Differences:
//   - A keystore or truststore in Java's own format (JKS) is refused with a hint to convert it to PKCS#12.
//   - Cipher suites that Go does not have are left out, with a warning; those of TLS 1.3 cannot be chosen.
//
// Source: the mixins and builders of logstash-input-tcp 7.0, -input-beats 7.0, -input-http 4.1 (SslSimpleBuilder),
// -output-tcp 7.0, logstash-mixin-http_client 7.4.
package tlsoption

import (
	"log/slog"

	"github.com/narudata/naru/logstash/option"
)

// Server is what most inputs that listen have.
type Server struct {
	Enabled bool `ls:"ssl_enabled" default:"false" doc:"whether connections are encrypted with TLS"`
	Identity
	Authorities
	ClientAuthentication
	Protocols
}

// Client is what most outputs that connect have, but for the switch: its default is not everywhere the same.
type Client struct {
	Identity
	Authorities
	Verification
	Protocols
}

// Identity is a certificate and its key as PEM files.
type Identity struct {
	Certificate   string           `ls:"ssl_certificate,path" doc:"the file (PEM) with the certificate to show, and with what it is signed by"`
	Key           string           `ls:"ssl_key,path" doc:"the file (PEM) with the certificate's key"`
	KeyPassphrase *option.Password `ls:"ssl_key_passphrase" doc:"the passphrase of the key"`
}

// Authorities are what certificates of others are checked against.
type Authorities struct {
	CertificateAuthorities []string `ls:"ssl_certificate_authorities" doc:"files (PEM), or folders of such, with the certificates of the authorities that are trusted"`
}

// ClientAuthentication is what a server asks of its clients.
type ClientAuthentication struct {
	ClientAuth string `ls:"ssl_client_authentication" enum:"none|optional|required" doc:"whether clients must show a certificate"`
}

// Verification is what a client asks of its server.
type Verification struct {
	VerificationMode string `ls:"ssl_verification_mode" enum:"full|certificate|none" doc:"what is checked of the server's certificate: its signature and name (full), its signature (certificate), nothing (none); without it, full"`
}

// Protocols are what may be spoken.
type Protocols struct {
	SupportedProtocols []string `ls:"ssl_supported_protocols" enum:"TLSv1.1|TLSv1.2|TLSv1.3" doc:"the versions of TLS that are spoken; without it, 1.2 and 1.3"`
	CipherSuites       []string `ls:"ssl_cipher_suites" doc:"the cipher suites for TLS 1.2 and before, by their names in Java or OpenSSL; without it, those that are held to be safe"`
}

// Keystore is a certificate and its key in one file.
type Keystore struct {
	KeystorePath     string           `ls:"ssl_keystore_path,path" doc:"a file (PKCS#12) with a certificate and its key, instead of ssl_certificate and ssl_key"`
	KeystorePassword *option.Password `ls:"ssl_keystore_password" doc:"the keystore's password"`
	KeystoreType     string           `ls:"ssl_keystore_type" enum:"pkcs12|jks" doc:"the keystore's format; jks must be converted to pkcs12"`
}

// Truststore is authorities in one file.
type Truststore struct {
	TruststorePath     string           `ls:"ssl_truststore_path,path" doc:"a file (PKCS#12) with the certificates of the authorities that are trusted, instead of ssl_certificate_authorities"`
	TruststorePassword *option.Password `ls:"ssl_truststore_password" doc:"the truststore's password"`
	TruststoreType     string           `ls:"ssl_truststore_type" enum:"pkcs12|jks" doc:"the truststore's format; jks must be converted to pkcs12"`
}

// A Store is a file of certificates, or of a certificate and its key, in the format PKCS#12.
type Store struct {
	Path     string
	Password *option.Password
	Type     string // pkcs12, jks; empty: as the name says, or pkcs12
}

// Store gives the group as a Store.
func (k *Keystore) Store() Store { return Store{k.KeystorePath, k.KeystorePassword, k.KeystoreType} }

// Store gives the group as a Store.
func (t *Truststore) Store() Store {
	return Store{t.TruststorePath, t.TruststorePassword, t.TruststoreType}
}

// A Config is what a *tls.Config is made of. The zero value is a client without a certificate that trusts the system's
// authorities.
type Config struct {
	Dir string // what relative paths are relative to
	Identity
	Chain      []string // more certificates to show after that of Identity: files (PEM)
	Keystore   Store
	Truststore Store
	Authorities
	ClientAuth        string // none, optional, required; empty: none. For a server.
	Verification             // for a client
	ServerName        string // the name that a client expects, and asks for; empty: that of the address
	Protocols                // empty: 1.2 and 1.3
	Log               *slog.Logger
	ExtendSystem      bool // authorities are trusted beside those of the system, not instead of them
	KeystoreIsTrusted bool // without authorities, clients are checked against the keystore's certificates
	names             names
}

// names are the options' names in messages, where they are not the usual ones.
type names map[string]string

// Named says that an option has another name in messages: "ssl_keystore_path" is "ssl_keystore_location", say.
func (c *Config) Named(usual, name string) {
	if c.names == nil {
		c.names = names{}
	}
	c.names[usual] = name
}

func (c *Config) name(usual string) string {
	if n, ok := c.names[usual]; ok {
		return n
	}
	return usual
}

// Of fills in what a group Server has.
func (s *Server) Of(c Config) *Config {
	c.Identity, c.Authorities, c.Protocols = s.Identity, s.Authorities, s.Protocols
	if s.ClientAuth != "" {
		c.ClientAuth = s.ClientAuth
	}
	return &c
}

// Of fills in what a group Client has.
func (s *Client) Of(c Config) *Config {
	c.Identity, c.Authorities, c.Protocols, c.Verification = s.Identity, s.Authorities, s.Protocols, s.Verification
	return &c
}
