package syntax

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPathMeansTheFilesThatLogstashReads(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.conf", "a.conf", "c.txt", "old.conf~", ".hidden.conf", "sub/d.conf", "sub/deep/e.conf", "sub/.git/f.conf", "10.conf", "9.conf"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("# "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string][]string{
		"":                   {"10.conf", "9.conf", "a.conf", "b.conf", "c.txt"},
		"/":                  {"10.conf", "9.conf", "a.conf", "b.conf", "c.txt"},
		"/a.conf":            {"a.conf"},
		"/*.conf":            {"10.conf", "9.conf", "a.conf", "b.conf"},
		"/{b,a,none}.conf":   {"a.conf", "b.conf"},
		"/{b.{conf,x},c.*}":  {"b.conf", "c.txt"},
		"/**/*.conf":         {"10.conf", "9.conf", "a.conf", "b.conf", "sub/d.conf", "sub/deep/e.conf"},
		"/s*/**/e.conf":      {"sub/deep/e.conf"},
		"/*/d.conf":          {"sub/d.conf"},
		"/[ab].co?f":         {"a.conf", "b.conf"},
		"/.hid*":             {".hidden.conf"},
		"/old.conf~":         nil,
		"/none.conf":         nil,
		"/sub/*/":            nil,
		"/**":                {"10.conf", "9.conf", "a.conf", "b.conf", "c.txt"},
		"/{a.conf,*.conf}":   {"10.conf", "9.conf", "a.conf", "b.conf"},
		"/sub/deep/../*.con": nil,
	} {
		files, err := ReadFiles("file://" + dir + pattern)
		if (err != nil) != (want == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", pattern, err)
		}
		var got []string
		for _, f := range files {
			rel, err := filepath.Rel(dir, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			rel = filepath.ToSlash(rel)
			got = append(got, rel)
			if string(f.Text) != "# "+rel {
				t.Errorf("%s: %q", rel, f.Text)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
	t.Chdir(dir)
	if files, err := ReadFiles("sub/*.conf"); err != nil || len(files) != 1 || files[0].Name != "sub/d.conf" {
		t.Errorf("%v, %v", files, err)
	}
	if files, err := ReadFiles("**/[de].conf"); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}
