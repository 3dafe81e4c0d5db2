package blob_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
)

func openDir(t *testing.T, files map[string][]byte) *blob.Dir {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDirIsAStore(t *testing.T) {
	flowtest.Store(t, func(t *testing.T, files map[string][]byte) blob.Store { return openDir(t, files) })
}

func TestASymbolicLinkDoesNotLeadOutside(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, map[string][]byte{"inside": []byte("inside")})
	for name, target := range map[string]string{"file": filepath.Join(outside, "secret"), "dir": outside, "near": "inside"} {
		if err := os.Symlink(target, filepath.Join(d.String(), name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "dir/secret"} {
		if data, err := blob.ReadAll(t.Context(), d, name, 100); err == nil {
			t.Errorf("%s: read %q", name, data)
		}
	}
	for e, err := range d.List(t.Context(), "dir") {
		if err == nil {
			t.Errorf("listed %s outside", e.Name)
		}
	}
	if data, err := blob.ReadAll(t.Context(), d, "near", 100); err != nil || string(data) != "inside" {
		t.Errorf("a link to the inside: %q, %v", data, err)
	}
}

func TestAnOpenReaderOutlastsItsDirectory(t *testing.T) {
	d := openDir(t, map[string][]byte{"a": []byte("data")})
	r, err := d.Open(t.Context(), "a", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "at" {
		t.Errorf("read %q, %v", data, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadAllKeepsItsLimit(t *testing.T) {
	d := openDir(t, map[string][]byte{"a": []byte("12345")})
	if data, err := blob.ReadAll(t.Context(), d, "a", 5); err != nil || string(data) != "12345" {
		t.Errorf("at the limit: %q, %v", data, err)
	}
	if _, err := blob.ReadAll(t.Context(), d, "a", 4); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestReadAtFillsOrFails(t *testing.T) {
	d := openDir(t, map[string][]byte{"a": []byte("12345")})
	p := make([]byte, 3)
	if err := blob.ReadAt(t.Context(), d, "a", p, 2); err != nil || string(p) != "345" {
		t.Errorf("%q, %v", p, err)
	}
	for _, off := range []int64{3, 5, 100} {
		if err := blob.ReadAt(t.Context(), d, "a", p, off); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	if err := blob.ReadAt(t.Context(), d, "b", p, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
