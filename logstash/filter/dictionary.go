package filter

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/pattern/csv"
	"github.com/narudata/naru/logstash/pattern/regex"
)

// A dictionary has the values of translate by their keys. It is not changed once it is made.
type dictionary struct {
	keys   []string // in the order of the dictionary
	values map[string]event.Value

	exact, regex bool
	patterns     []*regex.Regexp // of keys, in their order; if they are patterns
	byFirst      [256][]int      // keys by their first bytes, in their order; if they are parts of texts
	empty        int             // where the key "" stands among them; -1: nowhere
	read         time.Time       // when the file was changed that was read
}

// set gives a key a value while the dictionary is made.
func (d *dictionary) set(key string, v event.Value) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = v
}

func newDictionary(exact, regex bool) *dictionary {
	return &dictionary{values: map[string]event.Value{}, exact: exact, regex: regex, empty: -1}
}

// grown gives a dictionary that has what d has, to be added to.
func (d *dictionary) grown() *dictionary {
	n := newDictionary(d.exact, d.regex)
	n.keys, n.values = slices.Clone(d.keys), maps.Clone(d.values)
	return n
}

// compile makes the dictionary ready.
func (d *dictionary) compile() error {
	if !d.exact {
		for i, key := range d.keys {
			if key == "" {
				d.empty = i
				continue
			}
			d.byFirst[key[0]] = append(d.byFirst[key[0]], i)
		}
		return nil
	}
	if !d.regex {
		return nil
	}
	for _, key := range d.keys {
		re, err := regex.Compile(key, regex.Options{})
		if err != nil {
			return err
		}
		d.patterns = append(d.patterns, re)
	}
	return nil
}

// lookup gives what a text is translated to; false if it is not. The value is a copy.
func (d *dictionary) lookup(x *Context, text string, own *translateOwn) (event.Value, bool) {
	switch {
	case !d.exact:
		x.Buf = d.replace(x.Buf[:0], text)
		if string(x.Buf) == text {
			return event.Value{}, false
		}
		return event.StringValue(own.room.keep(x.Buf)), true
	case d.regex:
		for i, re := range d.patterns {
			if ok, err := re.Match(bytesOf(text), 0, &own.match); ok && err == nil {
				return d.values[d.keys[i]].Clone(), true
			}
		}
		return event.Value{}, false
	}
	v, ok := d.values[text]
	return v.Clone(), ok
}

// replace appends a text with each key in it replaced by its value. Of several keys at one place the first of the dictionary
// counts.
func (d *dictionary) replace(dst []byte, text string) []byte {
	for at := 0; at <= len(text); {
		key, found := d.keyAt(text[at:])
		if found {
			dst = appendCanonical(dst, d.values[key])
		}
		if found && key != "" {
			at += len(key)
			continue
		}
		if at == len(text) {
			break
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		dst = append(dst, text[at:at+n]...)
		at += n
	}
	return dst
}

func (d *dictionary) keyAt(text string) (string, bool) {
	if text != "" {
		for _, i := range d.byFirst[text[0]] {
			if d.empty >= 0 && i > d.empty {
				break
			}
			if strings.HasPrefix(text, d.keys[i]) {
				return d.keys[i], true
			}
		}
	}
	return "", d.empty >= 0
}

// A dictionaryFile is where a dictionary is read from.
type dictionaryFile struct {
	path         string
	exact, regex bool
	replace      bool                       // what was read before is forgotten
	onlyChanged  bool                       // it is read again only if the time of its last change is another
	streaming    bool                       // YAML is read with fewer types
	mostRunes    int                        // of YAML
	warnKey      func(line int, key string) // of a key that is no text
}

// formatOf gives the format of a dictionary by the name of its file.
func formatOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".yml"), strings.HasSuffix(path, ".yaml"):
		return "yaml"
	case strings.HasSuffix(path, ".json"):
		return "json"
	case strings.HasSuffix(path, ".csv"):
		return "csv"
	}
	return ""
}

// load reads the file; old is what was read before, nil at the first time.
func (f *dictionaryFile) load(old *dictionary) (*dictionary, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if old != nil && f.onlyChanged && old.read.Equal(info.ModTime()) {
		return old, nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	d := newDictionary(f.exact, f.regex)
	if old != nil && !f.replace {
		d = old.grown()
	}
	d.read = info.ModTime()
	if err := f.parse(d, bytes.TrimPrefix(text, []byte("\ufeff"))); err != nil {
		return nil, fmt.Errorf("dictionary %s: %w", f.path, err)
	}
	if err := d.compile(); err != nil {
		return nil, fmt.Errorf("dictionary %s: %w", f.path, err)
	}
	return d, nil
}

func (f *dictionaryFile) parse(d *dictionary, text []byte) error {
	switch formatOf(f.path) {
	case "yaml":
		if n := utf8.RuneCount(text); n > f.mostRunes {
			return fmt.Errorf("it has %d characters; yaml_dictionary_code_point_limit is %d", n, f.mostRunes)
		}
		return f.parseYAML(d, text)
	case "json":
		return parseJSONDictionary(d, text)
	default:
		return parseCSVDictionary(d, string(text))
	}
}

var errNoMap = errors.New("expected an object at the root")

func parseJSONDictionary(d *dictionary, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	v, err := event.ParseJSON(text, event.JSONOptions{Decimals: true})
	if err != nil {
		return err
	}
	if v.Kind() != event.Map {
		return errNoMap
	}
	for _, m := range v.Map().Entries() {
		d.set(m.Key, m.Value)
	}
	return nil
}

// parseCSVDictionary reads keys and values from the first two columns.
func parseCSVDictionary(d *dictionary, text string) error {
	rows, err := csv.Read(csv.NewFormat(",", `"`), text)
	if err != nil {
		return err
	}
	var row []event.Value
	for {
		var ok bool
		if row, ok, err = rows.Next(row[:0]); err != nil || !ok {
			return err
		}
		if len(row) == 0 || row[0].Nil() {
			continue
		}
		v := event.NullValue
		if len(row) > 1 {
			v = row[1]
		}
		d.set(row[0].Str(), v)
	}
}
