package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/narudata/naru/flow"
)

// A DeadLetter is a record of a dead-letter topic.
type DeadLetter struct {
	Partition int32
	Offset    int64
	Reason    string
	Topic     string // where it was; "": not in Kafka, or the header is missing
	From      string // its partition and offset there, "3:17"; "": not known
	Index     string // where it was to go
	Pipeline  string
	At        time.Time // when it died; zero: the header is missing
	Count     int
	Done      bool // driven again
	Record    flow.Record
	Meta      Meta
}

// Address is the letter's place in the topic: PARTITION:OFFSET.
func (l *DeadLetter) Address() string { return address(l.Partition, l.Offset) }

func address(partition int32, offset int64) string {
	return strconv.Itoa(int(partition)) + ":" + strconv.FormatInt(offset, 10)
}

// ParseAddress reads PARTITION:OFFSET.
func ParseAddress(s string) (partition int32, offset int64, err error) {
	a, b, ok := strings.Cut(s, ":")
	p, errP := strconv.ParseInt(a, 10, 32)
	o, errO := strconv.ParseInt(b, 10, 64)
	if !ok || errP != nil || errO != nil || p < 0 || o < 0 {
		return 0, 0, fmt.Errorf("%q: want PARTITION:OFFSET, like 0:17", s)
	}
	return int32(p), o, nil
}

// newDeadLetter reads the headers of a record.
func newDeadLetter(r *flow.Record) (*DeadLetter, error) {
	m, err := ParseMeta(r.Meta)
	if err != nil {
		return nil, err
	}
	l := &DeadLetter{Partition: m.Partition, Offset: m.Offset, Record: *r, Meta: m}
	var partition, offset string
	for h := range m.Headers() {
		v := string(h.Value)
		switch h.Name {
		case DeadReason:
			l.Reason = v
		case DeadTopic:
			l.Topic = v
		case DeadPartition:
			partition = v
		case DeadOffset:
			offset = v
		case DeadIndex:
			l.Index = v
		case DeadPipeline:
			l.Pipeline = v
		case DeadTime:
			l.At, _ = time.Parse(time.RFC3339Nano, v) // zero, if it is none
		case DeadCount:
			l.Count = deadCount(h.Value)
		}
	}
	if partition != "" {
		l.From = partition + ":" + offset
	}
	return l, nil
}

// DeadLetters reads a dead-letter topic.
type DeadLetters struct {
	Config
	Topic  string
	Reason string // only letters with this text in their reason
	Letter string // only the one of this address; "": all
	Done   bool   // also those that were driven again
}

// redriveGroup is the group that keeps how far a dead-letter topic was driven again. It has no members.
func redriveGroup(topic string) string { return "naru-redrive." + topic }

// done asks how far the topic was driven again.
func (d *DeadLetters) done(ctx context.Context) (map[int32]int64, error) {
	client, err := d.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	r := kadm.NewClient(client).FetchManyOffsets(ctx, redriveGroup(d.Topic))[redriveGroup(d.Topic)]
	if r.Err != nil && !errors.Is(r.Err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("offsets of group %s: %s", redriveGroup(d.Topic), because(r.Err))
	}
	done := map[int32]int64{}
	for p, o := range r.Fetched[d.Topic] {
		if o.Err == nil && o.At >= 0 {
			done[p] = o.At
		}
	}
	return done, nil
}

