package lucene

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
)

// LiveDocs says which documents of a range are live.
type LiveDocs struct {
	from, to int
	dead     []uint64 // a bit for each document from from on; nil: all live
}

// Has reports whether doc, which must be in the range, is live.
func (l *LiveDocs) Has(doc int) bool {
	if l.dead == nil {
		return true
	}
	i := uint(doc - l.from)
	return l.dead[i>>6]>>(i&63)&1 == 0
}

// Count is how many documents of the range are live.
func (l *LiveDocs) Count() int {
	n := l.to - l.from
	for _, w := range l.dead {
		n -= bits.OnesCount64(w)
	}
	return n
}

func (l *LiveDocs) kill(doc int) {
	if doc >= l.from && doc < l.to {
		i := uint(doc - l.from)
		l.dead[i>>6] |= 1 << (i & 63)
	}
}

// LiveDocs gives the live documents in [from, to): those that neither the .liv file nor the soft-deletes
// field calls deleted. It holds one bit for each document of the range, and checks the totals against the
// commit's counts.
func (s *Segment) LiveDocs(from, to int) (*LiveDocs, error) {
	if from < 0 || to < from || to > s.Info.MaxDoc {
		panic(fmt.Sprintf("BUG: documents %d to %d of %d", from, to, s.Info.MaxDoc))
	}
	l := &LiveDocs{from: from, to: to}
	if s.DelGen == -1 && s.DelCount != 0 {
		return nil, fileError(s.Name, corruptf("%d documents are deleted, but there is no .liv file", s.DelCount))
	}
	if s.DelGen == -1 && s.SoftDelCount == 0 {
		return l, nil
	}
	l.dead = make([]uint64, (to-from+63)/64)
	if s.DelGen != -1 {
		if err := s.readLiv(l); err != nil {
			return nil, err
		}
	}
	hard := l.to - l.from - l.Count()
	if s.SoftDelCount > 0 {
		total, err := s.readSoftDeletes(l)
		if err != nil {
			return nil, err
		}
		// The commit counts the soft-deleted documents that are not in the .liv file too.
		have := total
		if s.DelGen != -1 {
			have = s.SoftDelCount
			if from == 0 && to == s.Info.MaxDoc {
				have = to - l.Count() - hard
			}
		}
		if have != s.SoftDelCount || total < s.SoftDelCount {
			return nil, fileError(s.Name, corruptf("%d documents are soft-deleted, the commit says %d", have, s.SoftDelCount))
		}
	}
	return l, nil
}

// readLiv decodes a .liv file. Layout (Lucene50LiveDocsFormat, big-endian; Lucene90LiveDocsFormat,
// little-endian): index header with the generation as its suffix; ⌈maxDoc/64⌉ longs, a set bit is a live
// document; footer.
func (s *Segment) readLiv(l *LiveDocs) error {
	file := s.Name + "_" + generation(s.DelGen) + ".liv"
	in, h, err := readSmall(s.dir, file)
	if err != nil {
		return err
	}
	switch h.Codec {
	case "Lucene50LiveDocs":
	case "Lucene90LiveDocs":
		in.le = true
	default:
		return fileError(file, unsupportedf("live documents format %q", h.Codec))
	}
	if err := h.check(h.Codec, 0, 0, s.ID); err != nil {
		return fileError(file, err)
	}
	words := (s.Info.MaxDoc + 63) / 64
	if in.left() != 8*words {
		return fileError(file, corruptf("%d bytes for %d documents", in.left(), s.Info.MaxDoc))
	}
	live := 0
	for w := range words {
		word := uint64(in.i64())
		if w == words-1 && s.Info.MaxDoc&63 != 0 {
			word &= 1<<(s.Info.MaxDoc&63) - 1
		}
		live += bits.OnesCount64(word)
		for dead := ^word; dead != 0 && w*64 < l.to && w*64+64 > l.from; dead &= dead - 1 {
			l.kill(w*64 + bits.TrailingZeros64(dead))
		}
	}
	if dead := s.Info.MaxDoc - live; dead != s.DelCount {
		return fileError(file, corruptf("%d documents are deleted, the commit says %d", dead, s.DelCount))
	}
	return nil
}

// readSoftDeletes kills the documents that have a value in the soft-deletes field, and returns how many
// there are in the whole segment.
func (s *Segment) readSoftDeletes(l *LiveDocs) (int, error) {
	var field *FieldInfo
	for i := range s.Fields.Fields {
		if f := &s.Fields.Fields[i]; f.SoftDeletes || f.Name == "__soft_deletes" {
			field = f
		}
	}
	if field == nil {
		return 0, fileError(s.Name, corruptf("%d documents are soft-deleted, but no field says which", s.SoftDelCount))
	}
	total := 0
	err := s.docsWithValue(field, func(block int, docs *[1024]uint64) {
		for w, word := range docs {
			total += bits.OnesCount64(word)
			for ; word != 0; word &= word - 1 {
				l.kill(block<<16 | w<<6 | bits.TrailingZeros64(word))
			}
		}
	})
	return total, err
}

