package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"software.sslmate.com/src/go-pkcs12"
)

// certificate makes a certificate with its key, both in PEM.
func certificate(t testing.TB) (der []byte, key *ecdsa.PrivateKey, certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"localhost"},
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// jks makes a Java key store with a key that is not looked at, and a trusted certificate.
func jks(version uint32, der []byte) []byte {
	var b []byte
	u32 := func(n int) { b = binary.BigEndian.AppendUint32(b, uint32(n)) } //nolint:gosec // a test
	text := func(s string) { b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	cert := func() {
		if version == 2 {
			text("X.509")
		}
		u32(len(der))
		b = append(b, der...)
	}
	u32(0xfeedfeed)
	u32(int(version))
	u32(2)
	u32(1)
	text("mine")
	b = append(b, make([]byte, 8)...)
	u32(3)
	b = append(b, "key"...)
	u32(1)
	cert()
	u32(2)
	text("ca")
	b = append(b, make([]byte, 8)...)
	cert()
	return append(b, make([]byte, 20)...)
}

func TestAuthoritiesAreReadInEachForm(t *testing.T) {
	der, key, certPEM, keyPEM := certificate(t)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{cert}, "changeit")
	if err != nil {
		t.Fatal(err)
	}
	both, err := pkcs12.Modern.Encode(key, cert, nil, "changeit")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	file := func(name string, content []byte) string {
		full := filepath.Join(dir, name)
		if err := os.WriteFile(full, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return full
	}
	file("password", []byte("changeit\n"))
	for name, c := range map[string]*TLS{
		"PEM":             {CAFile: file("ca.pem", certPEM)},
		"PKCS #12":        {CAFile: file("ca.p12", trust), CAPasswordFile: password},
		"store of a key":  {CAFile: file("both.p12", both), CAPassword: "changeit"},
		"JKS":             {CAFile: file("ca.jks", jks(2, der))},
		"JKS, version 1":  {CAFile: file("ca1.jks", jks(1, der))},
		"PEM in hand":     {CAPEM: certPEM},
		"own in PEM":      {CAPEM: certPEM, CertFile: file("own.pem", certPEM), KeyFile: file("own.key", keyPEM)},
		"own in one file": {CAPEM: certPEM, CertFile: file("one.pem", append(bytes.Clone(keyPEM), certPEM...))},
		"own in PKCS #12": {CAPEM: certPEM, CertFile: file("own.p12", both), CertPasswordFile: password},
	} {
		config, err := c.config()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: config.RootCAs}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.CertFile != "" && (len(config.Certificates) != 1 || !bytes.Equal(config.Certificates[0].Certificate[0], der)) {
			t.Errorf("%s: own certificate %v", name, config.Certificates)
		}
	}
	for name, c := range map[string]*TLS{
		"no such file":   {CAFile: filepath.Join(dir, "none")},
		"wrong password": {CAFile: file("ca.p12", trust), CAPassword: "x"},
		"empty":          {CAFile: file("empty", nil)},
		"PEM of nothing": {CAPEM: keyPEM},
		"own in JKS":     {CertFile: file("own.jks", jks(2, der))},
		"without a key":  {CertFile: file("lonely.pem", certPEM)},
	} {
		if _, err := c.config(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	whole := jks(2, der)
	for n := range len(whole) - 20 {
		if _, err := fromJKS(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(whole))
		}
	}
}

func TestACertificateOfAnotherNameIsRefusedUnlessNamesDoNotCount(t *testing.T) {
	_, _, certPEM, keyPEM := certificate(t)
	own, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, kfake.SeedTopics(1, "t"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}))
	for _, x := range []struct {
		tls *TLS
		ok  bool
	}{
		{&TLS{CAPEM: certPEM}, false},
		{&TLS{CAPEM: certPEM, ServerName: "localhost"}, true},
		{&TLS{CAPEM: certPEM, InsecureServerName: true}, true},
		{&TLS{InsecureServerName: true}, false},
		{&TLS{Insecure: true}, true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		client, err := (&Config{Brokers: c.ListenAddrs(), TLS: x.tls}).Connect(ctx)
		cancel()
		if err == nil {
			client.Close()
		}
		if (err == nil) != x.ok {
			t.Errorf("%+v: %v", x.tls, err)
		}
	}
}

