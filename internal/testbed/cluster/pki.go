package cluster

import (
	"crypto"
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
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// pki is an authority and what it vouches for, as files in a folder.
type pki struct {
	dir string
	ca  *x509.Certificate
	key crypto.Signer

	mu      sync.Mutex
	clients map[string]bool // the files of those that were issued
}

func newPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &pki{dir: dir, clients: map[string]bool{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p.key = key
	p.ca = template("testbed")
	p.ca.IsCA, p.ca.BasicConstraintsValid, p.ca.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, p.ca, p.ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := p.write("ca.crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	account, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(account.Public())
	if err != nil {
		return nil, err
	}
	if err := p.write("sa.pub", "PUBLIC KEY", public); err != nil {
		return nil, err
	}
	if err := p.writeKey("sa.key", account); err != nil {
		return nil, err
	}
	api := serving("kube-apiserver")
	api.IPAddresses = append(api.IPAddresses, net.IPv4(10, 0, 0, 1))
	api.DNSNames = append(api.DNSNames, "kubernetes.default.svc")
	if err := p.issue("api", api); err != nil {
		return nil, err
	}
	return p, p.client("admin", "admin", "system:masters")
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// client issues a certificate by which the API server knows a user of some groups; once, as others may be reading its files.
func (p *pki) client(file, user string, groups ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[file] {
		return nil
	}
	c := template(user)
	c.Subject.Organization = groups
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if err := p.issue(file, c); err != nil {
		return err
	}
	p.clients[file] = true
	return nil
}

// issue writes NAME.crt and NAME.key.
func (p *pki) issue(name string, c *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, c, p.ca, key.Public(), p.key)
	if err != nil {
		return err
	}
	if err := p.write(name+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return p.writeKey(name+".key", key)
}

func (p *pki) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return p.write(name, "EC PRIVATE KEY", der)
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) write(name, kind string, der []byte) error {
	return os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// config gives clients that are known by the certificate NAME.crt.
func (p *pki) config(host, name string) *rest.Config {
	return &rest.Config{Host: host, TLSClientConfig: rest.TLSClientConfig{CAFile: p.file("ca.crt"), CertFile: p.file(name + ".crt"), KeyFile: p.file(name + ".key")}}
}

// kubeconfig writes the same for kubectl and others, with the certificates in it.
func (p *pki) kubeconfig(file, host, name string) (string, error) {
	var all [3][]byte
	for i, f := range []string{"ca.crt", name + ".crt", name + ".key"} {
		text, err := os.ReadFile(p.file(f))
		if err != nil {
			return "", err
		}
		all[i] = text
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["testbed"] = &clientcmdapi.Cluster{Server: host, CertificateAuthorityData: all[0]}
	c.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: all[1], ClientKeyData: all[2]}
	c.Contexts["testbed"] = &clientcmdapi.Context{Cluster: "testbed", AuthInfo: name, Namespace: "default"}
	c.CurrentContext = "testbed"
	return file, clientcmd.WriteToFile(*c, file)
}

// serving is the certificate of a server on this machine.
func serving(name string) *x509.Certificate {
	c := template(name)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	return c
}