// indexedDISI decodes a set of documents. Layout (org.apache.lucene.codecs.lucene90.IndexedDISI; the same in
// lucene80 and, without ranks, lucene70), in blocks of 65536 documents:
//
//	short block; short documents-1
//	up to 4095 documents:  a short for each, its lower 16 bits
//	65536:                 nothing
//	else:                  [rankPower≥0: 2^(16-rankPower) ranks of 2 bytes] 1024 longs of bits
//
// It ends with block 0x7FFF. The table of jumps after it is not read.
func indexedDISI(f File, off, n int64, le bool, rankPower int8, maxDoc int, yield func(block int, docs *[1024]uint64)) error {
	const sparse = 4095
	r := forward{f: f, off: off, end: off + n}
	last := -1
	for {
		in := input{b: r.next(4), le: le}
		block, count := int(in.u16()), int(in.u16())+1
		if r.err != nil {
			return r.err
		}
		if block == 0x7FFF {
			return nil
		}
		if block <= last || block<<16 >= maxDoc {
			return corruptf("block %d of documents after %d, of %d documents", block, last, maxDoc)
		}
		last = block
		var docs [1024]uint64
		switch {
		case count <= sparse:
			in.b, in.p = r.next(2*count), 0
			for range count {
				d := in.u16()
				docs[d>>6] |= 1 << (d & 63)
			}
		case count == 65536:
			for w := range docs {
				docs[w] = ^uint64(0)
			}
		default:
			if rankPower >= 0 {
				if rankPower < 7 || rankPower > 15 {
					return corruptf("rank power %d", rankPower)
				}
				r.next(2 << (16 - rankPower))
			}
			p := r.next(8 * len(docs))
			for w := range docs {
				if r.err != nil {
					break
				}
				if le {
					docs[w] = binary.LittleEndian.Uint64(p[8*w:])
				} else {
					docs[w] = binary.BigEndian.Uint64(p[8*w:])
				}
			}
		}
		if r.err != nil {
			return r.err
		}
		have, highest := 0, 0
		for w, word := range docs {
			have += bits.OnesCount64(word)
			if word != 0 {
				highest = w<<6 | 63 - bits.LeadingZeros64(word)
			}
		}
		if have != count || block<<16|highest >= maxDoc {
			return corruptf("block %d has %d documents up to %d, not %d, of %d", block, have, highest, count, maxDoc)
		}
		yield(block, &docs)
	}
}

// forward reads a file in order in small pieces.
type forward struct {
	f        File
	off, end int64
	buf      []byte // read and not yet given
	err      error
}

// next gives the next n bytes, valid until the next call.
func (r *forward) next(n int) []byte {
	if r.err != nil {
		return nil
	}
	if len(r.buf) < n {
		need := max(n, 64<<10) - len(r.buf)
		if rest := r.end - r.off; int64(need) > rest {
			need = int(rest)
		}
		if len(r.buf)+need < n {
			r.err = corruptf("ends at %d, in the middle", r.end)
			return nil
		}
		buf := make([]byte, len(r.buf)+need)
		copy(buf, r.buf)
		if r.err = readFull(r.f, r.off, buf[len(r.buf):]); r.err != nil {
			return nil
		}
		r.off += int64(need)
		r.buf = buf
	}
	p := r.buf[:n]
	r.buf = r.buf[n:]
	return p
}

// A Checker checks the checksums of a shard's large files, each once, so that all who read a part of a file
// share the work. Its zero value is ready; its methods may be called concurrently.
type Checker struct {
	mu    sync.Mutex
	files map[string]*checked // guarded by mu
}

type checked struct {
	mu   sync.Mutex
	done bool
	err  error
}

// Check checks a file's checksum. Damage is remembered; a failure to read is not.
func (c *Checker) Check(name string, f File) error {
	c.mu.Lock()
	if c.files == nil {
		c.files = make(map[string]*checked)
	}
	file := c.files[name]
	if file == nil {
		file = new(checked)
		c.files[name] = file
	}
	c.mu.Unlock()

	file.mu.Lock()
	defer file.mu.Unlock()
	if file.done {
		return file.err
	}
	_, err := CheckFile(f)
	err = fileError(name, err)
	if err == nil || isVerdict(err) {
		file.done, file.err = true, err
	}
	return err
}
