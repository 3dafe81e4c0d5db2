package agent

import (
	"bytes"
	"encoding/json"
	"log/slog"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// An output makes records of events, and opens their sink.
type output interface {
	// form fills a record in; its body is appended to dst. It is called concurrently. An error makes a dead letter of it.
	form(dst []byte, r *flow.Record, e *Event, in *Input) ([]byte, error)
	open(o *Options) (stream.Sink, error)
}

// A Codec makes the bytes of an event.
type Codec struct {
	Format *Format // nil: JSON
	Pretty bool
}

// readCodec reads codec.json and codec.format.
func readCodec(s *filebeat.Section, pretty bool) Codec {
	c := Codec{Pretty: pretty}
	if text := s.Text("codec.format.string", ""); text != "" {
		f, err := ParseFormat(text)
		if err != nil {
			s.Say(filebeat.Wrong, "codec.format.string", err.Error(), "")
		}
		c.Format = f
	}
	c.Pretty = s.Bool("codec.json.pretty", c.Pretty)
	s.Know("codec.json.escape_html", "codec.json", "codec.json.local_time")
	return c
}

// append appends an event without a line feed.
func (c *Codec) append(dst []byte, e *Event, meta tree.Object) ([]byte, error) {
	if c.Format != nil {
		text, err := c.Format.Of(e)
		return append(dst, text...), err
	}
	if !c.Pretty {
		return e.AppendJSON(dst, meta)
	}
	one, err := e.AppendJSON(nil, meta)
	if err != nil {
		return dst, err
	}
	b := bytes.NewBuffer(dst)
	err = json.Indent(b, one, "", "  ")
	return b.Bytes(), err
}

// metadata is what receivers that are not Elasticsearch find under @metadata.
func (e *Event) metadata(beat string) tree.Object {
	m := tree.Object{{Name: "beat", Value: beat}, {Name: "type", Value: "_doc"}, {Name: "version", Value: Version}}
	for _, x := range e.Meta {
		if x.Name != "naru_id" {
			m = append(m, x)
		}
	}
	return m
}

// Logstash is the output to Logstash, or to naru's beats input.
type Logstash struct {
	Lumber
	Beat string // @metadata.beat
}

func (o *Logstash) form(dst []byte, _ *flow.Record, e *Event, in *Input) ([]byte, error) {
	meta := e.metadata(o.Beat)
	if in.Pipeline != nil && !meta.Has("pipeline") {
		if p, err := in.Pipeline.Of(e); err == nil && p != "" {
			meta = append(meta, tree.Member{Name: "pipeline", Value: p})
		}
	}
	return e.AppendJSON(dst, meta)
}

func (o *Logstash) open(x *Options) (stream.Sink, error) { return o.Lumber.Open(x.Log) }

// Search is the output to OpenSearch or Elasticsearch.
type Search struct {
	Endpoint opensearch.Endpoint
	Events   opensearch.EventsOptions
	TLS      *TLS
	Index    selector
	Pipeline selector
	BulkMax  int
	Workers  int
	Backoff  flow.Retry
}

func (o *Search) form(dst []byte, r *flow.Record, e *Event, in *Input) ([]byte, error) {
	var index string
	var err error
	switch {
	case e.Text("@metadata.raw_index") != "":
		index = e.Text("@metadata.raw_index")
	case in.Index != nil:
		index, err = in.Index.Of(e)
	default:
		index, err = o.Index.of(e)
	}
	if err != nil {
		return dst, err
	}
	id := e.Text("@metadata._id")
	if id == "" {
		id = e.Text("@metadata.naru_id")
	}
	pipeline := e.Text("@metadata.pipeline")
	if pipeline == "" && in.Pipeline != nil {
		pipeline, err = in.Pipeline.Of(e)
	}
	if pipeline == "" && err == nil {
		pipeline, err = o.Pipeline.of(e)
	}
	if err != nil {
		return dst, err
	}
	action := "create"
	if op := e.Text("@metadata.op_type"); op == "index" {
		action = op
	}
	dst = append(dst, `{"`...)
	dst = append(dst, action...)
	dst = append(dst, `":{"_index":`...)
	dst = appendText(dst, index)
	if id != "" {
		dst = appendText(append(dst, `,"_id":`...), id)
	}
	if pipeline != "" && pipeline != "_none" {
		dst = appendText(append(dst, `,"pipeline":`...), pipeline)
	}
	dst = append(dst, "}}\n"...)
	if dst, err = e.AppendJSON(dst, nil); err != nil {
		return dst, err
	}
	r.Index = index
	return append(dst, '\n'), nil
}

func appendText(dst []byte, s string) []byte {
	out, err := tree.AppendJSON(dst, s)
	if err != nil {
		panic("BUG: a text is a value: " + err.Error())
	}
	return out
}

func (o *Search) open(x *Options) (stream.Sink, error) {
	endpoint := o.Endpoint
	if o.TLS != nil {
		config, err := o.TLS.Config("")
		if err != nil {
			return stream.Sink{}, err
		}
		endpoint.TLS = config
	}
	client, err := endpoint.Dial(x.context())
	if err != nil {
		return stream.Sink{}, err
	}
	events := o.Events
	events.Log = x.Log
	return stream.Sink{
		Sink: opensearch.NewEvents(client, events), InFlight: min(max(o.Workers, 1)*2, 64), MaxRecords: o.BulkMax, Retry: o.Backoff,
		Dead: opensearch.DocumentOf,
	}, nil
}

// Discard counts events, and drops them.
type Discard struct{}

func (Discard) form(dst []byte, _ *flow.Record, _ *Event, _ *Input) ([]byte, error) { return dst, nil }

func (Discard) open(*Options) (stream.Sink, error) { return stream.Sink{Sink: nowhere{}}, nil }

// discardLog is where nothing is logged.
func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
