package filebeat

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Document is a file that is read, and what was found in it.
type Document struct {
	Problems []Problem
	lookup   func(string) (string, bool)
}

// NewDocument gives one whose variables lookup knows; nil: there are none.
func NewDocument(lookup func(string) (string, bool)) *Document { return &Document{lookup: lookup} }

// Read reads a file's text; nil: it cannot be read, and Problems say why.
func (d *Document) Read(file string, text []byte) *Node {
	return parse(file, text, d.lookup, &d.Problems)
}

// Say adds a problem.
func (d *Document) Say(p Problem) { d.Problems = append(d.Problems, p) }

// Sort sorts the problems by file, line and column.
func (d *Document) Sort() {
	slices.SortStableFunc(d.Problems, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// Worst is the worst level among the problems; "": there are none.
func (d *Document) Worst() Level {
	for _, l := range []Level{Wrong, Unsupported, Different, Note} {
		if slices.ContainsFunc(d.Problems, func(p Problem) bool { return p.Level == l }) {
			return l
		}
	}
	return ""
}

// A Section is a map of settings that is asked for those a reader knows. Settings that were not asked for are unknown.
type Section struct {
	Doc  *Document
	Node *Node
	Path string // its whole name; "": the file
	// known are the names that were asked for; all: everything under the name is known.
	known map[string]bool
}

// Section makes one of a node; nil, and what is no map, gives an empty one, with a problem if it is something else.
func (d *Document) Section(n *Node, path string) *Section {
	if n == nil || n.Kind == Null {
		n = &Node{Kind: Map}
	}
	if n.Kind != Map {
		d.Say(Problem{Place: n.Place, Level: Wrong, Setting: path, Text: "expected settings, found " + n.what()})
		n = &Node{Kind: Map, Place: n.Place}
	}
	return &Section{Doc: d, Node: n, Path: path, known: map[string]bool{}}
}

func (n *Node) what() string {
	switch n.Kind {
	case Scalar:
		return strconv.Quote(n.Text)
	case List:
		return "a list"
	case Map:
		return "settings"
	case Null:
	}
	return "nothing"
}

func (s *Section) name(key string) string {
	if s.Path == "" {
		return key
	}
	return s.Path + "." + key
}

// Say adds a problem with a setting, or with the section if key is "".
func (s *Section) Say(level Level, key, text, hint string) {
	p := Problem{Place: s.Node.Place, Level: level, Setting: s.Path, Text: text, Hint: hint}
	if key != "" {
		p.Setting = s.name(key)
		if n := s.Node.Get(key); n != nil {
			p.Place = n.Place
			if m := s.member(key); m != nil {
				p.Place = m.Place
			}
		}
	}
	s.Doc.Say(p)
}

// member finds the member that a name with dots leads to.
func (s *Section) member(key string) *Member {
	n := s.Node
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
		n, key = n.Get(key[:dot]), key[dot+1:]
	}
	if n == nil {
		return nil
	}
	i := slices.IndexFunc(n.Members, func(m Member) bool { return m.Name == key })
	if i < 0 {
		return nil
	}
	return &n.Members[i]
}

// Get gives a setting of any kind; nil if there is none. Everything under it counts as known.
func (s *Section) Get(key string) *Node {
	s.known[key] = true
	n := s.Node.Get(key)
	if n != nil && n.Kind == Null {
		return nil
	}
	return n
}

// Has reports that a setting is there. It does not make it known.
func (s *Section) Has(key string) bool {
	n := s.Node.Get(key)
	return n != nil && n.Kind != Null
}

// Sub gives a section of this one. It must be Done itself.
func (s *Section) Sub(key string) *Section {
	return s.Doc.Section(s.Get(key), s.name(key))
}

// Sections gives those of a list, which may also be one section.
func (s *Section) Sections(key string) []*Section {
	n := s.Get(key)
	if n == nil {
		return nil
	}
	if n.Kind == Map {
		return []*Section{s.Doc.Section(n, s.name(key))}
	}
	if n.Kind != List {
		s.Say(Wrong, key, "expected a list of settings, found "+n.what(), "")
		return nil
	}
	var out []*Section
	for i, item := range n.Items {
		out = append(out, s.Doc.Section(item, fmt.Sprintf("%s.%d", s.name(key), i)))
	}
	return out
}

func (s *Section) scalar(key, want string) (string, bool) {
	n := s.Get(key)
	if n == nil {
		return "", false
	}
	if n.Kind != Scalar {
		s.Say(Wrong, key, "expected "+want+", found "+n.what(), "")
		return "", false
	}
	return n.Text, true
}

// Text gives a text.
func (s *Section) Text(key, otherwise string) string {
	if t, ok := s.scalar(key, "a text"); ok {
		return t
	}
	return otherwise
}

// Choice gives one of some texts.
func (s *Section) Choice(key, otherwise string, of ...string) string {
	t, ok := s.scalar(key, "one of "+strings.Join(of, ", "))
	if !ok {
		return otherwise
	}
	if !slices.Contains(of, t) {
		s.Say(Wrong, key, fmt.Sprintf("expected one of %s, found %q", strings.Join(of, ", "), t), "")
		return otherwise
	}
	return t
}

// Bool gives a boolean.
func (s *Section) Bool(key string, otherwise bool) bool {
	t, ok := s.scalar(key, "true or false")
	if !ok {
		return otherwise
	}
	switch strings.ToLower(t) {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0":
		return false
	}
	s.Say(Wrong, key, fmt.Sprintf("expected true or false, found %q", t), "")
	return otherwise
}

// Int gives a whole number within bounds.
func (s *Section) Int(key string, otherwise, least, most int64) int64 {
	t, ok := s.scalar(key, "a number")
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(t, 0, 64)
	if err != nil || n < least || n > most {
		want := fmt.Sprintf("a number from %d on", least)
		if most != math.MaxInt64 {
			want = fmt.Sprintf("a number from %d to %d", least, most)
		}
		s.Say(Wrong, key, fmt.Sprintf("expected %s, found %q", want, t), "")
		return otherwise
	}
	return n
}

// Duration gives a length of time: 5s, 1h30m, or a number of seconds.
func (s *Section) Duration(key string, otherwise time.Duration) time.Duration {
	t, ok := s.scalar(key, "a length of time")
	if !ok {
		return otherwise
	}
	if f, err := strconv.ParseFloat(t, 64); err == nil && f >= 0 && f < 1e9 {
		return time.Duration(f * float64(time.Second))
	}
	d, err := time.ParseDuration(t)
	if err != nil || d < 0 {
		s.Say(Wrong, key, fmt.Sprintf("expected a length of time, such as 5s, 10m or 2h, found %q", t), "")
		return otherwise
	}
	return d
}

// Bytes gives a size: a number, or one with a unit, as 10MiB or 64KB.
func (s *Section) Bytes(key string, otherwise int64) int64 {
	t, ok := s.scalar(key, "a size")
	if !ok {
		return otherwise
	}
	digits := strings.TrimRight(t, " abBgGiIkKmMtT")
	unit := strings.ToLower(strings.TrimSpace(t[len(digits):]))
	n, err := strconv.ParseFloat(digits, 64)
	factor, known := map[string]float64{
		"": 1, "b": 1, "k": 1 << 10, "kb": 1e3, "kib": 1 << 10, "m": 1 << 20, "mb": 1e6, "mib": 1 << 20, "g": 1 << 30, "gb": 1e9, "gib": 1 << 30,
	}[unit]
	if err != nil || !known || n < 0 || n*factor > 1<<50 {
		s.Say(Wrong, key, fmt.Sprintf("expected a size, such as 10485760 or 10MiB, found %q", t), "")
		return otherwise
	}
	return int64(n * factor)
}

// Texts gives a list of texts; one text counts as a list of one. Values of variables may have commas.
func (s *Section) Texts(key string) []string {
	n := s.Get(key)
	if n == nil {
		return nil
	}
	out, ok := n.Texts()
	if !ok {
		s.Say(Wrong, key, "expected a list of texts, found "+n.what(), "")
	}
	return out
}

// Texts gives the texts of a list, or of one text.
func (n *Node) Texts() (out []string, ok bool) {
	switch n.Kind {
	case Scalar:
		if !n.Expanded {
			return []string{n.Text}, true
		}
		text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(n.Text), "["), "]")
		for t := range strings.SplitSeq(text, ",") {
			if t = strings.Trim(strings.TrimSpace(t), `"'`); t != "" {
				out = append(out, t)
			}
		}
		return out, true
	case List:
		for _, i := range n.Items {
			more, ok := i.Texts()
			if !ok {
				return out, false
			}
			out = append(out, more...)
		}
	case Map:
		return nil, false
	case Null:
	}
	return out, true
}

