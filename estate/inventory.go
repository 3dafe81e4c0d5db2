package estate

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What those need who bring objects from elsewhere into a directory.

// CompareKeys orders by when kinds are applied, then by name.
func CompareKeys(a, b Key) int { return compareKeys(a, b) }

// Same reports that the system takes the two bodies for the same.
func Same(key Key, a, b Body) bool {
	return len(compare(canonical(key, a), canonical(key, b), nil, nil)) == 0
}

// UnfitName says why no file can declare an object of that name; "" if one can.
func UnfitName(name string) string {
	switch got, patch, ok := objectName(name + ".yaml"); {
	case name == "":
		return "it has no name"
	case strings.ContainsAny(name, "/\\\x00"):
		return "a name with a slash is no file's name"
	case strings.HasPrefix(name, "."):
		return "names that begin with a dot belong to the system"
	case strings.EqualFold(name, "README.md") || strings.EqualFold(name+".yaml", "README.md"):
		return "a file of that name is documentation"
	case !ok || patch || got != name:
		return "a name that ends like .patch is a patch's"
	case len(name) > 240:
		return fmt.Sprintf("it has %d bytes, and a file's name has 255 at most", len(name))
	}
	return ""
}

// AllSettings is the name under which List gives the one object of kind cluster-settings that a cluster has.
const AllSettings = wholeCluster

// List gives all that a system has of the kind, but for kinds of which only what is declared can be asked for; none if the environment lacks the system, or the system lacks the API.
func List(ctx context.Context, t *Target, k Kind) (map[string]*Live, error) {
	all, err := listed(ctx, t, k, nil)
	if errors.Is(err, errNoAPI) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the %s: %w", k, err)
	}
	return all, nil
}
