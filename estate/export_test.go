package estate

// What tests look at.
var (
	Canonical  = canonical
	Compare    = compare
	MergePatch = mergePatch
	Parse      = parse
	Overlap    = overlap
	ParseSaved = parseSaved
)

// Differ gives the fields in which a declared and a live body differ, if nothing was ever applied.
func Differ(key Key, declared, live Body) []Field {
	return compare(canonical(key, declared), canonical(key, live), nil, nil)
}
