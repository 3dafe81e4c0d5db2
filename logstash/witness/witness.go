// Package witness keeps for a while what outputs make of records, so that two versions of a pipeline can be compared whose outputs cannot
// be read back: records of topics, requests, objects, lines of files. Each process of both versions keeps its own in bounded
// memory, and tells it over its API; Compare brings together what is of the same records.
//
// Which records are kept is decided by where they are from, so that both versions keep the same ones: of level L one of 2^L. A
// process that has no room for two minutes of them goes to the next level.
package witness

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

const (
	usualBytes = 16 << 20        // that a Witness keeps
	mostRecord = 1 << 20         // of one record: longer ones are compared by their first bytes
	overhead   = 200             // bytes that an entry takes beside its record
	wantedAge  = 2 * time.Minute // of the oldest that is kept, before less dense records are enough
	mostLevel  = 24
)

// A Witness keeps what outputs make. The zero value keeps nothing until Keep is called. A nil one never does. It is safe for
// concurrent use.
type Witness struct {
	Bytes int              // that it keeps at most; 0: 16 MiB
	Now   func() time.Time // nil: the system's clock

	on atomic.Bool
	mu sync.Mutex // guards what follows

	level   int
	spans   map[place]*span
	entries []entry // oldest first
	bytes   int
}

type place struct {
	topic     string
	partition int32
}

// span are the offsets of a partition of which everything that was made is there: from From on, before To.
type span struct{ from, to int64 }

// An entry is what an output made of an event.
type entry struct {
	place
	offset int64
	nth    int    // of the events that this output got of the record
	output string // by its id, or its name and how many of that name stand before it
	record flow.Record
	at     time.Time
}

func (e *entry) size() int {
	return overhead + len(e.record.Body) + len(e.record.Key) + len(e.record.Meta) + len(e.record.Index)
}

// Keep lets it keep what is made from now on, or forget everything.
func (w *Witness) Keep(on bool) {
	if w == nil || w.on.Load() == on {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.level, w.spans, w.entries, w.bytes = 0, map[place]*span{}, nil, 0
	w.on.Store(on)
}

// Keeps reports that it does.
func (w *Witness) Keeps() bool { return w != nil && w.on.Load() }

// Read says that records of a partition were read, from an offset on and before another one. begins: for the first time since
// the partition was assigned: what was known of it before has a gap behind it.
func (w *Witness) Read(topic string, partition int32, from, to int64, begins bool) {
	if !w.Keeps() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place{topic, partition}
	s := w.spans[at]
	if w.spans == nil || !w.on.Load() {
		return
	}
	if s == nil || begins {
		if s == nil {
			at.topic = strings.Clone(topic)
		}
		s = &span{from: from}
		w.spans[at] = s
	}
	s.to = max(s.to, to)
}

// Made says what an output made of an event: the nth one that it got of the record id, CLUSTER:TOPIC:PARTITION:OFFSET. It copies
// what it keeps.
func (w *Witness) Made(id string, nth int, output string, r *flow.Record) {
	if !w.Keeps() {
		return
	}
	at, offset, ok := parse(id)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.spans[at]
	if s == nil || offset < s.from || !sampled(at, offset, w.level) {
		return
	}
	at.topic = strings.Clone(at.topic)
	e := entry{place: at, offset: offset, nth: nth, output: output, at: w.now(), record: flow.Record{
		Index: strings.Clone(r.Index), Key: slices.Clone(r.Key), Body: slices.Clone(r.Body[:min(len(r.Body), mostRecord)]), Meta: slices.Clone(r.Meta),
	}}
	w.entries = append(w.entries, e)
	w.bytes += e.size()
	for w.bytes > w.most() {
		w.makeRoom()
	}
}

func (w *Witness) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

func (w *Witness) most() int {
	if w.Bytes > 0 {
		return w.Bytes
	}
	return usualBytes
}

// makeRoom lets go of every second record if the oldest one is young, else of the oldest ones.
func (w *Witness) makeRoom() {
	if w.level < mostLevel && w.now().Sub(w.entries[0].at) < wantedAge {
		w.level++
		w.entries = thinned(w.entries, w.level)
	} else {
		gone := len(w.entries)/8 + 1
		for i := range w.entries[:gone] {
			if s := w.spans[w.entries[i].place]; s != nil {
				s.from = max(s.from, w.entries[i].offset+1)
			}
		}
		w.entries = append([]entry(nil), w.entries[gone:]...)
	}
	w.bytes = 0
	for i := range w.entries {
		w.bytes += w.entries[i].size()
	}
}

// thinned gives the entries of a level, as a list of its own.
func thinned(entries []entry, level int) []entry {
	var out []entry
	for i := range entries {
		if sampled(entries[i].place, entries[i].offset, level) {
			out = append(out, entries[i])
		}
	}
	return out
}

// parse takes the id of a record apart.
func parse(id string) (at place, offset int64, ok bool) {
	i := strings.LastIndexByte(id, ':')
	if i < 0 {
		return at, 0, false
	}
	j := strings.LastIndexByte(id[:i], ':')
	if j < 0 {
		return at, 0, false
	}
	k := strings.LastIndexByte(id[:j], ':') // topics have no colon
	offset, err := strconv.ParseInt(id[i+1:], 10, 64)
	partition, err2 := strconv.ParseInt(id[j+1:i], 10, 32)
	return place{id[k+1 : j], int32(partition)}, offset, err == nil && err2 == nil && offset >= 0 && partition >= 0
}

// sampled reports that records of an offset are of a level. It is the same in every process, and in every version of naru that
// may run beside.
func sampled(at place, offset int64, level int) bool {
	if level == 0 {
		return true
	}
	x := uint64(offset)*0x9e3779b97f4a7c15 + uint64(uint32(at.partition))*0xbf58476d1ce4e5b9 //nolint:gosec // bits
	x ^= x >> 31
	x *= 0x94d049bb133111eb
	x ^= x >> 29
	return x&(1<<level-1) == 0
}

// A Report is what a process has kept.
type Report struct {
	Hash  string  `json:"hash"` // of the version that the process is
	Keeps bool    `json:"keeps"`
	Level int     `json:"level"` // one of 2^level records
	Spans []Span  `json:"spans"`
	Made  []Entry `json:"made"`
}

// A Span are offsets of a partition of which everything that was made is there, of the report's level: from From on, before To.
type Span = kafka.OffsetSpan

// An Entry is what an output made of an event.
type Entry struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Nth       int             `json:"nth"`
	Output    string          `json:"output"`
	Document  json.RawMessage `json:"document"` // see document
}

