package flow

import (
	"fmt"
	"path"
	"strings"
)

// Patterns choose groups by name. A pattern may hold *, ? and [a-z], as a shell's do; one that begins with -
// or ! excludes. The last pattern that matches decides. If the first one excludes, or there is none, all that
// nothing excludes is chosen.
type Patterns []string

// Validate says which pattern is malformed.
func (p Patterns) Validate() error {
	for _, pattern := range p {
		glob, _ := split(pattern)
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			return fmt.Errorf("pattern %q: want a name, with * for any characters", pattern)
		}
	}
	return nil
}

// Match reports whether the group called name is chosen.
func (p Patterns) Match(name string) bool {
	chosen := len(p) == 0
	for i, pattern := range p {
		glob, exclude := split(pattern)
		if i == 0 && exclude {
			chosen = true
		}
		// Names of indices have no slashes, and malformed patterns are Validate's to tell.
		if ok, err := path.Match(glob, name); err == nil && ok {
			chosen = !exclude
		}
	}
	return chosen
}

func split(pattern string) (glob string, exclude bool) {
	if rest, ok := strings.CutPrefix(pattern, "-"); ok {
		return rest, true
	}
	if rest, ok := strings.CutPrefix(pattern, "!"); ok {
		return rest, true
	}
	return pattern, false
}
