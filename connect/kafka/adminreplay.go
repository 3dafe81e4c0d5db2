package kafka

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
)

// A Replay is a flow.Source of what a Range is at one time: each partition is a part, with fixed ends, so that a replay that
// was interrupted goes on with the same records. No group is touched.
type Replay struct {
	Cluster string
	Spans   []Span
	of      Range
}

var (
	_ flow.Source    = (*Replay)(nil)
	_ flow.Describer = (*Replay)(nil)
)

// Replay fixes the ends of the range.
func (r *Range) Replay(ctx context.Context) (*Replay, error) {
	cluster, spans, err := r.Spans(ctx)
	if err != nil {
		return nil, err
	}
	return r.Again(cluster, spans), nil
}

// Again is the replay of spans that were fixed earlier.
func (r *Range) Again(cluster string, spans []Span) *Replay {
	return &Replay{Cluster: cluster, Spans: spans, of: *r}
}

// Identity says which records the replay gives.
func (r *Replay) Identity() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka %s", r.Cluster)
	for _, s := range r.Spans {
		fmt.Fprintf(&b, " %s/%d:%d-%d", s.Topic, s.Partition, s.Begin, s.End)
	}
	return b.String()
}

// Groups implements flow.Describer. Offsets that hold no record make topics smaller than is said here.
func (r *Replay) Groups(context.Context) ([]flow.Group, error) {
	var groups []flow.Group
	for _, s := range r.Spans {
		n := len(groups)
		if n == 0 || groups[n-1].Name != s.Topic {
			groups = append(groups, flow.Group{Name: s.Topic, Records: -1, Grade: flow.Lossless})
			n++
		}
		groups[n-1].Bytes += s.End - s.Begin
	}
	return groups, nil
}

