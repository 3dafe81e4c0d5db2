package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"testing"
)

// scrollPage is how many documents a page of a scroll has: with the corpus's largest, some 30 MB.
const scrollPage = 200

// Dump is what the server shows of an index: every live document, its `_source` byte for byte.
func (n *Node) Dump(tb testing.TB, index string) []Line {
	tb.Helper()
	n.Call(tb, "POST", "/"+url.PathEscape(index)+"/_refresh", nil)
	var lines []Line
	path, body := "/"+url.PathEscape(index)+"/_search?scroll=5m", map[string]any{"size": scrollPage, "sort": []string{"_doc"}}
	for {
		before := len(lines)
		scroll, err := n.page(tb, path, body, &lines)
		if err != nil {
			tb.Fatalf("read %s: %v", index, err)
		}
		if len(lines) == before {
			n.Call(tb, "DELETE", "/_search/scroll", map[string]any{"scroll_id": []string{scroll}})
			return lines
		}
		path, body = "/_search/scroll", map[string]any{"scroll": "5m", "scroll_id": scroll}
	}
}

// page appends the hits of one page, read as they come, and gives the id of the next.
func (n *Node) page(tb testing.TB, path string, body any, lines *[]Line) (scroll string, err error) {
	reply, err := n.do(tb.Context(), "POST", path, "application/json", body)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, reply.Body.Close()) }()
	if reply.StatusCode != 200 {
		text, err := io.ReadAll(reply.Body)
		return "", errors.Join(fmt.Errorf("status %d: %.500s", reply.StatusCode, text), err)
	}
	in := json.NewDecoder(reply.Body)
	err = eachKey(in, func(key string) error {
		switch key {
		case "_scroll_id":
			return in.Decode(&scroll)
		case "_shards":
			var shards struct{ Failed int }
			if err := in.Decode(&shards); err != nil || shards.Failed > 0 {
				return errors.Join(err, fmt.Errorf("%d shards failed", shards.Failed))
			}
			return nil
		case "hits":
			return eachKey(in, func(key string) error {
				if key != "hits" {
					return skip(in)
				}
				return eachElement(in, func() error {
					var h hit
					if err := in.Decode(&h); err != nil {
						return err
					}
					*lines = append(*lines, h.line())
					return nil
				})
			})
		default:
			return skip(in)
		}
	})
	return scroll, err
}

// eachKey calls do at each value of the object that comes next; do must read that value.
func eachKey(in *json.Decoder, do func(key string) error) error {
	return within(in, '{', '}', func() error {
		key, err := in.Token()
		if err != nil {
			return err
		}
		return do(key.(string))
	})
}

// eachElement calls do at each element of the array that comes next; do must read it.
func eachElement(in *json.Decoder, do func() error) error { return within(in, '[', ']', do) }

func within(in *json.Decoder, open, closing json.Delim, do func() error) error {
	if t, err := in.Token(); err != nil || t != open {
		return fmt.Errorf("expected %v, found %v (%w)", open, t, err)
	}
	for in.More() {
		if err := do(); err != nil {
			return err
		}
	}
	if t, err := in.Token(); err != nil || t != closing {
		return fmt.Errorf("expected %v, found %v (%w)", closing, t, err)
	}
	return nil
}

func skip(in *json.Decoder) error {
	var ignored json.RawMessage
	return in.Decode(&ignored)
}