// Regexps gives a list of regular expressions, as Go knows them.
func (s *Section) Regexps(key string) []*regexp.Regexp {
	n := s.Get(key)
	if n == nil {
		return nil
	}
	items := n.Items
	if n.Kind == Scalar {
		items = []*Node{n}
	}
	var out []*regexp.Regexp
	for _, i := range items {
		if i.Kind != Scalar {
			s.Doc.Say(Problem{Place: i.Place, Level: Wrong, Setting: s.name(key), Text: "expected a regular expression, found " + i.what()})
			continue
		}
		re, err := regexp.Compile(i.Text)
		if err != nil {
			s.Doc.Say(Problem{Place: i.Place, Level: Wrong, Setting: s.name(key), Text: err.Error()})
			continue
		}
		out = append(out, re)
	}
	return out
}

// Each says something of settings that are there, and makes them known: everything under them, too.
func (s *Section) Each(level Level, text, hint string, keys ...string) {
	for _, k := range keys {
		s.known[k] = true
		if s.Has(k) {
			s.Say(level, k, text, hint)
		}
	}
}

// Know makes settings known that are of no concern.
func (s *Section) Know(keys ...string) {
	for _, k := range keys {
		s.known[k] = true
	}
}

// Done names the settings that nobody asked for.
func (s *Section) Done() {
	s.unknown(s.Node, "")
}

