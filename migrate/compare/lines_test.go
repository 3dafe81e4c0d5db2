package compare

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/narudata/naru/flow"
)

// lines reads all records, as texts: key, line and body.
func lines(l *Lines) (out []string, err error) {
	var mu sync.Mutex
	err = l.Read(context.Background(), func(recs []flow.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range recs {
			out = append(out, string(r.Key)+" "+string(r.Meta)+" "+string(r.Body))
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}

func TestLinesOfFilesAreReadCompressedOrNot(t *testing.T) {
	const text = "{\"a\":1}\r\n\n{\"_index\":\"i\",\"_id\":\"x\",\"_source\":{\"b.c\":2}}\n{\"_source\":1}\n{\"torn\":"
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"a": []byte(text), "in/b.gz": zipped.Bytes(), "c.zst": e.EncodeAll([]byte(text), nil), ".hidden": []byte("{}"), ".git/x": []byte("{}")}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{` 1 {"a":1}`, ` 4 {"_source":1}`, ` 5 {"torn":`, `x 3 {"b.c":2}`}
	for _, name := range []string{"a", "in/b.gz", "c.zst"} {
		l, err := LinesAt(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := lines(l)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
	all, err := LinesAt(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := lines(all)
	if err != nil || len(got) != 12 || !slices.Contains(got, ` b.gz:1 {"a":1}`) {
		t.Errorf("%v %q", err, got)
	}
}

func TestDamagedFilesAreErrorsThatNameThem(t *testing.T) {
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(bytes.Repeat([]byte(`{"a":"some text of a line"}`+"\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"torn.gz": zipped.Bytes()[:zipped.Len()-10], "head.gz": {0x1f, 0x8b, 9}, "bad.zst": {0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff},
		"long": bytes.Repeat([]byte("x"), mostLine+1),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := lines(&Lines{Files: []string{path}}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LinesAt(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a file that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := LinesAt(filepath.Join(dir, "empty")); err == nil {
		t.Error("an empty folder")
	}
}

func TestAnErrorOfOneSideStopsTheOther(t *testing.T) {
	broken := Lines{Stdin: strings.NewReader(strings.Repeat("x", mostLine+1))}
	_, err := Compare(context.Background(), &broken, forever{}, Options{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "read A: standard input:1: a line is longer") {
		t.Errorf("%v", err)
	}
}

// forever gives records until it is told to stop.
type forever struct{}

func (forever) Read(ctx context.Context, visit func([]flow.Record) error) error {
	for ctx.Err() == nil {
		if err := visit([]flow.Record{{Key: []byte("k"), Body: []byte("{}")}}); err != nil {
			return err
		}
	}
	return ctx.Err()
}