// Report tells what is kept, in about so many bytes at most; 0: all. What has no room is left out as if it had not been kept.
func (w *Witness) Report(hash string, most int) *Report {
	r := &Report{Hash: hash, Spans: []Span{}, Made: []Entry{}}
	if w == nil {
		return r
	}
	w.mu.Lock()
	entries, bytes := slices.Clone(w.entries), w.bytes // what entries are of is never changed
	spans := make(map[place]span, len(w.spans))
	for at, s := range w.spans {
		spans[at] = *s
	}
	r.Keeps, r.Level = w.on.Load(), w.level
	w.mu.Unlock()
	for most > 0 && bytes > most && r.Level < mostLevel {
		r.Level++
		entries, bytes = thinned(entries, r.Level), 0
		for i := range entries {
			bytes += entries[i].size()
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(spans), func(a, b place) int {
		if a.topic != b.topic {
			return strings.Compare(a.topic, b.topic)
		}
		return int(a.partition) - int(b.partition)
	}) {
		if s := spans[at]; s.from < s.to {
			r.Spans = append(r.Spans, Span{Topic: at.topic, Partition: at.partition, From: s.from, To: s.to})
		}
	}
	for i := range entries {
		e := &entries[i]
		r.Made = append(r.Made, Entry{e.topic, e.partition, e.offset, e.nth, e.output, document(e)})
	}
	return r
}

// about is what a document has beside the fields of the record: where it goes.
type about struct {
	Output  string `json:"name"`
	To      string `json:"to,omitempty"`      // a topic
	Key     string `json:"key,omitempty"`     // of a record; the URL, the path or the prefix for others
	Headers string `json:"headers,omitempty"` // as the output writes them; in hex if they are no text
}

// aboutField has about. A field of this name is a record's very rarely; then it is hidden.
const aboutField = "@output"

// document is a record as JSON: its fields if it is an object, else its text as message, or its bytes in hex, and where it goes.
func document(e *entry) []byte {
	fields := map[string]json.RawMessage{}
	set := func(name string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte("null") // texts always can be written
		}
		fields[name] = b
	}
	switch body := e.record.Body; {
	case body == nil:
		set("tombstone", true)
	case json.Unmarshal(body, &fields) == nil && fields != nil:
	default:
		fields = map[string]json.RawMessage{}
		if text := strings.TrimSuffix(string(body), "\n"); utf8.ValidString(text) {
			set("message", text)
		} else {
			set("bytes", hex.EncodeToString(body))
		}
	}
	set(aboutField, about{e.output, e.record.Index, readable(e.record.Key), readable(e.record.Meta)})
	out, err := json.Marshal(fields)
	if err != nil {
		return []byte("{}") // fields are JSON already
	}
	return out
}

func readable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return hex.EncodeToString(b)
}
