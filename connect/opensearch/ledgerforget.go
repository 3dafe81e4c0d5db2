package opensearch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Forget deletes from a ledger all that it has of carries whose identities begin so. Nobody may be at work on them: who was
// would begin anew. An empty index is the default one. The carry's own document goes last, so that after an error the same
// call goes on.
func Forget(ctx context.Context, c *Client, index, beginning string) error {
	index = cmp.Or(index, DefaultLedgerIndex)
	carries, err := Carries(ctx, c, index)
	if err != nil {
		return fmt.Errorf("list the carries of %s: %w", index, err)
	}
	for _, identity := range carries {
		if !strings.HasPrefix(identity, beginning) {
			continue
		}
		id := carryID(identity)
		var ids []string
		if err := patiently(ctx, func() error {
			ids = nil
			return eachPart(ctx, c, index, id, func(d *got[ledgerPart]) { ids = append(ids, d.ID) })
		}); err != nil {
			return fmt.Errorf("parts of the carry %s: %w", identity, err)
		}
		if err := patiently(ctx, func() error { return deleteAll(ctx, c, index, append(ids, id)) }); err != nil {
			return fmt.Errorf("forget the carry %s: %w", identity, err)
		}
	}
	return nil
}

// deleteAll deletes documents; those that are not there are none.
func deleteAll(ctx context.Context, c *Client, index string, ids []string) error {
	var body strings.Builder
	lines := json.NewEncoder(&body)
	for _, id := range ids {
		if err := lines.Encode(map[string]any{"delete": map[string]string{"_id": id}}); err != nil {
			return err
		}
	}
	answer, err := c.Do(ctx, Request{Method: http.MethodPost, Path: "/" + url.PathEscape(index) + "/_bulk", Type: "application/x-ndjson", Body: []byte(body.String())})
	if err != nil {
		return err
	}
	var out struct {
		Items []map[string]struct {
			Status int             `json:"status"`
			Error  json.RawMessage `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return fmt.Errorf("answer to _bulk: %w", err)
	}
	for _, item := range out.Items {
		if x := item["delete"]; x.Status >= 300 && x.Status != http.StatusNotFound {
			return fmt.Errorf("%.300s (status %d)", x.Error, x.Status)
		}
	}
	return nil
}
