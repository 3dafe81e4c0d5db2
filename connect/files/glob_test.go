package files

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPatternsFindFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "b.txt", ".hidden.log", "x/a.log", "x/y/a.log", "x/y/b.gz", "x/.z/a.log", "w{1}.log"} {
		write(t, filepath.Join(dir, name), "")
	}
	if err := os.Symlink(filepath.Join(dir, "x"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "a.log"), filepath.Join(dir, "l.log")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		paths, exclude string
		c              Config
		want           string
	}{
		{paths: "a.log", want: "a.log"},
		{paths: "none.log", want: ""},
		{paths: "*.log", want: "a.log l.log w{1}.log"},
		{paths: "*.log", c: Config{NoSymlinks: true}, want: "a.log w{1}.log"},
		{paths: "*.log", c: Config{Hidden: true}, want: ".hidden.log a.log l.log w{1}.log"},
		{paths: ".h*", want: ".hidden.log"},
		{paths: "{a,b}.{log,txt}", want: "a.log b.txt"},
		{paths: "{a,x/{a,y/a}}.log", want: "a.log x/a.log x/y/a.log"},
		{paths: `w\{1}.log`, want: "w{1}.log"},
		{paths: "[ab].*", want: "a.log b.txt"},
		{paths: "?.log a.*", want: "a.log l.log"},
		{paths: "**/a.log", want: "a.log x/a.log x/y/a.log"},
		{paths: "**/a.log", c: Config{Hidden: true}, want: "a.log x/.z/a.log x/a.log x/y/a.log"},
		{paths: "x/**", want: "x/a.log x/y/a.log x/y/b.gz"},
		{paths: "**/y/*", want: "x/y/a.log x/y/b.gz"},
		{paths: "*/*.log", want: "link/a.log x/a.log"},
		{paths: "**", exclude: "*.{gz,txt} /**/y/*.log", want: "a.log l.log link w{1}.log x/a.log"},
		{paths: "**", exclude: "/**", want: ""},
	} {
		for p := range strings.FieldsSeq(c.paths) {
			c.c.Paths = append(c.c.Paths, filepath.ToSlash(dir)+"/"+p)
		}
		c.c.Exclude = strings.Fields(c.exclude)
		if err := c.c.Validate(); err != nil {
			t.Errorf("%s: %v", c.paths, err)
			continue
		}
		f, err := newFinder(&c.c, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		f.find(func(path string) {
			rel, _ := filepath.Rel(dir, path)
			got = append(got, rel)
		}, func(err error) { t.Error(err) })
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s without %s: %q, want %s", c.paths, c.exclude, got, c.want)
		}
	}
}

func TestWhatIsWrongWithAConfigurationIsSaid(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{}, "paths: expected at least one"},
		{Config{Paths: []string{"a.log"}}, "absolute"},
		{Config{Paths: []string{"/a[.log"}}, "syntax error"},
		{Config{Paths: []string{"/" + strings.Repeat("{a,b}", 20)}}, "more than 1024"},
		{Config{Paths: []string{"/a"}, Mode: "both"}, "mode: expected one of tail, read"},
		{Config{Paths: []string{"/a"}, Once: true}, "once: only with mode read"},
		{Config{Paths: []string{"/a"}, MaxLineBytes: 3}, "maxLineBytes"},
		{Config{Paths: []string{"/a"}, Delimiter: strings.Repeat("x", 65)}, "delimiter"},
		{Config{Paths: []string{"/a"}, ScanInterval: -1}, "scanInterval"},
		{Config{Paths: []string{"/a"}, FingerprintBytes: 1 << 20}, "fingerprintBytes"},
		{Config{Paths: []string{"/a"}, Exclude: []string{""}}, "exclude"},
		{Config{Paths: []string{"/a"}, MaxOpen: -1}, "maxOpen"},
	} {
		if _, err := New(c.c, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.c, err, c.want)
		}
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add("/var/{log,**}/[a-z]?.log", "/var/log/a.log")
	f.Add("/{{a,b},{c}}", "/a")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if validPattern(pattern, true) != nil || strings.Count(pattern, "**") > 4 {
			return
		}
		all, err := alternatives(pattern)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(strings.Trim(path, "/"), "/")
		for _, p := range all {
			newGlob(p).matches(parts)
		}
	})
}
