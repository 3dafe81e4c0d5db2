package lucene

import (
	"fmt"
	"strings"
)

// SegmentInfo is what a .si file holds.
type SegmentInfo struct {
	Format      string // the file's codec name and version, "Lucene90SegmentInfo/0"
	Lucene      string // version that wrote the segment
	MinVersion  string // the oldest version that wrote a segment merged into it; "" if it does not say, as before Lucene 7
	MaxDoc      int    // documents, deleted ones and nested children among them
	Compound    bool
	Diagnostics map[string]string
	Attributes  map[string]string // as "Lucene87StoredFieldsFormat.mode": information only
	Sort        IndexSort

	minVersionAt int // where MinVersion stands in the file
}

// readSegmentInfo decodes a .si file. Layout (Lucene62SegmentInfoFormat, Lucene70…, Lucene86…, Lucene90…,
// Lucene99…; integers are little-endian in the last two):
//
//	index header; int×3 version of Lucene; [≥70: byte has oldest version, 1 → int×3]
//	int maxDoc; byte compound (1: yes, -1: no); [written by Lucene ≥9.9: byte has blocks]
//	map diagnostics; set files; map attributes; [≥62: index sort]; footer
//
// Lucene 9.9 added a byte without a new name or version of the format; only the segment's own version tells.
func readSegmentInfo(dir Directory, name string, id ID) (*SegmentInfo, error) {
	file := name + ".si"
	in, h, err := readSmall(dir, file)
	if err != nil {
		return nil, err
	}
	si, err := in.segmentInfo(h, id)
	if err != nil {
		return nil, fileError(file, err)
	}
	return si, nil
}

func (in *input) segmentInfo(h Header, id ID) (*SegmentInfo, error) {
	var hasOldest bool
	switch h.Codec {
	case "Lucene50SegmentInfo":
		if err := h.check(h.Codec, 1, 1, id); err != nil {
			return nil, err
		}
	case "Lucene62SegmentInfo": // version 1 sorts by fields with several values
		if err := h.check(h.Codec, 0, 1, id); err != nil {
			return nil, err
		}
	case "Lucene70SegmentInfo", "Lucene86SegmentInfo", "Lucene90SegmentInfo":
		hasOldest = true
		in.le = h.Codec == "Lucene90SegmentInfo"
		if err := h.check(h.Codec, 0, 0, id); err != nil {
			return nil, err
		}
	default:
		return nil, unsupportedf("segment info format %q", h.Codec)
	}
	major, minor, bugfix := in.i32(), in.i32(), in.i32()
	si := &SegmentInfo{
		Format: fmt.Sprintf("%s/%d", h.Codec, h.Version),
		Lucene: fmt.Sprintf("%d.%d.%d", major, minor, bugfix),
	}
	if hasOldest && in.byte() == 1 {
		si.minVersionAt = in.p
		si.MinVersion = fmt.Sprintf("%d.%d.%d", in.i32(), in.i32(), in.i32())
	}
	si.MaxDoc = int(in.i32())
	si.Compound = in.byte() == 1
	if major > 9 || major == 9 && minor >= 9 {
		in.byte() // has blocks
	}
	si.Diagnostics = in.stringMap()
	files := in.stringSet()
	si.Attributes = in.stringMap()
	if in.err != nil {
		return nil, in.err
	}
	if si.MaxDoc < 0 {
		return nil, corruptf("%d documents", si.MaxDoc)
	}
	// A segment that IndexWriter.addIndexes copied (_shrink, _split, _clone) has a new name, and the list of its files
	// still the old one: SegmentInfo.namedForThisSegment renames them when it reads. But a list they must be.
	for _, f := range files {
		if !strings.HasPrefix(f, "_") {
			return nil, corruptf("lists %q, which is no file of a segment", f)
		}
	}
	if h.Codec != "Lucene50SegmentInfo" {
		si.Sort = in.indexSort(h.Codec == "Lucene86SegmentInfo" || h.Codec == "Lucene90SegmentInfo")
	} else if in.left() > 0 {
		si.Sort.Err = corruptf("%d bytes more than expected", in.left())
	}
	return si, nil
}
