package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// A Target is a version of OpenSearch; patch releases do not differ.
type Target struct {
	Major, Minor int
}

// luceneOf is the Lucene of a target's first patch release; what it reads, the later ones do.
// Source: the constants of org.opensearch.Version in OpenSearch 2.9 and 3.8.
var luceneOf = map[Target]luceneVersion{
	{1, 0}: {8, 8, 2}, {1, 1}: {8, 9, 0}, {1, 2}: {8, 10, 1}, {1, 3}: {8, 10, 1},
	{2, 0}: {9, 1, 0}, {2, 1}: {9, 2, 0}, {2, 2}: {9, 3, 0}, {2, 3}: {9, 3, 0}, {2, 4}: {9, 4, 1}, {2, 5}: {9, 4, 2},
	{2, 6}: {9, 5, 0}, {2, 7}: {9, 5, 0}, {2, 8}: {9, 6, 0}, {2, 9}: {9, 7, 0}, {2, 10}: {9, 7, 0}, {2, 11}: {9, 7, 0},
	{2, 12}: {9, 9, 2}, {2, 13}: {9, 10, 0}, {2, 14}: {9, 10, 0}, {2, 15}: {9, 10, 0}, {2, 16}: {9, 11, 1},
	{2, 17}: {9, 11, 1}, {2, 18}: {9, 12, 0}, {2, 19}: {9, 12, 1},
	{3, 0}: {10, 1, 0}, {3, 1}: {10, 2, 1}, {3, 2}: {10, 2, 2}, {3, 3}: {10, 3, 1}, {3, 4}: {10, 3, 2}, {3, 5}: {10, 3, 2},
	{3, 6}: {10, 4, 0}, {3, 7}: {10, 4, 0}, {3, 8}: {10, 5, 0},
}

// Targets lists the versions that the rules know, oldest first.
func Targets() []Target {
	var all []Target
	for major := 1; major <= 3; major++ {
		for minor := 0; luceneOf[Target{major, minor}] != (luceneVersion{}); minor++ {
			all = append(all, Target{major, minor})
		}
	}
	return all
}

// ParseTarget takes "2.19" or "2.19.5". A version that the rules do not know is an error.
func ParseTarget(s string) (Target, error) {
	parts := strings.Split(s, ".")
	var n [3]int
	if len(parts) != 2 && len(parts) != 3 {
		return Target{}, fmt.Errorf("%q is no version of OpenSearch: want one like 2.19", s)
	}
	for i, p := range parts {
		var err error
		if n[i], err = strconv.Atoi(p); err != nil || n[i] < 0 {
			return Target{}, fmt.Errorf("%q is no version of OpenSearch: want one like 2.19", s)
		}
	}
	t := Target{n[0], n[1]}
	if _, known := luceneOf[t]; !known {
		all := Targets()
		return Target{}, fmt.Errorf("what OpenSearch %s reads is not known; known are %s to %s", s, all[0], all[len(all)-1])
	}
	return t, nil
}

// String gives "2.19".
func (t Target) String() string { return fmt.Sprintf("%d.%d", t.Major, t.Minor) }

// Lucene gives the version of Lucene that the target's first release has.
func (t Target) Lucene() string { return luceneOf[t].String() }

// since reports whether the target is that version or a later one.
func (t Target) since(major, minor int) bool {
	return t.Major > major || t.Major == major && t.Minor >= minor
}

// A luceneVersion is major, minor, bugfix.
type luceneVersion [3]int

func parseLucene(s string) (v luceneVersion, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

func (v luceneVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// newer compares major and minor: bugfix releases of Lucene do not change formats.
func (v luceneVersion) newer(than luceneVersion) bool {
	return v[0] > than[0] || v[0] == than[0] && v[1] > than[1]
}
