package lucene

import (
	"errors"
	"testing"
)

// segmentInfoBody is what follows the header of a Lucene86SegmentInfo with the given files.
func segmentInfoBody(files ...string) []byte {
	str := func(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }
	b := []byte{0, 0, 0, 8, 0, 0, 0, 11, 0, 0, 0, 3} // written by 8.11.3
	b = append(b, 0)                                 // no oldest version
	b = append(b, 0, 0, 0, 7)                        // documents
	b = append(b, 1, 0)                              // compound; no diagnostics
	b = append(b, byte(len(files)))
	for _, f := range files {
		b = str(b, f)
	}
	b = append(b, 1)
	return str(str(b, "Lucene87StoredFieldsFormat.mode"), "BEST_SPEED")
}

func TestASegmentCopiedFromAnotherIndexStillListsItsOldFiles(t *testing.T) {
	h := Header{Codec: "Lucene86SegmentInfo"}
	for _, files := range [][]string{{"_0.cfs", "_0.cfe", "_0.si"}, {"_b.nvd", "_b_Lucene80_0.dvd", "_b.si"}} {
		in := input{b: segmentInfoBody(files...)}
		si, err := in.segmentInfo(h, ID{})
		if err != nil {
			t.Fatalf("files %q: %v", files, err)
		}
		if si.MaxDoc != 7 || !si.Compound || si.Attributes["Lucene87StoredFieldsFormat.mode"] != "BEST_SPEED" {
			t.Errorf("files %q: %+v", files, si)
		}
	}
	in := input{b: segmentInfoBody("_0.cfs", "0.si")}
	if _, err := in.segmentInfo(h, ID{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a list that holds no names of files gives %v, want ErrCorrupt", err)
	}
}

func TestBothVersionsOfLucene62SegmentInfoAreRead(t *testing.T) {
	body := append([]byte(nil), 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 1) // by 6.2.1, as Elasticsearch 5.0 has it
	body = append(body, 0, 0, 0, 9, 0xff, 0, 1)
	body = append(append(body, 6), "_0.cfs"...)
	body = append(body, 0)
	for version, ok := range []bool{true, true, false} {
		in := input{b: body}
		si, err := in.segmentInfo(Header{Codec: "Lucene62SegmentInfo", Version: int32(version)}, ID{})
		if (err == nil) != ok || ok && (si.MaxDoc != 9 || si.Compound || si.Lucene != "6.2.1") {
			t.Errorf("version %d: %+v, %v", version, si, err)
		}
	}
}
