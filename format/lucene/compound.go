package lucene

import (
	"io/fs"
	"strings"
)

// compound is a segment whose files stand in one .cfs file, listed by a .cfe file.
type compound struct {
	segment string
	data    File
	entries map[string]section // by the name after the segment's: ".fdt", "_Lucene90_0.dvm"
}

// openCompound decodes a .cfe file. Layout (Lucene50CompoundFormat, big-endian; Lucene90CompoundFormat,
// little-endian):
//
//	index header; vInt n × (string name after the segment's, long offset, long length); footer
//
// A member keeps its own header, footer and checksum.
func openCompound(dir Directory, segment string, id ID) (*compound, error) {
	file := segment + ".cfe"
	in, h, err := readSmall(dir, file)
	if err != nil {
		return nil, err
	}
	switch h.Codec {
	case "Lucene50CompoundEntries":
	case "Lucene90CompoundEntries":
		in.le = true
	default:
		return nil, fileError(file, unsupportedf("compound format %q", h.Codec))
	}
	if err := h.check(h.Codec, 0, 0, id); err != nil {
		return nil, fileError(file, err)
	}
	data, err := dir.Open(segment + ".cfs")
	if err != nil {
		return nil, fileError(segment+".cfs", err)
	}
	c := &compound{segment: segment, data: data, entries: map[string]section{}}
	for range in.count(17) {
		name := in.string()
		off, n := in.i64(), in.i64()
		if in.err == nil && (off < 0 || n < 0 || off > data.Size() || n > data.Size()-off) {
			in.fail(corruptf("%s at %d, %d bytes long, is outside of the compound file's %d bytes", name, off, n, data.Size()))
		}
		c.entries[name] = section{data, off, n}
	}
	return c, fileError(file, in.err)
}

// Open implements Directory for the segment's files.
func (c *compound) Open(name string) (File, error) {
	short, ok := strings.CutPrefix(name, c.segment)
	if ok {
		if s, ok := c.entries[short]; ok {
			return s, nil
		}
	}
	return nil, &FileError{c.segment + ".cfs/" + name, fs.ErrNotExist}
}
