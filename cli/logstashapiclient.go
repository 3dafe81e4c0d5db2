package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// apiFlags say where a naru logstash is that is looked at. The password comes from the environment.
type apiFlags struct {
	url    string
	caFile string
}

const defaultAPIURL = "http://127.0.0.1:9600"

func (f *apiFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", defaultAPIURL, "the `URL` of the API of a naru logstash; its password is in NARU_API_USERNAME and NARU_API_PASSWORD")
	flags.StringVar(&f.caFile, "ca-file", "", "trust the authorities in `FILE` (PEM) to vouch for it")
}

// An apiClient asks the API of a naru logstash.
type apiClient struct {
	base               *url.URL
	username, password string
	http               *http.Client
}

func (f *apiFlags) client(c *common) (*apiClient, error) {
	base, err := url.Parse(f.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("--url: expected one like %s, not %q", defaultAPIURL, f.url)
	}
	if base.User != nil {
		return nil, fmt.Errorf("--url: no password in a flag: others see it; set %s and %s", apiUsername, apiPassword)
	}
	dial := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // it is one
	dial.ResponseHeaderTimeout = 20 * time.Second
	if f.caFile != "" {
		pem, err := os.ReadFile(f.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate (PEM)", f.caFile)
		}
		dial.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return &apiClient{
		base: base, username: c.Getenv(apiUsername), password: c.Getenv(apiPassword),
		// Redirects are not followed: the password goes where it is meant to go.
		http: &http.Client{Transport: dial, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// errNoAPI says that nothing answers.
var errNoAPI = errors.New("does naru logstash run there, with its API? --url says where")

// get asks for a path; the caller closes the body.
func (a *apiClient) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	at := a.base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if a.password != "" {
		req.SetBasicAuth(a.username, a.password)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", err, errNoAPI)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	var says struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(text, &says)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s wants a password: set %s and %s", a.base, apiUsername, apiPassword)
	case err != nil:
		return nil, fmt.Errorf("%s: %s: %w", a.base, resp.Status, errNoAPI)
	case resp.StatusCode == http.StatusNotFound && says.Error.Message == "Not Found":
		return nil, fmt.Errorf("%s is a Logstash, not a naru: %w", a.base, errNoAPI)
	}
	return nil, errors.New(cmp.Or(printable(strings.TrimSpace(says.Error.Message)), resp.Status))
}

// coloured reports that output to w may have colours.
func (env Env) coloured(w io.Writer) bool {
	return env.Columns(w) > 0 && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"
}
