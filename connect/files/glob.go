package files

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A glob is a pattern of absolute paths, in its parts: what is between the slashes.
type glob struct{ parts []string }

// maxAlternatives bounds what {a,b} may become.
const maxAlternatives = 1024

// validPattern says what is wrong with a pattern.
func validPattern(pattern string, absolute bool) error {
	if pattern == "" {
		return fmt.Errorf("an empty pattern")
	}
	if absolute && !filepath.IsAbs(pattern) {
		return fmt.Errorf("%q: expected an absolute path", pattern)
	}
	all, err := alternatives(pattern)
	if err != nil {
		return err
	}
	for _, p := range all {
		for part := range strings.SplitSeq(p, "/") {
			if _, err := path.Match(part, ""); err != nil {
				return fmt.Errorf("pattern %q: %w", pattern, err)
			}
		}
	}
	return nil
}

// alternatives gives what a pattern with {a,b} stands for. A brace that has no other is itself.
func alternatives(pattern string) ([]string, error) {
	done, todo := []string(nil), []string{pattern}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		start, end, commas := brace(p)
		if end < 0 {
			done = append(done, p)
			continue
		}
		from := start + 1
		for _, c := range append(commas, end) {
			todo = append(todo, p[:start]+p[from:c]+p[end+1:])
			from = c + 1
		}
		if len(todo)+len(done) > maxAlternatives {
			return nil, fmt.Errorf("pattern %q stands for more than %d others", pattern, maxAlternatives)
		}
	}
	slices.Reverse(done)
	return done, nil
}

// brace finds the first pair of braces that have nothing around them, and the commas right inside of it.
func brace(p string) (start, end int, commas []int) {
	for from := 0; from < len(p); from++ {
		if p[from] == '\\' {
			from++
			continue
		}
		if p[from] != '{' {
			continue
		}
		depth := 0
		commas = nil
		for i := from; i < len(p); i++ {
			switch p[i] {
			case '\\':
				i++
			case '{':
				depth++
			case ',':
				if depth == 1 {
					commas = append(commas, i)
				}
			case '}':
				if depth--; depth == 0 {
					return from, i, commas
				}
			}
		}
	}
	return 0, -1, nil
}

// A finder lists the files of patterns.
type finder struct {
	globs   []glob
	names   []string // excluded
	paths   []glob   // excluded
	hidden  bool
	noLinks bool
	skip    func(path string) bool
}

func newFinder(c *Config, skip func(string) bool) (*finder, error) {
	f := &finder{hidden: c.Hidden, noLinks: c.NoSymlinks, skip: skip}
	for _, p := range c.Paths {
		all, err := alternatives(p)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			f.globs = append(f.globs, newGlob(p))
		}
	}
	for _, p := range c.Exclude {
		all, err := alternatives(p)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if strings.Contains(p, "/") {
				f.paths = append(f.paths, newGlob(p))
			} else {
				f.names = append(f.names, p)
			}
		}
	}
	return f, nil
}

func newGlob(p string) glob {
	return glob{strings.Split(strings.Trim(path.Clean(p), "/"), "/")}
}

// find gives the paths that match, each once, and the folders that could not be read. What links lead to is not looked at:
// it may be a folder, or nothing.
func (f *finder) find(found func(path string), trouble func(error)) {
	seen := map[string]bool{}
	for _, g := range f.globs {
		f.walk("/", g.parts, func(p string) {
			if len(f.globs) > 1 {
				if seen[p] {
					return
				}
				seen[p] = true
			}
			if !f.excluded(p) {
				found(p)
			}
		}, trouble)
	}
}

// meta reports that a part is a pattern.
func meta(part string) bool { return strings.ContainsAny(part, `*?[\`) }

func (f *finder) walk(dir string, parts []string, found func(string), trouble func(error)) {
	for len(parts) > 1 && !meta(parts[0]) {
		dir, parts = path.Join(dir, parts[0]), parts[1:]
	}
	if !meta(parts[0]) {
		p := path.Join(dir, parts[0])
		if info, err := os.Lstat(p); err == nil && (!f.noLinks || info.Mode()&fs.ModeSymlink == 0) {
			found(p)
		}
		return
	}
	entries, err := readDir(dir)
	if err != nil {
		if !os.IsNotExist(err) {
			trouble(err)
		}
		return
	}
	if parts[0] == "**" {
		rest := parts[1:]
		if len(rest) == 0 {
			rest = []string{"*"}
		}
		f.walk(dir, rest, found, trouble)
		for _, e := range entries {
			// Links to folders are not followed: they may lead back.
			if e.IsDir() && (f.hidden || e.Name()[0] != '.') {
				f.walk(path.Join(dir, e.Name()), parts, found, trouble)
			}
		}
		return
	}
	for _, e := range entries {
		if !f.match(parts[0], e.Name()) {
			continue
		}
		p := path.Join(dir, e.Name())
		link := e.Type()&fs.ModeSymlink != 0
		switch {
		case link && f.noLinks:
		case len(parts) > 1:
			if e.IsDir() || link && isDir(p) {
				f.walk(p, parts[1:], found, trouble)
			}
		case link || e.Type().IsRegular() || e.Type()&fs.ModeIrregular != 0:
			found(p)
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readDir lists a folder in no order.
func readDir(dir string) ([]fs.DirEntry, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil && len(entries) > 0 {
		err = nil // what came before is good
	}
	return entries, err
}

func (f *finder) match(pattern, name string) bool {
	if name[0] == '.' && !f.hidden && pattern[0] != '.' {
		return false
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// excluded reports that a path is left out.
func (f *finder) excluded(p string) bool {
	name := path.Base(p)
	for _, pattern := range f.names {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	if len(f.paths) > 0 {
		parts := strings.Split(strings.Trim(p, "/"), "/")
		for _, g := range f.paths {
			if g.matches(parts) {
				return true
			}
		}
	}
	return f.skip != nil && f.skip(p)
}

// matches reports that the parts of a path match. ** matches any number of them.
func (g glob) matches(parts []string) bool { return matchParts(g.parts, parts) }

func matchParts(pattern, parts []string) bool {
	if len(pattern) == 0 {
		return len(parts) == 0
	}
	if pattern[0] == "**" {
		for i := range len(parts) + 1 {
			if matchParts(pattern[1:], parts[i:]) {
				return true
			}
		}
		return false
	}
	if len(parts) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], parts[0])
	return ok && err == nil && matchParts(pattern[1:], parts[1:])
}