func (s *Section) unknown(n *Node, prefix string) {
	for _, m := range n.Members {
		name := prefix + m.Name
		if s.known[name] {
			continue
		}
		inside := false
		for k := range s.known {
			inside = inside || strings.HasPrefix(k, name+".")
		}
		if inside && m.Value.Kind == Map {
			s.unknown(m.Value, name+".")
			continue
		}
		if inside && m.Value.Kind == Null {
			continue
		}
		p := Problem{Place: m.Place, Level: Different, Setting: s.name(name), Text: "naru does not know this setting, and goes without it"}
		if near := Nearest(name, slices.Sorted(maps.Keys(s.known))); near != "" {
			p.Hint = "do you mean " + near + "?"
		}
		s.Doc.Say(p)
	}
}

// Set puts a setting into a file that was read, instead of what it had: NAME=VALUE, where the value is YAML.
func (d *Document) Set(root *Node, text string) {
	name, value, ok := strings.Cut(text, "=")
	n := parse("-E "+name, []byte(value), d.lookup, &d.Problems)
	if !ok || name == "" || n == nil {
		d.Say(Problem{Place: Place{"-E", 1, 1}, Level: Wrong, Text: fmt.Sprintf("expected NAME=VALUE, found %q", text)})
		return
	}
	at := root
	parts := strings.Split(name, ".")
	for i, p := range parts {
		j := slices.IndexFunc(at.Members, func(m Member) bool { return m.Name == p })
		if j < 0 {
			at.Members = append(at.Members, Member{p, n.Place, &Node{Kind: Map, Place: n.Place}})
			j = len(at.Members) - 1
		}
		if i == len(parts)-1 {
			at.Members[j].Value = n
			return
		}
		if at.Members[j].Value.Kind != Map {
			at.Members[j].Value = &Node{Kind: Map, Place: n.Place}
		}
		at = at.Members[j].Value
	}
}
