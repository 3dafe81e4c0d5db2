package opensearch

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/narudata/naru/flow"
)

// DocumentOf makes the document of an event's lines: what a dead letter is, so that it can be written again as one. Of an update
// it is the part that was to be merged, or what the script was to get. A delete has no body. Lines that cannot be read are kept
// as they are, as a text in a document.
func DocumentOf(r flow.Record) flow.Record {
	line, rest, _ := bytes.Cut(r.Body, []byte("\n"))
	source, _, _ := bytes.Cut(rest, []byte("\n"))
	var action map[string]struct {
		Index       string          `json:"_index"`
		ID          *string         `json:"_id"`
		Routing     *string         `json:"routing"`
		Version     json.RawMessage `json:"version"`
		VersionType string          `json:"version_type"`
	}
	d := r
	if json.Unmarshal(line, &action) != nil || len(action) != 1 {
		return unreadable(d)
	}
	for name, a := range action {
		d.Index = a.Index
		if a.ID != nil {
			d.Key = []byte(*a.ID)
		}
		if a.Routing != nil {
			d.Routing = []byte(*a.Routing)
		}
		if n, err := strconv.ParseInt(strings.Trim(string(a.Version), `"`), 10, 64); err == nil && strings.HasPrefix(a.VersionType, "external") {
			d.Version = n
		}
		switch name {
		case "delete":
			d.Body = nil
		case "update":
			if d.Body = updated(source); d.Body == nil {
				d.Body = r.Body
				return unreadable(d)
			}
		default:
			if d.Body = source; !json.Valid(source) {
				d.Body = r.Body
				return unreadable(d)
			}
		}
	}
	return d
}

// unreadable keeps lines as a text.
func unreadable(r flow.Record) flow.Record {
	r.Body = append(appendString([]byte(`{"message":`), r.Body), '}')
	return r
}

// updated gives the document in the source of an update; nil if there is none.
func updated(source []byte) []byte {
	var u struct {
		Doc    json.RawMessage `json:"doc"`
		Upsert json.RawMessage `json:"upsert"`
		Script struct {
			Params map[string]json.RawMessage `json:"params"`
		} `json:"script"`
	}
	if json.Unmarshal(source, &u) != nil {
		return nil
	}
	if u.Doc != nil {
		return u.Doc
	}
	if len(u.Script.Params) == 1 {
		for _, p := range u.Script.Params {
			return p
		}
	}
	return u.Upsert
}
