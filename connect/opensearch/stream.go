package opensearch

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/narudata/naru/flow"
)

// stream sends a request that changes nothing to one host after the other until one answers, and gives the answer's
// body as it comes. The caller closes it; when ctx ends, it ends.
func (c *Client) stream(ctx context.Context, r Request) (io.ReadCloser, error) {
	return someHost(ctx, c, &r, func(h *host) (io.ReadCloser, error) { return c.begin(ctx, h, &r) })
}

func (c *Client) begin(ctx context.Context, h *host, r *Request) (io.ReadCloser, error) {
	req, err := c.request(ctx, h, r, r.Body)
	if err != nil {
		return nil, err
	}
	req.Header["X-Idempotency-Key"] = []string{} // nothing to send: it says that a dead connection may be replaced
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, explain(err)
	}
	if resp.StatusCode >= 300 {
		return nil, errors.Join(c.refusal(resp), resp.Body.Close())
	}
	return resp.Body, nil
}

// classify marks errors of reading that trying again cannot mend.
func classify(err error) error {
	s, ok := errors.AsType[*StatusError](err)
	switch {
	case !ok || s.Temporary():
		return err
	case s.Status == http.StatusUnauthorized:
		return flow.Fatal(err)
	case s.Status < 500:
		return flow.Permanent(err)
	}
	return err
}

// ErrorType names the kind of error as the cluster does.
func (e *StatusError) ErrorType() string { return e.Type }
