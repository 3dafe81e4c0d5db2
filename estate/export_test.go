package estate

// What tests look at.
var (
	Canonical  = canonical
	Compare    = compare
	MergePatch = mergePatch
	Parse      = parse
	Overlap    = overlap
	ParseSaved = parseSaved
	Escaped    = escaped
)

// Differ gives the fields in which a declared and a live body differ, if nothing was ever applied.
func Differ(key Key, declared, live Body) []Field {
	return compare(canonical(key, declared), canonical(key, live), nil, nil)
}

// In and InKnown put values in the place of references.
func In(vars map[string]any, s string) (any, error)      { return variables(vars).in(s) }
func InKnown(vars map[string]any, s string) (any, error) { return variables(vars).inKnown(s) }
