package filebeat

// A Level says what a problem means.
type Level string

// The levels, the worst first.
const (
	Wrong       Level = "wrong"       // it is a mistake
	Unsupported Level = "unsupported" // naru cannot do it, and does not run without it
	Different   Level = "different"   // naru runs, and what comes out differs
	Note        Level = "note"        // naru runs, and needs nothing of the kind
)

// A Problem is what is to be said of a place.
type Problem struct {
	Place
	Level   Level  `json:"level"`
	Setting string `json:"setting,omitempty"` // its whole name
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"` // what to do instead
}

// Error gives file:line:column: level: text; hint.
func (p Problem) Error() string {
	s := p.Place.String() + ": " + string(p.Level) + ": "
	if p.Setting != "" {
		s += p.Setting + ": "
	}
	s += p.Text
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Nearest gives the name that a misspelt one may stand for; "": none is near.
func Nearest(name string, of []string) string {
	best, least := "", len(name)/3+1
	for _, o := range of {
		if d := distance(name, o); d < least || d == least && best != "" && o < best {
			best, least = o, d
		}
	}
	return best
}

// distance is how many characters must be changed, added or removed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}
