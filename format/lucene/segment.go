package lucene

import (
	"errors"
	"io/fs"
)

// A Segment is one segment of a shard: immutable but for deletions.
type Segment struct {
	CommitSegment
	Info   *SegmentInfo
	Fields *FieldInfos

	flushed *FieldInfos // as they were when the segment was written, if Fields are of a later generation
	dir     Directory   // of the shard
	files   Directory   // of the segment's own files: dir, or the compound file
	checker *Checker
}

// OpenSegment reads what describes a segment: its .si, .cfe and .fnm files, of these both the
// first and the current one, each with its checksum. The larger
// files are checked by checker when they are first read.
func OpenSegment(dir Directory, cs CommitSegment, checker *Checker) (*Segment, error) {
	s := &Segment{CommitSegment: cs, dir: dir, files: dir, checker: checker}
	var err error
	if s.Info, err = readSegmentInfo(dir, cs.Name, cs.ID); err != nil {
		return nil, err
	}
	if dead := cs.DelCount + cs.SoftDelCount; dead > s.Info.MaxDoc {
		return nil, fileError(cs.Name+".si", corruptf("%d documents, of which %d are deleted", s.Info.MaxDoc, dead))
	}
	if s.Info.Compound {
		if s.files, err = openCompound(dir, cs.Name, cs.ID); err != nil {
			return nil, err
		}
	}
	own, err := readFieldInfos(s.files, cs.Name+".fnm", cs.ID)
	if err != nil {
		return nil, err
	}
	if s.Fields = own; cs.FieldInfosGen == -1 {
		return s, nil
	}
	s.flushed = own
	if s.Fields, err = readFieldInfos(dir, cs.Name+"_"+generation(cs.FieldInfosGen)+".fnm", cs.ID); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenSegmentInfo reads a segment's .si file alone.
func OpenSegmentInfo(dir Directory, cs CommitSegment) (*SegmentInfo, error) {
	return readSegmentInfo(dir, cs.Name, cs.ID)
}

// Live is how many of the segment's Lucene documents are live, nested children among them.
func (s *Segment) Live() int { return s.CommitSegment.Live(s.Info.MaxDoc) }

// open opens one of the segment's own files by its extension. If it is not there, damaged metadata led here.
func (s *Segment) open(ext string) (File, string, error) {
	name := s.Name + ext
	f, err := s.files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = corruptf("the file is missing")
	}
	if err != nil {
		return nil, name, fileError(name, err)
	}
	return f, name, nil
}
