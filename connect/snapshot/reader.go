package snapshot

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/document"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
)

// reader reads the live documents of a part.
type reader struct {
	spec   spec
	shard  *shard
	blobs  blob.Closer // the store, as this reader sees it
	dir    *directory
	seg    *lucene.Segment
	fields *lucene.StoredFields
	live   *lucene.LiveDocs
	scan   *lucene.Scanner
	next   lucene.ChunkAt
	line   []byte // room for a source that is not one line of JSON
	typ    string // the type last met in a _uid
}

// Open implements flow.Source. Before the first document is given, the checksum of the file it comes from has
// been checked.
func (s *Source) Open(ctx context.Context, p flow.Part, from flow.Position) (flow.Reader, error) {
	r, err := s.open(ctx, p, from)
	if err != nil {
		return nil, classify(err)
	}
	return r, nil
}

func (s *Source) open(ctx context.Context, p flow.Part, from flow.Position) (*reader, error) {
	r := &reader{}
	if err := json.Unmarshal(p.Spec, &r.spec); err != nil {
		return nil, flow.Permanent(fmt.Errorf("description of part %s: %w", p.ID, err))
	}
	var err error
	if r.shard, err = s.shards.get(ctx, s.repo.Store, r.spec.Dir, r.spec.Snapshot); err != nil {
		return nil, err
	}
	r.blobs = blob.InOrder(s.repo.Store)
	blob.Expect(r.blobs, r.shard.beginnings(r.spec.Segment)...)
	r.dir = &directory{shard: r.shard, store: r.blobs, ctx: ctx}
	if err := r.start(from, s.config.Window); err != nil {
		return nil, r.shard.blame(r.spec.Segment+".fdt", errors.Join(err, r.Close()))
	}
	return r, nil
}

func (r *reader) start(from flow.Position, window int) error {
	found := false
	var err error
	for _, cs := range r.shard.commit.Segments {
		if found = cs.Name == r.spec.Segment; found {
			if r.seg, err = lucene.OpenSegment(r.dir, cs, &r.shard.checker); err != nil {
				return err
			}
			break
		}
	}
	if !found {
		return fmt.Errorf("%w: the commit has no segment %s", lucene.ErrCorrupt, r.spec.Segment)
	}
	if r.fields, err = r.seg.OpenStoredFields(); err != nil {
		return err
	}
	to := r.seg.Info.MaxDoc
	if r.spec.To != 0 {
		to = r.spec.To
	}
	r.next = r.spec.From
	if r.next == (lucene.ChunkAt{}) {
		r.next = r.fields.First()
	}
	if len(from) > 0 {
		if r.next, err = decodePosition(from); err != nil {
			return err
		}
	}
	if r.next.Doc > to || to > r.seg.Info.MaxDoc {
		return flow.Permanent(fmt.Errorf("documents %d to %d of %d: the position is not of this part", r.next.Doc, to, r.seg.Info.MaxDoc))
	}
	if r.live, err = r.seg.LiveDocs(r.next.Doc, to); err != nil {
		return err
	}
	if err := r.fields.Check(); err != nil {
		return err
	}
	r.scan, err = r.fields.Scan(r.next, to, window)
	return err
}

// A position is where the next chunk begins: uvarint document, uvarint offset.
func encodePosition(at lucene.ChunkAt) flow.Position {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(at.Doc)), uint64(at.Offset))
}

func decodePosition(p flow.Position) (lucene.ChunkAt, error) {
	doc, n := binary.Uvarint(p)
	offset, m := binary.Uvarint(p[max(n, 0):])
	if n <= 0 || m <= 0 || n+m != len(p) || doc > 1<<31 || offset > 1<<62 {
		return lucene.ChunkAt{}, flow.Permanent(fmt.Errorf("position %x is not of this source", []byte(p)))
	}
	return lucene.ChunkAt{Doc: int(doc), Offset: int64(offset)}, nil
}

// Read implements flow.Reader. A batch ends where a chunk does.
func (r *reader) Read(ctx context.Context, b *flow.Batch) error {
	if err := ctx.Err(); err != nil {
		return err // what is read may be in memory, and would not notice
	}
	r.dir.within(ctx)
	for !b.Full() {
		if r.scan == nil {
			return io.EOF
		}
		chunk, err := r.scan.Next(b.Alloc)
		if err == io.EOF { //nolint:errorlint // itself: a wrapped one comes from the store
			// Nothing more is read, but the reader may stay open until the records are committed.
			r.scan, r.fields, r.live, r.line = nil, nil, nil, nil
			b.Next = encodePosition(r.next)
			if err := r.Close(); err != nil {
				return err
			}
			return io.EOF
		}
		if err == nil {
			err = r.add(b, chunk)
			r.next = chunk.Next
		}
		if err != nil {
			return classify(r.shard.blame(r.fields.Name(), err))
		}
	}
	b.Next = encodePosition(r.next)
	return nil
}

// add adds the chunk's live documents to b.
func (r *reader) add(b *flow.Batch, chunk *lucene.Chunk) error {
	var d lucene.Document
	for i := range chunk.Len() {
		if !r.live.Has(chunk.Doc + i) {
			continue
		}
		if err := r.fields.Document(chunk, i, &d); err != nil {
			return err
		}
		if !d.HasID() {
			continue // a nested child: it is in the source of its parent
		}
		rec := flow.Record{Index: r.spec.Index, Type: r.spec.Type, Routing: d.Routing}
		if err := r.identify(b, &d, &rec); err != nil {
			return fmt.Errorf("document %d: %w", chunk.Doc+i, err)
		}
		if d.Source != nil {
			body, err := document.OneLine(r.line, d.Source)
			if err != nil {
				return fmt.Errorf("%w: document %d (id %q): %w", lucene.ErrCorrupt, chunk.Doc+i, rec.Key, err)
			}
			if len(body) > 0 && len(d.Source) > 0 && &body[0] != &d.Source[0] {
				r.line = body[:0]
				body = b.Copy(body)
			}
			rec.Body = body
		}
		b.Records = append(b.Records, rec)
	}
	return nil
}

// identify sets the record's key and, if the document says it, its type.
func (r *reader) identify(b *flow.Batch, d *lucene.Document, rec *flow.Record) error {
	if d.PlainID != nil {
		rec.Key = d.PlainID
		return nil
	}
	if d.ID == nil {
		typ, id, ok := bytes.Cut(d.UID, []byte{'#'})
		if !ok {
			return fmt.Errorf("%w: _uid %q has no #", lucene.ErrCorrupt, d.UID)
		}
		if string(typ) != r.typ { // documents of a type come in runs
			r.typ = string(typ)
		}
		rec.Type = r.typ
		if rec.Type == "_doc" {
			rec.Type = ""
		}
		rec.Key = id
		return nil
	}
	if len(d.ID) > 1 && d.ID[0] == 0xff {
		rec.Key = d.ID[1:]
		return nil
	}
	var err error
	rec.Key, err = lucene.AppendID(b.Alloc(max(2*len(d.ID), base64.RawURLEncoding.EncodedLen(len(d.ID))))[:0], d.ID)
	return err
}

// Ack implements flow.Reader: a snapshot need not be told.
func (r *reader) Ack(context.Context, flow.Position) error { return nil }

// Close implements flow.Reader.
func (r *reader) Close() error { return r.blobs.Close() }
