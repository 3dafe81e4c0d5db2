package lucene

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func siOf(t *testing.T, b []byte) *SegmentInfo {
	t.Helper()
	si, err := readSegmentInfo(memory{"_0.si": b}, "_0", ID{})
	if err != nil {
		t.Fatal(err)
	}
	return si
}

func TestOnlyTheOldestVersionOfASegmentIsChanged(t *testing.T) {
	for _, server := range servers {
		b := realFile(t, server, "SegmentInfo")
		info := siOf(t, b)
		if info.MinVersion == "" {
			if out, err := SetMinVersion(b, "6.0.0"); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %x, %v", server, out, err)
			}
			continue
		}
		same, err := SetMinVersion(b, info.MinVersion)
		if err != nil || !bytes.Equal(same, b) {
			t.Errorf("%s: the same version changes the file: %v", server, err)
		}
		older, err := SetMinVersion(b, "7.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(older, b) {
			t.Errorf("%s: nothing is changed", server)
		}
		want := *info
		want.MinVersion = "7.0.1"
		if diff := cmp.Diff(&want, siOf(t, older), cmp.AllowUnexported(SegmentInfo{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", server, diff)
		}
		back, err := SetMinVersion(older, info.MinVersion)
		if err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: there and back is another file: %v", server, err)
		}
		for _, v := range []string{"11.0.0", "", "9", "9.0", "9.0.0.0", "9.0.x", "9.0.256", "-9.0.0"} {
			if out, err := SetMinVersion(b, v); err == nil {
				t.Errorf("%s: %q gives %x", server, v, out)
			}
		}
	}
}

func TestASegmentInfoThatIsNotUnderstoodIsNotRewritten(t *testing.T) {
	si := body{9, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0xff, 0, 0, 0, 0}
	for what, c := range map[string]struct {
		sort []byte
		want error
	}{
		"no sort": {[]byte{0}, nil}, "a sort of a plugin's": {*(&body{1}).str("Plugin").le(1), ErrUnsupported}, "something more": {[]byte{0, 0}, ErrCorrupt}, "an end": {nil, ErrCorrupt},
	} {
		b := written("Lucene90SegmentInfo", 0, ID{1}, append(bytes.Clone(si), c.sort...))
		if out, err := SetMinVersion(b, "9.0.0"); !errors.Is(err, c.want) {
			t.Errorf("%s: %x, %v", what, out, err)
		}
	}
	for what, b := range map[string][]byte{
		"another file": realFile(t, "es717", "FieldInfos"), "nothing": nil, "a later version": written("Lucene90SegmentInfo", 1, ID{1}, si), "a bad checksum": append(written("Lucene90SegmentInfo", 0, ID{1}, si), 1),
	} {
		if out, err := SetMinVersion(b, "9.0.0"); !isVerdict(err) {
			t.Errorf("%s: %x, %v", what, out, err)
		}
	}
}

func TestOnlyTheVersionThatCreatedAnIndexIsChanged(t *testing.T) {
	for _, server := range servers {
		b := realFile(t, server, "segments")
		h, err := ReadIndexHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		name := "segments_" + h.Suffix
		c, err := ReadCommit(name, b)
		if err != nil {
			t.Fatal(err)
		}
		if c.Created == 0 {
			if out, err := SetCreatedMajor(b, 6); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %x, %v", server, out, err)
			}
			continue
		}
		same, err := SetCreatedMajor(b, c.Created)
		if err != nil || !bytes.Equal(same, b) {
			t.Errorf("%s: the same version changes the file: %v", server, err)
		}
		older, err := SetCreatedMajor(b, c.Created-1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadCommit(name, older)
		if err != nil {
			t.Fatal(err)
		}
		want := *c
		want.Created--
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(Commit{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", server, diff)
		}
		back, err := SetCreatedMajor(older, c.Created)
		if err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: there and back is another file: %v", server, err)
		}
		major, _, _ := strings.Cut(c.Lucene, ".")
		n, err := strconv.Atoi(major)
		if err != nil || len(c.Segments) > 0 && c.Oldest == "" {
			t.Errorf("%s: %+v", server, c)
		}
		for _, m := range []int{n + 1, 0, -1, 1 << 40} {
			if out, err := SetCreatedMajor(b, m); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: created by %d gives %x, %v", server, m, out, err)
			}
		}
	}
	if out, err := SetCreatedMajor(realFile(t, "es717", "SegmentInfo"), 7); !isVerdict(err) {
		t.Errorf("%x, %v", out, err)
	}
}

func TestACommitWithAnOlderSegmentIsNotCalledYounger(t *testing.T) {
	b := body{9, 12, 3, 8, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 1, 8, 11, 3}
	b.str("_0").raw(make([]byte, idLength)...).str("Lucene87").raw(255, 255, 255, 255, 255, 255, 255, 255)
	b.raw(0, 0, 0, 0).raw(bytes.Repeat([]byte{255}, 16)...).raw(0, 0, 0, 0, 0, 0, 0, 0, 0, 0).raw(0)
	file := written("segments", segments86, ID{1}, b)
	file[len("\x3f\xd7\x6c\x17\x08segments")+4+idLength] = 1 // a suffix of one byte
	at := len("\x3f\xd7\x6c\x17\x08segments") + 4 + idLength + 1
	file = sealed(append(append(bytes.Clone(file[:at]), '3'), file[at:]...))
	c, err := ReadCommit("segments_3", file)
	if err != nil || c.Created != 8 || c.Oldest != "8.11.3" || c.Lucene != "9.12.3" {
		t.Fatalf("%+v, %v", c, err)
	}
	if out, err := SetCreatedMajor(file, 9); !errors.Is(err, ErrUnsupported) {
		t.Errorf("%x, %v", out, err)
	}
	if _, err := SetCreatedMajor(file, 7); err != nil {
		t.Error(err)
	}
}

func TestTheChecksumOfBytesIsTheOneOfTheFile(t *testing.T) {
	b := realFile(t, "os3", "SegmentInfo")
	want, err := Checksum(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ChecksumBytes(b); err != nil || got != want || got == "0" {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	b[20] ^= 1
	if got, err := ChecksumBytes(b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzSet rewrites damaged files: what is rewritten is read as before, but for what was set.
func FuzzSet(f *testing.F) {
	for _, server := range servers {
		f.Add(realFile(f, server, "SegmentInfo"), byte(8), byte(0))
		f.Add(realFile(f, server, "segments"), byte(9), byte(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, major, minor byte) {
		b = sealed(b)
		v := strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor)) + ".0"
		out, err := SetMinVersion(b, v)
		if err == nil {
			before, after := siOf(t, b), siOf(t, out)
			before.MinVersion = v
			if diff := cmp.Diff(before, after, cmp.AllowUnexported(SegmentInfo{})); diff != "" || len(out) != len(b) {
				t.Error(diff)
			}
		} else if !isVerdict(err) {
			t.Errorf("neither corrupt nor unsupported: %v", err)
		}
		out, err = SetCreatedMajor(b, int(major))
		if err == nil {
			h, _ := ReadIndexHeader(b)
			before, _ := ReadCommit("segments_"+h.Suffix, b)
			after, err := ReadCommit("segments_"+h.Suffix, out)
			if err != nil {
				t.Fatal(err)
			}
			before.Created, before.createdEnd = int(major), after.createdEnd
			if diff := cmp.Diff(before, after, cmp.AllowUnexported(Commit{})); diff != "" {
				t.Error(diff)
			}
		} else if !isVerdict(err) {
			t.Errorf("neither corrupt nor unsupported: %v", err)
		}
	})
}
