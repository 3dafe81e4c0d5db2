package ruby

import (
	"slices"
)

// The tables of methods, by kind of value, and the classes by name. They are set in init because the methods in them look up
// others: as initial values they would depend on themselves.
var (
	methods                 [kinds]table
	searched                [kinds][]table // where the methods of a kind are looked for
	classes                 map[string]*class
	indexSite, indexSetSite *site
)

func init() {
	methods = [kinds]table{
		kNil: nilMethods, kBool: boolMethods, kInt: integerMethods, kDecimal: decimalMethods, kString: stringMethods,
		kSymbol: symbolMethods, kArray: arrayMethods, kHash: hashMethods, kRange: rangeMethods, kRegexp: regexpMethods, kMatch: matchMethods,
		kTime: timeMethods, kTimestamp: timestampMethods, kEvent: eventMethods, kProc: procMethods, kException: exceptionMethods,
		kEnumerator: enumeratorMethods, kLogger: loggerMethods, kElement: elementMethods,
		kClass: {
			"name": {0, 0, func(x *exec, s any, _ []any, _ *proc) any { return x.str(s.(*class).name) }, false},
			"ancestors": {0, 0, func(x *exec, s any, _ []any, _ *proc) any {
				out := x.room(4)
				for k := s.(*class); k != nil; k = k.super {
					out = append(out, k)
				}
				return &array{v: out}
			}, false},
		},
	}
	for k := range kinds {
		searched[k] = []table{methods[k]}
		switch k {
		case kInt, kFloat, kDecimal:
			searched[k] = append(searched[k], numericMethods)
		case kArray, kHash, kRange, kEnumerator:
			searched[k] = append(searched[k], enumerableMethods)
		}
		searched[k] = append(searched[k], objectMethods)
	}
	classes = classTable()
	indexSite, indexSetSite = newSite("[]"), newSite("[]=")
}

func keysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

// nearest finds a method whose name is almost the same.
func nearest(name string) string {
	var all []string
	for _, t := range methods {
		all = append(all, keysOf(t)...)
	}
	return nearestOf(name, slices.Concat(all, keysOf(enumerableMethods), keysOf(objectMethods), keysOf(numericMethods)))
}

func nearestOf(name string, all []string) string {
	slices.Sort(all)
	best, least := "", 3
	for _, other := range all {
		if d := distance(name, other); d < least && d*3 <= len(name) {
			best, least = other, d
		}
	}
	return best
}

// distance counts the letters that differ, as Levenshtein does.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
