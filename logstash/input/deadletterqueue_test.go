package input

import (
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// deadLetterInput sets the input up; its problem is text.
func deadLetterInput(t *testing.T, config string) (Input, string) {
	t.Helper()
	cfg, err := syntax.Parse("test.conf", []byte("input { dead_letter_queue { "+config+" } }"))
	if err != nil {
		t.Fatal(err)
	}
	for node := range syntax.Plugins(cfg.Statements(syntax.Input)) {
		p := Table()[node.Name]()
		for _, problem := range option.Decode(node, p, option.Env{Section: syntax.Input}) {
			return nil, problem.Error()
		}
		in, err := p.Setup(&Setup{Log: slog.New(slog.DiscardHandler), Dir: t.TempDir()})
		if err != nil {
			return nil, err.Error()
		}
		return in, ""
	}
	return nil, "no input"
}

// deadEntry is an entry around an event that Jackson wrote (format/recordio/testdata/Event.java).
func deadEntry(t *testing.T) []byte {
	t.Helper()
	cbor, err := os.ReadFile("../../format/recordio/testdata/event.cbor")
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, part := range []string{"2026-11-24T10:15:00.123Z", string(cbor), "elasticsearch", "out", "Could not index event"} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return b
}

// deadSegment is a file of one event.
func deadSegment(e []byte) []byte {
	const inBlock = 32768 - 13
	b := []byte{'1'}
	kind, total := byte('s'), uint32(len(e))
	for len(e) > 0 {
		n := min(len(e), inBlock)
		if len(e) < inBlock {
			if kind == 's' {
				kind, total = 'c', 0xffffffff
			} else {
				kind = 'e'
			}
		}
		b = binary.BigEndian.AppendUint32(append(b, kind), uint32(n))
		b = binary.BigEndian.AppendUint32(b, total)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(e[:n]))
		b, e = append(b, e[:n]...), e[n:]
		kind, total = 'm', 0xffffffff
	}
	return b
}

func TestDeadLettersAreTheEventsWithTheirReasons(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "logs", "1.log"), deadSegment(deadEntry(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, problem := deadLetterInput(t, `path => "`+dir+`" pipeline_id => "logs"`)
	if problem != "" {
		t.Fatal(problem)
	}
	source, err := in.Open(&Run{Port: 5, Data: data, Log: slog.New(slog.DiscardHandler), Pipeline: "main"})
	if err != nil {
		t.Fatal(err)
	}
	opened, ended := make(chan stream.Stream, 1), make(chan error, 1)
	go func() { ended <- source.Run(t.Context(), func(s stream.Stream) { opened <- s }) }()
	s := <-opened
	b := &flow.Batch{}
	if err := s.Read(t.Context(), b); err != nil || len(b.Records) != 1 || b.Records[0].Port != 5 {
		t.Fatal(err, len(b.Records))
	}
	var events []*event.Event
	x := &codec.Context{New: event.New, Emit: func(e *event.Event) { events = append(events, e) }, Now: time.Now(), Log: slog.New(slog.DiscardHandler)}
	decoder := in.(Decoder).Decoder(nil)
	decoder.Decode(x, b.Records[0].Body)
	if len(events) != 1 {
		t.Fatal(len(events))
	}
	e := events[0]
	for field, want := range map[string]string{
		"[message]": "grüße 😀", "[host][name]": "host", "[many][1599]": "number 199", "[price]": "12.34", "[n]": "-5", "[f]": "1.5",
		"[huge]": "123456789012345678901234567890", "[@metadata][target]": "number 399", "[@timestamp]": "2026-11-24T10:14:59.000Z",
		"[@metadata][dead_letter_queue][plugin_type]": "elasticsearch", "[@metadata][dead_letter_queue][plugin_id]": "out",
		"[@metadata][dead_letter_queue][reason]": "Could not index event", "[@metadata][dead_letter_queue][entry_time]": "2026-11-24T10:15:00.123Z",
	} {
		if got, err := event.ParseFormat("%{" + field + "}").Text(e); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", field, got, want, err)
		}
	}
	if e.GetField("none").Kind() != event.Null {
		t.Errorf("none is %v", e.GetField("none").Kind())
	}
	if err := s.Ack(t.Context(), b.Next); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(data, "plugins", "inputs", "dead_letter_queue", "logs", ".sincedb_*")); err != nil || len(files) != 1 {
		t.Error(files, err)
	}

	events = nil
	decoder.Decode(x, []byte("nothing"))
	if len(events) != 1 || !events[0].HasTag("_deadletterqueueparsefailure") {
		t.Errorf("%d events", len(events))
	}
}

func TestOptionsOfDeadLetterQueueAreChecked(t *testing.T) {
	for config, want := range map[string]string{
		`pipeline_id => "main"`: "path",
		`path => "/tmp" clean_consumed => true commit_offsets => false`: "needs commit_offsets",
		`path => "/tmp" start_timestamp => "yesterday"`:                 "expected a time",
		`path => "/tmp" sincedb_path => "/tmp"`:                         "expected a file",
		`path => "/tmp" start_timestamp => "2017-04-04T23:40:37"`:       "",
	} {
		if _, problem := deadLetterInput(t, config); !strings.Contains(problem, want) || want == "" && problem != "" {
			t.Errorf("%s: %s", config, problem)
		}
	}
}
