package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a directory with empty files and (names ending in "/") directories.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, n := range names {
		p := filepath.Join(root, filepath.FromSlash(n))
		if strings.HasSuffix(n, "/") {
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheKindOfAPlaceIsRecognised(t *testing.T) {
	root := tree(t, "repo/index-3", "repo/index.latest", "latest/index.latest", "old/index", "archive/manifest.json",
		"begun/.naru/", "outer/repo/index-0", "empty/", "flow.yaml", "file.txt", "odd/index-x", "odd/index-1/")
	for _, c := range []struct{ arg, from, to string }{ // a result, or "!" and a part of the error
		{"repo", "snapshot:ROOT/repo", "!which naru does not write"},
		{"latest", "snapshot:ROOT/latest", "!"},
		{"old", "snapshot:ROOT/old", "!"},
		{"archive", "archive:ROOT/archive", "archive:ROOT/archive"},
		{"begun", "archive:ROOT/begun", "archive:ROOT/begun"},
		{"file://ROOT/repo", "snapshot:ROOT/repo", "!"},
		{"snapshot:ROOT/empty", "snapshot:ROOT/empty", "!does not write them"},
		{"snapshot:file://ROOT/empty", "snapshot:ROOT/empty", "!"},
		{"ndjson:ROOT/empty", "ndjson:ROOT/empty", "ndjson:ROOT/empty"},
		{"ndjson:ROOT/new", "!there is no such directory", "ndjson:ROOT/new"},
		{"parquet:ROOT/new", "!", "parquet:ROOT/new"},
		{"ndjson:-", "!read twice", "ndjson:-"},
		{"parquet:-", "!", "!only lines can go to standard output"},
		{"-", "!", "!ndjson:-"},
		{"ndjson:", "!a path is missing", "!a path is missing"},
		{"empty", "!neither a snapshot repository", "!ndjson:ROOT/empty or parquet:ROOT/empty"},
		{"odd", "!neither", "!"},
		{"outer", "!under it there is snapshot:ROOT/outer/repo", "!"},
		{"archve", "!did you mean ROOT/archive?", "!ndjson:ROOT/archve or parquet:ROOT/archve"},
		{"nothing/here", "!neither is there ROOT/nothing", "!"},
		{"flow.yaml", "!naru run ROOT/flow.yaml", "!"},
		{"file.txt", "!is a file", "!"},
		{"s3://bucket/path", "snapshot:s3://bucket/path", "!archives are written to directories"},
		{"snapshot:s3://bucket/path", "snapshot:s3://bucket/path", "!does not write them"},
		{"archive:s3://bucket/path", "!archives are read from directories", "!"},
		{"ndjson:s3://bucket/path", "!archives are read from directories", "!archives are written to directories"},
		{"gs://bucket/path", "!does not know gs://", "!does not know gs://"},
		{"file://host/path", "!file:///absolute/path", "!"},
	} {
		arg := strings.ReplaceAll(c.arg, "ROOT", root)
		if !strings.Contains(arg, ":") && arg != "-" {
			arg = filepath.Join(root, arg)
		}
		check := func(role, want string, f func(string) (place, error)) {
			want = strings.ReplaceAll(want, "ROOT", root)
			got, err := f(arg)
			text, failed := strings.CutPrefix(want, "!")
			switch {
			case failed && (err == nil || !strings.Contains(err.Error(), text)):
				t.Errorf("%s %s: got %v, %v; want an error with %q", role, c.arg, got, err, text)
			case !failed && (err != nil || got.String() != want):
				t.Errorf("%s %s: got %v, %v; want %s", role, c.arg, got, err, want)
			}
		}
		check("FROM", c.from, sourcePlace)
		check("TO", c.to, sinkPlace)
	}
}
