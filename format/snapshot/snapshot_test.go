package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// framed gives a blob with the given contents.
func framed(codec string, contents []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0x3FD76C17)
	b = append(b, byte(len(codec)))
	b = append(b, codec...)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, contents...)
	b = binary.BigEndian.AppendUint32(b, 0xC02893E8)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(crc32.ChecksumIEEE(b)))
}

// smiled is {"snapshot":{"name":"s"}} in SMILE.
var smiled = []byte(":)\n\x01\xfa\x87snapshot\xfa\x83name\x40s\xfb\xfb")

func TestBlobsAreReadPlainDeflatedAndInZstd(t *testing.T) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(smiled); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, contents := range map[string][]byte{
		"plain":   smiled,
		"DEFLATE": append([]byte("DFL\x00"), deflated.Bytes()...),
		"zstd":    append([]byte("ZSTD\x00"), z.EncodeAll(smiled, nil)...),
	} {
		s, err := ReadSnapshot(framed("snapshot", contents))
		if err != nil || s.Name != "s" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestADamagedBlobIsAnErrorThatSaysSo(t *testing.T) {
	good := framed("snapshot", smiled)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":         {nil, "too short"},
		"cut":           {good[:len(good)-3], "no footer"},
		"another codec": {framed("metadata", smiled), `codec is "metadata", should be "snapshot"`},
		"flipped":       {append(append([]byte{}, good[:20]...), append([]byte{good[20] ^ 1}, good[21:]...)...), "checksum"},
		"not SMILE":     {framed("snapshot", []byte("{}")), "corrupt"},
	} {
		_, err := ReadSnapshot(c.b)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if _, err := ReadSnapshot(b); err == nil {
			t.Errorf("byte %d flipped: no error", i)
		}
	}
}

func TestFilesAreInAsManyPartsAsTheirSizeSays(t *testing.T) {
	for _, c := range []struct {
		length, part int64
		parts        int64
		last         string
	}{
		{0, math.MaxInt64, 1, "__a"}, {10, math.MaxInt64, 1, "__a"}, {10, 10, 1, "__a"}, {11, 10, 2, "__a.part1"}, {20, 10, 2, "__a.part1"}, {21, 10, 3, "__a.part2"},
	} {
		f := File{Name: "__a", Length: c.length, PartSize: c.part}
		if f.Parts() != c.parts || f.Part(c.parts-1) != c.last {
			t.Errorf("%d bytes in parts of %d: %d parts, the last %s", c.length, c.part, f.Parts(), f.Part(f.Parts()-1))
		}
	}
}

func TestNamesThatWouldLeaveTheRepositoryAreRefused(t *testing.T) {
	for _, b := range []string{
		`{"snapshots":[{"name":"s","uuid":"../x"}],"indices":{}}`,
		`{"snapshots":[],"indices":{"a":{"id":"..","snapshots":[]}}}`,
		`{"snapshots":[],"indices":{"a":{"id":"","snapshots":[]}}}`,
		`{"snapshots":[{"name":"s","uuid":"u","index_metadata_lookup":{"a":"k"}}],"index_metadata_identifiers":{"k":"../../etc"},"indices":{}}`,
	} {
		if _, err := ReadRepository([]byte(b)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func TestAnIndexKeepsItsSourceAsMappingsAndSettingsSay(t *testing.T) {
	type m = map[string]any
	source := func(s m) m { return m{"_doc": m{"_source": s}} }
	for name, c := range map[string]struct {
		mappings, settings m
		want               SourceMode
	}{
		"default":                   {m{}, nil, sourceStored},
		"disabled":                  {source(m{"enabled": false}), nil, sourceDisabled},
		"disabled as text":          {source(m{"enabled": "false"}), nil, sourceDisabled},
		"excludes":                  {source(m{"excludes": []any{"a"}}), nil, SourceMode{true, true, "_source.excludes"}},
		"no excludes":               {source(m{"excludes": []any{}}), nil, sourceStored},
		"synthetic":                 {source(m{"mode": "synthetic"}), nil, sourceSynthetic},
		"synthetic by setting":      {m{}, m{"index.mapping.source.mode": "SYNTHETIC"}, sourceSynthetic},
		"logsdb":                    {m{}, m{"index.mode": "logsdb"}, sourceSynthetic},
		"logsdb that stores":        {m{}, m{"index.mode": "logsdb", "index.mapping.source.mode": "stored"}, sourceStored},
		"logsdb with stored source": {source(m{"mode": "stored"}), m{"index.mode": "logsdb"}, sourceStored},
		"time series":               {m{}, m{"index.mode": "time_series"}, sourceSynthetic},
		"derived":                   {m{}, m{"index.derived_source.enabled": "true"}, sourceDerived},
		"one type of two":           {m{"a": m{}, "b": m{"_source": m{"enabled": false}}}, nil, sourceDisabled},
	} {
		i := Index{Settings: c.settings}
		if got := i.sourceMode(c.mappings); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestVersionsAreNamedAsFarAsTheirIdsTell(t *testing.T) {
	for id, want := range map[int64]string{
		5061699: "Elasticsearch 5.6.16", 7172999: "Elasticsearch 7.17.29", 8525000: "Elasticsearch 8.11 or later (index version 8525000)",
		135249227: "OpenSearch 1.3.14", 136408327: "OpenSearch 2.19.5", 137297827: "OpenSearch 3.8.0", 0: "",
	} {
		if got := (&Snapshot{VersionID: id}).ServerVersion(); got != want {
			t.Errorf("%d is %q, want %q", id, got, want)
		}
	}
}
