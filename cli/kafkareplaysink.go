package cli

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/narudata/naru/flow"
)

// An indexSink writes documents by operations of _bulk. A document with a version is indexed if it is newer than what is
// there, and one without a body deleted likewise (external versions); one without a version is created, or is there already.
type indexSink struct{ flow.Sink }

// Write implements flow.Sink.
func (s indexSink) Write(ctx context.Context, recs []flow.Record) error {
	operations := make([]flow.Record, len(recs))
	for i := range recs {
		operations[i] = recs[i]
		operations[i].Body = operation(&recs[i])
	}
	return s.Sink.Write(ctx, operations)
}

// operation is the lines of a document in a request to _bulk.
func operation(r *flow.Record) []byte {
	b := make([]byte, 0, len(r.Index)+len(r.Key)+len(r.Body)+96)
	switch {
	case r.Body == nil:
		b = append(b, `{"delete":{`...)
	case r.Version > 0:
		b = append(b, `{"index":{`...)
	default:
		b = append(b, `{"create":{`...)
	}
	b = append(append(b, `"_index":`...), quoted(r.Index)...)
	b = append(append(b, `,"_id":`...), quoted(string(r.Key))...)
	if r.Version > 0 {
		b = strconv.AppendInt(append(b, `,"version_type":"external","version":`...), r.Version, 10)
	}
	b = append(b, "}}\n"...)
	if r.Body != nil {
		b = append(append(b, r.Body...), '\n')
	}
	return b
}

// quoted is s as JSON.
func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}
