package testbed

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Fixtures lists what Fixture has: real repositories of these servers, all with the same corpus; see
// testdata/snapshots/README.
var Fixtures = []string{"es56", "es68", "es710", "es717", "es8", "os13", "os29", "os219", "os3"}

// Fixture gives the folder with the repositories of the named server: main, alt and, for some, zstd. It is unpacked
// once for all tests and must not be changed; a test that damages blobs copies them first.
func Fixture(tb testing.TB, name string) string {
	tb.Helper()
	archive := filepath.Join(Root(tb), "testdata", "snapshots", name, "repo.tar.zst")
	data, err := os.ReadFile(archive)
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(Cache(tb), "fixtures", fmt.Sprintf("%s-%x", name, sha256.Sum256(data))[:len(name)+13])
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := unpackOnce(dir, data); err != nil {
		tb.Fatalf("unpack %s: %v", archive, err)
	}
	return dir
}

// unpackOnce makes dir out of a .tar.zst. Several processes may do so at the same time: the first to rename wins.
func unpackOnce(dir string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".unpacking-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	root, err := os.OpenRoot(scratch)
	if err != nil {
		return err
	}
	defer root.Close()
	err = eachFile(data, func(name string, r io.Reader) error {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return err
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	err = os.Rename(scratch, dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Truth is what the named server had in a snapshot of its fixture, by index, in the order of (type, id). Indices
// without documents have no lines but are there. The lines are the caller's own.
func Truth(tb testing.TB, name, snapshot string) map[string][]Line {
	tb.Helper()
	truth := map[string][]Line{}
	err := eachTruth(tb, name, snapshot, func(file string, r io.Reader) error {
		index, ok := strings.CutSuffix(file, ".ndjson")
		if !ok {
			return nil
		}
		lines, err := readTruth(r)
		truth[index] = lines
		return err
	})
	if err != nil {
		tb.Fatalf("truth of %s, %s: %v", name, snapshot, err)
	}
	if len(truth) == 0 {
		tb.Fatalf("the fixture %s has no snapshot %s", name, snapshot)
	}
	return truth
}

// TruthCluster is the cluster state's side of Truth: a JSON object with the keys indices (by name: settings, mappings,
// aliases), closed, state (SUCCESS or PARTIAL), templates, pipelines and, where the server has them, _data_stream and
// _index_template.
func TruthCluster(tb testing.TB, name, snapshot string) []byte {
	tb.Helper()
	var state []byte
	err := eachTruth(tb, name, snapshot, func(file string, r io.Reader) (err error) {
		if file == "_cluster.json" {
			state, err = io.ReadAll(r)
		}
		return err
	})
	if err != nil || state == nil {
		tb.Fatalf("cluster state of %s, %s: not there, or %v", name, snapshot, err)
	}
	return state
}

func eachTruth(tb testing.TB, name, snapshot string, do func(file string, r io.Reader) error) error {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(Root(tb), "testdata", "snapshots", name, "truth.tar.zst"))
	if err != nil {
		return err
	}
	return eachFile(data, func(file string, r io.Reader) error {
		if rest, ok := strings.CutPrefix(file, "truth/"+snapshot+"/"); ok {
			return do(rest, r)
		}
		return nil
	})
}

// readTruth reads lines of {"_index":…,"_type":…,"_id":…,"_routing":…,"_source":…}.
func readTruth(r io.Reader) ([]Line, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var lines []Line
	for row := range bytes.Lines(text) {
		var h hit
		if err := json.Unmarshal(row, &h); err != nil {
			return nil, fmt.Errorf("%w in %.200q", err, row)
		}
		lines = append(lines, h.line())
	}
	return lines, nil
}

// A hit is one of a search's results; the truth of the fixtures has the same form.
type hit struct {
	Index   string          `json:"_index"`
	Type    string          `json:"_type"`
	ID      string          `json:"_id"`
	Routing string          `json:"_routing"`
	Source  json.RawMessage `json:"_source"`
}

func (h hit) line() Line {
	if h.Type == "_doc" {
		h.Type = ""
	}
	source := []byte(h.Source)
	for i, c := range source {
		if c == '\n' {
			source[i] = ' '
		}
	}
	return Line{h.Index, h.Type, h.ID, h.Routing, source}
}

// eachFile gives the regular files of a .tar.zst to do, in order.
func eachFile(data []byte, do func(name string, r io.Reader) error) error {
	plain, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer plain.Close()
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := do(path.Clean(header.Name), files); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}
