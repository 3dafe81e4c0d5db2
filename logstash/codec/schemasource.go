package codec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// schemaSource is where a schema stands.
type schemaSource struct {
	name     string // of the option
	at       string // a file, or a URL of HTTP
	dir      string // what relative paths are relative to
	proxy    string
	user     string
	password *option.Password  // nil: none
	tls      *tlsoption.Config // nil: none
}

const (
	maxSchema       = 16 << 20
	schemaTries     = 3
	schemaPatience  = 10 * time.Second // for an answer
	schemaFirstWait = time.Second      // doubled from try to try
)

func (s *schemaSource) remote() bool {
	return strings.HasPrefix(s.at, "http://") || strings.HasPrefix(s.at, "https://")
}

// check says what is wrong with the addresses.
func (s *schemaSource) check() error {
	if u, err := url.Parse(s.at); err != nil || u.Host == "" {
		return option.Errorf(s.name, "%q is no URL with a host", s.at)
	}
	if u, err := url.Parse(s.proxy); s.proxy != "" && (err != nil || u.Host == "") {
		return option.Errorf("proxy", "it is no URL with a host")
	}
	return nil
}

// read gives the schema's text.
func (s *schemaSource) read(ctx context.Context) (string, error) {
	if !s.remote() {
		name := strings.TrimPrefix(s.at, "file://")
		if !filepath.IsAbs(name) {
			name = filepath.Join(s.dir, name)
		}
		text, err := os.ReadFile(name) //nolint:gosec // the configuration names it
		return string(text), err
	}
	client, err := s.client()
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	wait := schemaFirstWait
	for try := 1; ; try++ {
		text, again, err := s.fetch(ctx, client)
		if err == nil {
			return text, nil
		}
		if !again || try == schemaTries {
			return "", fmt.Errorf("fetch the schema: %w", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", errors.Join(context.Cause(ctx), err)
		}
		wait *= 2
	}
}

func (s *schemaSource) client() (*http.Client, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if s.proxy != "" {
		u, err := url.Parse(s.proxy)
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(u)
	}
	if s.tls != nil {
		conf, err := s.tls.Client()
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = conf
	}
	return &http.Client{Transport: t, Timeout: schemaPatience}, nil
}

// fetch asks once. again says that it may help to ask again.
func (s *schemaSource) fetch(ctx context.Context, client *http.Client) (text string, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.at, http.NoBody)
	if err != nil {
		return "", false, err
	}
	if s.password != nil {
		req.SetBasicAuth(s.user, string(*s.password))
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", true, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return "", resp.StatusCode < 400 || resp.StatusCode >= 500, fmt.Errorf("%s answers %s", s.at, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSchema+1))
	if err != nil {
		return "", true, err
	}
	if len(body) > maxSchema {
		return "", false, fmt.Errorf("%s answers with more than %d bytes", s.at, maxSchema)
	}
	var wrapped struct {
		Schema *string `json:"schema"`
	}
	if json.Unmarshal(body, &wrapped) == nil && wrapped.Schema != nil {
		return *wrapped.Schema, false, nil
	}
	return string(body), false, nil
}