// spans are what there is to read of the topic now.
func (d *DeadLetters) spans(ctx context.Context) (*Replay, map[int32]int64, error) {
	done, err := d.done(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := Range{Config: d.Config, Topics: []string{d.Topic}}
	if d.Letter != "" {
		p, o, err := ParseAddress(d.Letter)
		if err != nil {
			return nil, nil, err
		}
		r.Partitions, r.From, r.To = []int32{p}, Offset(o), Offset(o+1)
	} else if !d.Done {
		r.Begin = map[string]map[int32]int64{d.Topic: done}
	}
	replay, err := r.Replay(ctx)
	return replay, done, err
}

// Each gives the letters that are chosen, partition by partition. What a letter has is valid until do returns.
func (d *DeadLetters) Each(ctx context.Context, do func(*DeadLetter) error) error {
	replay, done, err := d.spans(ctx)
	if err != nil {
		return err
	}
	for _, s := range replay.Spans {
		err := replay.each(ctx, s, func(b *flow.Batch) error {
			for i := range b.Records {
				l, err := newDeadLetter(&b.Records[i])
				if err != nil {
					return err
				}
				if at, ok := done[l.Partition]; ok {
					l.Done = l.Offset < at
				}
				if !strings.Contains(l.Reason, d.Reason) {
					continue
				}
				if err := do(l); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each reads a span batch by batch.
func (r *Replay) each(ctx context.Context, s Span, do func(*flow.Batch) error) (err error) {
	reader := r.read(ctx, s, nil)
	defer func() { err = errors.Join(err, reader.Close()) }()
	b := flow.Batch{MaxRecords: 1000, MaxBytes: 1 << 20}
	for {
		b.Reset()
		b.MaxRecords, b.MaxBytes = 1000, 1<<20
		err := reader.Read(ctx, &b)
		if err != nil && err != io.EOF { //nolint:errorlint // the contract of Read
			return err
		}
		if err := errors.Join(do(&b), ctx.Err()); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

// A Redrive drives letters again, to where they were.
type Redrive struct {
	DeadLetters
	To    string // topic for all of them; "": the one that each was in
	Limit int    // letters that have died so often already are left where they are; 0: 3
	Codec Codec
}

// A Redriven is what a Redrive did.
type Redriven struct {
	From     string           `json:"from"`
	Read     int64            `json:"read"`
	Driven   int64            `json:"redriven"`
	By       map[string]int64 `json:"by_topic"`
	TooOften int64            `json:"too_often"` // died as often as is allowed
	NoTopic  int64            `json:"no_topic"`  // it is not known where they were
	Skipped  int64            `json:"skipped"`   // have another reason
	Kept     bool             `json:"kept"`      // where it got to is kept: the same command goes on there
}

// Run drives the letters that are there now. Unless only some of them are chosen it keeps where it got to, as the offsets of a
// group without members, after each batch is safe: a run that dies in between drives some of them twice.
func (d *Redrive) Run(ctx context.Context) (*Redriven, error) {
	out := &Redriven{From: d.Topic, By: map[string]int64{}, Kept: d.Reason == "" && d.Letter == "" && !d.Done}
	if d.To == d.Topic {
		return out, fmt.Errorf("%s is the dead-letter topic itself: give another one", d.To)
	}
	replay, _, err := d.spans(ctx)
	if err != nil {
		return out, err
	}
	producer, err := (&Sink{Config: d.Config, Writing: Writing{Compression: d.Codec, UnknownTopic: "dead", BatchBytes: 64 << 20}}).Open()
	if err != nil {
		return out, err
	}
	defer producer.Close(ctx) //nolint:errcheck // all that was written is safe
	adm := kadm.NewClient(producer.client)
	for _, s := range replay.Spans {
		err := replay.each(ctx, s, func(b *flow.Batch) error {
			return d.drive(ctx, s, b, producer, adm, out)
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// drive writes the letters of a batch.
func (d *Redrive) drive(ctx context.Context, s Span, b *flow.Batch, producer *Producer, adm *kadm.Client, out *Redriven) error {
	var again []flow.Record
	for i := range b.Records {
		l, err := newDeadLetter(&b.Records[i])
		if err != nil {
			return err
		}
		out.Read++
		to := cmp.Or(d.To, l.Topic)
		switch {
		case !strings.Contains(l.Reason, d.Reason):
			out.Skipped++
		case l.Count >= cmp.Or(d.Limit, 3):
			out.TooOften++
		case to == "" || to == d.Topic:
			out.NoTopic++
		default:
			again = append(again, l.again(to))
		}
	}
	if len(again) > 0 {
		if err := producer.Write(ctx, again); err != nil {
			if f, ok := errors.AsType[flow.Failures](err); ok {
				err = f[0].Err
			}
			return fmt.Errorf("drive letters again: %w", err)
		}
		for i := range again {
			out.By[again[i].Index]++
		}
		out.Driven += int64(len(again))
	}
	if !out.Kept || len(b.Next) == 0 {
		return nil
	}
	at, err := parseMark(b.Next)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset(d.Topic, s.Partition, min(at.next, s.End), -1)
	if err := adm.CommitAllOffsets(ctx, redriveGroup(d.Topic), offsets); err != nil {
		return fmt.Errorf("what was driven again is safe, but how far that is could not be kept as offsets of group %s: %s", redriveGroup(d.Topic), because(err))
	}
	return nil
}

// again is the record as it was, but for the header that counts, and its time: one that is past retention would be deleted.
func (l *DeadLetter) again(to string) flow.Record {
	var headers []Header
	for h := range l.Meta.Headers() {
		if !strings.HasPrefix(h.Name, deadPrefix) || h.Name == DeadCount {
			headers = append(headers, h)
		}
	}
	r := l.Record
	return flow.Record{Index: to, Key: slices.Clone(l.Meta.Key), Body: r.Body, Meta: AppendHeaders(nil, headers)}
}
