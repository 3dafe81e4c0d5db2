package lucene

import (
	"fmt"
	"strconv"
)

// A Commit is what a segments_N file holds: the segments of a shard, and the server's notes.
type Commit struct {
	Lucene     string // version that wrote the commit
	Created    int    // major version that created the index; 0 before Lucene 7
	Version    int32  // of the file's format
	Oldest     string // version of the oldest segment; "" if there is none
	Generation int64
	Segments   []CommitSegment
	UserData   map[string]string // max_seq_no, local_checkpoint, history_uuid, …

	createdAt, createdEnd int // where Created stands in the file
}

// A CommitSegment is a segment as its commit sees it.
type CommitSegment struct {
	Name          string
	ID            ID // zero if the commit does not say
	Codec         string
	DelGen        int64 // generation of the .liv file; -1: none
	DelCount      int   // documents that .liv marks deleted
	FieldInfosGen int64 // generation of the .fnm file; -1: the segment's own
	DocValuesGen  int64
	SoftDelCount  int              // documents with a value in the soft-deletes field
	DocValues     map[int][]string // field number → files of its doc-values update
}

// Versions of segments_N.
const (
	segments53 = 6 // Lucene 5.3: versions of Lucene recorded
	segments70 = 7
	segments72 = 8
	segments74 = 9 // soft deletes
	segments86 = 10
)

// ReadCommit decodes the segments_N file called name. Layout (org.apache.lucene.index.SegmentInfos; its
// integers are big-endian in every version):
//
//	index header "segments", version 6 to 10, suffix N in base 36
//	vInt×3 version of Lucene; [≥7: vInt major version that created the index]
//	long version; [≥8: vLong, else int] name counter; int segments; [>0: vInt×3 oldest version]
//	per segment:
//	  string name; [<7: byte has id] 16 bytes id; string codec
//	  long delGen; int delCount; long fieldInfosGen; long docValuesGen; [≥9: int softDelCount]
//	  [≥10: byte, 1 → 16 bytes id of the segment's commit]
//	  set<string> field infos files; int n × (int field, set<string> files)
//	map<string,string> user data; footer
func ReadCommit(name string, b []byte) (*Commit, error) {
	c, err := readCommit(name, b)
	if err != nil {
		return nil, fileError(name, err)
	}
	return c, nil
}

func readCommit(name string, b []byte) (*Commit, error) {
	body, err := CheckBytes(b)
	if err != nil {
		return nil, err
	}
	in := input{b: body}
	h := in.indexHeader()
	if in.err != nil {
		return nil, in.err
	}
	if err := h.check("segments", segments53, segments86, ID{}); err != nil {
		return nil, err
	}
	v := h.Version
	c := &Commit{Version: v}
	if c.Generation, err = strconv.ParseInt(h.Suffix, 36, 64); err != nil || name != "segments_"+h.Suffix {
		return nil, corruptf("generation is %q", h.Suffix)
	}
	c.Lucene = in.luceneVersion()
	if v >= segments70 {
		c.createdAt = in.p
		c.Created = in.vint()
		c.createdEnd = in.p
	}
	in.i64() // version
	if v >= segments72 {
		in.vlong() // name counter
	} else {
		in.i32()
	}
	n := int(in.i32())
	if n < 0 || n > in.left()/40 {
		return nil, corruptf("%d segments announced, %d bytes left", n, in.left())
	}
	if n > 0 {
		c.Oldest = in.luceneVersion()
	}
	c.Segments = make([]CommitSegment, 0, n)
	for range n {
		s := in.commitSegment(v)
		if in.err != nil {
			break
		}
		c.Segments = append(c.Segments, s)
	}
	c.UserData = in.stringMap()
	if in.err == nil && in.left() > 0 {
		in.fail(corruptf("%d bytes more than expected", in.left()))
	}
	return c, in.err
}

func (in *input) commitSegment(v int32) CommitSegment {
	s := CommitSegment{Name: in.string()}
	if v >= segments70 || in.byte() == 1 {
		copy(s.ID[:], in.take(idLength))
	}
	s.Codec = in.string()
	s.DelGen, s.DelCount = in.i64(), int(in.i32())
	s.FieldInfosGen, s.DocValuesGen = in.i64(), in.i64()
	if v >= segments74 {
		s.SoftDelCount = int(in.i32())
	}
	if v >= segments86 && in.byte() == 1 {
		in.take(idLength)
	}
	in.stringSet() // field infos files: the name follows from FieldInfosGen
	fields := int(in.i32())
	if fields < 0 || fields > in.left()/5 {
		in.fail(corruptf("%d doc-values updates announced, %d bytes left", fields, in.left()))
		return s
	}
	for range fields {
		field := int(in.i32())
		files := in.stringSet()
		if s.DocValues == nil {
			s.DocValues = make(map[int][]string)
		}
		s.DocValues[field] = files
	}
	if !validSegmentName(s.Name) || s.DelCount < 0 || s.SoftDelCount < 0 {
		in.fail(corruptf("segment %q has %d deleted and %d soft-deleted documents", s.Name, s.DelCount, s.SoftDelCount))
	}
	return s
}

// validSegmentName reports whether s is "_" and a number in base 36, as file names are built from it.
func validSegmentName(s string) bool {
	if len(s) < 2 || len(s) > 16 || s[0] != '_' {
		return false
	}
	for _, c := range s[1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (in *input) luceneVersion() string {
	return fmt.Sprintf("%d.%d.%d", in.vint(), in.vint(), in.vint())
}

// Live is how many Lucene documents of a segment with maxDoc documents are live, nested children among them.
func (s *CommitSegment) Live(maxDoc int) int { return maxDoc - s.DelCount - s.SoftDelCount }

// generation writes n as file names have it.
func generation(n int64) string { return strconv.FormatInt(n, 36) }
