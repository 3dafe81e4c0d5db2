package lucene

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// SetMinVersion gives a whole .si file with v, as "9.0.0", in place of the oldest version that wrote a part of the segment
// (SegmentInfo.MinVersion), and nothing else changed but the checksum. Lucene 10.5 refuses a segment whose oldest version
// is two major versions behind its own, while 10.1 asks the commit (SetCreatedMajor); that the segment has nothing left
// of an older version is up to the caller. A file that is not understood to its end, that does not say a version, or was
// written by an older one than v, is ErrUnsupported or ErrCorrupt.
func SetMinVersion(si []byte, v string) ([]byte, error) {
	body, err := CheckBytes(si)
	if err != nil {
		return nil, err
	}
	version, err := parseVersion(v)
	if err != nil {
		return nil, err
	}
	in := input{b: body}
	h := in.indexHeader()
	if in.err != nil {
		return nil, in.err
	}
	info, err := in.segmentInfo(h, ID{})
	if err == nil {
		err = info.Sort.Err
	}
	if err != nil {
		return nil, err
	}
	if info.MinVersion == "" {
		return nil, unsupportedf("%s does not say the oldest version of the segment", info.Format)
	}
	written, err := parseVersion(info.Lucene)
	if err != nil {
		return nil, err
	}
	if bytes.Compare(version[:], written[:]) > 0 {
		return nil, unsupportedf("the segment was written by Lucene %s, so %s is not its oldest version", info.Lucene, v)
	}
	out := append(make([]byte, 0, len(si)), body...)
	for i, part := range version {
		at := out[info.minVersionAt+4*i:]
		if in.le {
			binary.LittleEndian.PutUint32(at, uint32(part))
		} else {
			binary.BigEndian.PutUint32(at, uint32(part))
		}
	}
	return seal(out), nil
}

// SetCreatedMajor gives a whole segments_N file with another major version of Lucene that created the index
// (Commit.Created), and nothing else changed but the checksum. Lucene 10.1 refuses an index that was created two major
// versions before its own, and every Lucene one with a segment older than what created it: a commit that would be so
// is refused here too, and one of before Lucene 7, which does not say. A file that is not understood is ErrUnsupported or
// ErrCorrupt.
func SetCreatedMajor(commit []byte, major int) ([]byte, error) {
	h, err := ReadIndexHeader(commit)
	if err != nil {
		return nil, err
	}
	c, err := readCommit("segments_"+h.Suffix, commit)
	if err != nil {
		return nil, err
	}
	if c.createdEnd == 0 {
		return nil, unsupportedf("commits of version %d do not say which version created the index", c.Version)
	}
	for _, v := range []string{c.Lucene, c.Oldest} {
		if v == "" {
			continue
		}
		version, err := parseVersion(v)
		if err != nil {
			return nil, err
		}
		if major < 1 || major > int(version[0]) {
			return nil, unsupportedf("Lucene %s wrote the commit or a segment of it, so Lucene %d did not create the index", v, major)
		}
	}
	out := append(make([]byte, 0, len(commit)), commit[:c.createdAt]...)
	out = binary.AppendUvarint(out, uint64(major)) // a vInt is the same
	out = append(out, commit[c.createdEnd:len(commit)-footerLength]...)
	return seal(out), nil
}

// parseVersion reads a version of Lucene, whose parts have a byte each (org.apache.lucene.util.Version).
func parseVersion(s string) (v [3]byte, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, corruptf("%q is no version of Lucene", s)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return v, corruptf("%q is no version of Lucene", s)
		}
		v[i] = byte(n)
	}
	return v, nil
}
