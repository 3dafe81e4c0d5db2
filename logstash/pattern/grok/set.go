package grok

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// The pattern sets of logstash-patterns-core, unchanged: see patterns/LICENSE and patterns/NOTICE.
//
//go:embed patterns
var shipped embed.FS

// A Set is named patterns. A Set may be read concurrently, but not while it is changed.
type Set struct {
	base  *Set // what is not in names is looked up here
	names map[string]string
}

// Legacy is the set of pattern names before the Elastic Common Schema: 317 patterns. It must not be changed; Extend it.
var Legacy = sync.OnceValue(func() *Set { return read("patterns/legacy") })

// ECS is the set whose fields are named by version 1 of the Elastic Common Schema: 361 patterns. It must not be changed;
// Extend it.
var ECS = sync.OnceValue(func() *Set { return read("patterns/ecs-v1") })

func read(dir string) *Set {
	s := new(Set).Extend()
	entries, err := shipped.ReadDir(dir)
	if err != nil {
		panic(fmt.Sprintf("BUG: %v", err))
	}
	for _, e := range entries { // sorted by name
		text, err := shipped.ReadFile(dir + "/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("BUG: %v", err))
		}
		s.Add(string(text))
	}
	return s
}

// Extend gives a set that has all of s, and can be changed without changing s.
func (s *Set) Extend() *Set { return &Set{base: s, names: map[string]string{}} }

// Define adds a pattern, or replaces it. Line ends at its end are no part of it.
func (s *Set) Define(name, pattern string) { s.names[name] = chomp(pattern) }

// Add defines what a pattern file says: on each line a name, blanks, and the pattern. Empty lines, and those that begin
// with #, say nothing; neither does a last line of a name without an end of the line.
func (s *Set) Add(file string) {
	for line := range strings.Lines(file) {
		line = strings.TrimLeft(line, blanks)
		end := strings.IndexAny(line, blanks)
		if end <= 0 || line[0] == '#' {
			continue
		}
		s.Define(line[:end], strings.TrimLeft(line[end:], blanks))
	}
}

// blanks are what \s matches in Ruby.
const blanks = " \t\r\n\f\v"

// chomp is Ruby's: it removes one \n, \r\n or \r from the end.
func chomp(s string) string {
	if t, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(t, "\r")
	}
	return strings.TrimSuffix(s, "\r")
}

// Get gives the pattern of a name.
func (s *Set) Get(name string) (string, bool) {
	for ; s != nil; s = s.base {
		if p, ok := s.names[name]; ok {
			return p, true
		}
	}
	return "", false
}

// Names lists all names, sorted.
func (s *Set) Names() []string {
	all := map[string]bool{}
	for ; s != nil; s = s.base {
		for name := range s.names {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
