package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Path is where the API of a process tells what it has kept: GET /naru/made?bytes=N.
const Path = "/naru/made"

// ErrNone says that a process takes part in no route, or is of a version of naru that keeps nothing.
var ErrNone = errors.New("it keeps nothing to be compared")

// Ask asks a process for its report by a request to its API, without a path yet. most bounds what it keeps, in bytes; a longer answer than
// a few times that is an error.
func Ask(client *http.Client, base *http.Request, most int) (*Report, error) {
	req := base.Clone(base.Context())
	req.URL.Path, req.URL.RawQuery = Path, fmt.Sprintf("bytes=%d", most)
	resp, err := client.Do(req) //nolint:gosec // the address is the caller's
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", req.URL.Host, ErrNone)
	default:
		return nil, fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	limit := 4*int64(most) + 1<<20 // of JSON texts within JSON
	body := &io.LimitedReader{R: resp.Body, N: limit}
	r := &Report{}
	if err := json.NewDecoder(body).Decode(r); err != nil {
		if body.N <= 0 {
			return nil, fmt.Errorf("%s: the answer is longer than %d bytes", req.URL, limit)
		}
		return nil, fmt.Errorf("%s: %w", req.URL, err)
	}
	if r.Level < 0 || r.Level > mostLevel {
		return nil, fmt.Errorf("%s: level %d", req.URL, r.Level)
	}
	return r, nil
}

// NewRequest makes the request for Ask of an address like http://10.0.0.7:9600. Without a username none is given.
func NewRequest(ctx context.Context, address, username, password string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if username != "" {
		req.SetBasicAuth(username, password)
	}
	return req, nil
}