func FuzzJKS(f *testing.F) {
	der, _, _, _ := certificate(f)
	f.Add(jks(2, der))
	f.Add(jks(1, der))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = fromJKS(b) })
}

func TestSecretsComeFromTheEnvironmentOrAFile(t *testing.T) {
	c := newCluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "secret"), kfake.Superuser("SCRAM-SHA-256", "me", "secret"), kfake.Superuser("SCRAM-SHA-512", "me", "secret"))
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(values ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(values); i += 2 {
				if values[i] == name {
					return values[i+1]
				}
			}
			return ""
		}
	}
	for _, x := range []struct {
		sasl SASL
		env  func(string) string
		ok   bool
	}{
		{SASL{Mechanism: Plain}, getenv("NARU_KAFKA_USERNAME", "me", "NARU_KAFKA_PASSWORD", "secret"), true},
		{SASL{Mechanism: SCRAM256, Username: "me", PasswordFile: file}, getenv(), true},
		{SASL{Mechanism: SCRAM512, Username: "me", PasswordFile: file}, getenv("NARU_KAFKA_USERNAME", "other"), true},
		{SASL{Mechanism: SCRAM512, Username: "me", Password: "wrong"}, getenv(), false},
		{SASL{Mechanism: SCRAM512, Username: "me"}, getenv(), false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		client, err := (&Config{Brokers: c.ListenAddrs(), SASL: &x.sasl, Getenv: x.env}).Connect(ctx)
		cancel()
		if err == nil {
			client.Close()
		}
		if (err == nil) != x.ok {
			t.Errorf("%+v: %v", x.sasl, err)
		}
		if err != nil && strings.Contains(err.Error(), "wrong") || strings.Contains(fmt.Sprintf("%+v %#v", x.sasl, x.sasl), "wrong") {
			t.Errorf("the password is printed: %v", err)
		}
	}
}

func TestALoginToMSKIsSignedWithAWSCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	m, err := (&SASL{Mechanism: MSKIAM}).mechanism(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	_, first, err := m.Authenticate(t.Context(), "b-1.x.y.kafka.eu-west-1.amazonaws.com:9098")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kafka-cluster:Connect", "AKIDEXAMPLE", "eu-west-1", "b-1.x.y.kafka.eu-west-1.amazonaws.com"} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s is missing in %s", want, first)
		}
	}
}

// TestEveryKeyOfAConfigurationCanBeSet holds the structs against how flow files are read: keys of embedded structs must not
// hide each other, and have types that are known.
func TestEveryKeyOfAConfigurationCanBeSet(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[Group](), reflect.TypeFor[Range](), reflect.TypeFor[Sink](), reflect.TypeFor[Carry](), reflect.TypeFor[Registry]()} {
		visible := map[string]bool{}
		for _, f := range reflect.VisibleFields(of) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				if visible[name] {
					t.Errorf("%s has the key %s twice", of, name)
				}
				visible[name] = true
				if f.Tag.Get("doc") == "" {
					t.Errorf("%s.%s has no doc", of, name)
				}
				switch f.Type.Kind() {
				case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Slice, reflect.Pointer:
				default:
					if _, ok := reflect.New(f.Type).Interface().(encoding.TextUnmarshaler); !ok && f.Type.Kind() != reflect.Struct {
						t.Errorf("%s.%s has type %s", of, name, f.Type)
					}
				}
			}
		}
		var count func(reflect.Type) int
		count = func(s reflect.Type) (n int) {
			for i := range s.NumField() {
				f := s.Field(i)
				if f.Anonymous {
					n += count(f.Type)
				} else if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
					n++
				}
			}
			return n
		}
		if n := count(of); n != len(visible) {
			t.Errorf("%s has %d keys, of which %d can be set", of, n, len(visible))
		}
	}
}