// Parts implements flow.Source.
func (r *Replay) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i, s := range r.Spans {
			p := flow.Part{
				ID: fmt.Sprintf("%s/%d/%d-%d", s.Topic, s.Partition, s.Begin, s.End), Group: s.Topic, Spec: binary.AppendUvarint(nil, uint64(i)), //nolint:gosec // an index
				Records: s.End - s.Begin, Bytes: s.End - s.Begin, // at most

			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Open implements flow.Source.
func (r *Replay) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	i, n := binary.Uvarint(p.Spec)
	if n <= 0 || i >= uint64(len(r.Spans)) {
		return nil, flow.Permanent(fmt.Errorf("part %s is not of this replay", p.ID))
	}
	s := r.Spans[i]
	if len(from) > 0 {
		at, err := parseMark(from)
		if err != nil {
			return nil, flow.Permanent(err)
		}
		s.Begin = at.next
	}
	return r.read(ctx, s, from), nil
}

// read starts a Range of one partition.
func (r *Replay) read(ctx context.Context, s Span, from flow.Position) *replaying {
	only := r.of
	only.Topics, only.Pattern, only.Partitions = []string{s.Topic}, "", []int32{s.Partition}
	only.Begin = map[string]map[int32]int64{s.Topic: {s.Partition: s.Begin}}
	only.End = map[string]map[int32]int64{s.Topic: {s.Partition: s.End}}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	x := &replaying{stop: stop, streams: make(chan stream.Stream, 1), over: make(chan struct{}), at: slices.Clone(from)}
	if s.Begin >= s.End {
		close(x.over)
		return x
	}
	go func() {
		defer close(x.over)
		x.err = only.Run(ctx, func(s stream.Stream) { x.streams <- s })
	}()
	return x
}

// replaying reads one partition of a replay.
type replaying struct {
	stop    context.CancelFunc
	streams chan stream.Stream // the one there is
	over    chan struct{}      // closed when Run has returned, with err
	err     error
	stream  stream.Stream
	at      flow.Position
}

// patience is how long a reader waits for records before it says that there are none for now.
const patience = time.Second

// Read implements flow.Reader.
func (x *replaying) Read(ctx context.Context, b *flow.Batch) error {
	b.Next = x.at
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if x.stream == nil {
		select {
		case x.stream = <-x.streams:
		case <-x.over:
			select {
			case x.stream = <-x.streams:
			default:
				if x.err != nil {
					return x.err
				}
				return io.EOF // nothing is left of the span
			}
		case <-waiting.Done():
			return ctx.Err()
		}
	}
	switch err := x.stream.Wait(waiting); {
	case errors.Is(err, io.EOF) && err == io.EOF: //nolint:errorlint // the contract
		return io.EOF
	case err != nil && ctx.Err() == nil && waiting.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	err := x.stream.Read(ctx, b)
	x.at = b.Next
	return err
}

// Ack implements flow.Reader.
func (x *replaying) Ack(context.Context, flow.Position) error { return nil }

// Close implements flow.Reader.
func (x *replaying) Close() error {
	x.stop()
	if x.stream == nil {
		select { // it may have come meanwhile
		case x.stream = <-x.streams:
		case <-x.over:
			select {
			case x.stream = <-x.streams:
			default:
			}
		}
	}
	var err error
	if x.stream != nil {
		err = x.stream.Close()
	}
	<-x.over
	return err
}

// Documents makes documents of records, for an index or an archive.
type Documents struct {
	Index string // where they go; "": the name of the topic
	// ByKey makes the key the id and the offset the version, so that the last record of a key is its document, and a record
	// without a value deletes it; otherwise each record is a document of its own, with the id of Meta.ID.
	ByKey bool
	// Deletes lets records without a value through; otherwise they are dropped: they are no documents.
	Deletes bool
	// Field is where the document says where it is from: topic, partition, offset, time, key and headers. "": nowhere.
	Field string
}

var _ flow.Stage = (*Documents)(nil)

// Process implements flow.Stage. A value that is no JSON object becomes {"message": …}; one that is no text,
// {"message_base64": …}.
func (d *Documents) Process(_ context.Context, b *flow.Batch) error {
	var failures flow.Failures
	kept := b.Records[:0]
	for i := range b.Records {
		r := b.Records[i]
		m, err := ParseMeta(r.Meta)
		if err != nil {
			return err
		}
		if r.Body == nil && !(d.Deletes && d.ByKey) {
			continue
		}
		var why error
		if d.ByKey {
			if len(r.Key) == 0 {
				why = flow.Permanent(errors.New("the record has no key to be the id"))
			}
			r.Version = m.Offset + 1 // versions begin at 1
		} else {
			r.Key, r.Version = m.AppendID(b.Alloc(len(m.Cluster) + len(m.Topic) + 48)[:0]), 0
		}
		r.Index = cmp.Or(d.Index, m.Topic)
		if r.Body != nil && why == nil {
			r.Body = b.Copy(d.document(&r, &m))
		}
		if why != nil {
			failures = append(failures, flow.Failure{Index: len(kept), Err: why})
		}
		kept = append(kept, r)
	}
	clear(b.Records[len(kept):])
	b.Records = kept
	if len(failures) > 0 {
		return failures
	}
	return nil
}

// document is the JSON of a record.
func (d *Documents) document(r *flow.Record, m *Meta) []byte {
	body := bytes.TrimSpace(r.Body)
	var out bytes.Buffer
	if len(body) < 2 || body[0] != '{' || json.Compact(&out, body) != nil {
		out.Reset()
		fields := map[string]any{}
		if text := string(r.Body); strings.ToValidUTF8(text, "") == text {
			fields["message"] = text
		} else {
			fields["message_base64"] = r.Body
		}
		if !r.Time.IsZero() {
			fields["@timestamp"] = r.Time.UTC()
		}
		encode(&out, fields)
	}
	if d.Field == "" {
		return out.Bytes()
	}
	object := out.Bytes()
	object = object[:len(object)-1]
	if len(object) > 1 {
		object = append(object, ',')
	}
	var from bytes.Buffer
	encode(&from, map[string]any{d.Field: m.fields()})
	return append(object, from.Bytes()[1:]...)
}

func encode(to *bytes.Buffer, v any) {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("BUG: " + err.Error())
	}
	to.Truncate(to.Len() - 1) // the line break
}

// fields say where a record is from.
func (m *Meta) fields() map[string]any {
	text := func(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
	f := map[string]any{"topic": m.Topic, "partition": m.Partition, "offset": m.Offset}
	if !m.Timestamp.IsZero() {
		f["timestamp"] = m.Timestamp
	}
	if m.Key != nil {
		f["key"] = text(m.Key)
	}
	headers := map[string]string{}
	for h := range m.Headers() {
		headers[strings.ToValidUTF8(h.Name, "\uFFFD")] = text(h.Value)
	}
	if len(headers) > 0 {
		f["headers"] = headers
	}
	return f
}
