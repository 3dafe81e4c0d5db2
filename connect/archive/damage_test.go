package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

// readRaw reads a file as a reader does after the checksum was found right.
func readRaw(t *testing.T, b []byte, path string) ([]rec, error) {
	t.Helper()
	var rows rowReader
	var err error
	if filepath.Ext(path) == parquetSuffix {
		rows, err = openParquetRows(bytes.NewReader(b), int64(len(b)))
	} else {
		rows, err = openLines(bytes.NewReader(b))
	}
	if err != nil {
		return nil, err
	}
	defer rows.close()
	var got []rec
	var batch flow.Batch
	for {
		err := rows.read(&batch)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, plainRec(&batch.Records[0]))
		batch.Reset()
		if len(got) > 1000 {
			t.Fatal("it does not end")
		}
	}
}

// The checksum of a file tells of all damage before it is read. The readers behind it do not rest on that:
// damage ends in an error, and in lines, whose frames have checksums of their own, never in a wrong record.
func TestReadersSurviveEveryFlippedByteAndEveryLength(t *testing.T) {
	for _, format := range []string{NDJSON, Parquet} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, Config{Dir: dir, Format: format})
			must(t, s.Prepare(t.Context(), []flow.Group{{Name: "i", Meta: []byte(findMeta)}}))
			var want []rec
			for n := range 20 {
				want = append(want, rec{"i", "", fmt.Sprint(n), "r", fmt.Sprintf(`{"a":"x%d","o":{"a":%d}}`, n, n)})
			}
			must(t, write(s, "p", want...))
			path := s.history.files[0].Path
			b, err := os.ReadFile(filepath.Join(dir, path))
			must(t, err)
			if got, err := readRaw(t, b, path); err != nil || !cmp.Equal(want, got) {
				t.Fatalf("undamaged: %v", err)
			}
			for i := range b {
				for _, bit := range []byte{1, 0x80} {
					bad := bytes.Clone(b)
					bad[i] ^= bit
					got, err := readRaw(t, bad, path)
					if format == NDJSON && err == nil && !cmp.Equal(want, got) {
						t.Fatalf("byte %d: a wrong record", i)
					}
				}
				got, err := readRaw(t, b[:i], path)
				if err == nil && (format == Parquet || i > 0) {
					t.Fatalf("%d bytes of %d: %d records and no error", i, len(b), len(got))
				}
			}
		})
	}
}

func FuzzParseEntry(f *testing.F) {
	e := entry{Seq: 3, Files: []File{{Path: "i/1.ndjson.zst", Index: "i", Records: 1}}, Checkpoints: []flow.Checkpoint{{Part: "p", Position: []byte("1"), Done: true}}}
	b, err := e.appendLine(nil)
	must(f, err)
	f.Add(b[:len(b)-1])
	f.Add([]byte(`{"crc":"00000000",}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEntry(b)
		if err != nil {
			return
		}
		again, err := e.appendLine(nil)
		must(t, err)
		if _, err := parseEntry(again[:len(again)-1]); err != nil {
			t.Fatalf("%s is written as %s: %v", b, again, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"indices":[{"name":"i","files":[{"path":"i/1.ndjson.zst","records":1,"digest":"00000000000000000000000000000001"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		for _, x := range m.Indices {
			for _, file := range x.Files {
				if !filepath.IsLocal(file.Path) {
					t.Fatalf("%s reaches %q", b, file.Path)
				}
			}
		}
	})
}
