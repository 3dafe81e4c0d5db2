package opensearch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// An Endpoint is a cluster that a pipeline talks to for as long as it runs: it may be away when the pipeline starts, and
// come back. Names, passwords and paths may stand in the addresses.
type Endpoint struct {
	URLs       []string    // like https://node-1:9200 or https://name:password@proxy/prefix
	Parameters url.Values  // of every request
	Headers    http.Header // of every request

	// Who asks, where the address has no name: one of these, or nobody.
	Username, Password string
	APIKey             string // as it is sent: base64 of id:key
	AWS                AWS

	TLS           *tls.Config   // nil: the system's authorities
	Proxy         *url.URL      // nil: what the environment says
	Timeout       time.Duration // of a request and its answer; 0: 1 min
	Connect       time.Duration // of a connection; 0: 10 s, at most Timeout
	Resurrect     time.Duration // how long a host that cannot be reached is passed over; 0: 5 s
	HealthPath    string        // what is asked of it then before it is written to; "": /
	Connections   int           // to a host, at most; 0: no bound
	IdleConnsTime time.Duration // how long a connection that is not used stays open; 0: 1 min
}

// AWS says how requests are signed. The zero value: they are not.
type AWS struct {
	Service string // es or aoss
	Region  string // "": the environment's
	// The key; if it is empty it is looked for where AWS's programs look for it.
	AccessKey, SecretKey, SessionToken string
}

// ErrEndpoint marks what is wrong with an Endpoint's fields.
var ErrEndpoint = errors.New("wrong endpoint")

// Dial makes a client. It sends nothing: what the cluster is is not known (Client.Info), and may be asked (Client.Ask).
func (e Endpoint) Dial(ctx context.Context) (*Client, error) {
	if len(e.URLs) == 0 {
		return nil, fmt.Errorf("%w: no addresses", ErrEndpoint)
	}
	c := &Client{
		headers: e.Headers, query: e.Parameters.Encode(), health: cmp.Or(e.HealthPath, "/"), timeout: cmp.Or(e.Timeout, time.Minute),
	}
	for _, raw := range e.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEndpoint, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%w: %s: want something like https://node-1:9200", ErrEndpoint, u.Redacted())
		}
		h := &host{user: u.User, resurrect: cmp.Or(e.Resurrect, 5*time.Second)}
		if u.RawQuery != "" {
			c.query = strings.Trim(c.query+"&"+u.RawQuery, "&")
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		h.url = strings.TrimRight(u.String(), "/")
		c.hosts = append(c.hosts, h)
		c.target.URLs = append(c.target.URLs, h.url)
	}
	if err := e.authorize(ctx, c); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(cmp.Or(e.Connect, 10*time.Second), c.timeout), KeepAlive: 30 * time.Second}
	proxy := http.ProxyFromEnvironment
	if e.Proxy != nil {
		proxy = http.ProxyURL(e.Proxy)
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy: proxy,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return wholeConn{conn}, nil
			},
			TLSClientConfig:     e.TLS,
			MaxConnsPerHost:     e.Connections,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     cmp.Or(e.IdleConnsTime, time.Minute),
			TLSHandshakeTimeout: min(10*time.Second, c.timeout),
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func (e *Endpoint) authorize(ctx context.Context, c *Client) error {
	ways := 0
	c.auth = anonymous{}
	if e.Username != "" || e.Password != "" {
		ways++
		c.auth = basic{e.Username, e.Password}
	}
	if e.APIKey != "" {
		ways++
		c.auth = apiKey("ApiKey " + e.APIKey)
	}
	if e.AWS.Service != "" {
		ways++
		signer, err := e.AWS.signer(ctx)
		if err != nil {
			return err
		}
		c.auth = signer
	}
	if ways > 1 {
		return fmt.Errorf("%w: give one of a name and password, an API key, or AWS", ErrEndpoint)
	}
	return nil
}

// apiKey is the header of an API key.
type apiKey string

func (k apiKey) sign(r *http.Request, _ []byte) error {
	r.Header.Set("Authorization", string(k))
	return nil
}

func (a *AWS) signer(ctx context.Context) (signer, error) {
	if a.AccessKey == "" && a.SecretKey == "" {
		return newSigV4(ctx, a.Service, a.Region)
	}
	if a.AccessKey == "" || a.SecretKey == "" || a.Region == "" {
		return nil, fmt.Errorf("%w: a key of AWS has an id, a secret and a region", ErrEndpoint)
	}
	given := aws.Credentials{AccessKeyID: a.AccessKey, SecretAccessKey: a.SecretKey, SessionToken: a.SessionToken, Source: "configuration"}
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return given, nil })
	return &sigV4{a.Service, a.Region, provider, v4.NewSigner()}, nil
}

// Local reports that all addresses are of this machine.
func (e *Endpoint) Local() bool {
	c := Client{target: Target{URLs: e.URLs}}
	return c.loopback()
}

// Close ends the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }
