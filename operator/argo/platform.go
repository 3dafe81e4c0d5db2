package argo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
)

// A SecretRef names a Secret in the namespace of whoever refers to it. There is no way to name another namespace: whoever may
// write a Rollout must not read others' secrets by it.
type SecretRef struct {
	Name string `json:"name"`
}

// A Kafka says how a cluster is reached.
type Kafka struct {
	Brokers string `json:"brokers,omitempty"` // separated by commas; or in the Secret
	// SecretRef has the keys brokers, username, password and mechanism (SCRAM-SHA-512 unless given), tls ("true") and, as
	// cert-manager and Strimzi write them, ca.crt, tls.crt and tls.key. All may be missing.
	SecretRef *SecretRef `json:"secretRef,omitempty"`
}

// A Search says how OpenSearch or Elasticsearch is reached.
type Search struct {
	URL       string     `json:"url,omitempty"`       // or in the Secret
	SecretRef *SecretRef `json:"secretRef,omitempty"` // url, username, password, apiKey, ca.crt
}

// An API says how the API of the pipelines' pods is reached.
type API struct {
	Port      int        `json:"port,omitempty"`      // 0: that of the container's port api, or 9600
	SecretRef *SecretRef `json:"secretRef,omitempty"` // username, password
}

// decode reads a plugin's configuration. An unknown key is an error.
func decode(raw []byte, into any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return fmt.Errorf("there is no configuration of %s", Name)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("configuration of %s: %w", Name, err)
	}
	return nil
}

// A platform is what the plugin has of Kubernetes, and its connections. It is safe for concurrent use.
type platform struct {
	log    *slog.Logger
	secret func(ctx context.Context, namespace, name string) (map[string][]byte, error)
	pods   func(ctx context.Context, namespace, hash string) ([]corev1.Pod, error)

	mu      sync.Mutex // guards what follows
	secrets map[string]keptSecret
	admins  map[string]*keptAdmin
}

type keptSecret struct {
	data map[string][]byte
	at   time.Time
}

// A keptAdmin is a connection that is used again, as the controller asks several times a second. Its lock is held while it is made: brokers that
// do not answer hold up those who ask for the same ones, and nobody else.
type keptAdmin struct {
	mu     sync.Mutex // guards what follows
	admin  *kafka.Admin
	from   string // the configuration it was made of
	err    error  // why there is none
	failed time.Time
}

const (
	secretsStay   = 30 * time.Second // a Secret is not asked for again
	failuresStay  = 5 * time.Second  // brokers that could not be reached are not tried again: the controller's workers would all wait for them
	connectWithin = 10 * time.Second
)

func newPlatform(log *slog.Logger) *platform {
	p := &platform{log: log, secrets: map[string]keptSecret{}, admins: map[string]*keptAdmin{}}
	// The controller's own configuration: that of its pod, or KUBECONFIG.
	client := sync.OnceValues(func() (kubernetes.Interface, error) {
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("kubernetes: %w", err)
		}
		return kubernetes.NewForConfig(config)
	})
	p.secret = func(ctx context.Context, namespace, name string) (map[string][]byte, error) {
		c, err := client()
		if err != nil {
			return nil, err
		}
		s, err := c.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return s.Data, nil
	}
	p.pods = func(ctx context.Context, namespace, hash string) ([]corev1.Pod, error) {
		c, err := client()
		if err != nil {
			return nil, err
		}
		list, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "rollouts-pod-template-hash=" + hash})
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	return p
}

// data gives what is in a Secret; nothing without one.
func (p *platform) data(ctx context.Context, namespace string, ref *SecretRef) (map[string][]byte, error) {
	if ref == nil || ref.Name == "" {
		return nil, nil
	}
	key := namespace + "/" + ref.Name
	p.mu.Lock()
	kept, ok := p.secrets[key]
	p.mu.Unlock()
	if ok && time.Since(kept.at) < secretsStay {
		return kept.data, nil
	}
	data, err := p.secret(ctx, namespace, ref.Name)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", key, err)
	}
	p.mu.Lock()
	p.secrets[key] = keptSecret{data, time.Now()}
	p.mu.Unlock()
	return data, nil
}

