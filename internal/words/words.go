// Package words writes numbers of things, and lists that may be long, as they stand in sentences.
package words

import (
	"fmt"
	"strconv"
	"strings"
)

type integer interface {
	~int | ~int32 | ~int64
}

// Number writes n with a comma between thousands.
func Number[N integer](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Of writes "1 object is" and "2 objects are".
func Of[N integer](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Count writes "1 part" and "2 parts", of a noun whose plural is regular, or an index.
func Count[N integer](n N, one string) string { return Of(n, one, plural(one)) }

func plural(one string) string {
	if stem, ok := strings.CutSuffix(one, "ndex"); ok {
		return stem + "ndices"
	}
	if stem, ok := strings.CutSuffix(one, "y"); ok && stem != "" && !strings.ContainsRune("aeiou", rune(stem[len(stem)-1])) {
		return stem + "ies" // copies, and not: days
	}
	for _, end := range []string{"s", "x", "ch", "sh"} {
		if strings.HasSuffix(one, end) {
			return one + "es"
		}
	}
	return one + "s"
}

// First lists the first most of the names, and says how many more there are.
func First(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(names[:most], ", "), Number(len(names)-most))
}
