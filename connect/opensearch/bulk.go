package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/narudata/naru/flow"
)

// appendAction appends a record as two lines of a _bulk body: what to do, and the source as it is.
//
// A record whose version is known replaces an older one (external_gte); any other is created, and a conflict says
// that it is there already. So writing a record twice has the effect of writing it once. A record without an id
// gets one from the cluster, and would be there twice.
func appendAction(b []byte, r *flow.Record, index string) []byte {
	if r.Version > 0 {
		b = append(b, `{"index":{"_index":`...)
	} else {
		b = append(b, `{"create":{"_index":`...)
	}
	b = appendString(b, index)
	if len(r.Key) > 0 {
		b = append(b, `,"_id":`...)
		b = appendString(b, r.Key)
	}
	if r.Routing != nil {
		b = append(b, `,"routing":`...)
		b = appendString(b, r.Routing)
	}
	if r.Version > 0 {
		b = append(b, `,"version":`...)
		b = strconv.AppendInt(b, r.Version, 10)
		b = append(b, `,"version_type":"external_gte"`...)
	}
	b = append(b, '}', '}', '\n')
	b = append(b, r.Body...)
	return append(b, '\n')
}

// actionSize is at least what appendAction appends, in bytes, unless the id needs escapes.
func actionSize(r *flow.Record, index string) int {
	return len(index) + len(r.Key) + len(r.Routing) + len(r.Body) + 100
}

// appendString appends s as a JSON string.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)])); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			b = append(append(b, s[start:i]...), `\ufffd`...)
		} else {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			default:
				b = append(b, `\u00`...)
				b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
			}
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// item is what became of one record of a _bulk request.
type item struct {
	status int
	reason *reason // nil: it went well
}

// itemsWanted are the parts of an answer that are read; leaving the rest out saves both sides much.
const bulkPath = "/_bulk?filter_path=error,errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"

// bulk sends a _bulk body of n records, past the indices' pipelines if they are unprocessed. It gives what became of each,
// or nil if all went well.
func (c *Client) bulk(ctx context.Context, body []byte, n int, unprocessed, compress bool) ([]item, error) {
	path := bulkPath
	if unprocessed {
		path += "&pipeline=_none"
	}
	answer, err := c.Do(ctx, Request{Method: http.MethodPost, Path: path, Body: body, Type: "application/x-ndjson", Gzip: compress})
	if err != nil {
		return nil, err
	}
	return readItems(answer, n)
}

// readItems decodes the answer to a _bulk request of n records.
func readItems(answer []byte, n int) ([]item, error) {
	// When all went well there is nothing to decode, only to count.
	if bytes.HasPrefix(answer, []byte(`{"errors":false,`)) && bytes.HasSuffix(answer, []byte(`]}`)) &&
		bytes.Count(answer, []byte(`{"status":2`)) == n {
		return nil, nil
	}
	var decoded struct {
		Errors *bool `json:"errors"`
		Items  []map[string]struct {
			Status int     `json:"status"`
			Error  *reason `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &decoded); err != nil {
		return nil, fmt.Errorf("answer to _bulk: %w", err)
	}
	if decoded.Errors == nil || len(decoded.Items) != n {
		return nil, fmt.Errorf("answer to _bulk: it is about %d records, not %d", len(decoded.Items), n)
	}
	items := make([]item, n)
	for i, of := range decoded.Items {
		if len(of) != 1 {
			return nil, errors.New("answer to _bulk: an item is not about one action")
		}
		for _, it := range of {
			items[i] = item{it.Status, it.Error}
			if it.Status < 100 || it.Status >= 300 && it.Error == nil {
				return nil, fmt.Errorf("answer to _bulk: status %d without a reason", it.Status)
			}
		}
	}
	return items, nil
}

// verdict says what an item's status means: nil is written; flow.ErrThere; Permanent; else for now.
func (it item) verdict() error {
	switch {
	case it.status < 300:
		return nil
	case it.status == http.StatusConflict:
		return flow.ErrThere
	case it.reason == nil:
		return &StatusError{Status: it.status}
	}
	err := &StatusError{Status: it.status, Type: it.reason.Type, Reason: it.reason.text()}
	if err.Temporary() {
		return err
	}
	return flow.Permanent(err)
}
