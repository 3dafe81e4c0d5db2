package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// A TokenEndpoint gives tokens to who has an id and a secret (OAuth 2.0, client credentials).
type TokenEndpoint struct {
	URL            string
	ClientID       string
	Secret         Secret
	Scope          string        // "": none
	ConnectTimeout time.Duration // 0: 10 s
	ReadTimeout    time.Duration // 0: 10 s

	mu      sync.Mutex // guards what follows
	token   string
	renewal time.Time
}

// maxToken is the size of the largest answer of an endpoint.
const maxToken = 1 << 20

// auth gives a token. It is kept until most of its time is over.
func (t *TokenEndpoint) auth(ctx context.Context) (oauth.Auth, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && time.Now().Before(t.renewal) {
		return oauth.Auth{Token: t.token}, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if t.Scope != "" {
		form.Set("scope", t.Scope)
	}
	ctx, cancel := context.WithTimeout(ctx, orElse(t.ConnectTimeout, 10*time.Second)+orElse(t.ReadTimeout, 10*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return oauth.Auth{}, fmt.Errorf("token endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(t.ClientID), url.QueryEscape(string(t.Secret)))
	client := http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: orElse(t.ConnectTimeout, 10*time.Second)}).DialContext,
		DisableKeepAlives: true,
	}}
	answer, err := client.Do(req)
	if err != nil {
		return oauth.Auth{}, fmt.Errorf("token endpoint: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxToken))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return oauth.Auth{}, fmt.Errorf("token endpoint: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return oauth.Auth{}, fmt.Errorf("token endpoint: status %d", answer.StatusCode)
	}
	var given struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &given); err != nil || given.Token == "" {
		return oauth.Auth{}, errors.Join(errors.New("token endpoint: there is no access_token in the answer"), err)
	}
	t.token, t.renewal = given.Token, time.Now().Add(time.Duration(given.Expires*0.8*float64(time.Second)))
	return oauth.Auth{Token: t.token}, nil
}
