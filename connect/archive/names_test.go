package archive

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIndexNamesBecomeDirectoriesThatAreReadable(t *testing.T) {
	long := strings.Repeat("x", 199)
	for index, want := range map[string]string{
		"logs-2019.01.02":   "logs-2019.01.02",
		".ds-logs-000001":   "%2Eds-logs-000001",
		"_dead":             "%5Fdead",
		"a%b":               "a%25b",
		"a/b\\c:d":          "a%2Fb%5Cc%3Ad",
		".":                 "%2E",
		"..":                "%2E%2E",
		"":                  "%",
		"한국어":               "한국어",
		"a b=c":             "a%20b%3Dc",
		"end.":              "end%2E",
		"\xff":              "%FF",
		"nul":               "%6Eul",
		"com1.log":          "%63om1.log",
		"manifest.json":     "%6Danifest.json",
		"null":              "null",
		long + "yz":         long + "y%+/z",
		long + "x.z":        long + "x%+/%2Ez",
		long + "%":          long + "%+/%25",
		long + "x" + "_end": long + "x%+/%5Fend",
	} {
		if got := DirName(index); got != want {
			t.Errorf("%q becomes %q, want %q", index, got, want)
		}
	}
}

func TestDirectoriesGiveTheirIndexNamesBack(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`[._%a-c/ +]{0,12}`),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) }),
			rapid.Map(rapid.StringMatching(`[가-힣._x+]{60,120}`), func(s string) string { return s + s }),
		).Draw(t, "index")
		dir := DirName(index)
		back, err := IndexName(dir)
		if err != nil || back != index {
			t.Fatalf("%q becomes %q becomes %q, %v", index, dir, back, err)
		}
		if !filepath.IsLocal(dir) || path.Clean(dir) != dir {
			t.Fatalf("%q becomes %q", index, dir)
		}
		for part := range strings.SplitSeq(dir, "/") {
			if len(part) > 255 || part[0] == '.' || part[0] == '_' || part == manifestName {
				t.Fatalf("%q becomes %q", index, dir)
			}
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDirectoriesThatNoIndexGivesAreErrors(t *testing.T) {
	for _, dir := range []string{"_dead", ".naru", "a%", "a%2", "a%zz", "%61", "%41", "a b", "%2e", "a/b"} {
		if index, err := IndexName(dir); err == nil {
			t.Errorf("%q becomes %q", dir, index)
		}
	}
}
