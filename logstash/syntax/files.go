package syntax

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ReadFiles reads the files that a path.config means, sorted by name: a file, all files of a folder, or a pattern. Folders,
// hidden files that the pattern does not name, and names that end in ~ are left out. None at all is an error.
//
// Patterns are those of Ruby's Dir.glob: *, ?, [a-z], {a,b}, and ** for folders at any depth. See
// logstash-core/lib/logstash/config/source/local.rb.
func ReadFiles(pattern string) ([]File, error) {
	if scheme := "file://"; len(pattern) >= len(scheme) && strings.EqualFold(pattern[:len(scheme)], scheme) {
		pattern = pattern[len(scheme):]
	}
	full := filepath.ToSlash(pattern)
	if info, err := os.Stat(pattern); err == nil && info.IsDir() {
		full = path.Join(full, "*")
	}
	var names []string
	for _, one := range braces(full) {
		names = append(names, glob(one)...)
	}
	slices.Sort(names)
	var out []File
	for _, name := range slices.Compact(names) {
		if strings.HasSuffix(name, "~") {
			continue
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		out = append(out, File{name, text})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read configuration: no file is at %s: %w", pattern, fs.ErrNotExist)
	}
	return out, nil
}

// maxBraces bounds how many patterns one with braces stands for.
const maxBraces = 1000

// braces gives the patterns that a pattern with {a,b} stands for.
func braces(pattern string) []string {
	open, depth := -1, 0
	var cuts []int
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '{':
			if depth++; depth == 1 {
				open, cuts = i, nil
			}
		case ',':
			if depth == 1 {
				cuts = append(cuts, i)
			}
		case '}':
			if depth--; depth != 0 {
				depth = max(depth, 0)
				continue
			}
			var out []string
			from := open + 1
			for _, to := range append(cuts, i) {
				out = append(out, braces(pattern[:open]+pattern[from:to]+pattern[i+1:])...)
				if len(out) > maxBraces {
					return out[:maxBraces]
				}
				from = to + 1
			}
			return out
		}
	}
	return []string{pattern}
}

// glob gives the names that a pattern without braces stands for.
func glob(pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[\\") {
		if _, err := os.Lstat(pattern); err != nil {
			return nil
		}
		return []string{pattern}
	}
	dir, rest := "", pattern
	if strings.HasPrefix(rest, "/") {
		dir, rest = "/", strings.TrimLeft(rest, "/")
	}
	return globIn(dir, rest)
}

// globIn gives the names under a folder ("" is the working folder) that a pattern stands for.
func globIn(dir, pattern string) []string {
	first, rest, more := strings.Cut(pattern, "/")
	rest = strings.TrimLeft(rest, "/")
	if more && rest == "" {
		return nil // it ends in a slash: folders only
	}
	join := func(name string) string {
		if dir == "" || dir == "/" {
			return dir + name
		}
		return dir + "/" + name
	}
	if !strings.ContainsAny(first, "*?[\\") {
		name := join(first)
		if _, err := os.Stat(name); err != nil {
			return nil
		}
		if more {
			return globIn(name, rest)
		}
		return []string{name}
	}
	at := dir
	if at == "" {
		at = "."
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil
	}
	deep := first == "**" && more
	var out []string
	if deep {
		out = globIn(dir, rest)
	}
	for _, e := range entries {
		hidden := strings.HasPrefix(e.Name(), ".")
		switch {
		case deep:
			if e.IsDir() && !hidden {
				out = append(out, globIn(join(e.Name()), pattern)...)
			}
		case hidden && first[0] != '.':
		default:
			if ok, err := path.Match(first, e.Name()); err != nil || !ok {
				continue
			}
			if !more {
				out = append(out, join(e.Name()))
			} else if info, err := os.Stat(join(e.Name())); err == nil && info.IsDir() {
				out = append(out, globIn(join(e.Name()), rest)...)
			}
		}
	}
	return out
}