// admin gives a connection to Kafka, which stays open.
func (p *platform) admin(ctx context.Context, namespace string, k Kafka) (*kafka.Admin, error) {
	data, err := p.data(ctx, namespace, k.SecretRef)
	if err != nil {
		return nil, err
	}
	config, err := k.config(data)
	if err != nil {
		return nil, err
	}
	shape, err := json.Marshal([]any{k.Brokers, data}) // stays in memory
	if err != nil {
		return nil, err
	}
	key := namespace + "/" + k.Brokers
	if k.SecretRef != nil {
		key += "/" + k.SecretRef.Name
	}
	p.mu.Lock()
	kept := p.admins[key]
	if kept == nil {
		kept = &keptAdmin{}
		p.admins[key] = kept
	}
	p.mu.Unlock()
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if kept.from == string(shape) {
		if kept.admin != nil {
			return kept.admin, nil
		}
		if time.Since(kept.failed) < failuresStay {
			return nil, kept.err
		}
	}
	if kept.admin != nil {
		kept.admin.Close() // the Secret was changed
		kept.admin = nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	kept.from = string(shape)
	if kept.admin, kept.err = config.Admin(ctx); kept.err != nil {
		kept.admin, kept.failed = nil, time.Now()
	}
	return kept.admin, kept.err
}

func (k Kafka) config(secret map[string][]byte) (*kafka.Config, error) {
	text := func(key string) string { return strings.TrimSpace(string(secret[key])) }
	c := &kafka.Config{ClientID: "naru-rollouts", Getenv: func(string) string { return "" }}
	for b := range strings.SplitSeq(cmp.Or(k.Brokers, text("brokers")), ",") {
		if b = strings.TrimSpace(b); b != "" {
			c.Brokers = append(c.Brokers, b)
		}
	}
	if len(c.Brokers) == 0 {
		return nil, errors.New("kafka: give brokers, or a secretRef to a Secret with the key brokers")
	}
	encrypted, _ := strconv.ParseBool(text("tls"))
	if ca, cert := secret["ca.crt"], secret["tls.crt"]; encrypted || len(ca) > 0 || len(cert) > 0 {
		c.TLS = &kafka.TLS{CAPEM: ca}
		if len(cert) > 0 {
			c.TLS.CertPEM = append(append(bytes.Clone(cert), '\n'), secret["tls.key"]...)
		}
	}
	if text("username") != "" {
		c.SASL = &kafka.SASL{Mechanism: cmp.Or(text("mechanism"), kafka.SCRAM512), Username: text("username"), Password: kafka.Secret(secret["password"])}
	} else if text("mechanism") == kafka.MSKIAM {
		c.SASL, c.TLS = &kafka.SASL{Mechanism: kafka.MSKIAM}, cmp.Or(c.TLS, &kafka.TLS{})
	}
	if c.SASL == nil || c.SASL.Mechanism == kafka.MSKIAM {
		c.Getenv = os.Getenv
	}
	return c, c.Validate()
}

// client gives a connection to OpenSearch or Elasticsearch.
func (p *platform) client(ctx context.Context, namespace string, s Search) (*opensearch.Client, error) {
	data, err := p.data(ctx, namespace, s.SecretRef)
	if err != nil {
		return nil, err
	}
	text := func(key string) string { return strings.TrimSpace(string(data[key])) }
	e := opensearch.Endpoint{URLs: []string{cmp.Or(s.URL, text("url"))}, Username: text("username"), Password: text("password"), APIKey: text("apiKey"), Timeout: 30 * time.Second}
	if e.URLs[0] == "" {
		return nil, errors.New("opensearch: give a url, or a secretRef to a Secret with the key url")
	}
	if ca := data["ca.crt"]; len(ca) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("opensearch: ca.crt is no certificate in PEM")
		}
		e.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return e.Dial(ctx)
}
